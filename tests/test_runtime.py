"""OnnxStaticModel: model2vec's interface, threads, processes, graphs of others, and what an import costs."""

import copy
import itertools
import json
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from model2vec import StaticModel
from onnx import helper
from tokenizers import Tokenizer

from m2v_export import export_model
from m2v_export.graphs.builder import Graph
from m2v_onnx import InvalidModelError, MissingExtraError, ModelNotFoundError, OnnxStaticModel
from m2v_onnx.models.format import BAG, PADDED
from m2v_onnx.ort import onnxruntime
from m2v_onnx.vectors.batching import similar
from m2v_onnx.vectors.encoder import TokenizerName
from tests.conftest import CORPUS, POTION, POTION_BUNDLE

Array = npt.NDArray[Any]


def python(script: str, *arguments: str, **environment: str) -> str:
    """Run a script in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_properties_as_in_model2vec(potion: OnnxStaticModel, potion_reference: StaticModel) -> None:
    for name in ("dim", "normalize", "max_length", "unk_token_id", "median_token_length"):
        assert getattr(potion, name) == getattr(potion_reference, name), name
    assert repr(potion).startswith("OnnxStaticModel(")
    assert "dim=64" in repr(potion)


def test_queries_go_past_the_checks_of_onnxruntimes_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take a third of a query that comes cold: an onnxruntime in which they are made again must be noticed."""
    expected = OnnxStaticModel.from_pretrained(POTION_BUNDLE).encode("Take this.")
    monkeypatch.setattr(onnxruntime.InferenceSession, "run", None)  # before a session is opened, which keeps it
    assert np.array_equal(OnnxStaticModel.from_pretrained(POTION_BUNDLE).encode(["Take this."])[0], expected)


def test_one_text(potion: OnnxStaticModel, potion_reference: StaticModel) -> None:
    vector = potion.encode("It's dangerous to go alone!")
    assert vector.shape == (64,)
    assert vector.dtype == np.float32
    np.testing.assert_allclose(vector, potion_reference.encode("It's dangerous to go alone!"), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(vector, potion.encode(["It's dangerous to go alone!"])[0])
    assert potion.encode("").shape == (64,)


def test_no_texts(potion: OnnxStaticModel) -> None:
    nothings: tuple[Iterable[str], ...] = ([], (), iter([]))
    for nothing in nothings:
        vectors = potion.encode(nothing)
        assert vectors.shape == (0, 64)
        assert vectors.dtype == np.float32
    assert potion.tokenize([]) == []
    assert list(potion.encode_iter([])) == []


@pytest.mark.parametrize("kind", [list, tuple, iter, np.array, lambda texts: dict.fromkeys(texts).keys()])
def test_any_iterable_of_texts(kind: Callable[[list[str]], Any], potion: OnnxStaticModel) -> None:
    texts = sorted({*CORPUS})
    np.testing.assert_array_equal(potion.encode(kind(texts)), potion.encode(texts))


@pytest.mark.parametrize("text", [np.str_("whale"), type("Text", (str,), {})("whale")])
def test_subclasses_of_str(text: str, potion: OnnxStaticModel) -> None:
    for max_length in (512, None):
        np.testing.assert_array_equal(
            potion.encode([text], max_length=max_length)[0], potion.encode("whale", max_length=max_length)
        )


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (b"bytes", r"expected a list of texts, got a single bytes: pass \[text\]"),
        (None, r"expected a list of texts, got NoneType: pass a list of str"),
        (7, r"expected a list of texts, got int: pass a list of str"),
        ([1], r"expected texts \(str\), got int at position 0: pass a list of str"),
        (["a", None], r"got NoneType at position 1"),
        (["a", b"b"], r"got bytes at position 1"),
        ([["a", "b"]], r"got list at position 0"),
        (["a"] * 5000 + [0], r"got int at position 5000"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_no_text(texts: Any, message: str, threads: int) -> None:
    model = OnnxStaticModel.from_pretrained(POTION_BUNDLE, threads=threads)
    with pytest.raises(TypeError, match=message):
        model.encode(texts)


def test_what_is_no_text_in_a_stream(potion: OnnxStaticModel) -> None:
    with pytest.raises(TypeError, match="got int at position 1"):
        potion.encode(iter(["a", 2]))  # type: ignore[arg-type]


def test_a_bare_text_where_a_list_belongs(potion: OnnxStaticModel) -> None:
    """At the call, not when the results are read."""
    for call in (potion.encode_iter, potion.tokenize):
        with pytest.raises(TypeError, match=r"got a single str: pass \[text\]"):
            call("hello")


@pytest.mark.parametrize("batch_size", [1, 3, 7, 1024, 10**6])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_order_is_kept(batch_size: int, threads: int, potion: OnnxStaticModel) -> None:
    """Whatever the batches, their lengths and the threads: the same vectors, each in its place."""
    texts = [f"{CORPUS[i % len(CORPUS)]} {i}" * (1 + i % 17) for i in range(300)]
    model = OnnxStaticModel.from_pretrained(POTION_BUNDLE, threads=threads)
    wanted = np.array([potion.encode(text) for text in texts])
    np.testing.assert_allclose(model.encode(texts, batch_size=batch_size), wanted, rtol=0, atol=1e-6)


def test_groups_of_similar_length() -> None:
    """Every text in one group; none padded past the budget but those that alone are longer."""
    lengths = np.array([5, 0, 900, 3, 3, 2000, 0, 44, 45], np.int64)
    groups = similar(lengths, 100)
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or len(group) * lengths[group].max() <= 100
    assert similar(np.array([], np.int64), 100) == []


def test_progress_bar(potion: OnnxStaticModel, capsys: pytest.CaptureFixture[str]) -> None:
    vectors = potion.encode(["whale"] * 3000, show_progress_bar=True)
    assert "3000/3000" in capsys.readouterr().err
    assert vectors.shape == (3000, 64)
    potion.encode(["whale"])
    assert capsys.readouterr().err == ""


def test_progress_bar_without_tqdm(potion: OnnxStaticModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(
        MissingExtraError, match=r"a progress bar needs the package tqdm: pip install 'm2v-onnx\[export\]"
    ):
        potion.encode(["whale"], show_progress_bar=True)


@pytest.mark.parametrize("threads", [1, 2])
def test_an_endless_stream(threads: int) -> None:
    """Only as much is read as is worked on."""
    model = OnnxStaticModel.from_pretrained(POTION_BUNDLE, threads=threads)
    read = itertools.count()
    stream = model.encode_iter((f"whale {next(read)}" for _ in itertools.repeat(None)), batch_size=10)
    first = list(itertools.islice(stream, 5))
    assert next(read) <= 10 * (5 + 2 * threads)
    wanted = model.encode([f"whale {i}" for i in range(50)])
    np.testing.assert_allclose(np.concatenate(first), wanted, rtol=0, atol=1e-6)


def test_an_error_in_the_stream_is_the_caller_s(potion: OnnxStaticModel) -> None:
    def broken() -> Iterator[str]:
        yield from ["a"] * 2500
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        potion.encode(broken())
    assert potion.encode(["a"] * 2500).shape == (2500, 64)


def test_options_at_loading(potion_reference: StaticModel) -> None:
    model = OnnxStaticModel.from_pretrained(POTION_BUNDLE, normalize=False, max_length=4)
    assert (model.normalize, model.max_length) == (False, 4)
    wanted = potion_reference.encode(CORPUS, normalize=False, max_length=4)
    np.testing.assert_allclose(model.encode(CORPUS), wanted, rtol=0, atol=1e-6 * float(np.abs(wanted).max()))
    assert OnnxStaticModel.from_pretrained(POTION_BUNDLE, max_length=None).max_length is None
    assert all(len(ids) <= 4 for ids in model.tokenize(CORPUS))


def test_four_threads_at_once(potion: OnnxStaticModel) -> None:
    """One model in the caller's own threads, with batches large and small."""
    jobs = [[f"{text} {i}" for text in CORPUS] * (1 + 60 * (i % 2)) for i in range(12)]
    wanted = [potion.encode(job) for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        for found, want in zip(pool.map(potion.encode, jobs), wanted, strict=True):
            np.testing.assert_array_equal(found, want)


def test_threads_as_many_as_cores() -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert OnnxStaticModel.from_pretrained(POTION_BUNDLE).threads == cores
    assert OnnxStaticModel.from_pretrained(POTION_BUNDLE, threads=3).threads == 3


@pytest.mark.parametrize("clone", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy, copy.copy])
def test_pickle_and_copy(clone: Callable[[OnnxStaticModel], OnnxStaticModel]) -> None:
    model = OnnxStaticModel.from_pretrained(POTION_BUNDLE, normalize=False, max_length=None, threads=2)
    model.encode(["a"] * 5000)  # its threads are running
    model.max_length = 9
    other = clone(model)
    assert (other.normalize, other.max_length, other.threads) == (False, 9, 2)
    np.testing.assert_array_equal(other.encode(CORPUS), model.encode(CORPUS))


def test_pickle_with_session_options() -> None:
    model = OnnxStaticModel.from_pretrained(POTION_BUNDLE, session_options=onnxruntime.SessionOptions())
    with pytest.raises(TypeError, match="a model with session_options cannot be pickled"):
        pickle.dumps(model)


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_other_processes(method: str, potion: OnnxStaticModel) -> None:
    """Given to workers, whatever way they start."""
    with multiprocessing.get_context(method).Pool(2) as pool:
        for vectors in pool.map(potion.encode, [CORPUS] * 4):
            np.testing.assert_array_equal(vectors, potion.encode(CORPUS))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("intra_op_threads", [1, 2])
def test_after_a_fork(intra_op_threads: int) -> None:
    """A model with running threads, its own and onnxruntime's, is used in the child and still in the parent."""
    script = """
import os, sys
import numpy as np
from m2v_onnx import OnnxStaticModel
from m2v_onnx.ort import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[2])
model = OnnxStaticModel.from_pretrained(sys.argv[1], threads=2, session_options=options)
texts = [f"whale {i}" for i in range(5000)]
vectors = model.encode(texts)
for _ in range(4):
    child = os.fork()
    if not child:
        os._exit(0 if np.array_equal(model.encode(texts), vectors) else 3)
    assert os.waitpid(child, 0)[1] == 0
    assert np.array_equal(model.encode(texts), vectors)
print("fine")
"""
    assert python(script, str(POTION_BUNDLE), str(intra_op_threads)) == "fine"


def test_session_options_are_onnxruntime_s(tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    OnnxStaticModel.from_pretrained(POTION_BUNDLE, session_options=options)
    assert (tmp_path / "optimized.onnx").is_file()


def test_providers_are_onnxruntime_s(monkeypatch: pytest.MonkeyPatch, potion: OnnxStaticModel) -> None:
    asked: list[Any] = []
    open_session = onnxruntime.InferenceSession

    def spy(path: str, options: Any, providers: Any) -> Any:
        asked.append(providers)
        return open_session(path, options, providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", spy)
    providers = [("CPUExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"})]
    model = OnnxStaticModel.from_pretrained(POTION_BUNDLE, providers=providers)
    OnnxStaticModel.from_pretrained(POTION_BUNDLE)
    assert asked == [providers, ["CPUExecutionProvider"]]
    np.testing.assert_array_equal(model.encode(CORPUS), potion.encode(CORPUS))


# Graphs that others exported


def foreign_offsets(table: Array) -> onnx.ModelProto:
    """As in older exports: torch's EmbeddingBag as a Loop over texts, here its mean by slices."""
    g = Graph()
    ids, offsets = g.input("input_ids", np.int64, ["T"]), g.input("offsets", np.int64, ["N"])
    ends = g.concat([offsets.slice(1, 2**62), ids.size()])
    rows = g.op("Gather", g.constant(table), ids)

    def one(g: Graph, i: Any) -> Any:
        begin, end = (g.op("Gather", of, i).unsqueeze(0) for of in (offsets, ends))
        return None, [], [g.op("ReduceMean", g.op("Slice", rows, begin, end), np.array([0]), keepdims=0)]

    (stacked,) = g.loop([], one, trips=offsets.size().squeeze(0))
    g.output(stacked, "embeddings", ["N", table.shape[1]])
    return g.model({})


def foreign_mask(table: Array, dtype: type[np.floating[Any]], normalize: bool) -> onnx.ModelProto:
    """As model2vec 0.10 exports: pads, divides by the number of tokens and by the norm, NaN for a text of none."""
    g = Graph()
    ids = g.input("input_ids", np.int64, ["N", "L"])
    mask = g.input("attention_mask", np.int64, ["N", "L"]).cast(np.float32).unsqueeze(2)
    rows = g.op("Gather", g.constant(table), ids)
    mean = g.op("ReduceSum", rows * mask, np.array([1]), keepdims=0) / g.op(
        "ReduceSum", mask, np.array([1]), keepdims=0
    )
    if normalize:
        mean = mean / g.op("ReduceL2", mean, np.array([1]), keepdims=1)
    g.output(mean.cast(dtype), "embeddings", ["N", table.shape[1]])
    return g.model({})


@pytest.fixture
def foreign(tmp_path: Path) -> Callable[..., Path]:
    """Write a graph with potion's tokenizer, in a folder like those on the Hub."""

    def write(model: onnx.ModelProto, place: str = "onnx/model.onnx", **config: object) -> Path:
        folder = tmp_path / "foreign"
        (folder / place).parent.mkdir(parents=True)
        onnx.save(model, folder / place)
        shutil.copy(POTION / "tokenizer.json", folder)
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return write


TEXTS = ["", *CORPUS[:20], "\x00", "[UNK]", "whale " * 700, "한국어", "a", ""]


@pytest.mark.parametrize("place", ["onnx/model.onnx", "model.onnx"])
@pytest.mark.parametrize("file", [True, False])
def test_foreign_graph_with_offsets(
    place: str, file: bool, foreign: Callable[..., Path], potion_reference: StaticModel
) -> None:
    """Given as a folder or as its .onnx file; it does not normalize, so we do."""
    folder = foreign(foreign_offsets(potion_reference.embedding), place)
    model = OnnxStaticModel.from_pretrained(folder / place if file else folder)
    assert (model.normalize, model.dim, model.metadata, model.max_length) == (False, 64, None, 512)
    for normalize in (False, True):
        wanted = potion_reference.encode(TEXTS, normalize=normalize)
        found = model.encode(TEXTS, normalize=normalize)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6 * max(1.0, float(np.abs(wanted).max())))
    assert model.encode([]).shape == (0, 64)
    assert not model.encode(["", "[UNK]"]).any()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_foreign_graph_with_a_mask(
    dtype: type[np.floating[Any]], foreign: Callable[..., Path], potion_reference: StaticModel
) -> None:
    """It normalizes, which shows; float16 comes out as float32; its NaN for texts of nothing as zeros."""
    folder = foreign(foreign_mask(potion_reference.embedding, dtype, normalize=True), max_length=300)
    model = OnnxStaticModel.from_pretrained(folder)
    assert (model.normalize, model.max_length) == (True, 300)
    vectors = model.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    wanted = potion_reference.encode(TEXTS, max_length=300)
    np.testing.assert_allclose(vectors, wanted, rtol=0, atol=1e-3 if dtype is np.float16 else 2e-6)
    assert not vectors[0].any()
    with pytest.raises(ValueError, match="normalizes its vectors and has no others: use normalize=True"):
        model.encode(TEXTS, normalize=False)


def test_foreign_config_with_a_wrong_length(foreign: Callable[..., Path], potion_reference: StaticModel) -> None:
    folder = foreign(foreign_offsets(potion_reference.embedding), max_length="long")
    with pytest.raises(InvalidModelError, match=r"config\.json: max_length: expected a positive number .* got 'long'"):
        OnnxStaticModel.from_pretrained(folder)


def test_foreign_graph_without_tokenizer(foreign: Callable[..., Path], potion_reference: StaticModel) -> None:
    folder = foreign(foreign_offsets(potion_reference.embedding))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelNotFoundError, match=r"there is no .*tokenizer\.json: copy the one"):
        OnnxStaticModel.from_pretrained(folder)


def test_graph_of_something_else(foreign: Callable[..., Path]) -> None:
    """A transformer takes token_type_ids too, or gives no matrix."""
    x = helper.make_tensor_value_info("pixel_values", onnx.TensorProto.FLOAT, ["N", 3])
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 3])
    graph = helper.make_graph([helper.make_node("Identity", ["pixel_values"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    with pytest.raises(InvalidModelError, match=r"expected inputs input_ids and .* got \['pixel_values'\]"):
        OnnxStaticModel.from_pretrained(foreign(model))


def test_foreign_graph_of_another_output(foreign: Callable[..., Path]) -> None:
    g = Graph()
    ids = g.input("input_ids", np.int64, ["T"])
    g.input("offsets", np.int64, ["N"])
    g.output(ids, "ids")
    with pytest.raises(InvalidModelError, match=r"expected an output \[N, dim\]"):
        OnnxStaticModel.from_pretrained(foreign(g.model({})))


def test_our_padded_graph_as_a_file(potion: OnnxStaticModel) -> None:
    """model.onnx serves like bag.onnx."""
    model = OnnxStaticModel.from_pretrained(POTION_BUNDLE / PADDED)
    np.testing.assert_allclose(model.encode(TEXTS), potion.encode(TEXTS), rtol=0, atol=1e-6)
    assert OnnxStaticModel.from_pretrained(POTION_BUNDLE / BAG).dim == 64


def test_tokenize_drops_the_unknown_token(potion: OnnxStaticModel) -> None:
    assert potion.tokenize(["[UNK] \U0001f9ff", ""]) == [[], []]
    tokenizer = Tokenizer.from_file(str(POTION_BUNDLE / "tokenizer.json"))
    assert potion.tokenize(["the whale"]) == [tokenizer.encode("the whale").ids]


# What an import needs


def test_import_loads_no_extra() -> None:
    script = """
import sys
import m2v_onnx
assert not {"onnxruntime", "tokenizers"} & set(sys.modules), "the import alone should cost nothing"
from m2v_onnx import Model2VecEmbeddingFunction, OnnxStaticModel
print(sorted({name.partition(".")[0] for name in sys.modules} & {
    "onnx", "model2vec", "huggingface_hub", "m2v_export", "tqdm", "safetensors", "pymilvus", "torch", "requests"}))
"""
    assert python(script) == "[]"


def test_a_bare_install_encodes(model_inside: OnnxStaticModel) -> None:
    """With every optional package out of reach, by name and without network."""
    script = """
import sys
for name in ("onnx", "model2vec", "m2v_export", "huggingface_hub", "tqdm", "safetensors", "nanotoken", "pymilvus",
             "torch", "requests", "httpx", "scipy"):
    sys.modules[name] = None
import socket
def refuse(*arguments, **options):
    raise AssertionError("asked the network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from m2v_onnx import Model2VecEmbeddingFunction
(vector,) = Model2VecEmbeddingFunction("minishlab/potion-base-2M").encode_queries(["how do whales breathe?"])
print(repr(vector[:4].tolist()))
"""
    found = json.loads(python(script))
    expected = model_inside.encode("how do whales breathe?")[:4]
    np.testing.assert_allclose(np.array(found, np.float32), expected, rtol=0, atol=1e-6)


def test_public_names() -> None:
    import m2v_onnx

    for name in m2v_onnx.__all__:
        assert getattr(m2v_onnx, name).__name__ == name
    with pytest.raises(AttributeError, match="module 'm2v_onnx' has no attribute 'nothing'"):
        _ = m2v_onnx.nothing


def test_unlimited_model(tmp_path: Path) -> None:
    bundle = export_model(POTION, tmp_path / "out", max_length=None).folder
    assert len(OnnxStaticModel.from_pretrained(bundle).tokenize(["whale " * 3000])[0]) == 3000


@pytest.mark.parametrize("tokenizer", ["nanotoken", "graph", "tokenizers"])
def test_tokens_are_counted_and_have_vectors(potion_reference: StaticModel, tokenizer: TokenizerName) -> None:
    """encode_counted tells what tokenize does; encode_as_sequence is model2vec's."""
    if tokenizer == "nanotoken":
        pytest.importorskip("nanotoken")
    model = OnnxStaticModel.from_pretrained(POTION_BUNDLE, tokenizer=tokenizer)
    texts = ["a whale", "", "naïve café 😀😀", "word " * 1000]
    for some in (texts, texts[:1], []):
        vectors, tokens = model.encode_counted(some)
        np.testing.assert_array_equal(vectors, model.encode(some))
        assert tokens == sum(map(len, model.tokenize(some)))
    assert [*map(len, model.tokenize(texts, max_length=None))][3] == 1000
    for found, expected in zip(
        model.encode_as_sequence(texts), potion_reference.encode_as_sequence(texts), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert model.encode_as_sequence(texts[3], max_length=7).shape == (7, model.dim)  # type: ignore[union-attr]
    assert model.encode_as_sequence([]) == []
