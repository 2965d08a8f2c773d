"""Where a model comes from: the order, the cache, the model inside, and what an error says."""

import logging
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import m2v_export
from m2v_export import ExportError, export_model
from m2v_onnx import InvalidModelError, M2vOnnxError, MissingExtraError, ModelNotFoundError, OnnxStaticModel
from m2v_onnx.models.cache import cache_folder
from m2v_onnx.models.format import BAG
from m2v_onnx.models.locate import MODELS_INSIDE, locate, model_inside
from tests.conftest import CORPUS, POTION, POTION_BUNDLE, exported_once


def cached() -> list[Path]:
    folder = cache_folder()
    return sorted(folder.iterdir()) if folder.is_dir() else []


@pytest.fixture
def source(sources: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(sources["made-wordlevel"], tmp_path / "my model"))


def test_bundle() -> None:
    for place in (POTION_BUNDLE, str(POTION_BUNDLE), POTION_BUNDLE / BAG, f"{POTION_BUNDLE}{os.sep}"):
        files = locate(place)
        assert files.graph == POTION_BUNDLE / BAG
        assert files.tokenizer == POTION_BUNDLE / "tokenizer.json"
    assert cached() == []


def test_subfolder(tmp_path: Path) -> None:
    shutil.copytree(POTION_BUNDLE, tmp_path / "repo" / "inner")
    assert locate(tmp_path / "repo", subfolder="inner").graph == tmp_path / "repo" / "inner" / BAG
    with pytest.raises(ModelNotFoundError, match="no such folder"):
        locate(tmp_path / "repo", subfolder="outer")


def test_relative_and_home_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(POTION_BUNDLE, tmp_path / "a bundle")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert locate("a bundle").graph.is_file()
    assert locate("~/a bundle").graph == tmp_path / "a bundle" / BAG


def test_the_working_directory_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some files are opened only when they are needed."""
    bundle = Path(POTION_BUNDLE)
    monkeypatch.chdir(bundle.parent)
    model = OnnxStaticModel.from_pretrained(bundle.name, tokenizer="graph")
    monkeypatch.chdir(tmp_path)
    assert model.encode("a whale").any()
    assert model.encode(["a whale"] * 4, max_length=3).any()


@pytest.mark.parametrize("name", MODELS_INSIDE)
def test_a_folder_goes_before_the_model_inside(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(POTION_BUNDLE, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert locate(name).graph == tmp_path / name / BAG
    monkeypatch.chdir(tmp_path.parent)
    assert locate(name).graph == model_inside(name).graph


@pytest.mark.parametrize("name", MODELS_INSIDE)
def test_the_models_inside(name: str) -> None:
    model = OnnxStaticModel.from_pretrained(name)
    assert model.metadata is not None
    assert model.metadata.source == name
    assert model.metadata.precision == "int8"


@pytest.mark.parametrize("name", MODELS_INSIDE)
def test_a_revision_of_the_model_inside_is_the_hub_s(name: str) -> None:
    with pytest.raises(ModelNotFoundError, match="the Hub did not give it"):
        locate(name, revision="abc")


def test_an_installation_without_its_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("m2v_onnx.models.locate.__file__", str(tmp_path / "m2v_onnx" / "locate.py"))
    with pytest.raises(ModelNotFoundError, match=r"the bundle of minishlab/potion-base-2M is in none of .*: reinstall"):
        model_inside("minishlab/potion-base-2M")


def test_a_source_is_exported_once(
    source: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "m2v_onnx")
    first = OnnxStaticModel.from_pretrained(source)
    assert f"it is exported, this once, into {first.files.folder}" in caplog.text
    assert first.files.folder.parent == cache_folder()
    assert first.files.folder.name.startswith("my model-")
    monkeypatch.setattr(m2v_export, "export_model", None)  # a second export would fail
    second = OnnxStaticModel.from_pretrained(source)
    assert second.files.folder == first.files.folder
    np.testing.assert_array_equal(first.encode(CORPUS), second.encode(CORPUS))
    assert cached() == [first.files.folder]


@pytest.mark.parametrize("name", ["rs-sentence-transformers", "made-nested"])
def test_every_layout_is_exported(name: str, sources: dict[str, Path], bundles: dict[str, Path]) -> None:
    found = OnnxStaticModel.from_pretrained(sources[name]).encode(CORPUS)
    np.testing.assert_array_equal(found, OnnxStaticModel.from_pretrained(bundles[name]).encode(CORPUS))


def test_a_cached_bundle_needs_no_exporter(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    OnnxStaticModel.from_pretrained(source)
    for package in ("onnx", "model2vec"):
        monkeypatch.setitem(sys.modules, package, None)
    assert OnnxStaticModel.from_pretrained(source).encode("whale").shape == (24,)


def test_a_changed_source_is_exported_anew(source: Path) -> None:
    before = OnnxStaticModel.from_pretrained(source, normalize=False).encode("the whale")
    content = bytearray((source / "model.safetensors").read_bytes())
    content[-4 * 24 * 100 :] = bytes(4 * 24 * 100)
    time.sleep(0.01)
    (source / "model.safetensors").write_bytes(content)
    OnnxStaticModel.from_pretrained(source)
    assert len(cached()) == 2
    assert before.any()


def test_a_damaged_cache_says_so(source: Path) -> None:
    bundle = OnnxStaticModel.from_pretrained(source).files.folder
    (bundle / BAG).write_bytes(b"")
    with pytest.raises(InvalidModelError, match=r"or delete .*my model-.*, and it is exported again"):
        OnnxStaticModel.from_pretrained(source)
    shutil.rmtree(bundle)
    assert OnnxStaticModel.from_pretrained(source).dim == 24


def test_a_cache_that_cannot_be_written(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("M2V_ONNX_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ExportError, match=r"cannot write .* set M2V_ONNX_CACHE to a folder that can be written"):
        OnnxStaticModel.from_pretrained(source)


def test_two_at_once_export_to_one_place(source: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        models = list(pool.map(OnnxStaticModel.from_pretrained, [source] * 4))
    assert len({model.files.folder for model in models}) == 1
    assert cached() == [models[0].files.folder]


@pytest.mark.parametrize("package", ["onnx", "model2vec"])
def test_a_source_without_the_exporter(package: str, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        MissingExtraError, match=rf"to export it needs the package {package}: pip install 'm2v-onnx\[export\]'"
    ):
        OnnxStaticModel.from_pretrained(source)


def test_the_exporter_without_its_packages() -> None:
    code = "import sys; sys.modules['onnx'] = None; import m2v_export"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "MissingExtraError: m2v_export needs the package onnx: pip install 'm2v-onnx[export]'" in done.stderr


def test_a_name_for_the_hub_without_huggingface_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        MissingExtraError, match=r"'minishlab/potion-base-32M' .* pip install 'm2v-onnx\[hub\]'"
    ) as info:
        locate("minishlab/potion-base-32M")
    assert isinstance(info.value, ImportError)
    assert isinstance(info.value, M2vOnnxError)


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("M2V_ONNX_CACHE", "~/mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.setenv("M2V_ONNX_CACHE", "~nobody-by-that-name/mine")
    with pytest.raises(ExportError, match=r"^~nobody-by-that-name.mine: there is no home folder .* set M2V_ONNX_CACHE"):
        cache_folder()
    monkeypatch.delenv("M2V_ONNX_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    for platform, place in {"linux": "xdg", "win32": "local", "darwin": "Library/Caches"}.items():
        monkeypatch.setattr(sys, "platform", platform)
        assert cache_folder() == tmp_path / place / "m2v-onnx"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./nowhere/model", r"no file or folder .*nowhere.*no name of a Hub repository \(owner/name\)"),
        (
            "/no/such/folder",
            r"no model '/no/such/folder': no file or folder /no/such/folder; not one of the models inside",
        ),
        ("owner/name/more", r"no name of a Hub repository"),
        (
            "nobody/nothing",
            r"no file or folder nobody/nothing; not one of the models inside m2v-onnx, minishlab/potion-base-8M",
        ),
        ("nobody/nothing", r"the Hub did not give it: .* `m2v-onnx export nobody/nothing OUT` where there is network"),
        ("nul\0byte", r"no name of a Hub repository"),
        ("nope", r"no file or folder nope; not one of the models .*; no name of a Hub repository \(owner/name\)$"),
        ("potion-base-2m", r"do you mean minishlab/potion-base-2M\?"),
        ("minishlab/potion-base-8m", r"do you mean minishlab/potion-base-8M\?"),
        ("minishlab/potion-bas-8M", r"do you mean minishlab/potion-base-8M\?"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="the messages have POSIX paths")
def test_nothing_by_that_name(name: str, message: str) -> None:
    with pytest.raises(ModelNotFoundError, match=message) as info:
        locate(name)
    assert isinstance(info.value, FileNotFoundError)
    assert "\n" not in str(info.value)


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "deep" / "down").mkdir(parents=True)
    shutil.copy(POTION / "model.safetensors", tmp_path / "deep" / "down")
    with pytest.raises(ModelNotFoundError, match=r"expected a bundle .*found \['deep', 'notes\.txt'\]"):
        locate(tmp_path)


def test_a_large_folder_is_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home directory, say: only the places that a model's files have are looked at."""
    for method in ("rglob", "walk"):
        monkeypatch.setattr(Path, method, None, raising=False)
    scan = os.scandir
    seen: list[str] = []

    def spy(path: str) -> object:
        seen.append(str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", spy)
    (tmp_path / "deep" / "down").mkdir(parents=True)
    with pytest.raises(ModelNotFoundError):
        locate(tmp_path)
    assert not any("deep" in path for path in seen)


def test_a_model_with_tensors_and_no_tokenizer(source: Path) -> None:
    (source / "tokenizer.json").unlink()
    with pytest.raises(ModelNotFoundError, match=r"no Model2Vec model folder: expected the files of one of: config"):
        locate(source)


def test_bundle_goes_before_source(tmp_path: Path, bundles: dict[str, Path], sources: dict[str, Path]) -> None:
    """A folder that is both is taken as the bundle."""
    shutil.copytree(bundles["rs-float32"], tmp_path / "both")
    shutil.copy(sources["rs-float32"] / "model.safetensors", tmp_path / "both")
    assert locate(tmp_path / "both").graph == tmp_path / "both" / BAG
    assert cached() == []


def test_source_goes_before_a_graph_of_others(source: Path) -> None:
    """As in the repositories on the Hub that have both: the source's vectors are exact."""
    (source / "onnx").mkdir()
    (source / "onnx" / "model.onnx").write_bytes(b"an old export")
    assert locate(source).folder.parent == cache_folder()


def test_the_card_in_the_cache_names_the_source(source: Path) -> None:
    assert "# my model in ONNX" in (locate(source).folder / "README.md").read_text(encoding="utf-8")


def test_a_bundle_moves_with_its_folder(source: Path, tmp_path: Path) -> None:
    bundle = export_model(source, tmp_path / "first").folder
    moved = bundle.rename(tmp_path / "second")
    assert OnnxStaticModel.from_pretrained(moved).encode(["whale"]).shape == (1, 24)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no users without a name")
@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("{source}", "there is no home folder to keep exported models in: set M2V_ONNX_CACHE"),
        ("owner/name", "there is no home folder to keep models of the Hub in: set HF_HOME"),
        ("~/bundle", "there is no home folder: give the whole path, or set HOME"),
    ],
)
def test_no_home(model: str, message: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user id has no name."""
    import pwd

    def unknown(_: int) -> None:
        raise KeyError("uid not found")

    for name in ("HOME", "M2V_ONNX_CACHE", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(M2vOnnxError, match=message) as info:
        locate(model.format(source=source))
    assert "\n" not in str(info.value)
    assert not any(path.name == "~" for path in tmp_path.iterdir())


def test_a_bundle_in_a_precision(small: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The graph with that table; where the bundle has text.onnx, it is not taken, for its table is another."""
    bundle = exported_once(small, tmp_path_factory.getbasetemp() / "all-precisions", all_precisions=True)
    whole = OnnxStaticModel.from_pretrained(bundle)
    for precision, least in (("float16", 0.9999), ("int8", 0.999), ("int4", 0.97)):
        for tokenizer in ("auto", "tokenizers"):
            model = OnnxStaticModel.from_pretrained(bundle, precision=precision, tokenizer=tokenizer)  # type: ignore[arg-type]
            assert model.metadata is not None
            assert (model.metadata.precision, model.dim) == (precision, whole.dim)
            assert model.tokens_from != "graph"
            vectors, exact = model.encode(CORPUS), whole.encode(CORPUS)
            assert not np.array_equal(vectors, exact)
            assert np.sum(vectors * exact, axis=1)[exact.any(axis=1)].min() > least
            np.testing.assert_array_equal(vectors.any(axis=1), exact.any(axis=1))
    own = OnnxStaticModel.from_pretrained(bundle, precision="float32")
    assert own.files.graph == whole.files.graph
    damaged = Path(shutil.copytree(bundle, tmp_path_factory.mktemp("damaged") / "bundle"))
    (damaged / "onnx" / "model_int8.onnx").write_bytes(b"xxx")
    with pytest.raises(InvalidModelError, match=r"model_int8\.onnx: expected .* bytes, got 3"):
        OnnxStaticModel.from_pretrained(damaged, precision="int8")


def test_a_source_in_a_precision(source: Path) -> None:
    """Exported with it; each precision is kept apart."""
    for precision in ("int8", None, "int8"):
        model = OnnxStaticModel.from_pretrained(source, precision=precision)
        assert model.metadata is not None
        assert model.metadata.precision == (precision or "float32")
    assert len(cached()) == 2


def test_precisions_that_there_are_not(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"precision: expected one of float32, float16, int8, int4, got 'q8'"):
        OnnxStaticModel.from_pretrained(POTION_BUNDLE, precision="q8")  # type: ignore[arg-type]
    with pytest.raises(InvalidModelError, match=r"expected a table in int4, there is int8: export it again"):
        OnnxStaticModel.from_pretrained("minishlab/potion-base-2M", precision="int4")
    with pytest.raises(ValueError, match=r"precision 'int8': .*bag.onnx is one graph and has one: leave it out"):
        OnnxStaticModel.from_pretrained(POTION_BUNDLE / BAG, precision="int8")
    assert OnnxStaticModel.from_pretrained("minishlab/potion-base-2M", precision="int8").dim == 64
