"""``m2v-onnx push``: what arrives on the Hub, what is refused, and that it is loaded by its name there."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from m2v_export import export_model, verify_bundle
from m2v_onnx import OnnxStaticModel, UploadError
from m2v_onnx.models.format import VARIANTS
from m2v_onnx.models.upload import push_bundle
from tests.conftest import exported_once
from tests.hub_server import TOKEN, Hub, Script

NAME = "owner/name"


@pytest.fixture
def bundle(tmp_path: Path, small: Path) -> Path:
    """In all precisions; the test's own."""
    made = exported_once(small, tmp_path.parent / "all-precisions", all_precisions=True)
    return Path(shutil.copytree(made, tmp_path / "bundle"))


def files_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def there(hub: Hub, name: str = NAME, revision: str = "main") -> dict[str, bytes]:
    """The files of a repository."""
    return files_of(hub.repositories[name][revision])


ENCODE = """
import sys
for name in ("onnx", "model2vec", "m2v_export"):
    sys.modules[name] = None
from m2v_onnx import OnnxStaticModel
print(OnnxStaticModel.from_pretrained(sys.argv[1]).encode("the whale sings").tolist())
"""


def test_push_and_load_by_name(hub: Hub, run: Script, bundle: Path) -> None:
    """A private repository in one commit; our runtime opens it by name and leaves the other precisions there."""
    before = files_of(bundle)
    done = run("push", str(bundle), NAME, cli=True, HF_TOKEN=TOKEN)
    assert done.code == 0, done.error
    assert f"to the new private repository {NAME}: {hub.endpoint}/{NAME}/commit/" in done.out
    assert files_of(bundle) == before
    assert hub.private == {NAME}
    (commit,) = hub.commits
    assert commit.summary.startswith("Upload ")
    found = there(hub)
    assert set(found) == set(before) | {".gitattributes"}
    assert {name for name in before if found[name] != before[name]} == {"README.md", "config.json"}
    answer = run(ENCODE, NAME, HF_TOKEN=TOKEN)
    assert answer.code == 0, answer.error
    expected = OnnxStaticModel.from_pretrained(bundle).encode("the whale sings")
    np.testing.assert_array_equal(np.array(json.loads(answer.out), np.float32), expected)
    assert set(hub.downloads) == set(before) - set(VARIANTS)


IN_PRECISION = """
import sys
for name in ("onnx", "model2vec", "m2v_export"):
    sys.modules[name] = None
from m2v_onnx import OnnxStaticModel
model = OnnxStaticModel.from_pretrained(sys.argv[1], precision=sys.argv[2], force_download=False)
print(model.files.graph.name, model.metadata.precision)
print(model.encode("the whale sings").tolist())
"""


def test_load_in_a_precision_by_name(hub: Hub, run: Script, bundle: Path) -> None:
    """Only the graph that has it comes, and nothing the second time; the bundle's own precision is the whole bundle."""
    run("push", str(bundle), NAME, "--public", cli=True, HF_TOKEN=TOKEN)
    for precision, name in (("int8", "model_int8.onnx"), ("int4", "model_q4.onnx"), ("float16", "model_fp16.onnx")):
        hub.asked.clear()
        answer = run(IN_PRECISION, NAME, precision)
        assert answer.code == 0, answer.error
        graph, vector = answer.out.splitlines()
        assert graph == f"{name} {precision}"
        expected = OnnxStaticModel.from_pretrained(bundle / "onnx" / name).encode("the whale sings")
        np.testing.assert_array_equal(np.array(json.loads(vector), np.float32), expected)
        assert f"onnx/{name}" in hub.downloads
        assert not {"onnx/model.onnx_data", "onnx/bag.onnx", "onnx/text.onnx"} & set(hub.downloads)
        hub.asked.clear()
        assert run(IN_PRECISION, NAME, precision).out == answer.out
        assert hub.asked == []
    answer = run(IN_PRECISION, NAME, "float32")
    assert answer.out.splitlines()[0] == "one.onnx float32" or "bag.onnx float32" in answer.out, answer.error
    done = run("info", NAME, "--precision", "int8", cli=True)
    assert "precision:           int8" in done.out, done.error


def test_a_precision_that_is_not_there(hub: Hub, run: Script, bundles: dict[str, Path]) -> None:
    hub.add(NAME, bundles["tiny"])
    answer = run(IN_PRECISION, NAME, "int4")
    assert f"{NAME}: expected a table in int4, there is float32: export it again with --all-precisions" in answer.error
    assert "onnx/model.onnx_data" not in hub.downloads


def test_the_card_opens_the_repository(hub: Hub, run: Script, bundle: Path, tmp_path: Path) -> None:
    """Its examples name the repository, and its entry in config.json is the true one."""
    run("push", str(bundle), NAME, cli=True, HF_TOKEN=TOKEN)
    card = there(hub)["README.md"].decode()
    assert f'Model2VecEmbeddingFunction("{NAME}")' in card
    assert f'AutoModel.from_pretrained("{NAME}", {{ dtype: "q8" }})' in card
    assert "path/to/this/folder" not in card
    assert verify_bundle(hub.repositories[NAME]["main"]).largest <= 1e-6


def test_dry_run(hub: Hub, run: Script, bundle: Path) -> None:
    """Says all that a push would do, and does nothing: no repository, no file."""
    (bundle / "notes.txt").write_text("mine")
    done = run("push", str(bundle), NAME, "--dry-run", "--public", cli=True)
    assert done.code == 0, done.error
    assert "dry run: would push 16 files, " in done.out
    assert f"to the new public repository {NAME}; nothing was sent" in done.out
    assert "not sent  notes.txt, none of the bundle's files" in done.out
    assert hub.repositories == {}
    assert all(asked.startswith(("GET /api/models/", "HEAD ")) for asked in hub.asked)


def test_public(hub: Hub, run: Script, bundle: Path) -> None:
    """Only where that is said: for a new repository, and again for one that is public already."""
    assert run("push", str(bundle), NAME, "--public", cli=True, HF_TOKEN=TOKEN).code == 0
    assert hub.private == set()
    refused = run("push", str(bundle), NAME, cli=True, HF_TOKEN=TOKEN)
    assert refused.code == 1
    assert "is there already and public: give --public" in refused.error
    assert len(hub.commits) == 1


def test_a_broken_connection(hub: Hub, run: Script, bundle: Path) -> None:
    """No commit is made; the next push sends only the large files that had not arrived."""
    hub.fails = 1
    broken = run("push", str(bundle), NAME, cli=True, HF_TOKEN=TOKEN)
    assert broken.code == 1
    assert broken.error.count("\n") == 0
    assert "run the command again to go on" in broken.error
    assert hub.commits == []
    assert set(there(hub)) == {".gitattributes"}
    arrived = list(hub.uploads)
    done = run("push", str(bundle), NAME, cli=True, HF_TOKEN=TOKEN)
    assert done.code == 0, done.error
    assert not set(arrived) & set(hub.uploads[len(arrived) :])
    assert set(there(hub)) == set(files_of(bundle)) | {".gitattributes"}


def test_push_another_bundle_in_its_place(hub: Hub, run: Script, bundle: Path, tmp_path: Path, small: Path) -> None:
    """What the bundle before had and this one has not goes, in the same commit; files of others stay."""
    run("push", str(bundle), NAME, cli=True, HF_TOKEN=TOKEN)
    (hub.repositories[NAME]["main"] / "photo.png").write_bytes(b"mine")
    sent = len(hub.uploads)
    other = export_model(small, tmp_path / "other").folder
    done = run("push", str(other), NAME, "--message", "One precision", cli=True, HF_TOKEN=TOKEN)
    assert done.code == 0, done.error
    assert set(there(hub)) == set(files_of(other)) | {".gitattributes", "photo.png"}
    assert [commit.summary for commit in hub.commits][1:] == ["One precision"]
    assert sorted(hub.commits[1].deleted) == sorted(VARIANTS)
    assert len(hub.uploads) == sent
    again = run("push", str(other), NAME, cli=True, HF_TOKEN=TOKEN)
    assert again.code == 0, again.error


def test_a_repository_of_something_else(hub: Hub, run: Script, bundle: Path, small: Path) -> None:
    """A Model2Vec model's own card and configuration are not replaced, unless that is said."""
    hub.add(NAME, small)
    hub.private.add(NAME)
    refused = run("push", str(bundle), NAME, "--token", TOKEN, cli=True)
    assert refused.code == 1
    assert "holds no bundle but README.md, config.json, model.safetensors, modules.json" in refused.error
    assert "push under another name, or give --force" in refused.error
    assert hub.commits == []
    done = run("push", str(bundle), NAME, "--token", TOKEN, "--force", cli=True)
    assert done.code == 0, done.error
    assert set(there(hub)) == set(files_of(small)) | set(files_of(bundle))


def test_branches(hub: Hub, run: Script, bundle: Path) -> None:
    new = run("push", str(bundle), NAME, "--revision", "next", cli=True, HF_TOKEN=TOKEN)
    assert new.code == 1
    assert "would be a new repository, which has no branch 'next'" in new.error
    assert hub.repositories == {}
    hub.create(NAME, private=True)
    hub.add(NAME, hub.repositories[NAME]["main"], "next")
    done = run("push", str(bundle), NAME, "--revision", "next", cli=True, HF_TOKEN=TOKEN)
    assert done.code == 0, done.error
    assert set(there(hub)) == {".gitattributes"}
    assert set(there(hub, revision="next")) == set(files_of(bundle)) | {".gitattributes"}
    missing = run("push", str(bundle), NAME, "--revision", "nowhere", cli=True, HF_TOKEN=TOKEN)
    assert "it has no revision 'nowhere': check its name" in missing.error


def test_without_a_token(hub: Hub, run: Script, bundle: Path) -> None:
    refused = run("push", str(bundle), NAME, cli=True)
    assert refused.code == 1
    assert refused.error.count("\n") == 0
    assert "token" in refused.error
    assert hub.repositories == {}


def test_what_is_no_whole_bundle(bundle: Path, tmp_path: Path) -> None:
    """Looked at before the Hub is asked."""
    with pytest.raises(FileNotFoundError, match="is no bundle"):
        push_bundle(tmp_path, NAME)
    with pytest.raises(ValueError, match="expected the name of a Hub repository, owner/name, got 'name'"):
        push_bundle(bundle, "name")
    graph = bundle / "onnx" / "model_int8.onnx"
    whole = graph.read_bytes()
    graph.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ValueError, match=r"model_int8.onnx: expected sha256"):
        push_bundle(bundle, NAME)
    graph.unlink()
    with pytest.raises(ValueError, match=r"model_int8.onnx: this file of the bundle is missing"):
        push_bundle(bundle, NAME)


def test_offline(bundle: Path) -> None:
    with pytest.raises(UploadError, match="the Hub did not take 'owner/name'"):
        push_bundle(bundle, NAME)
