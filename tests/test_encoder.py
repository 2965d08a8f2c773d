"""The ways from a text to its vector: nanotoken, the text graph, `tokenizers`. All give the same."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model2vec import StaticModel

from m2v_export.text.kinds import KINDS
from m2v_onnx import InvalidModelError, InvalidTextError, MissingExtraError, ModelNotFoundError, OnnxStaticModel
from m2v_onnx.models.bundle import read_bundle
from m2v_onnx.vectors.by_graph import TextGraph
from m2v_onnx.vectors.by_nanotoken import CACHE_ENTRIES, NanotokenTokens
from m2v_onnx.vectors.costs import COSTS, MOST_TEXTS, ways_of
from m2v_onnx.vectors.encoder import TokenizerName
from m2v_onnx.vectors.session import Vectors
from tests.conftest import CORPUS, POTION, POTION_BUNDLE
from tests.texts import CODE_POINTS, TEXTS

needs_nanotoken = pytest.mark.skipif(find_spec("nanotoken") is None, reason="the extra fast is not installed")
WAYS = [pytest.param("nanotoken", marks=needs_nanotoken), "graph", "tokenizers"]
BOUND = 1e-6


@pytest.fixture(scope="module", params=WAYS)
def model(request: pytest.FixtureRequest) -> OnnxStaticModel:
    return OnnxStaticModel.from_pretrained(POTION_BUNDLE, tokenizer=request.param)


def test_the_way_that_was_asked_for(request: pytest.FixtureRequest, model: OnnxStaticModel) -> None:
    assert model.tokens_from in request.node.name


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("max_length", [512, 7, None])
def test_vectors(
    model: OnnxStaticModel, potion_reference: StaticModel, max_length: int | None, normalize: bool
) -> None:
    texts = [*TEXTS, *CORPUS]
    found = model.encode(texts, max_length=max_length, normalize=normalize)
    expected = potion_reference.encode(texts, max_length=max_length, normalize=normalize)
    bound = BOUND * max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound)


@pytest.mark.parametrize("normalize", [True, False])
def test_one_text_at_a_time(model: OnnxStaticModel, potion_reference: StaticModel, normalize: bool) -> None:
    """The way of a query: a graph of its own where tokens come from a library."""
    for text in TEXTS:
        expected = potion_reference.encode([text], normalize=normalize)
        bound = BOUND * max(1.0, float(np.abs(expected).max()))
        for found in (model.encode(text, normalize=normalize)[None], model.encode([text], normalize=normalize)):
            assert found.shape == expected.shape
            np.testing.assert_allclose(found, expected, rtol=0, atol=bound)


def test_tokens(model: OnnxStaticModel, potion_reference: StaticModel) -> None:
    assert model.tokenize([*TEXTS, *CORPUS]) == potion_reference.tokenize([*TEXTS, *CORPUS])
    assert model.tokenize([]) == []


@pytest.fixture(scope="module")
def code_points(potion_reference: StaticModel) -> tuple[list[str], list[list[int]]]:
    """Texts with every code point inside a word, and their token ids."""
    texts = [" ".join(f"a{chr(i)}b" for i in CODE_POINTS[at : at + 150]) for at in range(0, len(CODE_POINTS), 150)]
    return texts, potion_reference.tokenize(texts)


def test_every_code_point(model: OnnxStaticModel, code_points: tuple[list[str], list[list[int]]]) -> None:
    texts, expected = code_points
    assert max(map(len, expected)) < 512, "the last code points of a text are cut off"
    assert model.tokenize(texts) == expected


def test_fuzzed_texts(model: OnnxStaticModel, potion_reference: StaticModel) -> None:
    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
    def check(texts: list[str]) -> None:
        assert model.tokenize(texts) == potion_reference.tokenize(texts)

    check()


def test_auto_takes_the_first_that_serves(monkeypatch: pytest.MonkeyPatch, bundles: dict[str, Path]) -> None:
    assert OnnxStaticModel.from_pretrained(POTION_BUNDLE).tokens_from == (
        "nanotoken" if find_spec("nanotoken") else "graph"
    )
    monkeypatch.setattr("m2v_onnx.vectors.encoder.find_spec", lambda name: None)
    assert OnnxStaticModel.from_pretrained(POTION_BUNDLE).tokens_from == "graph"
    assert OnnxStaticModel.from_pretrained(bundles["made-bpe"]).tokens_from == "tokenizers"


@pytest.mark.parametrize("kind", ["WordPiece", "BPE"])
def test_auto_takes_the_way_that_costs_less(
    monkeypatch: pytest.MonkeyPatch, bundles: dict[str, Path], kind: str
) -> None:
    """text.onnx takes its time to start; the library takes longer for each text."""
    monkeypatch.setattr(
        "m2v_onnx.vectors.encoder.find_spec", lambda name: None if name in FAST_LIBRARIES else find_spec(name)
    )
    by_graph: list[Sequence[str]] = []
    of_graph = TextGraph.vectors

    def vectors(self: TextGraph, texts: Sequence[str], *rest: Any) -> Any:
        by_graph.append(texts)
        return of_graph(self, texts, *rest)

    monkeypatch.setattr(TextGraph, "vectors", vectors)
    bundle = POTION_BUNDLE if kind == "WordPiece" else bundles["made-byte-level-bpe"]
    model, ways = OnnxStaticModel.from_pretrained(bundle), ways_of(kind)
    assert model.tokens_from == "graph"
    expected = OnnxStaticModel.from_pretrained(bundle, tokenizer="graph")
    most = ways.most_texts(7)
    assert 0 < most <= MOST_TEXTS
    long, most_long = "whales sing " * 30, ways.most_texts(360)
    few: list[list[str]] = [["a whale"], ["a whale"] * most, *([[long] * most_long] if most_long else [])]
    many: list[list[str]] = [["a whale"] * (most + 1), [long] * (most_long + 1), ["a whale"] * 1000]
    for texts in [*few, *many]:
        by_graph.clear()
        found = model.encode(texts)
        assert bool(by_graph) == (texts not in few), len(texts)
        np.testing.assert_allclose(found, expected.encode(texts), rtol=0, atol=BOUND)
    assert f"batches of up to {ways.most_texts(80)} text" in model.tokens_from_reason


FAST_LIBRARIES = ("nanotoken", "splintr")


def test_each_kind_has_its_own_costs() -> None:
    """They are of the bundle's kind, which it tells; what is not known costs as WordPiece does."""
    assert {*COSTS} == {*KINDS}
    assert ways_of("") is ways_of("WordPiece") is not ways_of("BPE")
    for ways in COSTS.values():
        counts = [ways.most_texts(characters) for characters in (1, 20, 80, 400, 10_000)]
        assert counts == sorted(counts, reverse=True), "longer texts are sooner the graph's"
        assert counts[-1] == 0 or ways is not ways_of("WordPiece")


@pytest.mark.parametrize(
    ("source", "kind"), [("made-byte-level-bpe", "BPE"), ("made-unigram", "Unigram"), ("made-bpe", "BPE")]
)
def test_a_bundle_tells_its_kind(bundles: dict[str, Path], source: str, kind: str) -> None:
    bundle = read_bundle(bundles[source])
    assert bundle is not None
    assert bundle.kind == kind


@pytest.mark.parametrize(
    ("way", "reason"),
    [("graph", "asked for by name"), ("tokenizers", "asked for by name"), ("auto", "no fast library that serves")],
)
def test_why_it_is_this_way(bundles: dict[str, Path], way: TokenizerName, reason: str) -> None:
    bundle = bundles["made-bpe"] if way == "auto" else POTION_BUNDLE
    assert reason in OnnxStaticModel.from_pretrained(bundle, tokenizer=way).tokens_from_reason


def test_a_large_tokenizer_is_not_read_for_speed(monkeypatch: pytest.MonkeyPatch, bundles: dict[str, Path]) -> None:
    monkeypatch.setattr("m2v_onnx.vectors.encoder.SHARED_BYTES", 1000)
    model = OnnxStaticModel.from_pretrained(bundles["made-byte-level-bpe"])
    assert model.tokens_from == "graph"
    assert "before a library has read" in model.tokens_from_reason
    monkeypatch.setattr("m2v_onnx.vectors.encoder._with_tokenizers", None)
    assert model.encode(["a whale"]).shape == (1, model.dim)


@needs_nanotoken
def test_auto_on_another_kind_of_tokenizer(bundles: dict[str, Path]) -> None:
    with pytest.raises(InvalidModelError, match="nanotoken cannot read it"):
        OnnxStaticModel.from_pretrained(bundles["made-unigram"], tokenizer="nanotoken")


@needs_nanotoken
def test_nanotoken_is_left_where_it_differs(tmp_path: Path) -> None:
    bundle = shutil.copytree(POTION_BUNDLE, tmp_path / "bundle")
    golden = json.loads((bundle / "golden.json").read_bytes())
    size = (bundle / "golden.json").stat().st_size
    golden["texts"][0]["input_ids"][0] += 1
    changed = json.dumps(golden).encode()
    (bundle / "golden.json").write_bytes(changed[:size] + b" " * (size - len(changed)))
    with pytest.warns(UserWarning, match="nanotoken gives other token ids .* another tokenizer is used"):
        assert OnnxStaticModel.from_pretrained(bundle).tokens_from == "graph"
    with pytest.raises(InvalidModelError, match="other token ids"):
        OnnxStaticModel.from_pretrained(bundle, tokenizer="nanotoken")


def test_nanotoken_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nanotoken", None)
    with pytest.raises(MissingExtraError, match=r"m2v-onnx\[fast\]"):
        OnnxStaticModel.from_pretrained(POTION_BUNDLE, tokenizer="nanotoken")


def test_no_text_graph(bundles: dict[str, Path]) -> None:
    with pytest.raises(InvalidModelError, match=r"no onnx/text\.onnx"):
        OnnxStaticModel.from_pretrained(bundles["made-bpe"], tokenizer="graph")


def test_unknown_way() -> None:
    options: dict[str, Any] = {"tokenizer": "sentencepiece"}
    with pytest.raises(ValueError, match="expected one of 'auto', 'nanotoken', 'splintr', 'graph', 'tokenizers'"):
        OnnxStaticModel.from_pretrained(POTION_BUNDLE, **options)
    assert get_args(TokenizerName)[0] == "auto"


def test_the_text_graph_alone(tmp_path: Path, potion_reference: StaticModel) -> None:
    """One file and its table, no tokenizer.json: another max_length is what needs one."""
    for name in ("text.onnx", "model.onnx_data"):
        shutil.copy(POTION_BUNDLE / "onnx" / name, tmp_path)
    model = OnnxStaticModel.from_pretrained(tmp_path / "text.onnx")
    assert model.tokens_from == "graph"
    np.testing.assert_allclose(model.encode(CORPUS), potion_reference.encode(CORPUS), rtol=0, atol=BOUND)
    with pytest.raises(ModelNotFoundError, match=r"there is no .*tokenizer\.json"):
        model.encode(CORPUS, max_length=3)


def test_the_graph_needs_no_tokenizer_library() -> None:
    script = """
import sys
sys.modules["tokenizers"] = sys.modules["nanotoken"] = None
from m2v_onnx import OnnxStaticModel
model = OnnxStaticModel.from_pretrained("minishlab/potion-base-2M")
print(model.tokens_from, model.encode(["a whale", "sings"]).shape, model.tokenize(["whales"]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    expected = StaticModel.from_pretrained(POTION).tokenize(["whales"])
    assert done.stdout.strip() == f"graph (2, 64) {expected}"


def test_without_nanotoken_a_query_goes_by_tokenizers(
    monkeypatch: pytest.MonkeyPatch, potion_reference: StaticModel
) -> None:
    """And many texts by the graph; neither is opened before it is needed."""
    monkeypatch.setattr(
        "m2v_onnx.vectors.encoder.find_spec", lambda name: None if name == "nanotoken" else find_spec(name)
    )
    model = OnnxStaticModel.from_pretrained(POTION_BUNDLE)
    assert model.tokens_from == "graph"
    opened = vars(model._encoder)
    assert not {"_graph", "_library"} & set(opened)
    for texts in (CORPUS[:1], CORPUS[:2]):
        np.testing.assert_allclose(model.encode(texts), potion_reference.encode(texts), rtol=0, atol=BOUND)
    assert "_library" in opened
    assert "_graph" not in opened
    assert model.encode([]).shape == (0, 64)
    for texts in (CORPUS[:3], CORPUS):
        np.testing.assert_allclose(model.encode(texts), potion_reference.encode(texts), rtol=0, atol=BOUND)
    assert "_graph" in opened


@needs_nanotoken
@pytest.mark.parametrize("first", ["nanotoken", "m2v_onnx"])
def test_nanotoken_itself_can_be_imported_too(first: str) -> None:
    load = f"m2v_onnx.OnnxStaticModel.from_pretrained({str(POTION_BUNDLE)!r}, tokenizer='nanotoken').encode('a')"
    lines = [f"import {first}", "import m2v_onnx", load, "import nanotoken", "nanotoken.Tokenizer"]
    subprocess.run([sys.executable, "-c", "; ".join(lines)], check=True)


@needs_nanotoken
def test_nanotoken_brings_no_http_client() -> None:
    script = (
        "import sys, m2v_onnx;"
        f"m2v_onnx.OnnxStaticModel.from_pretrained({str(POTION_BUNDLE)!r}, tokenizer='nanotoken').encode('a');"
        "sys.exit('http.client' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@needs_nanotoken
def test_nanotoken_forgets_words_in_time() -> None:
    """Its own limit lets it grow by 200 MB a thread."""
    import nanotoken

    OnnxStaticModel.from_pretrained(POTION_BUNDLE, tokenizer="nanotoken")
    assert nanotoken.get_cache_entries() <= CACHE_ENTRIES


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux' resident memory")
def test_memory_does_not_grow_with_the_sizes_seen() -> None:
    """By default onnxruntime keeps a plan for each combination of sizes: 10 MB for these."""
    script = f"""
import sys
from m2v_onnx import OnnxStaticModel

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

model = OnnxStaticModel.from_pretrained({str(POTION_BUNDLE)!r}, tokenizer="graph", threads=1)
words = "unaffable naïve whales sing of the sea".split() * 60
for size in range(40, 60):
    model.encode([" ".join(words[: size * 6])] * size)
before = resident()
for size in range(1, 50):
    for length in range(1, 30):
        model.encode([" ".join(words[:length])] * size)
print(resident() - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 4 << 20


@pytest.mark.parametrize("tokenizer", ["graph", "tokenizers", "nanotoken"])
def test_long_documents_are_cut_before_they_are_tokenized(
    tokenizer: TokenizerName, potion_reference: StaticModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the first 3,072 characters do not count, and do not cost: a lone surrogate there is not seen either."""
    if tokenizer == "nanotoken" and find_spec("nanotoken") is None:
        pytest.skip("nanotoken is not installed")
    model = OnnxStaticModel.from_pretrained(POTION_BUNDLE, tokenizer=tokenizer)
    given: list[int] = []
    of_graph = TextGraph.vectors

    def spy(self: TextGraph, texts: Sequence[str], *options: Any) -> Vectors:
        given.extend(map(len, texts))
        return of_graph(self, texts, *options)

    monkeypatch.setattr(TextGraph, "vectors", spy)
    long = "zwölf Wale, 漢字. " * 100_000
    texts = ["a whale", long, "", long + "\ud800"]
    vectors = model.encode(texts)
    np.testing.assert_allclose(vectors[:3], potion_reference.encode(texts[:3]), rtol=0, atol=1e-6)
    np.testing.assert_allclose(vectors[3], vectors[1], rtol=0, atol=1e-6)
    assert max(given, default=0) <= 3072
    with pytest.raises(InvalidTextError, match="text 2 has a lone surrogate"):
        model.encode(["a", long, "\ud800" + long, long])


def test_a_child_of_a_fork_has_a_nanotoken_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """nanotoken 0.1 locks a tokenizer while it works: one that another thread used during the fork stays locked."""
    pytest.importorskip("nanotoken")
    tokens = NanotokenTokens.read(POTION_BUNDLE / "tokenizer.json", 6, 1)
    wanted = [array.tolist() for array in tokens.ids(TEXTS, 512)]
    inherited = tokens._tokenizer
    assert tokens._tokenizer is inherited
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert tokens._tokenizer is not inherited
    assert [array.tolist() for array in tokens.ids(TEXTS, 512)] == wanted
