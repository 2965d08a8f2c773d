"""Classifiers and regressors: trained here, and the same probabilities and labels as model2vec."""

import json
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from model2vec import StaticModel
from model2vec.inference import StaticModelPipeline
from model2vec.inference.mlp import Activation, Layer, MLPHead
from safetensors.numpy import load_file, save_file

from m2v_export import ExportError, export_model, exporter, verify_bundle
from m2v_export.text.errors import UnsupportedTokenizer
from m2v_onnx import OnnxStaticModel, OnnxStaticModelPipeline
from m2v_onnx.commands.main import main
from m2v_onnx.errors import InvalidModelError
from tests.conftest import CORPUS, POTION, POTION_BUNDLE, make_source

sklearn = pytest.importorskip("sklearn.neural_network")

EXACT = 1e-6
KINDS = ("softmax", "sigmoid", "identity")

WORDS = {
    "animal": ("the dog", "a grey cat", "our horse", "the old whale", "a small bird", "the goat"),
    "music": ("the violin", "a loud drum", "their choir", "the jazz band", "a piano", "the singer"),
    "weather": ("heavy rain", "the snow", "a warm wind", "thick fog", "the storm", "a cold morning"),
}
ENDINGS = (
    "came over the hill",
    "was all that we heard",
    "made them stop",
    "did not last long",
    "is what she likes best",
)
SENTENCES = [(f"{thing} {end}", topic) for topic, things in WORDS.items() for thing, end in product(things, ENDINGS)]
HELD_OUT = slice(None, None, 4)


def train(kind: str) -> StaticModelPipeline:
    """A head of two layers on potion-base-2M, by scikit-learn: topics, topics of pairs, or a number."""
    model = StaticModel.from_pretrained(POTION)
    texts, topics = [text for text, _ in SENTENCES], np.array([topic for _, topic in SENTENCES])
    options = {
        "hidden_layer_sizes": (16,),
        "max_iter": 1000,
        "random_state": 0,
        "alpha": 1e-3,
        "learning_rate_init": 1e-2,
    }
    if kind == "softmax":
        train_on = np.ones(len(texts), bool)
        train_on[HELD_OUT] = False
        fitted = sklearn.MLPClassifier(**options).fit(model.encode(texts)[train_on], topics[train_on])
        labels = fitted.classes_
    elif kind == "sigmoid":
        rng = np.random.default_rng(0)
        pairs = rng.integers(0, len(texts), (120, 2))
        both = [f"{texts[a]}, and {texts[b]}" for a, b in pairs]
        labels = np.array(sorted(WORDS))
        marks = [[int(label in topics[pair]) for label in labels] for pair in pairs]
        fitted = sklearn.MLPClassifier(**options).fit(model.encode(both), marks)
    else:
        lengths = np.array([[len(text), text.count(" ")] for text in texts], np.float32)
        fitted, labels = sklearn.MLPRegressor(**options).fit(model.encode(texts), lengths), None
    layers = [
        Layer(np.ascontiguousarray(w.T, np.float32), np.asarray(b, np.float32))
        for w, b in zip(fitted.coefs_, fitted.intercepts_, strict=True)
    ]
    return StaticModelPipeline(model, MLPHead(layers, Activation(kind), labels))


@pytest.fixture(scope="module", autouse=True)
def without_text_graphs() -> Iterator[Any]:
    """Seconds an export; one test below has one. :return: what makes them."""
    patch = pytest.MonkeyPatch()
    original = exporter._text_graph

    def refuse(*_: object) -> onnx.ModelProto:
        raise UnsupportedTokenizer("not in these tests")

    patch.setattr(exporter, "_text_graph", refuse)
    yield original
    patch.undo()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pipelines as model2vec saves them, by activation."""
    folder = tmp_path_factory.mktemp("pipelines")
    for kind in KINDS:
        train(kind).save_pretrained(str(folder / kind))
    return {kind: folder / kind for kind in KINDS}


@pytest.fixture(scope="module")
def exported(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Their bundles."""
    folder = tmp_path_factory.mktemp("exported")
    return {kind: export_model(source, folder / kind).folder for kind, source in folders.items()}


TEXTS = [*(text for text, _ in SENTENCES), *CORPUS, "", " ", "word " * 1000]


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_probabilities_are_model2vec_s(kind: str, folders: dict[str, Path], exported: dict[str, Path]) -> None:
    ours = OnnxStaticModelPipeline.from_pretrained(exported[kind])
    theirs = StaticModelPipeline.from_pretrained(folders[kind])
    found, expected = ours.predict_proba(TEXTS), theirs.predict_proba(TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=EXACT)
    assert ours.classes_ is not None
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    np.testing.assert_allclose(
        ours.predict_proba(TEXTS, max_length=3), theirs.predict_proba(TEXTS, max_length=3), rtol=0, atol=EXACT
    )
    np.testing.assert_allclose(ours.predict_proba(TEXTS, batch_size=7), expected, rtol=0, atol=EXACT)


def test_labels_are_model2vec_s(folders: dict[str, Path], exported: dict[str, Path]) -> None:
    ours = OnnxStaticModelPipeline.from_pretrained(exported["softmax"])
    theirs = StaticModelPipeline.from_pretrained(folders["softmax"])
    found = ours.predict(TEXTS)
    np.testing.assert_array_equal(found, theirs.predict(TEXTS))
    held_out = SENTENCES[HELD_OUT]
    right = ours.predict([text for text, _ in held_out]) == np.array([topic for _, topic in held_out])
    assert right.mean() > 0.9  # it did learn something
    assert ours.predict("the dog came").tolist() == theirs.predict("the dog came").tolist() == ["animal"]


@pytest.mark.parametrize("threshold", [0.5, 0.1])
def test_several_labels_are_model2vec_s(threshold: float, folders: dict[str, Path], exported: dict[str, Path]) -> None:
    ours = OnnxStaticModelPipeline.from_pretrained(exported["sigmoid"])
    theirs = StaticModelPipeline.from_pretrained(folders["sigmoid"])
    found, expected = (each.predict(TEXTS, threshold=threshold) for each in (ours, theirs))
    assert found.dtype == expected.dtype == object
    assert [list(labels) for labels in found] == [list(labels) for labels in expected]
    assert len({len(labels) for labels in found}) > 1


def test_regression_is_model2vec_s(folders: dict[str, Path], exported: dict[str, Path]) -> None:
    ours = OnnxStaticModelPipeline.from_pretrained(exported["identity"])
    expected = StaticModelPipeline.from_pretrained(folders["identity"]).predict(TEXTS)
    assert ours.classes_ is None
    np.testing.assert_allclose(ours.predict(TEXTS), expected, rtol=0, atol=EXACT * np.abs(expected).max())
    with pytest.raises(ValueError, match="a regressor has no probabilities: use predict"):
        ours.predict_proba(TEXTS)


def test_no_text_has_no_row(exported: dict[str, Path]) -> None:
    shapes = {kind: OnnxStaticModelPipeline.from_pretrained(path).predict([]).shape for kind, path in exported.items()}
    assert shapes == {"softmax": (0,), "sigmoid": (0,), "identity": (0, 2)}
    assert OnnxStaticModelPipeline.from_pretrained(exported["softmax"]).predict_proba([]).shape == (0, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_are_the_encoder_s(kind: str, exported: dict[str, Path], potion: OnnxStaticModel) -> None:
    pipeline = OnnxStaticModelPipeline.from_pretrained(exported[kind])
    np.testing.assert_allclose(pipeline.model.encode(CORPUS), potion.encode(CORPUS), rtol=0, atol=EXACT)


@pytest.mark.parametrize("kind", KINDS)
def test_every_graph_has_the_head(kind: str, exported: dict[str, Path]) -> None:
    output = "predictions" if kind == "identity" else "probabilities"
    for path in (exported[kind] / "onnx").glob("*.onnx"):
        model = onnx.load(path, load_external_data=False)
        # one.onnx is for a query's vector alone.
        assert (output in [value.name for value in model.graph.output]) == (path.name != "one.onnx")
        assert {opset.domain for opset in model.opset_import} == {""}
        props = {prop.key: prop.value for prop in model.metadata_props}
        assert props["activation"] == kind
        labels = json.loads(props["labels"]) if "labels" in props else None
        assert labels == (None if kind == "identity" else sorted(WORDS))
    golden = json.loads((exported[kind] / "golden.json").read_text())
    assert all(output in text for text in golden["texts"])
    assert set(verify_bundle(exported[kind]).heads) == {"onnx/bag.onnx", "onnx/model.onnx", "onnx/plain.onnx"}


def test_the_text_graph_has_it_too(
    without_text_graphs: Any, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "_text_graph", without_text_graphs)
    folder = export_model(folders["softmax"], tmp_path / "out").folder
    ours = OnnxStaticModelPipeline.from_pretrained(folder, tokenizer="graph")
    assert ours.model.tokens_from == "graph"
    expected = StaticModelPipeline.from_pretrained(folders["softmax"]).predict_proba(TEXTS)
    np.testing.assert_allclose(ours.predict_proba(TEXTS), expected, rtol=0, atol=EXACT)
    assert len(verify_bundle(folder, folders["softmax"]).heads) == 5  # four graphs and model2vec


def test_graphs_of_ids_and_masks_have_it_in_the_runtime(exported: dict[str, Path]) -> None:
    """Opened by their path, and in another precision: probabilities, and none of the vectors for them."""
    bundle = exported["softmax"]
    whole = OnnxStaticModelPipeline.from_pretrained(bundle).predict_proba([*TEXTS, "", "\U0010ffff"])
    padded = OnnxStaticModelPipeline.from_pretrained(bundle / "onnx" / "model.onnx")
    np.testing.assert_allclose(padded.predict_proba([*TEXTS, "", "\U0010ffff"]), whole, rtol=0, atol=EXACT)
    assert padded.predict([]).shape == (0,)


def test_a_pipeline_in_memory(tmp_path: Path, exported: dict[str, Path]) -> None:
    folder = export_model(train("softmax"), tmp_path / "out").folder
    found, other = (
        OnnxStaticModelPipeline.from_pretrained(f).predict_proba(CORPUS) for f in (folder, exported["softmax"])
    )
    np.testing.assert_allclose(found, other, rtol=0, atol=EXACT)


@pytest.mark.parametrize(("precision", "bound"), [("float16", 0.01), ("int8", 0.01), ("int4", 0.2)])
def test_with_a_smaller_table(precision: str, bound: float, folders: dict[str, Path], tmp_path: Path) -> None:
    folder = export_model(folders["softmax"], tmp_path / "out", precision=precision).folder
    found = OnnxStaticModelPipeline.from_pretrained(folder).predict_proba(CORPUS)
    expected = StaticModelPipeline.from_pretrained(folders["softmax"]).predict_proba(CORPUS)
    assert np.abs(found - expected).max() < bound


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_heads_of_other_types(dtype: type[Any], tmp_path: Path) -> None:
    source = StaticModel.from_pretrained(make_source(tmp_path / "source", "wordlevel"))
    rng = np.random.default_rng(0)
    shapes = [(9, 24), (5, 9), (2, 5)]
    layers = [Layer(rng.normal(size=(o, i)).astype(dtype), rng.normal(size=o).astype(dtype)) for o, i in shapes]
    theirs = StaticModelPipeline(source, MLPHead(layers, Activation.SOFTMAX, np.array([3, 7])))
    ours = OnnxStaticModelPipeline.from_pretrained(export_model(theirs, tmp_path / "out").folder)
    np.testing.assert_allclose(ours.predict_proba(CORPUS), theirs.predict_proba(CORPUS), rtol=0, atol=EXACT)
    np.testing.assert_array_equal(ours.predict(CORPUS), theirs.predict(CORPUS))


def test_a_head_without_layers(tmp_path: Path) -> None:
    source = StaticModel.from_pretrained(make_source(tmp_path / "source", "wordlevel"))
    theirs = StaticModelPipeline(source, MLPHead([], Activation.IDENTITY))
    ours = OnnxStaticModelPipeline.from_pretrained(export_model(theirs, tmp_path / "out").folder)
    np.testing.assert_allclose(ours.predict(CORPUS), theirs.predict(CORPUS), rtol=0, atol=EXACT)


def test_fewer_dimensions_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="the model's head takes all 64"):
        export_model(folders["softmax"], tmp_path / "out", dimensions=32)


def test_damaged_heads_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    def damaged(name: str, **changes: Any) -> Path:
        folder = tmp_path / name
        shutil.copytree(folders["softmax"], folder)
        config = json.loads((folder / "config.json").read_text())
        config["head_config"] |= changes
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    for name, changes, match in (
        ("layers", {"n_layers": 3}, r"expected 3 layers, there is no 'head\.2\.weight'"),
        ("labels", {"classes": ["a"]}, "expected 3 labels for the head's outputs, got 1"),
        ("none", {"classes": None}, "expected 3 labels for the head's outputs, got None"),
        ("activation", {"activation": "tanh"}, "activation softmax, sigmoid, identity, got 'tanh'"),
    ):
        with pytest.raises(InvalidModelError, match=match):
            export_model(damaged(name, **changes), tmp_path / "out")
    legacy = damaged("legacy")
    (legacy / "head.safetensors").rename(legacy / "pipeline.skops")
    with pytest.raises(InvalidModelError, match="convert_legacy_pipeline"):
        export_model(legacy, tmp_path / "out")


def test_models_without_a_head_say_so() -> None:
    with pytest.raises(InvalidModelError, match=r"bag\.onnx has no head: export a StaticModelPipeline"):
        OnnxStaticModelPipeline.from_pretrained(POTION_BUNDLE)


def test_info_and_card(exported: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(exported["softmax"])]) == 0
    assert "animal, music, weather" in capsys.readouterr().out
    card = (exported["softmax"] / "README.md").read_text()
    assert "| Output of the head | `probabilities` of the labels animal, music, weather (softmax) |" in card


def test_rows_that_are_not_numbers_are_zeros(folders: dict[str, Path], tmp_path: Path) -> None:
    """As StaticModelPipeline.from_pretrained reads them, and no other loader of model2vec 0.10."""
    source = Path(shutil.copytree(folders["softmax"], tmp_path / "source"))
    tensors = load_file(source / "model.safetensors")
    tensors["embeddings"] = tensors["embeddings"].copy()
    tensors["embeddings"][::7] = np.nan
    save_file(tensors, source / "model.safetensors")
    bundle = export_model(source, tmp_path / "bundle").folder
    ours, theirs = OnnxStaticModelPipeline.from_pretrained(bundle), StaticModelPipeline.from_pretrained(source)
    np.testing.assert_allclose(ours.predict_proba(TEXTS), theirs.predict_proba(TEXTS), rtol=0, atol=EXACT)
    assert np.isfinite(ours.model.encode(TEXTS)).all()
    verify_bundle(bundle, source)
    for name in ("head.safetensors", "pipeline.skops"):
        (source / name).unlink(missing_ok=True)
    with pytest.raises(InvalidModelError, match="the table has NaN or infinite values"):
        export_model(source, tmp_path / "no pipeline")
