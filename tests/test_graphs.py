"""The graphs by themselves, in onnxruntime: what they are made of, their edges, their memory."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from m2v_export.bundle.write import write_single_file
from m2v_export.graphs import pooling
from m2v_export.graphs.kinds import bag_graph, one_graph, padded_graph, plain_graph
from m2v_export.source.embedding import Embedding, reference_vectors
from m2v_export.source.precision import stored_as
from m2v_onnx.models.format import (
    BAG,
    FORMAT_VERSION,
    IR_VERSION,
    ONE,
    OPSET,
    PADDED,
    PLAIN,
    PLAIN_IR_VERSION,
    PLAIN_OPSET,
    TEXT,
)
from m2v_onnx.models.metadata import Metadata
from m2v_onnx.ort import onnxruntime
from tests.conftest import ALL_MODELS, COMMITTED_BUNDLE

Array = npt.NDArray[Any]
Run = Callable[..., list[Array]]

UNK = 3
ROWS, DIM = 300, 16


def nodes(graph: onnx.GraphProto, loops: int = 0) -> Iterator[tuple[onnx.NodeProto, int]]:
    """Every node of a graph and its bodies, with the number of loops around it."""
    for node in graph.node:
        yield node, loops
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from nodes(attribute.g, loops + (node.op_type == "Loop"))


def make_embedding(
    dtype: npt.DTypeLike = np.float32,
    *,
    dim: int = DIM,
    mapped: bool = False,
    normalize: bool = False,
    sum_dtype: str = "float32",
) -> Embedding:
    rng = np.random.default_rng(7)
    rows = 40 if mapped else ROWS
    table = (rng.normal(size=(rows, dim)) * 20).astype(dtype)
    return Embedding(
        table=table,
        mapping=rng.integers(0, rows, ROWS) if mapped else None,
        weights=rng.random(ROWS).astype(np.float32) if mapped else None,
        unk_token_id=UNK,
        normalize=normalize,
        sum_dtype=np.dtype(sum_dtype),
    )


def opened(model: onnx.ModelProto, embedding: Embedding, folder: Path) -> Run:
    path = folder / "graph.onnx"
    write_single_file(path, model, embedding.tensors)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(outputs: list[str] | None = None, **feeds: Array) -> list[Array]:
        found: list[Array] = session.run(outputs, feeds)
        return found

    return run


def flat(texts: list[list[int]]) -> dict[str, Array]:
    lengths = np.array([len(text) for text in texts], np.int64)
    ids = np.array([i for text in texts for i in text], np.int64)
    return {"input_ids": ids, "offsets": np.cumsum(lengths) - lengths}


def padded(texts: list[list[int]], width: int | None = None, fill: int = 0) -> dict[str, Array]:
    width = max(map(len, texts), default=0) if width is None else width
    ids, mask = np.full((len(texts), width), fill, np.int64), np.zeros((len(texts), width), np.int64)
    for i, text in enumerate(texts):
        ids[i, : len(text)], mask[i, : len(text)] = text, 1
    return {"input_ids": ids, "attention_mask": mask}


def expected(embedding: Embedding, texts: list[list[int]]) -> Array:
    return reference_vectors(embedding, [[i for i in text if i != UNK] for text in texts])


def random_texts(lengths: list[int], seed: int = 1) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, ROWS, length).tolist() for length in lengths]


def assert_near(found: Array, wanted: Array) -> None:
    assert found.dtype == np.float32
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 * max(1.0, float(np.abs(wanted).max(initial=0))))


EMBEDDINGS = {
    "float32": make_embedding(),
    "narrow": make_embedding(dim=2, normalize=True),
    "float16": make_embedding(np.float16, normalize=True),
    "int8": make_embedding(np.int8),
    "mapped": make_embedding(mapped=True, normalize=True),
    "float64 weights": make_embedding(mapped=True, sum_dtype="float64"),
}

Kind = Callable[[Embedding, Mapping[str, str]], onnx.ModelProto]

SHAPES = {
    "no texts": [],
    "one empty": [0],
    "all empty": [0, 0, 0],
    "empty first": [0, 5, 9],
    "empty in the middle": [5, 0, 0, 9],
    "empty last": [5, 9, 0],
    "one token": [1],
    "short": [5, 96, 1, 40],
    "just long": [97, 2, 0],
    "a segment": [512, 3],
    "a segment and one": [513, 0, 3],
    "very long": [3000],
    "many": [i % 23 for i in range(400)],
}


@pytest.mark.parametrize("name", ALL_MODELS)
@pytest.mark.parametrize("path", [BAG, PADDED, PLAIN])
def test_standard_operators_only(name: str, path: str, bundles: dict[str, Path]) -> None:
    model = onnx.load(bundles[name] / path, load_external_data=False)
    onnx.checker.check_model(str(bundles[name] / path))
    opset, ir_version = (PLAIN_OPSET, PLAIN_IR_VERSION) if path == PLAIN else (OPSET, IR_VERSION)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", opset)]
    assert opset <= (13 if path == PLAIN else 18)
    assert model.ir_version == ir_version <= 9
    assert not model.functions
    assert all(node.domain in ("", "ai.onnx") for node, _ in nodes(model.graph))
    assert all(t.data_type != onnx.TensorProto.STRING for t in model.graph.initializer)


@pytest.mark.parametrize("path", [ONE, BAG, PADDED, PLAIN, TEXT])
def test_onnxruntime_finds_nothing_to_take_out(bundles: dict[str, Path], tmp_path: Path, path: str) -> None:
    """Each kind of thing that it finds costs as much of the time to open a graph as all that it looks for."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    graph = bundles["potion"] / path
    onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    found = [onnx.load(file, load_external_data=False).graph for file in (graph, tmp_path / "optimized.onnx")]
    written, left = (Counter(node.op_type for node, _ in nodes(graph)) for graph in found)
    assert left == written


@pytest.mark.parametrize("path", [ONE, BAG, PADDED, PLAIN, TEXT])
def test_every_size_has_a_name(bundles: dict[str, Path], path: str) -> None:
    """onnxruntime writes a result in an operand's place where it can see that they are of one size."""

    def is_named(value: onnx.ValueInfoProto) -> bool:
        # ONNX' inference makes up names of its own, one for each size that it does not see.
        dims = value.type.tensor_type.shape.dim
        return all(dim.WhichOneof("value") and not dim.dim_param.startswith("unk__") for dim in dims)

    def unnamed(graph: onnx.GraphProto) -> set[str]:
        named = {value.name for value in (*graph.input, *graph.output, *graph.value_info) if is_named(value)}
        bodies = [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
        return ({name for node in graph.node for name in node.output} - named).union(*map(unnamed, bodies))

    model = onnx.load(bundles["potion"] / path, load_external_data=False)
    assert not unnamed(onnx.shape_inference.infer_shapes(model).graph)


@pytest.mark.parametrize("path", [BAG, PADDED])
def test_nothing_is_added_up_by_scattering(path: str) -> None:
    """With a reduction, repeated indices are a data race in onnxruntime."""
    model = onnx.load(COMMITTED_BUNDLE / path, load_external_data=False)
    for node, _ in nodes(model.graph):
        assert not any(attribute.name == "reduction" and attribute.s != b"none" for attribute in node.attribute)


def loop_trips(session_folder: Path, embedding: Embedding, texts: list[list[int]]) -> int:
    """How often onnxruntime ran some node inside a Loop, by its own profile."""
    path = session_folder / "graph.onnx"
    write_single_file(path, bag_graph(embedding, {}), embedding.tensors)
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(session_folder / "profile")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    session.run(None, flat(texts))
    profile = Path(session.end_profiling()).read_text()
    return max(profile.count(f'"{node.name}_kernel_time"') for node, loops in nodes(bag_graph(embedding, {}).graph))


def test_no_loop_over_texts(tmp_path: Path) -> None:
    """Five hundred times as many texts of the same tokens take as many steps; only blocks of tokens take more."""
    embedding = make_embedding()
    tokens = 20
    few, many = random_texts([tokens]), random_texts([tokens] * 500)
    assert loop_trips(tmp_path, embedding, few) == 1
    assert loop_trips(tmp_path, embedding, many) == 1
    grid_tokens = pooling.GRID_BYTES // (4 * DIM)
    blocks = random_texts([tokens] * (2 * grid_tokens // tokens))
    cached_tokens = pooling.CACHED_BYTES // (4 * DIM)
    assert 2 <= loop_trips(tmp_path, embedding, blocks) <= 4 + 1.1 * tokens * len(blocks) / cached_tokens


@pytest.mark.parametrize("path", [BAG, PADDED, PLAIN])
@pytest.mark.parametrize("name", ["potion", "rs-vocab-quantized", "made-unlimited", "made-half-weighted"])
def test_metadata_are_complete(name: str, path: str, bundles: dict[str, Path]) -> None:
    model = onnx.load(bundles[name] / path, load_external_data=False)
    props = {entry.key: entry.value for entry in model.metadata_props}
    assert set(props) == {
        "format_version", "graph", "source", "revision", "source_sha256", "dim", "precision", "normalize",
        "max_length", "median_token_length", "unk_token_id", "exporter",
    }  # fmt: skip
    metadata = Metadata.read(props, path)
    assert metadata is not None
    assert metadata.format_version == FORMAT_VERSION
    assert metadata.graph == Path(path).stem
    assert metadata.dim == {"potion": 64, "rs-vocab-quantized": 64}.get(name, 24)
    assert metadata.precision == ("float16" if name == "made-half-weighted" else "float32")
    assert metadata.max_length == (None if name == "made-unlimited" else 512)
    assert len(metadata.source_sha256) == 64
    assert metadata.exporter.startswith("m2v-onnx ")


@pytest.mark.parametrize("grid_bytes", [None, 1000], ids=["one grid", "small blocks"])
@pytest.mark.parametrize("kind", EMBEDDINGS)
def test_bag(kind: str, grid_bytes: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every shape of batch, in one grid and in blocks of a few texts."""
    embedding = EMBEDDINGS[kind]
    if grid_bytes:
        monkeypatch.setattr(pooling, "GRID_BYTES", grid_bytes)
    run = opened(bag_graph(embedding, {}), embedding, tmp_path)
    for lengths in SHAPES.values():
        texts = random_texts(lengths)
        assert_near(run(["sentence_embedding"], **flat(texts))[0], expected(embedding, texts))


@pytest.mark.parametrize("kind", EMBEDDINGS)
def test_more_texts_of_nothing_than_a_grid_holds(kind: str, tmp_path: Path) -> None:
    embedding = EMBEDDINGS[kind]
    run = opened(bag_graph(embedding, {}), embedding, tmp_path)
    texts = pooling.GRID_BYTES // (4 * embedding.dim) + 1
    vectors = run(["sentence_embedding"], input_ids=np.zeros(0, np.int64), offsets=np.zeros(texts, np.int64))[0]
    np.testing.assert_array_equal(vectors, np.zeros((texts, embedding.dim), np.float32))


@pytest.mark.parametrize("kind", EMBEDDINGS)
@pytest.mark.parametrize("graph", [padded_graph, plain_graph])
def test_padded(kind: str, tmp_path: Path, graph: Kind) -> None:
    """``sentence_embedding`` as from bag.onnx; whoever pools ``last_hidden_state`` gets the same."""
    embedding = EMBEDDINGS[kind]
    run = opened(graph(embedding, {}), embedding, tmp_path)
    for lengths in SHAPES.values():
        texts = random_texts(lengths)
        feeds = padded(texts)
        vectors, hidden = run(["sentence_embedding", "last_hidden_state"], **feeds)
        wanted = expected(embedding, texts)
        assert_near(vectors, wanted)
        assert hidden.shape == (*feeds["input_ids"].shape, embedding.dim)
        mask = feeds["attention_mask"][:, :, None]
        means = (hidden.astype(np.float64) * mask).sum(1) / np.maximum(mask.sum(1), 1)
        if embedding.normalize:
            means /= np.linalg.norm(means, axis=1, keepdims=True) + 1e-32
        scale = max(1.0, float(np.abs(wanted).max(initial=0)))
        np.testing.assert_allclose(means, wanted, rtol=0, atol=5e-6 * scale)


@pytest.mark.parametrize(("texts", "width"), [(0, 0), (0, 5), (3, 0), (3, 7)])
@pytest.mark.parametrize("graph", [padded_graph, plain_graph])
def test_padded_without_tokens(texts: int, width: int, tmp_path: Path, graph: Kind) -> None:
    embedding = make_embedding(normalize=True)
    run = opened(graph(embedding, {}), embedding, tmp_path)
    vectors, hidden = run(["sentence_embedding", "last_hidden_state"], **padded([[]] * texts, width))
    np.testing.assert_array_equal(vectors, np.zeros((texts, DIM), np.float32))
    np.testing.assert_array_equal(hidden, np.zeros((texts, width, DIM), np.float32))


@pytest.mark.parametrize("fill", [0, 5, UNK])
@pytest.mark.parametrize("width", [120, 600])
@pytest.mark.parametrize("graph", [padded_graph, plain_graph])
def test_padding_does_not_matter(fill: int, width: int, tmp_path: Path, graph: Kind) -> None:
    embedding = make_embedding(normalize=True)
    run = opened(graph(embedding, {}), embedding, tmp_path)
    texts = random_texts([5, 0, 97])
    assert_near(run(["sentence_embedding"], **padded(texts, width, fill))[0], expected(embedding, texts))


@pytest.mark.parametrize("normalize", [True, False])
def test_texts_of_unknown_tokens_are_zeros(normalize: bool, tmp_path: Path) -> None:
    embedding = make_embedding(normalize=normalize)
    texts = [[UNK], [UNK] * 200, [], [4]]
    bag = opened(bag_graph(embedding, {}), embedding, tmp_path)(["sentence_embedding"], **flat(texts))[0]
    model = opened(padded_graph(embedding, {}), embedding, tmp_path)(["sentence_embedding"], **padded(texts))[0]
    for vectors in (bag, model):
        assert np.isfinite(vectors).all()
        assert not vectors[:3].any()
        assert vectors[3].any()


def test_model_without_unknown_token(tmp_path: Path) -> None:
    """Padding needs no token of its own: id 0 counts like any other."""
    rng = np.random.default_rng(3)
    table = rng.normal(size=(20, DIM)).astype(np.float32)
    embedding = Embedding(table=table, mapping=None, weights=None, unk_token_id=None, normalize=False)
    run = opened(bag_graph(embedding, {}), embedding, tmp_path)
    texts = [[0, 0, 1], [], [19], [0]]
    assert_near(run(["sentence_embedding"], **flat(texts))[0], reference_vectors(embedding, texts))


def test_the_mean_before_normalization(tmp_path: Path) -> None:
    embedding, plain = make_embedding(normalize=True), make_embedding(normalize=False)
    run = opened(bag_graph(embedding, {}), embedding, tmp_path)
    texts = random_texts([3, 0, 120])
    assert_near(run(["mean_embedding"], **flat(texts))[0], expected(plain, texts))


def test_memory_follows_the_tokens() -> None:
    """256 texts, one of 512 tokens: padded to it, the gathered rows would be 134 MB."""
    script = """
import resource, sys, tempfile
from pathlib import Path
import numpy as np
from m2v_export.source.embedding import Embedding
from m2v_export.graphs.kinds import bag_graph
from m2v_export.bundle.write import write_single_file
from m2v_onnx.ort import onnxruntime

table = np.ones((1000, 256), np.float32)
embedding = Embedding(table=table, mapping=None, weights=None, unk_token_id=None, normalize=True)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "bag.onnx"
    write_single_file(path, bag_graph(embedding, {}), embedding.tensors)
    session = onnxruntime.InferenceSession(str(path))
    lengths = np.array([16] * 255 + [512])
    feeds = {"input_ids": np.arange(lengths.sum()) % 1000, "offsets": np.cumsum(lengths) - lengths}
    one = {"input_ids": np.arange(16), "offsets": np.array([0])}
    session.run(None, one)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    session.run(None, feeds)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    if sys.platform != "linux":
        pytest.skip("reads Linux' peak memory in KiB")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 48 << 10


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (1, 0), (3, 0)])
@pytest.mark.parametrize("precision", ["float32", "int8", "int4"])
def test_nothing_padded(tmp_path: Path, precision: str, shape: tuple[int, int]) -> None:
    """Again and again, for older onnxruntimes leave the product of nothing as it was in memory."""
    embedding = stored_as(make_embedding(), precision)
    run = opened(padded_graph(embedding, {}), embedding, tmp_path)
    some, nothing = np.ones((4, 7), np.int64), np.zeros(shape, np.int64)
    for _ in range(20):
        run(None, input_ids=some, attention_mask=some)
        vectors, hidden = run(None, input_ids=nothing, attention_mask=nothing)
        assert hidden.shape == (*shape, DIM)
        np.testing.assert_array_equal(vectors, np.zeros((shape[0], DIM), np.float32))


@pytest.mark.parametrize("precision", ["float32", "int8", "int4"])
def test_no_texts(tmp_path: Path, precision: str) -> None:
    embedding = stored_as(make_embedding(), precision)
    run = opened(bag_graph(embedding, {}), embedding, tmp_path)
    none = np.zeros(0, np.int64)
    assert run(["sentence_embedding"], input_ids=none, offsets=none)[0].shape == (0, DIM)


@pytest.mark.parametrize("precision", ["int8", "int4"])
@pytest.mark.parametrize("mapped", [False, True])
def test_a_query_takes_no_branch_at_any_length(tmp_path: Path, precision: str, mapped: bool) -> None:
    """Of one word again and again, of all, and of small ones among large ones: how float32 rounds differs."""
    source = make_embedding(dim=256, mapped=mapped, normalize=True)
    # Lengths as in real tables, and more: the largest row is 500 times the smallest.
    table = source.table * np.geomspace(0.02, 10, len(source.table), dtype=np.float32)[:, None]
    embedding = stored_as(replace(source, table=table), precision)
    graph = one_graph(embedding, {})
    assert not {"If", "Loop"} & {node.op_type for node in graph.graph.node}
    run = opened(graph, embedding, tmp_path)
    rng = np.random.default_rng(3)
    known = np.delete(np.arange(ROWS), UNK)
    for length in (1, 2, 16, 97, 512, 3000):
        texts = [np.full(length, i) for i in known[:: ROWS // 6]]
        texts += [rng.choice(known, length), np.where(np.arange(length) % 9, known[0], known[-1])]
        for ids in texts:
            assert_near(run(None, input_ids=ids)[0], reference_vectors(embedding, [ids.tolist()]))


@pytest.mark.parametrize("precision", ["float32", "int8", "int4"])
@pytest.mark.parametrize("mapped", [False, True])
def test_one_text_without_tokens(tmp_path: Path, precision: str, mapped: bool) -> None:
    """Again and again, as ``test_nothing_padded``."""
    embedding = stored_as(make_embedding(dim=256, mapped=mapped, normalize=True), precision)
    run = opened(one_graph(embedding, {}), embedding, tmp_path)
    for length in (1, 2, 7, 20, 60, 95, 96, 97, 200) * 5:
        run(None, input_ids=np.arange(length))
        np.testing.assert_array_equal(run(None, input_ids=np.zeros(0, np.int64))[0], np.zeros((1, 256), np.float32))
