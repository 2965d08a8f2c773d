"""A small typed layer over ``onnx.helper``: graphs that read like numpy and fail at the line that is wrong.

    g = Graph()
    x = g.input("x", np.int64, ["T"])
    with g.scope("double"):
        y = x * 2 + g.op("Shape", x)
    g.output(y, "y")
    model = g.model({"kind": "example"})

Every operation is checked when it is written: the operator's schema, its types and its shapes, by ONNX' own
inference. The same calls give the same bytes. In the file an operation's name is its scopes and the value that it
makes (``double/_b``): the scopes are what somebody sees who opens it in Netron.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper, shape_inference

from m2v_export.source.outside import Outside, Stored
from m2v_onnx.models.format import IR_VERSION, OPSET, PRODUCER

Scalar = bool | int | float
Array = npt.NDArray[Any]
Branch = Callable[["Graph"], Sequence["Value"]]


@dataclass(frozen=True, eq=False)
class Value:
    """The result of an operation, a graph's input or a constant; arithmetic on it adds operations to its graph, but for
    adding 0, subtracting it, and multiplying by 1."""

    graph: "Graph"
    name: str
    type: onnx.TypeProto

    __array_ufunc__ = None  # an array on the left leaves the operation to us: numpy would take it apart by elements

    @property
    def dtype(self) -> np.dtype[Any]:
        return helper.tensor_dtype_to_np_dtype(self.type.tensor_type.elem_type)

    @property
    def rank(self) -> int:
        """:raises TypeError: when ONNX could not infer it."""
        if not self.type.tensor_type.HasField("shape"):
            raise TypeError(f"the rank of {self.name} is not known: reshape it first")
        return len(self.type.tensor_type.shape.dim)

    def __add__(self, other: "Value | Array | Scalar") -> "Value":
        return self if _is(other, 0) else self.graph.op("Add", self, other)

    def __sub__(self, other: "Value | Array | Scalar") -> "Value":
        return self if _is(other, 0) else self.graph.op("Sub", self, other)

    def __rsub__(self, other: "Array | Scalar") -> "Value":
        return self.graph.op("Sub", self.graph.constant(np.asarray(other, self.dtype)), self)

    def __mul__(self, other: "Value | Array | Scalar") -> "Value":
        return self if _is(other, 1) else self.graph.op("Mul", self, other)

    def __truediv__(self, other: "Value | Array | Scalar") -> "Value":
        return self.graph.op("Div", self, other)

    def __rfloordiv__(self, other: "Array | Scalar") -> "Value":
        return self.graph.op("Div", self.graph.constant(np.asarray(other, self.dtype)), self)

    def __floordiv__(self, other: "Value | Array | Scalar") -> "Value":
        """Division of integers as ONNX does it: it truncates, so it is a floor only for operands of the same sign."""
        return self.graph.op("Div", self, other)

    def __mod__(self, other: "Value | Array | Scalar") -> "Value":
        return self.graph.op("Mod", self, other)

    # numpy's arrays claim to compare with anything, hence mypy's complaint about overlapping signatures.
    def __lt__(self, other: "Value | Array | Scalar") -> "Value":  # type: ignore[misc]
        return self.graph.op("Less", self, other)

    def __le__(self, other: "Value | Array | Scalar") -> "Value":  # type: ignore[misc]
        return self.graph.op("LessOrEqual", self, other)

    def __gt__(self, other: "Value | Array | Scalar") -> "Value":  # type: ignore[misc]
        return self.graph.op("Greater", self, other)

    def __ge__(self, other: "Value | Array | Scalar") -> "Value":  # type: ignore[misc]
        return self.graph.op("GreaterOrEqual", self, other)

    def equals(self, other: "Value | Array | Scalar") -> "Value":
        """Elementwise; ``==`` keeps its Python meaning, so that values can be put into sets and compared."""
        return self.graph.op("Equal", self, other)

    def __and__(self, other: "Value | Array | Scalar") -> "Value":
        return self.graph.op("And", self, other)

    def __or__(self, other: "Value | Array | Scalar") -> "Value":
        return self.graph.op("Or", self, other)

    def __invert__(self) -> "Value":
        return self.graph.op("Not", self)

    def cast(self, dtype: npt.DTypeLike) -> "Value":
        if self.dtype == np.dtype(dtype):
            return self
        return self.graph.op("Cast", self, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def reshape(self, *shape: "int | Value") -> "Value":
        """:param shape: sizes, -1 for the one to infer; a Value is an int64 [1]."""
        if all(isinstance(size, int) for size in shape):
            return self.graph.op("Reshape", self, np.array(shape, np.int64))
        sizes = [size if isinstance(size, Value) else np.array([size], np.int64) for size in shape]
        return self.graph.op("Reshape", self, self.graph.concat(sizes))

    def reshape_like(self, other: "Value") -> "Value":
        """Take another value's shape, whose rank inference then knows."""
        return self.graph.op("Reshape", self, self.graph.op("Shape", other), allowzero=1).sized_as(other)

    def of_rank(self, rank: int) -> "Value":
        """Say the rank where inference cannot see it; no operation is added."""
        if self.type.tensor_type.HasField("shape"):
            assert self.rank == rank, f"{self.name} is of rank {self.rank}, not {rank}"
            return self
        return self.graph.tell(self.name, _sized(self.dtype, [None] * rank))

    def sized_as(self, other: "Value") -> "Value":
        """Say that it has another's sizes where inference cannot see it; no operation is added."""
        type_ = onnx.TypeProto()
        type_.CopyFrom(other.type)
        type_.tensor_type.elem_type = self.type.tensor_type.elem_type
        return self.graph.tell(self.name, type_)

    def unsqueeze(self, *axes: int) -> "Value":
        return self.graph.op("Unsqueeze", self, np.array(axes, np.int64))

    def squeeze(self, *axes: int) -> "Value":
        return self.graph.op("Squeeze", self, np.array(axes, np.int64))

    def slice(self, start: int, end: int, axis: int = 0) -> "Value":
        return self.graph.op("Slice", self, *(np.array([i], np.int64) for i in (start, end, axis)))

    def size(self, axis: int = 0) -> "Value":
        """The length along one axis: int64 [1]."""
        return self.graph.op("Shape", self, start=axis, end=axis + 1)


Operation = tuple[str, tuple[str, ...], str]
"""Its operator, what it is given and its attributes."""


UNNAMED = "const"
"""What constants are called that have no name of their own; in a finished model they are numbered as values are."""

OUTSIDE_BYTES = 1 << 20
"""From so many on a constant is stored outside the graph, where it is mapped, not copied."""


@dataclass
class _Level:
    """The graph itself, or the body of an ``If`` or ``Loop`` that is being written."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    results: dict[Operation, list[Value]] = field(default_factory=dict)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)

    def proto(self, name: str, told: Mapping[str, onnx.TypeProto]) -> onnx.GraphProto:
        """:param told: the types of values that inference does not see."""
        inputs, outputs = ([helper.make_value_info(v.name, v.type) for v in of] for of in (self.inputs, self.outputs))
        inside = {made for node in self.nodes for made in node.output} - {value.name for value in self.outputs}
        infos = [helper.make_value_info(of, type_) for of, type_ in told.items() if of in inside]
        return helper.make_graph(self.nodes, name, inputs, outputs, value_info=infos)


class Graph:
    """One graph. What is written inside a callback of ``if_`` or ``loop`` goes into its body, which sees all values."""

    def __init__(self, outside: Outside | None = None, opset: int = OPSET, ir_version: int = IR_VERSION) -> None:
        """:param outside: where large constants go; None to keep all in the graph.
        :param opset: the operators' version. :param ir_version: the file format's.
        """
        self.opset, self._ir_version = opset, ir_version
        self._opsets = [helper.make_opsetid("", opset)]
        self._outside = outside
        self._levels = [_Level()]
        self._scopes: list[str] = []
        self._counters: dict[str, int] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Value] = {}
        self._constants_outside: dict[tuple[str, tuple[int, ...], bytes], Value] = {}
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._renamed: dict[str, str] = {}
        self._told: dict[str, onnx.TypeProto] = {}
        self._sizes = 0

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Names made inside begin with ``name/``."""
        self._scopes.append(name)
        try:
            yield
        finally:
            self._scopes.pop()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """As ``scope``, but not inside of other scopes: names begin with ``name/``, whatever body they are in."""
        outer, self._scopes = self._scopes, [name]
        try:
            yield
        finally:
            self._scopes = outer

    def input(self, name: str, dtype: npt.DTypeLike, shape: Sequence[int | str]) -> Value:
        value = Value(self, name, _sized(dtype, shape))
        self._levels[-1].inputs.append(value)
        return value

    def output(self, value: Value, name: str, shape: Sequence[int | str] | None = None) -> None:
        """Name a value as the graph's output; ``shape`` says what inference could not."""
        type_ = value.type if shape is None else _sized(value.dtype, shape)
        if self._made_here(value) and value.name not in self._renamed:
            self._renamed[value.name] = name
        else:
            self._emit("Identity", [value], [name])
        self._levels[-1].outputs.append(Value(self, name, type_))

    def constant(self, array: npt.ArrayLike, name: str = UNNAMED) -> Value:
        """An initializer; equal arrays are stored once."""
        array = np.asarray(array)
        key = (array.dtype.str, array.shape, array.tobytes())
        found = self._constants.get(key) or self._constants_outside.get(key)
        if found is None:
            new_name = self._new_name(name)
            if self._outside is not None and array.nbytes >= OUTSIDE_BYTES:
                # Not among the constants, which move into bodies: there onnxruntime would not map it.
                found = self._constants_outside[key] = self.initializer(self._outside.add(new_name, Stored((array,))))
                return found
            found = self.initializer(
                numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), new_name)
            )
            self._constants[key] = found
        return found

    def initializer(self, tensor: onnx.TensorProto) -> Value:
        """Add a tensor as it is, one with external data too. The tensor's name must be new."""
        self._initializers[tensor.name] = tensor
        return Value(self, tensor.name, helper.make_tensor_type_proto(tensor.data_type, list(tensor.dims)))

    def op(self, op_type: str, *inputs: "Value | Array | Scalar | None", **attributes: Any) -> Value:
        """Add one operation with one output.

        :param inputs: values; arrays become constants; Python numbers become constants of the dtype of the first
            value; None leaves an optional input out.
        :raises onnx.shape_inference.InferenceError: when types or shapes do not fit the operator.
        """
        return self.op_many(op_type, 1, *inputs, **attributes)[0]

    def op_many(
        self, op_type: str, outputs: int, *inputs: "Value | Array | Scalar | None", **attributes: Any
    ) -> list[Value]:
        """As ``op``, for an operation with several outputs.

        One that is already there is not made again. onnxruntime would take it out, and check the whole graph anew, for
        each kind of thing that it takes out: text.onnx took twice the time to open. For the same reason nothing should
        be made of constants alone.
        """
        first = next((i for i in inputs if isinstance(i, Value)), None)
        operands = [None if i is None else self._value(i, first) for i in inputs]
        # Defaults are written out: rten takes a Slice without axes for one of all axes, tinygrad needs the other.
        if op_type == "Slice" and len(operands) == 3 and operands[1] is not None:
            starts = operands[1].type.tensor_type.shape.dim[0].dim_value
            operands.append(self.constant(np.arange(starts)))
        elif op_type == "GatherElements":
            attributes.setdefault("axis", 0)
        operation = op_type, tuple("" if o is None else o.name for o in operands), repr(sorted(attributes.items()))
        for level in self._levels:
            if operation in level.results:
                return level.results[operation]
        base = self._new_name(op_type)
        names = [base] if outputs == 1 else [f"{base}.{i}" for i in range(outputs)]
        results = self._levels[-1].results[operation] = self._emit(op_type, operands, names, attributes)
        return results

    def concat(self, parts: Sequence["Value | Array"], axis: int = 0) -> Value:
        return self.op("Concat", *parts, axis=axis)

    def if_(self, condition: Value, then: "Branch", otherwise: "Branch") -> list[Value]:
        """``If``: both callbacks return as many values, of the same types.

        :param condition: bool [] or [1].
        """
        then_body, then_values = self._branch("then", then)
        else_body, else_values = self._branch("else", otherwise)
        types = [_join(a, b) for a, b in zip(then_values, else_values, strict=True)]
        return self._with_bodies("If", [condition], types, then_branch=then_body, else_branch=else_body)

    def loop(
        self,
        state: Sequence[Value],
        body: Callable[..., tuple[Value | None, Sequence[Value], Sequence[Value]]],
        trips: Value | None = None,
        condition: Value | None = None,
    ) -> list[Value]:
        """``Loop``: ``body(g, i, *state)`` gives (go on: bool [] or None, next state, what is stacked a trip).

        State keeps its dtype and rank; its sizes may change from trip to trip.

        :param trips: int64 [], the most trips; None for no limit.
        :param condition: bool [], whether to make the first trip; None for yes.
        :return: the last state, then what was stacked.
        """
        with self._level() as level:
            i = self.input(self._new_name("i"), np.int64, [])
            before = self.input(self._new_name("condition"), np.bool_, [])
            carried = [self.tell(self._new_name("state"), _unsized(value)) for value in state]
            level.inputs.extend(carried)
            again, following, stacked = body(self, i, *carried)
            for value in (before if again is None else again, *following, *stacked):
                self._body_output(value)
        if condition is None:
            # ONNX' reference skips a Loop without one.
            condition = self.constant(np.array(True))
        types = [_unsized(value) for value in state]
        types += [_sized(value.dtype, [None] * (value.rank + 1)) for value in stacked]
        return self._with_bodies("Loop", [trips, condition, *state], types, body=level.proto("body", self._told))

    def model(self, metadata: Mapping[str, str]) -> onnx.ModelProto:
        """The finished model, checked."""
        graph = self._levels[0].proto("m2v_onnx", {n: t for n, t in self._told.items() if n not in self._renamed})
        constants = {value.name for value in self._constants.values()}
        used = _inputs(graph)
        graph.initializer.extend(t for name, t in self._initializers.items() if name in used - constants)
        _distribute(graph, {name: t for name, t in self._initializers.items() if name in constants})
        kept = {"", *self._initializers, *(info.name for infos in (graph.input, graph.output) for info in infos)}
        kept -= {name for name in constants if name.rsplit("/", 1)[-1].startswith(f"{UNNAMED}_")}
        _rename(graph, {name: name for name in kept} | self._renamed)
        model = helper.make_model(
            graph, producer_name=PRODUCER, opset_imports=self._opsets, ir_version=self._ir_version
        )
        helper.set_model_props(model, dict(sorted(metadata.items())))
        return model

    def _value(self, operand: "Value | Array | Scalar", like: Value | None) -> Value:
        if isinstance(operand, Value):
            return operand
        if isinstance(operand, np.ndarray):
            return self.constant(operand)
        if like is None:
            raise TypeError(f"a bare {operand!r} has no dtype here: pass np.array({operand!r}, dtype)")
        return self.constant(np.array(operand, like.dtype))

    def _emit(
        self,
        op_type: str,
        inputs: Sequence[Value | None],
        outputs: Sequence[str],
        attributes: Mapping[str, Any] | None = None,
    ) -> list[Value]:
        names = ["" if value is None else value.name for value in inputs]
        node = helper.make_node(op_type, names, list(outputs), name=outputs[0], **(attributes or {}))
        types = {value.name: value.type for value in inputs if value is not None}
        data = {name: t for name in names if (t := self._initializers.get(name)) is not None and _is_small(t)}
        schema = onnx.defs.get_schema(op_type, self.opset)
        inferred = shape_inference.infer_node_outputs(
            schema, node, types, data, opset_imports=self._opsets, ir_version=self._ir_version
        )
        self._levels[-1].nodes.append(node)
        return [
            self.tell(of, inferred[of]) if _has_unknown(inferred[of]) else Value(self, of, inferred[of])
            for of in outputs
        ]

    def tell(self, name: str, type_: onnx.TypeProto) -> Value:
        """A value of this type; its unknown sizes get names.

        onnxruntime writes a result in the place of an operand that nobody else needs only if it can see that both are
        of one size.
        """
        for dim in type_.tensor_type.shape.dim:
            if not dim.WhichOneof("value"):
                dim.dim_param = f"d{self._sizes}"
                self._sizes += 1
        self._told[name] = type_
        return Value(self, name, type_)

    def _new_name(self, base: str) -> str:
        path = "/".join([*self._scopes, base])
        count = self._counters.get(path, 0)
        self._counters[path] = count + 1
        return f"{path}_{count}"

    @contextmanager
    def _level(self) -> Iterator[_Level]:
        self._levels.append(_Level())
        try:
            yield self._levels[-1]
        finally:
            self._levels.pop()

    def _branch(self, name: str, build: "Branch") -> tuple[onnx.GraphProto, list[Value]]:
        with self._level() as level:
            values = list(build(self))
            for value in values:
                self._body_output(value)
        return level.proto(name, self._told), values

    def _made_here(self, value: Value) -> bool:
        """Whether an operation of the level that is being written makes it."""
        return any(value.name in node.output for node in self._levels[-1].nodes)

    def _body_output(self, value: Value) -> None:
        """A body's result must be made in it, and be one result only: else it is a copy."""
        outputs = self._levels[-1].outputs
        if not self._made_here(value) or any(value.name == output.name for output in outputs):
            (value,) = self._emit("Identity", [value], [self._new_name("Identity")])
        outputs.append(value)

    def _with_bodies(
        self, op_type: str, inputs: Sequence[Value | None], types: Sequence[onnx.TypeProto], **bodies: onnx.GraphProto
    ) -> list[Value]:
        base = self._new_name(op_type)
        names = [f"{base}.{i}" for i in range(len(types))]
        arguments = ["" if value is None else value.name for value in inputs]
        self._levels[-1].nodes.append(helper.make_node(op_type, arguments, names, name=base, **bodies))
        return [self.tell(name, type_) for name, type_ in zip(names, types, strict=True)]


def _bodies(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    return [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]


def _inputs(graph: onnx.GraphProto) -> set[str]:
    """What its operations are given, those in the bodies too."""
    return {name for node in graph.node for name in node.input}.union(*map(_inputs, _bodies(graph)))


def _distribute(graph: onnx.GraphProto, constants: Mapping[str, onnx.TensorProto]) -> None:
    """Put each constant into the innermost body that all its uses are in.

    What a body takes from outside is handed to it at every run: for a text of some words that was a thirtieth of the
    time.
    """
    bodies = _bodies(graph)
    used = [_inputs(body) for body in bodies]
    here = {name for node in graph.node for name in node.input}
    mine: list[dict[str, onnx.TensorProto]] = [{} for _ in bodies]
    for name, tensor in constants.items():
        users = [i for i, names in enumerate(used) if name in names]
        if name in here or len(users) != 1:
            graph.initializer.append(tensor)
        else:
            mine[users[0]][name] = tensor
    for body, its in zip(bodies, mine, strict=True):
        _distribute(body, its)


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """Rename values, in the bodies of operations too; those without a name are numbered, and added to the names.

    onnxruntime opens a graph in a tenth less time than with values named as the operations that make them.
    """

    def renamed(name: str) -> str:
        return names.setdefault(name, _short(len(names)))

    for of in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        of.name = renamed(of.name)
    for node in graph.node:
        for its in (node.input, node.output):
            its[:] = map(renamed, its)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, names)
        # The operation's name says where it belongs; what it is called beside the scope is what it makes.
        node.name = "/".join([*node.name.split("/")[:-1], node.output[0]])


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _short(number: int) -> str:
    """:return: a name of letters, another for each number: some thousand times in a file, each letter counts."""
    higher, lower = divmod(number, len(_LETTERS))
    return (_short(higher) if higher else "_") + _LETTERS[lower]


def _has_unknown(type_: onnx.TypeProto) -> bool:
    """Whether sizes are neither known nor have names."""
    return not all(dim.WhichOneof("value") for dim in type_.tensor_type.shape.dim)


def _is(operand: "Value | Array | Scalar", number: int) -> bool:
    """Whether it is a Python number, and this one."""
    return isinstance(operand, int | float) and operand == number


def _is_small(tensor: onnx.TensorProto) -> bool:
    """Worth giving to shape inference: shapes, axes, slice bounds."""
    return int(np.prod(tensor.dims)) <= 16


def _unsized(value: Value) -> onnx.TypeProto:
    """Its dtype and rank, its sizes forgotten."""
    return _sized(value.dtype, [None] * value.rank)


def _join(a: Value, b: Value) -> onnx.TypeProto:
    """The type of what is one or the other: sizes only where both agree."""
    if a.dtype != b.dtype or a.rank != b.rank:
        raise TypeError(f"the branches differ: {a.name} is {a.dtype} of rank {a.rank}, {b.name} {b.dtype} of {b.rank}")
    sizes = [
        one.dim_value if one.HasField("dim_value") and one == other else None
        for one, other in zip(a.type.tensor_type.shape.dim, b.type.tensor_type.shape.dim, strict=True)
    ]
    return _sized(a.dtype, sizes)


def _sized(dtype: npt.DTypeLike, shape: Sequence[int | str | None]) -> onnx.TypeProto:
    elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return helper.make_tensor_type_proto(elem_type, cast(list[int | str], list(shape)))
