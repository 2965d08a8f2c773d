"""Models from the Hub: tests/hub_server.py answers like it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from m2v_onnx import OnnxStaticModel
from tests.conftest import POTION_BUNDLE
from tests.hub_server import TOKEN, Answer, Hub, Script

ENCODE = """
import sys
from m2v_onnx import OnnxStaticModel
options = dict(option.split("=") for option in sys.argv[2:])
if "force_download" in options:
    options["force_download"] = options["force_download"] == "True"
model = OnnxStaticModel.from_pretrained(sys.argv[1], **options)
print(model.files.folder)
print(model.metadata.source, model.metadata.revision or "none")
print(model.encode("how do whales breathe?")[:4].tolist())
"""

BLOCKED = "import sys\nfor name in ('onnx', 'model2vec', 'm2v_export'): sys.modules[name] = None\n" + ENCODE


def assert_vector(answer: Answer, potion: OnnxStaticModel) -> None:
    assert answer.code == 0, answer.error
    vector = np.array(json.loads(answer.out.splitlines()[2]), np.float32)
    np.testing.assert_array_equal(vector, potion.encode("how do whales breathe?")[:4])


def test_a_bundle(hub: Hub, run: Script, potion: OnnxStaticModel, tmp_path: Path) -> None:
    """Downloaded as it is, without the exporter, and nothing but its files."""
    repository = tmp_path / "repository"
    shutil.copytree(POTION_BUNDLE, repository)
    (repository / "pytorch_model.bin").write_bytes(bytes(1000))
    hub.add("owner/bundle", repository)
    assert_vector(run(BLOCKED, "owner/bundle"), potion)
    wanted = {path.relative_to(POTION_BUNDLE).as_posix() for path in POTION_BUNDLE.rglob("*") if path.is_file()}
    assert set(hub.downloads) == wanted
    assert not (tmp_path / "cache").exists()
    hub.asked.clear()
    assert_vector(run(BLOCKED, "owner/bundle"), potion)
    assert hub.downloads == []


def test_a_source(hub: Hub, run: Script, tiny: Path, bundles: dict[str, Path], tmp_path: Path) -> None:
    """Exported into the cache, once; the card says where from. Graphs of others in the repository are left there."""
    repository = tmp_path / "repository"
    shutil.copytree(tiny, repository)
    (repository / "onnx").mkdir()
    (repository / "onnx" / "model.onnx").write_bytes(b"an old export")
    sha = hub.add("owner/source", repository)
    first = run(ENCODE, "owner/source")
    assert_vector(first, OnnxStaticModel.from_pretrained(bundles["tiny"]))
    folder, source, _ = first.out.splitlines()
    assert source == f"owner/source {sha}"
    assert Path(folder).parent == tmp_path / "cache"
    assert f"owner/source at {sha}" in (Path(folder) / "README.md").read_text(encoding="utf-8")
    assert "onnx/model.onnx" not in hub.downloads
    again = run(BLOCKED, "owner/source")
    assert again.out == first.out
    assert again.code == 0


def test_a_source_without_the_exporter(hub: Hub, run: Script, tiny: Path) -> None:
    hub.add("owner/source", tiny)
    answer = run("import sys; sys.modules['model2vec'] = None\n" + ENCODE, "owner/source")
    assert answer.code == 1
    assert "MissingExtraError" in answer.error
    assert "pip install 'm2v-onnx[export]'" in answer.error


def test_revisions(hub: Hub, run: Script, tmp_path: Path, tiny: Path) -> None:
    """A branch, a tag or a commit; another revision is another bundle."""
    main = hub.add("owner/model", tiny)
    other = tmp_path / "other"
    shutil.copytree(tiny, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"max_length": 7}))
    tag = hub.add("owner/model", other, "v1")
    for revision, sha in {"v1": tag, tag: tag, "main": main}.items():
        answer = run(ENCODE, "owner/model", f"revision={revision}")
        assert answer.out.splitlines()[1] == f"owner/model {sha}", answer.error
    missing = run("info", "owner/model", "--revision", "v9", cli=True)
    assert missing.code == 1
    assert "it has no revision 'v9': check its name" in missing.error


def test_a_private_repository(hub: Hub, run: Script, potion: OnnxStaticModel) -> None:
    hub.add("owner/private", POTION_BUNDLE)
    hub.private.add("owner/private")
    refused = run("info", "owner/private", cli=True)
    assert refused.code == 1
    assert refused.error.count("\n") == 0
    assert "no model 'owner/private'" in refused.error
    assert "the Hub did not give it" in refused.error  # newer huggingface_hubs say 401
    assert "check the name, " in refused.error
    assert "token" in refused.error
    assert_vector(run(ENCODE, "owner/private", f"token={TOKEN}"), potion)
    assert_vector(run(ENCODE, "owner/private", HF_TOKEN=TOKEN), potion)


def test_no_such_repository(hub: Hub, run: Script) -> None:
    answer = run("embed", "owner/nothing", "a text", cli=True)
    assert answer.code == 1
    assert answer.error.count("\n") == 0
    assert "no file or folder owner" in answer.error
    assert "not one of the models inside m2v-onnx" in answer.error
    assert "it has no repository of that name, or a private one: check the name, or give a token" in answer.error
    assert "`m2v-onnx export owner/nothing OUT` where there is network" in answer.error


@pytest.mark.parametrize("kind", ["bundle", "source"])
def test_offline(kind: str, hub: Hub, run: Script, tiny: Path, bundles: dict[str, Path]) -> None:
    """What was downloaded once serves without network: told to be offline, or finding nobody there."""
    hub.add("owner/model", tiny if kind == "source" else bundles["tiny"])
    never = run("info", "owner/model", cli=True, HF_HUB_OFFLINE="1")
    assert never.code == 1
    assert "owner/model" in never.error
    assert never.error.count("\n") == 0
    first = run(ENCODE, "owner/model")
    assert_vector(first, OnnxStaticModel.from_pretrained(bundles["tiny"]))
    hub.asked.clear()
    for environment in ({"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}):
        answer = run(ENCODE, "owner/model", **environment)
        assert answer.out == first.out
        assert answer.code == 0
    assert hub.asked == []
    unasked = run(ENCODE, "owner/model", "force_download=False")
    assert unasked.out == first.out
    assert hub.asked == []


@pytest.mark.parametrize("environment", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}, {}])
def test_a_snapshot_without_what_is_not_needed(
    environment: dict[str, str], hub: Hub, run: Script, tmp_path: Path, potion: OnnxStaticModel
) -> None:
    """A cache that was copied without cards and the like serves; what is needed and missing is named."""
    hub.add("owner/model", POTION_BUNDLE)
    first = run(ENCODE, "owner/model", "tokenizer=tokenizers")
    assert_vector(first, potion)
    folder = Path(first.out.splitlines()[0])
    for name in ("README.md", "golden.json", "special_tokens_map.json", "onnx/text.onnx", "onnx/model.onnx"):
        (folder / name).unlink()
    hub.asked.clear()
    options = ["tokenizer=tokenizers", *([] if environment else ["force_download=False"])]
    assert run(ENCODE, "owner/model", *options, **environment).out == first.out
    assert hub.asked == []
    (folder / "tokenizer.json").unlink()
    broken = run(ENCODE, "owner/model", *options, **environment)
    if environment:
        assert broken.code == 1
        assert "tokenizer.json: this file of the bundle is missing" in broken.error
    else:  # there is a network to get it from
        assert broken.out == first.out
        assert (folder / "tokenizer.json").is_file()


def test_without_network(run: Script) -> None:
    answer = run("info", "owner/model", cli=True, HF_ENDPOINT="http://127.0.0.1:9")
    assert answer.code == 1
    assert answer.error.count("\n") == 0
    assert "it cannot be reached, or HF_HUB_OFFLINE is set, and its cache has no complete copy" in answer.error


def test_subfolders(hub: Hub, run: Script, tiny: Path, bundles: dict[str, Path], tmp_path: Path) -> None:
    """A bundle or a source in a folder of the repository."""
    shutil.copytree(bundles["tiny"], tmp_path / "repository" / "bundle")
    shutil.copytree(tiny, tmp_path / "repository" / "source")
    model = OnnxStaticModel.from_pretrained(tmp_path / "repository" / "bundle")
    hub.add("owner/many", tmp_path / "repository")
    for subfolder in ("bundle", "source"):
        hub.asked.clear()
        assert_vector(run(ENCODE, "owner/many", f"subfolder={subfolder}"), model)
        assert all(path.startswith(f"{subfolder}/") for path in hub.downloads)


def test_a_repository_of_something_else(hub: Hub, run: Script, tmp_path: Path) -> None:
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "config.json").write_text('{"model_type": "bert"}')
    hub.add("owner/bert", tmp_path / "repository")
    answer = run("info", "owner/bert", cli=True)
    assert answer.code == 1
    assert "is no Model2Vec model folder" in answer.error


def test_export_from_the_hub(hub: Hub, run: Script, tmp_path: Path, tiny: Path) -> None:
    sha = hub.add("owner/source", tiny)
    hub.private.add("owner/source")
    out = tmp_path / "out"
    done = run("export", "owner/source", str(out), "--token", TOKEN, "--revision", "main", cli=True)
    assert done.code == 0, done.error
    model = OnnxStaticModel.from_pretrained(out)
    assert model.metadata is not None
    assert (model.metadata.source, model.metadata.revision) == ("owner/source", sha)
    verified = run("verify", str(out), "owner/source", cli=True, HF_TOKEN=TOKEN)
    assert verified.code == 0, verified.error


def test_export_of_a_bundle(hub: Hub, run: Script, tmp_path: Path) -> None:
    """A repository with a bundle and no source has nothing to export."""
    hub.add("owner/bundle", POTION_BUNDLE)
    answer = run("export", "owner/bundle", str(tmp_path / "out"), cli=True)
    assert answer.code == 1
    assert "has no Model2Vec model" in answer.error
