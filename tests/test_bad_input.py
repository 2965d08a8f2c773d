"""Damaged models and strange texts: a clear error of the project's own kind, or the right vector; never NaN."""

import contextlib
import json
import random
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from model2vec import StaticModel
from safetensors.numpy import load_file, save_file

from m2v_export import export_model, verify_bundle
from m2v_onnx import InvalidModelError, InvalidTextError, M2vOnnxError, OnnxStaticModel
from m2v_onnx.models.format import BAG, ONE, PADDED, TABLE
from tests.conftest import CORPUS, POTION, POTION_BUNDLE

Change = Callable[[Path], object]
Array = npt.NDArray[Any]


@pytest.fixture
def source(tmp_path: Path, tiny: Path) -> Path:
    """A small source that a test may damage."""
    return Path(shutil.copytree(tiny, tmp_path / "source"))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle that a test may damage."""
    return Path(shutil.copytree(POTION_BUNDLE, tmp_path / "bundle"))


def truncated(name: str, keep: float) -> Change:
    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * keep)])

    return change


def replaced(name: str, content: bytes) -> Change:
    return lambda folder: (folder / name).write_bytes(content)


def removed(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


def tensors(change: Callable[[dict[str, Array]], dict[str, Array]]) -> Change:
    def write(folder: Path) -> None:
        changed = change({key: array.copy() for key, array in load_file(folder / "model.safetensors").items()})
        save_file(changed, folder / "model.safetensors")

    return write


def configured(**entries: object) -> Change:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | entries))

    return change


def safetensors(header: object) -> bytes:
    """A file with that header and 64 bytes of tensors."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(64)


def entry(**changes: object) -> dict[str, object]:
    return {"embeddings": {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]} | changes}


def poked(value: float) -> Change:
    def poke(arrays: dict[str, Array]) -> dict[str, Array]:
        arrays["embeddings"][17, 3] = value
        return arrays

    return tensors(poke)


DAMAGED_SOURCES: dict[str, tuple[Change, str]] = {
    "table truncated": (truncated("model.safetensors", 0.7), r"truncated or damaged; copy it again"),
    "table cut in its header": (truncated("model.safetensors", 0.001), r"truncated or of another kind"),
    "table empty": (truncated("model.safetensors", 0), r"expected a safetensors file, got 0 bytes"),
    "table foreign": (replaced("model.safetensors", b"PK\x03\x04" + bytes(5000)), r"of another kind"),
    "header no JSON": (replaced("model.safetensors", safetensors(b"{nonsense")), r"header is damaged"),
    "header a list": (replaced("model.safetensors", safetensors([1, 2])), r"header is damaged"),
    "header of strings": (replaced("model.safetensors", safetensors({"embeddings": "x"})), r"header is damaged"),
    "unknown dtype": (replaced("model.safetensors", safetensors(entry(dtype="BF16"))), r"dtype that model2vec"),
    "negative shape": (replaced("model.safetensors", safetensors(entry(shape=[-4, -4]))), r"expected sizes"),
    "shape of strings": (replaced("model.safetensors", safetensors(entry(shape=["4", 4]))), r"expected sizes"),
    "shape no list": (replaced("model.safetensors", safetensors(entry(shape=16))), r"list of sizes"),
    "offsets reversed": (replaced("model.safetensors", safetensors(entry(data_offsets=[64, 0]))), r"truncated or"),
    "offsets outside": (replaced("model.safetensors", safetensors(entry(data_offsets=[8, 72]))), r"truncated or"),
    "three offsets": (replaced("model.safetensors", safetensors(entry(data_offsets=[0, 4, 64]))), r"list of sizes"),
    "another model's tensors": (
        tensors(lambda arrays: {"bert.embeddings.word_embeddings.weight": arrays["embeddings"]}),
        r"expected a tensor 'embeddings', got \['bert\.embeddings",
    ),
    "fewer rows than tokens": (
        tensors(lambda arrays: {"embeddings": arrays["embeddings"][:-1]}),
        r"token ids up to \d+, the table has \d+ rows",
    ),
    "more rows than tokens": (
        tensors(lambda arrays: {"embeddings": np.concatenate([arrays["embeddings"]] * 2)}),
        r"expected a row for each of \d+ tokens, got \d+ rows",
    ),
    "table of one dimension": (
        tensors(lambda arrays: {"embeddings": arrays["embeddings"][:, 0].copy()}),
        r"expected a table of two dimensions",
    ),
    "table of no columns": (
        tensors(lambda arrays: {"embeddings": arrays["embeddings"][:, :0].copy()}),
        r"expected a table of two dimensions",
    ),
    "table of int64": (
        tensors(lambda arrays: {"embeddings": arrays["embeddings"].astype(np.int64)}),
        r"expected a table of float32, float16, int8, got int64",
    ),
    "NaN": (poked(np.nan), r"the table has NaN or infinite values"),
    "infinity": (poked(-np.inf), r"the table has NaN or infinite values"),
    "mapping past the table": (
        tensors(lambda a: a | {"mapping": np.arange(1, len(a["embeddings"]) + 1)}),
        r"the mapping points to rows 1 to (\d+), the table has \1 rows",
    ),
    "mapping below zero": (
        tensors(lambda a: a | {"mapping": np.arange(len(a["embeddings"])) - 1}),
        r"the mapping points to rows -1 to",
    ),
    "mapping too short": (
        tensors(lambda a: a | {"mapping": np.zeros(3, np.int64)}),
        r"the mapping has 3 rows",
    ),
    "mapping of floats": (
        tensors(lambda a: a | {"mapping": np.zeros(len(a["embeddings"]), np.float32)}),
        r"expected an integer mapping a token, got float32",
    ),
    "mapping a scalar": (tensors(lambda a: a | {"mapping": np.array(1)}), r"expected an integer mapping a token"),
    "weights too short": (tensors(lambda a: a | {"weights": np.ones(3, np.float32)}), r"the weights has 3 rows"),
    "weights a matrix": (
        tensors(lambda a: a | {"weights": np.ones((len(a["embeddings"]), 2), np.float32)}),
        r"expected one weight a token",
    ),
    "weights a scalar": (tensors(lambda a: a | {"weights": np.array(1.0)}), r"expected one weight a token"),
    "weights with NaN": (
        tensors(lambda a: a | {"weights": np.full(len(a["embeddings"]), np.nan)}),
        r"the weights has NaN or infinite values",
    ),
    "tokenizer truncated": (truncated("tokenizer.json", 0.5), r"tokenizer\.json: expected a tokenizer"),
    "tokenizer empty": (truncated("tokenizer.json", 0), r"tokenizer\.json: expected a tokenizer"),
    "tokenizer foreign": (replaced("tokenizer.json", b'{"a": 1}'), r"tokenizer\.json: expected a tokenizer"),
    "tokenizer binary": (replaced("tokenizer.json", b"\xff\xfe\x00"), r"tokenizer\.json: expected a tokenizer"),
    "tokenizer of another model": (
        lambda folder: shutil.copy(POTION / "tokenizer.json", folder),
        r"tokenizer and tensors are not of the same model",
    ),
    "config no JSON": (replaced("config.json", b"{"), r"config\.json: expected a JSON object"),
    "config a list": (replaced("config.json", b"[]"), r"config\.json: expected a JSON object, got list"),
    "config binary": (replaced("config.json", b"\xff\xfe"), r"config\.json: expected a JSON object"),
    "normalize a string": (configured(normalize="yes"), r"expected true or false for normalize, got 'yes'"),
    "max_length a string": (configured(max_length="512"), r"positive number of tokens or null for max_length"),
    "max_length zero": (configured(max_length=0), r"positive number of tokens or null for max_length, got 0"),
}


@pytest.mark.parametrize("name", DAMAGED_SOURCES)
def test_damaged_source(name: str, source: Path, tmp_path: Path) -> None:
    change, message = DAMAGED_SOURCES[name]
    change(source)
    with pytest.raises(InvalidModelError, match=message):
        export_model(source, tmp_path / "out")
    with pytest.raises(InvalidModelError, match=message):
        OnnxStaticModel.from_pretrained(source)
    assert {path.name for path in tmp_path.iterdir()} == {"source"}


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "config.json"])
def test_sources_with_bytes_changed(file: str, tmp_path: Path, small: Path, tiny: Path) -> None:
    """Whatever bytes change: an error of our own, or a bundle that agrees with model2vec; nothing in between."""
    pristine = Path(shutil.copytree(small if file == "tokenizer.json" else tiny, tmp_path / "pristine"))
    content = (pristine / file).read_bytes()
    generator = random.Random(4)
    for number in range(60):
        damaged = bytearray(content)
        for _ in range(generator.randint(1, 4)):
            at = generator.randrange(min(len(damaged), 400))
            damaged[at] = generator.choice(b'\x00\xff-[]{}":,019aZ')
        (pristine / file).write_bytes(damaged)
        out = tmp_path / str(number)
        with contextlib.suppress(M2vOnnxError):
            export_model(pristine, out)
        if out.exists():
            assert np.isfinite(OnnxStaticModel.from_pretrained(out).encode(["the whale", ""])).all()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("table", [np.full, np.zeros])
def test_values_that_overflow_float32(table: Any, source: Path, tmp_path: Path) -> None:
    """Finite rows whose sum is not are refused; a table of zeros is as good as any."""
    shape = load_file(source / "model.safetensors")["embeddings"].shape
    array = np.zeros(shape, np.float32) if table is np.zeros else np.full(shape, 3e38, np.float32)
    save_file({"embeddings": array}, source / "model.safetensors")
    if table is np.zeros:
        bundle = export_model(source, tmp_path / "out").folder
        assert not OnnxStaticModel.from_pretrained(bundle).encode(["the whale"]).any()
    else:
        with pytest.raises(M2vOnnxError):
            export_model(source, tmp_path / "out")
        assert {path.name for path in tmp_path.iterdir()} == {"source"}


DAMAGED_BUNDLES: dict[str, tuple[Change, str]] = {
    **{
        f"{name} truncated": (truncated(name, 0.9), rf"{Path(name).name}: expected [\d,]+ bytes, got [\d,]+: copy")
        for name in (BAG, PADDED, TABLE, "tokenizer.json", "golden.json")
    },
    **{
        f"{name} missing": (removed(name), rf"{name}: this file of the bundle is missing")
        for name in (BAG, TABLE, "tokenizer.json")
    },
    "table too long": (replaced(TABLE, bytes(8_000_000)), r"expected 7,559,168 bytes, got 8,000,000"),
    "config no JSON": (truncated("config.json", 0.5), r"config\.json: expected a JSON object"),
    "config empty": (truncated("config.json", 0), r"config\.json: expected a JSON object"),
    "newer format": (configured(m2v_onnx={"format_version": 99}), r"expected bundle format 1, got 99: pip install"),
    "manifest no object": (configured(m2v_onnx=[1]), r"expected bundle format 1, got None"),
    "manifest without files": (configured(m2v_onnx={"format_version": 1}), r"list of files is damaged"),
    "manifest of strings": (configured(m2v_onnx={"format_version": 1, "files": {"a": "b"}}), r"list of files"),
}


@pytest.mark.parametrize("name", DAMAGED_BUNDLES)
def test_damaged_bundle(name: str, bundle: Path) -> None:
    change, message = DAMAGED_BUNDLES[name]
    change(bundle)
    if not name.startswith(NOT_OPENED):
        with pytest.raises(InvalidModelError, match=message):
            OnnxStaticModel.from_pretrained(bundle, tokenizer="tokenizers").encode(CORPUS)
    with pytest.raises(InvalidModelError, match=message):
        verify_bundle(bundle)


NOT_OPENED = (PADDED, "golden.json")
"""Files that are there for others; vectors need none of them."""


@pytest.mark.parametrize("change", ["missing", "edited"])
@pytest.mark.parametrize("name", ["README.md", "golden.json", "onnx/model.onnx", "tokenizer_config.json"])
def test_what_is_not_needed_is_not_looked_at(
    change: str, name: str, bundle: Path, potion: OnnxStaticModel, recwarn: pytest.WarningsRecorder
) -> None:
    """A .dockerignore with *.md, a card edited on the Hub: the model opens; `verify` tells."""
    if change == "missing":
        (bundle / name).unlink()
    else:
        (bundle / name).write_bytes((bundle / name).read_bytes() + b"\n")
    model = OnnxStaticModel.from_pretrained(bundle)
    np.testing.assert_array_equal(model.encode(CORPUS), potion.encode(CORPUS))
    told = [str(warning.message) for warning in recwarn if "nanotoken cannot be checked" in str(warning.message)]
    assert bool(told) == (name == "golden.json" and change == "edited" and find_spec("nanotoken") is not None)
    with pytest.raises(InvalidModelError, match=name):
        verify_bundle(bundle)


def same_size(name: str, start: int = 0) -> Change:
    """Other bytes, as many."""

    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:start] + bytes(b ^ 0x55 for b in content[start:]))

    return change


@pytest.mark.parametrize("name", [BAG, ONE, "tokenizer.json"])
def test_files_of_the_right_size_that_are_not_it(name: str, bundle: Path) -> None:
    """Seen when the file is opened: bag.onnx with the first batch."""
    same_size(name)(bundle)
    with pytest.raises(InvalidModelError, match=r"copy it or export it again"):
        OnnxStaticModel.from_pretrained(bundle, tokenizer="tokenizers").encode(CORPUS)


@pytest.mark.parametrize("name", [BAG, PADDED, TABLE, "tokenizer.json", "golden.json", "README.md"])
def test_verify_finds_a_changed_byte(name: str, bundle: Path) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(InvalidModelError, match=r"expected sha256 \w{64}, got \w{64}: the file was changed"):
        verify_bundle(bundle)


def test_graph_of_another_kind(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"this is no graph")
    shutil.copy(bundle / "tokenizer.json", tmp_path)
    with pytest.raises(InvalidModelError, match=r"a\.onnx: onnxruntime .* cannot open it"):
        OnnxStaticModel.from_pretrained(tmp_path / "a.onnx")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(InvalidModelError, match=r"expected a model's folder or an \.onnx file"):
        OnnxStaticModel.from_pretrained(tmp_path / "model.safetensors")


def test_graph_without_its_table(tmp_path: Path, bundle: Path) -> None:
    for name in (BAG, "tokenizer.json"):
        shutil.copy(bundle / name, tmp_path)
    with pytest.raises(InvalidModelError, match=r"bag\.onnx: onnxruntime .* cannot open it: .*model\.onnx_data"):
        OnnxStaticModel.from_pretrained(tmp_path / "bag.onnx")


def test_golden_file_that_is_none(bundle: Path) -> None:
    """Even where someone made the list of files fit."""
    from m2v_onnx.models.bundle import sha256

    (bundle / "golden.json").write_text('{"texts": 3}')
    config = json.loads((bundle / "config.json").read_text())
    size = (bundle / "golden.json").stat().st_size
    config["m2v_onnx"]["files"]["golden.json"] = {"size": size, "sha256": sha256(bundle / "golden.json")}
    (bundle / "config.json").write_text(json.dumps(config))
    with pytest.raises(InvalidModelError, match=r"golden\.json: expected golden texts"):
        verify_bundle(bundle)


@pytest.mark.parametrize("surrogate", ["\ud800", "pair reversed \udc00\ud800", "a\udcffb"])
def test_lone_surrogates(surrogate: str, potion: OnnxStaticModel) -> None:
    """What no UTF-8 has: the text is named by its place among all of them."""
    for call in (potion.encode, potion.tokenize):
        with pytest.raises(InvalidTextError, match=r"text 0 has a lone surrogate, U\+D[0-9A-F]{3}, at character \d+"):
            call([surrogate])
    with pytest.raises(InvalidTextError, match="text 0 has"):
        potion.encode(surrogate)
    with pytest.raises(InvalidTextError, match=r"text 3000 has .* pass text\.encode"):
        potion.encode(["fine"] * 3000 + [surrogate])
    assert np.isfinite(potion.encode(["the model still works"])).all()


def test_the_advice_for_lone_surrogates_helps(potion: OnnxStaticModel) -> None:
    text = "a whale\ud800 breathes".encode("utf-8", "replace").decode()
    assert potion.encode(text).any()


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\x00whale", "whale\x00", "\x00" * 5000, "a\x00 b\x00 " * 500])
def test_nul(text: str, potion: OnnxStaticModel, potion_reference: StaticModel) -> None:
    assert potion.tokenize([text]) == potion_reference.tokenize([text])
    np.testing.assert_allclose(potion.encode(text), potion_reference.encode(text), rtol=0, atol=1e-6)


@pytest.mark.parametrize("text", ["x", "word ", "漢", " ", "\u0301", "\U0001f600 "], ids=ascii)
def test_three_million_characters(text: str, potion: OnnxStaticModel, potion_reference: StaticModel) -> None:
    long = text * (3_000_000 // len(text))
    np.testing.assert_allclose(potion.encode(long), potion_reference.encode(long), rtol=0, atol=1e-6)


def test_three_million_characters_without_a_limit(potion: OnnxStaticModel, potion_reference: StaticModel) -> None:
    long = "the whale comes up " * (3_000_000 // 19)
    found, wanted = potion.encode([long, ""], max_length=None), potion_reference.encode([long, ""], max_length=None)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("text", ["", " ", "\u200b"])
def test_hundred_thousand_texts_of_nothing(text: str, potion: OnnxStaticModel) -> None:
    vectors = potion.encode([text] * 100_000)
    assert vectors.shape == (100_000, 64)
    assert not vectors.any()


def test_a_batch_of_all_sorts(potion: OnnxStaticModel, potion_reference: StaticModel) -> None:
    texts = ["", "whale " * 100_000, "a", "", "\x00", *["x y"] * 5000, ""]
    np.testing.assert_allclose(potion.encode(texts), potion_reference.encode(texts), rtol=0, atol=1e-6)


@pytest.mark.parametrize("value", [0, -1, 1.5, "512", True, [], np.float32(3)])
@pytest.mark.parametrize("way", ["load", "encode", "encode_iter", "encode one"])
def test_wrong_max_length(value: Any, way: str, potion: OnnxStaticModel) -> None:
    calls: dict[str, Callable[[], object]] = {
        "load": lambda: OnnxStaticModel.from_pretrained(POTION_BUNDLE, max_length=value),
        "encode": lambda: potion.encode(["a"], max_length=value),
        "encode_iter": lambda: potion.encode_iter(["a"], max_length=value),
        "encode one": lambda: potion.encode("a", max_length=value),
    }
    with pytest.raises(ValueError, match=r"max_length: expected a positive number of tokens or None, got"):
        calls[way]()


def test_max_length_as_numpy_counts(potion: OnnxStaticModel) -> None:
    one, two = (potion.encode("some whales breathe", max_length=length) for length in (np.int64(2), 2))  # type: ignore[arg-type]
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("value", [0, -3, 2.5, "8", None, True])
def test_wrong_batch_size(value: Any, potion: OnnxStaticModel) -> None:
    with pytest.raises(ValueError, match="batch_size: expected a number from 1, got"):
        potion.encode(["a"], batch_size=value)


@pytest.mark.parametrize("value", [0, -1, 1.5, "2"])
def test_wrong_threads(value: Any) -> None:
    with pytest.raises(ValueError, match="threads: expected a number from 1, got"):
        OnnxStaticModel.from_pretrained(POTION_BUNDLE, threads=value)


def test_unknown_option() -> None:
    with pytest.raises(TypeError, match=r"unexpected option 'dtype' \(give it to `encode`\)"):
        OnnxStaticModel.from_pretrained(POTION_BUNDLE, dtype="int8")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"providers: expected a list, \['CPUExecutionProvider'\] say"):
        OnnxStaticModel.from_pretrained(POTION_BUNDLE, providers="CPUExecutionProvider")
    with pytest.raises(TypeError, match=r"unexpected option 'device': expected some of .*providers"):
        OnnxStaticModel.from_pretrained(POTION_BUNDLE, device="cuda")  # type: ignore[call-arg]


@pytest.mark.parametrize("value", [None, 3, b"folder", ""])
def test_a_model_that_is_no_name(value: Any) -> None:
    with pytest.raises(TypeError, match="expected a path or a Hub id, got"):
        OnnxStaticModel.from_pretrained(value)


def test_every_error_is_one_of_ours() -> None:
    import m2v_onnx

    errors = [getattr(m2v_onnx, name) for name in m2v_onnx.__all__ if name.endswith("Error")]
    assert len(errors) == 8
    assert all(issubclass(error, M2vOnnxError) for error in errors)
