"""Reading a Model2Vec model: a folder in any layout that model2vec reads, or a ``StaticModel``.

The table is mapped, not read: a source of some gigabytes costs no memory before its rows are needed.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from m2v_export.source.chunks import Array, chunks
from m2v_export.source.embedding import TABLE_DTYPES, Embedding
from m2v_export.source.head import TENSORS as HEAD_TENSORS
from m2v_export.source.head import Head, make_head, read_head
from m2v_export.source.precision import stored_as
from m2v_onnx.errors import InvalidModelError, ModelNotFoundError
from m2v_onnx.lazy import lazy_property
from m2v_onnx.limits import DEFAULT_MAX_LENGTH, median_length
from m2v_onnx.models.bundle import read_config
from m2v_onnx.models.format import MANIFEST
from m2v_onnx.vectors.by_tokenizers import TokenizersTokens, find_unk_token_id

if TYPE_CHECKING:
    from model2vec import StaticModel
    from model2vec.inference import StaticModelPipeline


@dataclass(frozen=True)
class Layout:
    """Where a kind of model folder has its parts, and the name of its table."""

    config: str
    tensors: str
    tokenizer: str
    table: str


LAYOUTS = (
    Layout("config.json", "model.safetensors", "tokenizer.json", "embeddings"),
    Layout("config_sentence_transformers.json", "model.safetensors", "tokenizer.json", "embedding.weight"),
    Layout(
        "config_sentence_transformers.json",
        "0_StaticEmbedding/model.safetensors",
        "0_StaticEmbedding/tokenizer.json",
        "embedding.weight",
    ),
)
"""model2vec's own, sentence-transformers', and that with the nested module; tried in model2vec's order."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What is asked of a tokenizer as it comes, before anything sets it otherwise: the numbers of its vocabulary, whose
    texts take ten times the memory, and its padding.

    :ivar ids: int32 [tokens]. :ivar lengths: int32 [tokens], code points of each.
    :ivar unk_token_id: the token that model2vec drops; None for none.
    :ivar padding: its ``pad_token`` and ``pad_id``; None where it does not pad.
    """

    ids: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int32]
    unk_token_id: int | None
    padding: Mapping[str, Any] | None

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "Vocabulary":
        vocabulary = tokenizer.get_vocab()
        ids = np.fromiter(vocabulary.values(), np.int32, len(vocabulary))
        lengths = np.fromiter(map(len, vocabulary), np.int32, len(vocabulary))
        del vocabulary
        return cls(ids, lengths, find_unk_token_id(tokenizer), tokenizer.padding)


@dataclass(kw_only=True, eq=False)
class Source:
    """A Model2Vec model as it is stored.

    There is one tokenizer object, as large ones take hundreds of megabytes: whoever sets it to truncate or pad sets it
    back.

    :ivar name: a Hub id, or the folder's name.
    :ivar revision: the commit on the Hub, empty for a local one.
    :ivar table: float32, float16 or int8 [rows, dim]; may be mapped from its file.
    :ivar mapping: integers [tokens], or None.
    :ivar weights: numbers [tokens], or None.
    :ivar vocabulary: what was asked of the tokenizer as it came.
    :ivar card: the front matter of the source's README.md: license, base_model, language.
    :ivar head: of a classifier or regressor; None for others.
    :ivar precision: what the bundle's table is stored in; None for the source's own.
    :ivar origin: the model as it was read, where dimensions or rows were left out.
    """

    name: str
    revision: str
    table: Array
    mapping: Array | None
    weights: Array | None
    tokenizer: Tokenizer
    config: Mapping[str, Any]
    normalize: bool
    max_length: int | None
    card: Mapping[str, str]
    vocabulary: Vocabulary
    head: Head | None = None
    precision: str | None = None
    origin: "Source | None" = None

    @lazy_property
    def embedding(self) -> Embedding:
        """:raises ExportError: when its precision is none for this table."""
        embedding = Embedding(
            table=self.table,
            mapping=None if self.mapping is None else self.mapping.astype(np.int64),
            weights=None if self.weights is None else self.weights.astype(np.float32),
            unk_token_id=self.vocabulary.unk_token_id,
            normalize=self.normalize,
            sum_dtype=self._sum_dtype(),
            head=self.head,
        )
        return stored_as(embedding, self.precision)

    def _sum_dtype(self) -> np.dtype[Any]:
        """What numpy's mean adds up in, for model2vec: float64 for integers, float32 for float16. An int8 table alone
        can do with float32, in which whole numbers up to 2^24 are exact, over a hundred thousand tokens."""
        if self.weights is None:
            return np.dtype(np.float32)
        product = np.result_type(self.table.dtype, self.weights.dtype)
        return np.dtype(np.float64 if product.kind in "iu" else np.promote_types(product, np.float32))

    @lazy_property
    def median_token_length(self) -> int:
        """Code points."""
        return median_length(self.vocabulary.lengths)

    def tokens(self) -> TokenizersTokens:
        """The tokenizer as the runtime has it, which neither truncates nor pads."""
        return TokenizersTokens.known(self.tokenizer, self.median_token_length, self.vocabulary.unk_token_id)

    @lazy_property
    def sha256(self) -> str:
        """Of the tensors' names, dtypes, shapes and bytes as they were read, whatever file they came from."""
        if self.origin is not None:
            return self.origin.sha256
        digest = hashlib.sha256()
        for name, array in (("embeddings", self.table), ("mapping", self.mapping), ("weights", self.weights)):
            if array is not None:
                digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
                for chunk in chunks(array):
                    digest.update(np.ascontiguousarray(chunk).data)
        return digest.hexdigest()

    def reference(self) -> "StaticModel":
        """The same model in model2vec, on the same table."""
        from model2vec import StaticModel

        model = StaticModel(
            vectors=self.table,
            tokenizer=_Uncopied(self.tokenizer, self.vocabulary),  # type: ignore[arg-type]
            normalize=self.normalize,
            weights=self.weights,
            token_mapping=self.mapping,
            max_length=self.max_length,
        )
        model.tokenizer = self.tokenizer
        return model


class _Uncopied:
    """Hands a tokenizer to ``StaticModel``, which would copy it, keep its vocabulary to count its characters, and write
    it out as JSON to look for one number."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
        self._tokenizer, self._vocabulary = tokenizer, vocabulary

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Uncopied":
        return self

    def get_vocab(self) -> "_Uncopied":
        return self

    def items(self) -> Iterator[tuple[str, int]]:
        """Of a vocabulary whose tokens have the same lengths."""
        fillers = {length: "x" * length for length in np.unique(self._vocabulary.lengths).tolist()}
        for token_id, length in zip(self._vocabulary.ids, self._vocabulary.lengths, strict=True):
            yield fillers[int(length)], int(token_id)

    def to_str(self) -> str:
        return json.dumps({"model": {"unk_id": self._vocabulary.unk_token_id}})


def read_folder(folder: Path, name: str | None = None, revision: str = "") -> Source:
    """Read and check a model folder.

    :raises ModelNotFoundError: when no layout's files are there; lists what was looked for.
    :raises InvalidModelError: when a file is damaged or the parts do not fit.
    """
    layout = find_layout(folder)
    tensors = map_safetensors(folder / layout.tensors)
    if layout.table not in tensors:
        raise InvalidModelError(
            f"{folder / layout.tensors}: expected a tensor {layout.table!r}, got {sorted(tensors)}:"
            " is it a Model2Vec model?"
        )
    config = _read_json(folder / layout.config)
    head_tensors = map_safetensors(folder / HEAD_TENSORS) if (folder / HEAD_TENSORS).is_file() else None
    table = tensors[layout.table]
    head = read_head(folder, config, head_tensors, table.shape[-1])
    if head is not None and not all(np.isfinite(chunk).all() for chunk in chunks(table)):
        table = np.nan_to_num(table)  # as StaticModelPipeline.from_pretrained, and no other loader, of model2vec 0.10
    tokenizer = read_tokenizer(folder / layout.tokenizer)
    return checked(
        Source(
            name=name or folder.resolve().name,
            revision=revision,
            table=table,
            mapping=tensors.get("mapping"),
            weights=tensors.get("weights"),
            tokenizer=tokenizer,
            vocabulary=Vocabulary.of(tokenizer),
            config=config,
            normalize=_flag(config, folder / layout.config),
            max_length=_length(config, folder / layout.config),
            card=_front_matter(folder / "README.md"),
            head=head,
        ),
        str(folder),
    )


def read_static_model(model: "StaticModel | StaticModelPipeline", name: str | None = None) -> Source:
    """Take a model or pipeline that is in memory, with its own normalize and max_length.

    :raises InvalidModelError: when its parts do not fit.
    """
    from model2vec.inference import StaticModelPipeline

    if isinstance(model, StaticModelPipeline):
        source, mlp = read_static_model(model.model, name), model.head
        weights, biases = ([getattr(layer, part) for layer in mlp.layers] for part in ("weight", "bias"))
        labels = None if mlp.classes_ is None else np.asarray(mlp.classes_).tolist()
        dim = source.table.shape[1]
        return replace(
            source, head=make_head(weights, biases, mlp.activation.value, labels, dim, "the StaticModelPipeline")
        )
    tokenizer = Tokenizer.from_str(model.tokenizer.to_str())
    return checked(
        Source(
            name=name or model.base_model_name or "StaticModel",
            revision="",
            table=model.embedding,
            mapping=model.token_mapping,
            weights=model.weights,
            tokenizer=tokenizer,
            vocabulary=Vocabulary.of(tokenizer),
            config=dict(model.config),
            normalize=bool(model.normalize),
            max_length=model.max_length,
            card={"base_model": model.base_model_name} if model.base_model_name else {},
        ),
        "the StaticModel",
    )


def is_source(folder: Path) -> bool:
    """Whether a folder has the files of some layout."""
    return any(_is_complete(folder, layout) for layout in LAYOUTS)


def find_layout(folder: Path) -> Layout:
    """:raises ModelNotFoundError: when none fits."""
    for layout in LAYOUTS:
        if _is_complete(folder, layout):
            return layout
    if folder.is_file():
        raise ModelNotFoundError(f"{folder} is a file: give the folder of a Model2Vec model")
    if MANIFEST in read_config(folder):
        raise ModelNotFoundError(f"{folder} is a bundle already: to export anew, give the model that it was made of")
    tried = "; ".join(f"{layout.config}, {layout.tensors}, {layout.tokenizer}" for layout in LAYOUTS)
    raise ModelNotFoundError(f"{folder} is no Model2Vec model folder: expected the files of one of: {tried}")


def map_safetensors(path: Path) -> dict[str, Array]:
    """Map the tensors of a file into memory, read-only.

    The format: https://huggingface.co/docs/safetensors#format

    :raises InvalidModelError: for a file that is truncated or no safetensors.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            raise InvalidModelError(
                f"{path}: expected a safetensors file, got {size:,} bytes with a header of {length:,}:"
                " it is truncated or of another kind; copy it again"
            )
        try:
            header = json.loads(file.read(length))
            entries = {
                key: (_DTYPES[e["dtype"]], _sizes(e["shape"]), _sizes(e["data_offsets"], 2))
                for key, e in header.items()
                if key != "__metadata__"
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidModelError(
                f"{path}: its safetensors header is damaged or has a dtype that model2vec does not read ({error!r})"
            ) from error
    tensors = {}
    for key, (dtype, shape, (begin, end)) in entries.items():
        start = 8 + length
        if not 0 <= begin <= end <= size - start or end - begin != prod(shape) * dtype.itemsize:
            raise InvalidModelError(
                f"{path}: tensor {key!r} should take bytes {begin:,} to {end:,} as {dtype} {list(shape)},"
                f" but the file has {size - start:,} bytes of tensors: it is truncated or damaged; copy it again"
            )
        if begin == end:
            tensors[key] = np.zeros(shape, dtype)
        else:
            tensors[key] = np.memmap(path, dtype, "r", start + begin, shape)
    return tensors


def _sizes(values: Any, length: int | None = None) -> tuple[int, ...]:
    """:raises ValueError: for what is no list of so many sizes."""
    if not isinstance(values, list) or length not in (None, len(values)):
        raise ValueError(f"expected a list of sizes, got {values!r}")
    if not all(isinstance(value, int) and value >= 0 for value in values):
        raise ValueError(f"expected sizes, got {values!r}")
    return tuple(values)


_DTYPES = {
    name: np.dtype(code)
    for name, code in {
        "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
        "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
    }.items()
}  # fmt: skip


def read_tokenizer(path: Path) -> Tokenizer:
    """:raises InvalidModelError: for what `tokenizers` cannot read."""
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise InvalidModelError(f"{path}: expected a tokenizer of the `tokenizers` library, got: {error}") from error


def _is_complete(folder: Path, layout: Layout) -> bool:
    return all((folder / path).is_file() for path in (layout.config, layout.tensors, layout.tokenizer))


def checked(source: Source, where: str) -> Source:
    """The source, if its parts fit each other.

    :raises InvalidModelError: naming the part that does not.
    """
    table, mapping, weights = source.table, source.mapping, source.weights
    if table.ndim != 2 or 0 in table.shape:
        raise InvalidModelError(f"{where}: expected a table of two dimensions, got {list(table.shape)}")
    if table.dtype == np.float64:
        table = table.astype(np.float32)
        source = replace(source, table=table)
    if table.dtype.name not in TABLE_DTYPES:
        raise InvalidModelError(f"{where}: expected a table of {', '.join(TABLE_DTYPES)}, got {table.dtype}")
    tokens = len(source.vocabulary.ids)
    if not tokens:
        raise InvalidModelError(f"{where}: the tokenizer has no tokens")
    if mapping is not None and (mapping.ndim != 1 or mapping.dtype.kind not in "iu"):
        raise InvalidModelError(
            f"{where}: expected an integer mapping a token, got {mapping.dtype} {list(mapping.shape)}"
        )
    if weights is not None and (weights.ndim != 1 or weights.dtype.kind not in "fiu"):
        raise InvalidModelError(f"{where}: expected one weight a token, got {weights.dtype} {list(weights.shape)}")
    largest = int(source.vocabulary.ids.max())
    rows = {"table": len(table)} if mapping is None else {"mapping": len(mapping)}
    if weights is not None:
        rows["weights"] = len(weights)
    for part, length in rows.items():
        if length <= largest:
            raise InvalidModelError(
                f"{where}: the tokenizer has token ids up to {largest:,}, the {part} has {length:,} rows:"
                " tokenizer and tensors are not of the same model"
            )
    if mapping is None and len(table) != tokens:
        raise InvalidModelError(f"{where}: expected a row for each of {tokens:,} tokens, got {len(table):,} rows")
    if mapping is not None:
        low, high = int(mapping.min()), int(mapping.max())
        if low < 0 or high >= len(table):
            raise InvalidModelError(
                f"{where}: the mapping points to rows {low:,} to {high:,}, the table has {len(table):,} rows"
            )
    for part, array in (("table", table), ("weights", source.embedding.weights)):
        if array is not None and not all(np.isfinite(chunk).all() for chunk in chunks(array)):
            raise InvalidModelError(f"{where}: the {part} has NaN or infinite values: every vector must be finite")
    return source


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InvalidModelError(f"{path}: expected a JSON object: {error}") from error
    if not isinstance(value, dict):
        raise InvalidModelError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


def _flag(config: Mapping[str, Any], path: Path) -> bool:
    value = config.get("normalize") or False
    if not isinstance(value, bool):
        raise InvalidModelError(f"{path}: expected true or false for normalize, got {value!r}")
    return value


def _length(config: Mapping[str, Any], path: Path) -> int | None:
    value = config.get("max_length", DEFAULT_MAX_LENGTH)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise InvalidModelError(f"{path}: expected a positive number of tokens or null for max_length, got {value!r}")
    return value


def _front_matter(path: Path) -> dict[str, str]:
    """The plain ``key: value`` lines (and one-item lists) at a model card's head; {} where there is no card."""
    if not path.is_file():
        return {}
    match = re.match(r"---\n(.*?)\n---", path.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
    lines = (
        re.findall(r"^(license|base_model|language):[ \t]*\n?(?:- )?[ \t]*(\S+)", match[1], re.MULTILINE)
        if match
        else []
    )
    return {key: value.strip("'\"") for key, value in lines}
