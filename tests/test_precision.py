"""Every precision of the table: the same suite as float32, each with its own bound."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import onnx
import pytest
from model2vec import StaticModel
from model2vec.model import quantize_model
from onnx import numpy_helper

from m2v_export import ExportError, export_model, exporter, verify_bundle
from m2v_export.source.embedding import Embedding, codes_of
from m2v_export.source.precision import PRECISIONS, stored_as
from m2v_export.text.errors import UnsupportedTokenizer
from m2v_onnx import OnnxStaticModel
from m2v_onnx.commands.main import main
from m2v_onnx.errors import MissingExtraError
from m2v_onnx.vectors.session import SessionConfig
from tests.conftest import CORPUS, POTION, make_source
from tests.texts import TEXTS


@dataclass(frozen=True)
class Bound:
    """What a precision may cost.

    :ivar mean: of the cosines to float32, over texts.
    :ivar least: of them.
    :ivar share: of float32's table in bytes, at 64 dimensions or more.
    """

    mean: float
    least: float
    share: float


BOUNDS = {
    "float16": Bound(0.9999999, 0.999999, 0.5),
    "int8": Bound(0.9999, 0.999, 0.27),
    "int4": Bound(0.993, 0.97, 0.15),
}
SMALLER = tuple(BOUNDS)
EXACT = 1e-6
"""To the plain arithmetic of the stored table, whatever it is stored in."""

SOME_MODELS = (
    "potion",
    "rs-float16",
    "rs-int8",
    "rs-vocab-quantized",
    "made-weighted",
    "made-half-weighted",
    "made-unlimited",
)
"""A table of each dtype, mapped and weighted ones, dimensions from 2 to 64."""


def cosines(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Of the rows that are not zero in both."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    np.testing.assert_array_equal(norms == 0, np.linalg.norm(a, axis=1) == 0)
    return np.asarray((a * b).sum(axis=1)[norms > 0] / norms[norms > 0])


def random_embedding(rows: int, dim: int, seed: int = 0) -> Embedding:
    """Rows of very different lengths, one of them zero, and dimensions of very different widths."""
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(rows, dim)) * np.exp(rng.normal(size=(rows, 1)) * 2) * np.exp(rng.normal(size=dim))
    table[1] = 0
    return Embedding(table.astype(np.float32), None, None, None, False)


def widened(embedding: Embedding) -> np.ndarray[Any, Any]:
    """:return: float64 [rows, dim], the values that a stored table stands for."""
    values = codes_of(embedding, np.arange(len(embedding.table))).astype(np.float64)
    if embedding.weights is not None:
        values *= embedding.weights[:, None].astype(np.float64)
    return values if embedding.scales is None else values * embedding.scales.astype(np.float64)


@pytest.fixture(scope="module", autouse=True)
def without_text_graphs() -> Iterator[Callable[..., Any]]:
    """Seconds an export, for a graph whose pooling is bag.onnx's; one test below has them.

    :return: what makes them.
    """
    patch = pytest.MonkeyPatch()
    original = exporter._text_graph

    def refuse(*_: object) -> NoReturn:
        raise UnsupportedTokenizer("not in these tests")

    patch.setattr(exporter, "_text_graph", refuse)
    yield original
    patch.undo()


@pytest.fixture(scope="module")
def smaller(sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Bundles by name and precision, for the precisions that are no wider than the source."""
    folder = tmp_path_factory.mktemp("smaller")
    found = {}
    for name in SOME_MODELS:
        own = "float32" if name in ("potion", "made-weighted", "made-unlimited") else name.removeprefix("rs-")
        own = {"vocab-quantized": "float32", "made-half-weighted": "float16"}.get(own, own)
        for precision in PRECISIONS[PRECISIONS.index(own) + 1 :]:
            found[name, precision] = export_model(
                sources[name], folder / f"{name}-{precision}", precision=precision
            ).folder
    return found


@pytest.mark.parametrize("precision", SMALLER)
@pytest.mark.parametrize("name", SOME_MODELS)
def test_same_ids_and_near_vectors(
    name: str, precision: str, sources: dict[str, Path], smaller: dict[tuple[str, str], Path]
) -> None:
    if (name, precision) not in smaller:
        pytest.skip("the source is as narrow")
    model, reference = (
        OnnxStaticModel.from_pretrained(smaller[name, precision]),
        StaticModel.from_pretrained(sources[name]),
    )
    assert model.metadata is not None
    assert model.metadata.precision == precision
    texts = [*TEXTS, *CORPUS, "word " * 1500, "The whale, " * 100]
    assert model.tokenize(texts) == reference.tokenize(texts)
    for normalize in (False, True):
        found, expected = (m.encode(texts, normalize=normalize) for m in (model, reference))
        assert found.dtype == np.float32
        assert np.isfinite(found).all()
        near = cosines(found, expected)
        assert near.min() >= BOUNDS[precision].least
        assert near.mean() >= BOUNDS[precision].mean
    assert not model.encode(["", " "]).any()


@pytest.mark.parametrize("precision", SMALLER)
def test_every_way_through_the_graphs_is_the_plain_arithmetic(
    precision: str, smaller: dict[tuple[str, str], Path]
) -> None:
    """One short text, many, long ones in pieces, grids of several blocks; bag.onnx and model.onnx."""
    folder = smaller["potion", precision]
    tensors = read_tensors(folder)
    rng = np.random.default_rng(1)
    lengths = [[7], [0], [], [1, 0, 96, 97, 5], [600, 3, 0, 100], [40] * 700, [2000]]
    bag, padded = (SessionConfig().open(folder / "onnx" / name) for name in ("bag.onnx", "model.onnx"))
    for sizes in lengths:
        texts = [rng.integers(0, 29528, size) for size in sizes]
        expected = np.zeros((len(sizes), 64))
        for vector, ids in zip(expected, texts, strict=True):
            kept = ids[ids != UNK]
            if len(kept):
                vector[:] = tensors[kept].mean(axis=0)
                vector /= np.linalg.norm(vector)
        flat = np.concatenate([np.zeros(0, np.int64), *texts]).astype(np.int64)
        offsets = (np.cumsum(sizes) - sizes).astype(np.int64)
        (found,) = bag.run(["sentence_embedding"], {"input_ids": flat, "offsets": offsets})
        np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT)
        if sizes and sum(sizes) < 10_000:
            grid, mask = np.zeros((len(sizes), max(sizes)), np.int64), np.zeros((len(sizes), max(sizes)), np.int64)
            for i, ids in enumerate(texts):
                grid[i, : len(ids)], mask[i, : len(ids)] = ids, 1
            vectors, hidden = padded.run(None, {"input_ids": grid, "attention_mask": mask})
            np.testing.assert_allclose(vectors, expected, rtol=0, atol=EXACT)
            mean = (hidden * mask[:, :, None]).sum(axis=1) / np.maximum(mask.sum(axis=1, keepdims=True), 1)
            norm = np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-30)
            np.testing.assert_allclose(mean / norm, expected, rtol=0, atol=EXACT * 10)  # float32 sums of numpy


UNK = 1
"""potion-base-2M's unknown token."""


def read_tensors(folder: Path) -> np.ndarray[Any, Any]:
    """The bundle's table, decoded from its bytes by the format's own description, not by the exporter.

    :return: float64 [rows, dim].
    """
    graph = onnx.load(folder / "onnx" / "bag.onnx", load_external_data=True).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    table = arrays["table"]
    if table.dtype == np.float16:
        return table.astype(np.float64)
    model = OnnxStaticModel.from_pretrained(folder)
    values = table.astype(np.float64)
    if table.dtype == np.uint8:
        values = np.concatenate([table % 16, table // 16], axis=1) - 7.5
    values *= arrays["weights"].astype(np.float64)[:, None]
    # The scales of dimensions, from one token's vector: the rest must then follow.
    ids = next(i for i in range(1000, 2000) if (values[i] != 0).all())
    (vector,) = (
        SessionConfig()
        .open(folder / "onnx" / "bag.onnx")
        .run(["mean_embedding"], {"input_ids": np.array([ids]), "offsets": np.array([0])})
    )
    assert model.dim == 64
    return np.asarray(values * (vector[0] / values[ids]))


@pytest.mark.parametrize("precision", SMALLER)
@pytest.mark.parametrize("dim", [64, 256])
def test_bytes(precision: str, dim: int) -> None:
    embedding = random_embedding(1000, dim)
    size, whole = (sum(t.nbytes for t in e.tensors.values()) for e in (stored_as(embedding, precision), embedding))
    assert size <= BOUNDS[precision].share * whole


def test_the_graph_keeps_the_table_outside_and_as_it_is(smaller: dict[tuple[str, str], Path]) -> None:
    dtypes = {"float16": onnx.TensorProto.FLOAT16, "int8": onnx.TensorProto.INT8, "int4": onnx.TensorProto.UINT8}
    for precision, dtype in dtypes.items():
        folder = smaller["potion", precision]
        for graph in (folder / "onnx").glob("*.onnx"):
            model = onnx.load(graph, load_external_data=False)
            assert {o.domain for o in model.opset_import} == {""}
            (table,) = [tensor for tensor in model.graph.initializer if tensor.name == "table"]
            assert table.data_type == dtype
            assert table.data_location == onnx.TensorProto.EXTERNAL
            assert "DequantizeLinear" not in graph.read_bytes().decode("latin-1")


@pytest.mark.parametrize("precision", ["int8", "int4"])
@pytest.mark.parametrize("dim", [1, 2, 3, 16, 33, 64])
def test_codes_stand_for_the_nearest_values(precision: str, dim: int) -> None:
    """No value is further away than a step, whatever a row's length; zero rows stay zero."""
    embedding = random_embedding(200, dim, dim)
    stored = stored_as(embedding, precision)
    values, exact = widened(stored), embedding.table.astype(np.float64)
    assert stored.dim == dim
    assert not values[1].any()
    lengths = np.linalg.norm(exact, axis=1)
    errors = np.linalg.norm(values - exact, axis=1)
    assert (errors <= {"int8": 0.02, "int4": 0.3}[precision] * lengths).all()


def test_int4_holds_what_is_made_of_its_levels() -> None:
    rng = np.random.default_rng(3)
    table = (rng.integers(0, 16, (50, 8)) - 7.5).astype(np.float32)
    table[:, 0] = 7.5  # so that no row's largest level is missing
    stored = stored_as(Embedding(table, None, None, None, False), "int4")
    np.testing.assert_allclose(widened(stored), table, atol=0.8)


@pytest.mark.parametrize(
    ("precision", "name"), [("float32", "rs-float16"), ("float16", "rs-int8"), ("float32", "rs-int8")]
)
def test_wider_than_the_source_is_refused(precision: str, name: str, sources: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="a wider one would take more bytes and give the same vectors"):
        export_model(sources[name], tmp_path / "out", precision=precision)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "own"), [("rs-float16", "float16"), ("rs-int8", "int8"), ("made-weighted", "float32")]
)
def test_a_source_s_own_precision_changes_nothing(
    name: str, own: str, sources: dict[str, Path], tmp_path: Path
) -> None:
    bundle = export_model(sources[name], tmp_path / "default").folder
    assert_same_files(bundle, export_model(sources[name], tmp_path / "own", precision=own).folder)


def assert_same_files(a: Path, b: Path) -> None:
    for path in a.rglob("*"):
        if path.is_file():
            assert (b / path.relative_to(a)).read_bytes() == path.read_bytes()


def test_unknown_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"precision: expected one of float32, float16, int8, int4, got 'int2'"):
        export_model(POTION, tmp_path / "out", precision="int2")


def test_float16_refuses_what_it_cannot_hold() -> None:
    table = np.full((4, 4), 1e5, np.float32)
    with pytest.raises(ExportError, match="it ends at 65,504, the table has 100,000: take int8"):
        stored_as(Embedding(table, None, None, None, False), "float16")


@pytest.mark.parametrize("precision", [None, *SMALLER])
def test_single_file(precision: str | None, smaller: dict[tuple[str, str], Path], tmp_path: Path) -> None:
    folder = export_model(POTION, tmp_path / "out", precision=precision, single_file=True).folder
    assert not (folder / "onnx" / "model.onnx_data").exists()
    if precision is not None:
        outside = OnnxStaticModel.from_pretrained(smaller["potion", precision])
        np.testing.assert_array_equal(OnnxStaticModel.from_pretrained(folder).encode(CORPUS), outside.encode(CORPUS))


@pytest.mark.parametrize("precision", SMALLER)
def test_same_bytes_again(precision: str, smaller: dict[tuple[str, str], Path], tmp_path: Path) -> None:
    assert_same_files(smaller["potion", precision], export_model(POTION, tmp_path / "out", precision=precision).folder)


def test_the_text_graph_has_the_precision_too(
    without_text_graphs: Callable[..., Any],
    smaller: dict[tuple[str, str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporter, "_text_graph", without_text_graphs)
    folder = export_model(POTION, tmp_path / "out", precision="int4").folder
    model = OnnxStaticModel.from_pretrained(folder, tokenizer="graph")
    assert model.tokens_from == "graph"
    other = OnnxStaticModel.from_pretrained(smaller["potion", "int4"], tokenizer="tokenizers")
    np.testing.assert_allclose(model.encode(CORPUS), other.encode(CORPUS), rtol=0, atol=EXACT)


@pytest.mark.parametrize("name", ["potion", "rs-int8", "made-weighted", "made-half-weighted"])
def test_dimensions_are_model2vec_s(name: str, sources: dict[str, Path], tmp_path: Path) -> None:
    dim = 2 if name == "rs-int8" else 11
    model = OnnxStaticModel.from_pretrained(export_model(sources[name], tmp_path / "out", dimensions=dim).folder)
    reference = StaticModel.from_pretrained(sources[name], dimensionality=dim)
    found, expected = model.encode(CORPUS), reference.encode(CORPUS)
    assert model.dim == dim
    bound = (1e-3 if expected.dtype == np.float16 else EXACT) * max(1, np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound)


@pytest.mark.parametrize("precision", SMALLER)
def test_dimensions_with_every_precision(precision: str, tmp_path: Path) -> None:
    """Odd ones too, where int4 has half a byte left."""
    folder = export_model(POTION, tmp_path / "out", dimensions=33, precision=precision).folder
    reference = StaticModel.from_pretrained(POTION, dimensionality=33)
    assert cosines(OnnxStaticModel.from_pretrained(folder).encode(CORPUS), reference.encode(CORPUS)).min() > 0.97
    assert verify_bundle(folder, POTION).cosine is not None


@pytest.mark.parametrize(("dimensions", "error", "match"), [
    (25, ExportError, "the source has 24, it cannot keep the first 25"),
    (0, ValueError, "expected a number from 1, got 0"),
])  # fmt: skip
def test_impossible_dimensions_are_refused(
    dimensions: int, error: type[Exception], match: str, sources: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(error, match=match):
        export_model(sources["made-wordlevel"], tmp_path / "out", dimensions=dimensions)


@pytest.mark.parametrize("precision", [None, *SMALLER])
def test_vocabulary_quantization_is_model2vec_s(precision: str | None, tmp_path: Path) -> None:
    """On the dimensions that are kept, and checked again from the bundle's config."""
    pytest.importorskip("sklearn")
    source = make_source(tmp_path / "source", "wordlevel")
    options: dict[str, Any] = {"dimensions": 16, "vocabulary_quantization": 100, "precision": precision}
    report = export_model(source, tmp_path / "out", **options)
    cut = StaticModel.from_pretrained(source, dimensionality=16)
    expected = quantize_model(cut, vocabulary_quantization=100).encode(CORPUS)
    found = OnnxStaticModel.from_pretrained(report.folder).encode(CORPUS)
    if precision is None:
        np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT)
    else:
        assert cosines(found, expected).min() > BOUNDS[precision].least
    assert verify_bundle(report.folder, source).model2vec is not None
    metadata = OnnxStaticModel.from_pretrained(report.folder).metadata
    plain = OnnxStaticModel.from_pretrained(export_model(source, tmp_path / "plain").folder).metadata
    assert metadata is not None
    assert plain is not None
    assert metadata.source_sha256 == plain.source_sha256


def test_vocabulary_quantization_needs_free_rows(sources: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="the source's tokens share 50 rows already"):
        export_model(sources["made-weighted"], tmp_path / "out", vocabulary_quantization=10)
    with pytest.raises(ExportError, match="it cannot have 10,000,000"):
        export_model(sources["made-wordlevel"], tmp_path / "out", vocabulary_quantization=10_000_000)
    with pytest.raises(ValueError, match="expected a number from 1, got -1"):
        export_model(sources["made-wordlevel"], tmp_path / "out", vocabulary_quantization=-1)


def test_vocabulary_quantization_names_its_package(
    sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn.cluster", None)
    monkeypatch.delitem(__import__("sys").modules, "model2vec.vocabulary_quantization", raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'm2v-onnx\[vocabulary\]'"):
        export_model(sources["made-wordlevel"], tmp_path / "out", vocabulary_quantization=10)


def test_command_line(sources: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    assert main(["export", str(sources["made-wordlevel"]), out, "--precision", "int4", "--dimensions", "20"]) == 0
    assert "least cosine of a golden vector to model2vec's: 0.9" in capsys.readouterr().out
    assert main(["verify", out, str(sources["made-wordlevel"])]) == 0
    assert "model2vec: least cosine of a golden vector 0.9" in capsys.readouterr().out
    assert main(["info", out]) == 0
    info = capsys.readouterr().out
    assert "int4" in info
    assert "20" in info
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| Table | int4, " in card
    assert "| Least cosine to model2vec on golden.json | 0.9" in card
    assert main(["export", str(sources["rs-int8"]), out + "2", "--precision", "float32"]) == 1
    assert "the source's table is int8 already" in capsys.readouterr().err


def test_no_float64_where_the_table_has_scales(smaller: dict[tuple[str, str], Path]) -> None:
    """onnxruntime-web's WebGPU bundle has no operators for it."""

    def dtypes(graph: onnx.GraphProto) -> Iterator[int]:
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.name == "to":
                    yield attribute.i
                if attribute.type == onnx.AttributeProto.GRAPH:
                    yield from dtypes(attribute.g)
        yield from (tensor.data_type for tensor in graph.initializer)

    for precision in ("int8", "int4"):
        for path in (smaller["potion", precision] / "onnx").glob("*.onnx"):
            assert onnx.TensorProto.DOUBLE not in set(dtypes(onnx.load(path, load_external_data=False).graph))
