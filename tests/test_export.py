"""The exporter: what is in a bundle, from what sources, and that it is complete or absent."""

import copy
import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from model2vec import StaticModel
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from m2v_export import ExportError, export_model, exporter, verify_bundle
from m2v_export.bundle.companions import write_tokenizer
from m2v_export.bundle.golden import TEXTS
from m2v_export.bundle.write import write_table
from m2v_export.graphs.kinds import bag_graph
from m2v_export.text import Limits, text_graph, without_vectors, wordpiece
from m2v_export.text.kinds import KINDS, TokenizerKind
from m2v_onnx import ModelNotFoundError, OnnxStaticModel
from m2v_onnx.commands.main import main
from m2v_onnx.models.bundle import sha256
from m2v_onnx.models.format import BAG, EXTRA, ONE, ORT_GRAPHS, ORT_OPERATORS, PADDED, PLAIN, TABLE, TEXT, VARIANTS
from m2v_onnx.ort import onnxruntime
from m2v_onnx.vectors.by_graph import TextGraph
from m2v_onnx.vectors.session import Session, SessionConfig
from tests.conftest import ALL_MODELS, COMMITTED_BUNDLE, CORPUS, POTION, ROOT, Pair, make_tokenizer

Pairs = Callable[[str], Pair]

BUNDLE_FILES = {
    "README.md",
    "config.json",
    "golden.json",
    BAG,
    ONE,
    PADDED,
    PLAIN,
    TABLE,
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
}
"""Of every bundle; text.onnx is there too where the tokenizer can be put into a graph."""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ALL_MODELS)
def test_files(name: str, bundles: dict[str, Path]) -> None:
    """The files of the format, each in config.json's list with its true size and sha256."""
    bundle = bundles[name]
    assert set(contents(bundle)) >= BUNDLE_FILES
    manifest = read_json(bundle / "config.json")["m2v_onnx"]
    assert manifest["format_version"] == 1
    assert set(manifest["files"]) == set(contents(bundle)) - {"config.json"}
    for path, entry in manifest["files"].items():
        assert entry == {"size": (bundle / path).stat().st_size, "sha256": sha256(bundle / path)}


def test_report(tmp_path: Path, small: Path) -> None:
    report = export_model(small, tmp_path / "out")
    assert report.folder == tmp_path / "out"
    assert set(report.files) - {TEXT} == BUNDLE_FILES - {"config.json"}
    assert report.files[TABLE]["size"] == (report.folder / TABLE).stat().st_size
    assert 0 <= report.differences.largest <= 1e-6
    assert report.differences.model2vec is not None


def test_the_same_source_gives_the_same_bytes(sources: dict[str, Path], tmp_path: Path) -> None:
    for name in ("made-bpe", "made-half-weighted", "made-unigram"):
        first, second = (export_model(sources[name], tmp_path / f"{name}-{i}").folder for i in range(2))
        assert contents(first) == contents(second)


def test_the_same_bytes_whatever_the_hash_seed(
    tmp_path: Path, sources: dict[str, Path], bundles: dict[str, Path]
) -> None:
    """In another process, where sets and vocabularies come in another order."""
    script = """
import sys
from m2v_export import export_model, exporter
exporter.check_text_ids = lambda *_: None  # takes seconds, and writes nothing
export_model(sys.argv[1], sys.argv[2])
"""
    arguments = [sys.executable, "-c", script, str(sources["made-wordlevel"]), str(tmp_path / "out")]
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    subprocess.run(arguments, env=os.environ | {"PYTHONHASHSEED": seed}, check=True)
    assert contents(tmp_path / "out") == contents(bundles["made-wordlevel"])


def test_the_committed_bundle_is_what_the_exporter_writes(tmp_path: Path) -> None:
    """make bundle"""
    fresh = export_model(POTION, tmp_path / "potion", name="minishlab/potion-base-2M", precision="int8").folder
    assert contents(fresh) == contents(COMMITTED_BUNDLE)


def test_the_table_is_stored_once_and_as_it_is(bundles: dict[str, Path], pairs: Pairs) -> None:
    for name in ("potion", "rs-float16", "rs-int8"):
        table = pairs(name).reference.embedding.copy()
        table[pairs(name).model.unk_token_id] = 0  # never summed: padding is
        stored = (bundles[name] / TABLE).read_bytes()
        assert stored == table.astype(table.dtype.newbyteorder("<")).tobytes()
        for path in (BAG, ONE, PADDED):
            model = onnx.load(bundles[name] / path, load_external_data=False)
            (outside,) = [t for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
            assert {e.key: e.value for e in outside.external_data}["location"] == "model.onnx_data"
            assert onnx.helper.tensor_dtype_to_np_dtype(outside.data_type) == table.dtype
            assert (bundles[name] / path).stat().st_size < 200_000


def test_files_can_be_read_by_others(tmp_path: Path, small: Path) -> None:
    """Folder and files follow the umask: onnx' own external data would be for the owner only."""
    bundle = export_model(small, tmp_path / "out").folder
    (tmp_path / "plain").touch()
    plain = (tmp_path / "plain").stat().st_mode & 0o777
    assert all(path.stat().st_mode & 0o777 == plain for path in bundle.rglob("*") if path.is_file())
    assert bundle.stat().st_mode & 0o666 == plain


def test_single_file(tmp_path: Path, bundles: dict[str, Path]) -> None:
    """Each graph stands alone: it runs from bytes, with no file beside it, and gives the same vectors."""
    bundle = export_model(POTION, tmp_path / "single", single_file=True).folder
    assert set(contents(bundle)) - {TEXT} == BUNDLE_FILES - {TABLE}
    assert read_json(bundle / "config.json")["transformers.js_config"] == {"dtype": "fp32"}
    model, outside = (OnnxStaticModel.from_pretrained(folder) for folder in (bundle, bundles["potion"]))
    np.testing.assert_array_equal(model.encode(CORPUS), outside.encode(CORPUS))
    for path in (BAG, ONE, PADDED):
        onnx.checker.check_model(onnx.load_from_string((bundle / path).read_bytes()))
        session = onnxruntime.InferenceSession((bundle / path).read_bytes(), providers=["CPUExecutionProvider"])
        second = {BAG: ("offsets", [0]), ONE: None, PADDED: ("attention_mask", [[1, 1]])}[path]
        feeds = {"input_ids": np.array([[7592, 2088]] if path == PADDED else [7592, 2088])}
        if second is not None:
            feeds[second[0]] = np.array(second[1])
        assert session.run(["sentence_embedding"], feeds)[0].shape == (1, 64)


def padded_vectors(path: Path) -> Any:
    feeds = {"input_ids": np.array([[0, 5, 7], [9, 3, 0]]), "attention_mask": np.array([[1, 1, 1], [1, 1, 0]])}
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return session.run(["sentence_embedding"], feeds)[0]


def test_all_precisions(tmp_path: Path, small: Path) -> None:
    """model.onnx as it was, and beside it what --precision gives, each in one file that runs from bytes."""
    bundle = export_model(small, tmp_path / "all", all_precisions=True).folder
    assert set(contents(bundle)) - {TEXT} == BUNDLE_FILES | set(VARIANTS)
    plain = export_model(small, tmp_path / "plain").folder
    for path in (BAG, ONE, PADDED, TABLE, "golden.json", "tokenizer.json"):
        assert (bundle / path).read_bytes() == (plain / path).read_bytes()
    config = read_json(bundle / "config.json")
    assert config["transformers.js_config"] == {"use_external_data_format": {"model.onnx": 1}}
    assert config["m2v_onnx"]["files"].keys() - {TEXT} == BUNDLE_FILES - {"config.json"}
    assert config["m2v_onnx"]["variants"].keys() == VARIANTS.keys()
    for precision in set(VARIANTS.values()):
        alone = export_model(small, tmp_path / precision, precision=precision, single_file=True).folder
        for path in (path for path, of in VARIANTS.items() if of == precision):
            assert config["m2v_onnx"]["variants"][path]["sha256"] == sha256(bundle / path)
            np.testing.assert_array_equal(padded_vectors(bundle / path), padded_vectors(alone / PADDED))
    assert OnnxStaticModel.from_pretrained(bundle / "onnx" / "model_q4.onnx").encode("the whale").shape == (24,)


def test_all_precisions_are_verified(tmp_path: Path, small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those that are in the folder; a download has none."""
    bundle = export_model(small, tmp_path / "all", all_precisions=True).folder
    assert verify_bundle(bundle, small).variants.keys() == VARIANTS.keys()
    (bundle / "onnx" / "model_fp16.onnx").unlink()
    assert main(["verify", str(bundle)]) == main(["info", str(bundle)]) == 0
    out = capsys.readouterr().out
    assert "onnx/model_fp16.onnx: not in the folder, not checked\n" in out
    assert out.count("onnx/model_fp16.onnx") == 1
    assert out.count("  onnx/model_q4.onnx\n") == 1
    assert verify_bundle(bundle).variants.keys() == VARIANTS.keys() - {"onnx/model_fp16.onnx"}
    with (bundle / "onnx" / "model_q4.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match=r"model_q4.onnx: expected sha256"):
        verify_bundle(bundle)


def test_all_precisions_of_a_narrow_table(sources: dict[str, Path], tmp_path: Path) -> None:
    """A wider table than the source's would hold no more: that file has the source's own, and a note says so."""
    report = export_model(sources["rs-int8"], tmp_path / "all", all_precisions=True)
    assert [note.partition(" has ")[0] for note in report.notes if " has the source's own" in note] == [
        "onnx/model_fp16.onnx"
    ]
    assert report.differences.variants["onnx/model_fp16.onnx"] == pytest.approx(1, abs=1e-9)


def test_all_precisions_of_large_values(tmp_path: Path) -> None:
    """Beyond float16: that file is left out, and a note says why."""
    tokenizer = make_tokenizer("wordlevel")
    table = np.random.default_rng(1).normal(size=(tokenizer.get_vocab_size(), 8)).astype(np.float32) * 100_000
    report = export_model(StaticModel(vectors=table, tokenizer=tokenizer), tmp_path / "all", all_precisions=True)
    assert report.differences.variants.keys() == VARIANTS.keys() - {"onnx/model_fp16.onnx"}
    assert any(note.startswith("There is no onnx/model_fp16.onnx: precision float16: it ends") for note in report.notes)


def test_all_precisions_and_one(tmp_path: Path, small: Path) -> None:
    with pytest.raises(ValueError, match=r"precision 'int8' and all_precisions: .* give one of the two"):
        export_model(small, tmp_path / "out", precision="int8", all_precisions=True)


def operators(graph: onnx.GraphProto) -> set[str]:
    bodies = [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]
    return {node.op_type for node in graph.node}.union(*map(operators, bodies))


def test_ort_format(tmp_path: Path, small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each graph in one file that onnxruntime runs from bytes, and a list with just their operators."""
    report = export_model(small, tmp_path / "out", format="ort", single_file=True)
    bundle = report.folder
    assert set(contents(bundle)) == BUNDLE_FILES - {TABLE} | {TEXT, *ORT_GRAPHS, ORT_OPERATORS}
    assert report.differences.graphs.keys() >= ORT_GRAPHS.keys()
    manifest = read_json(bundle / "config.json")["m2v_onnx"]
    assert manifest["variants"].keys() == {*ORT_GRAPHS, ORT_OPERATORS}
    np.testing.assert_array_equal(padded_vectors(bundle / "ort" / "model.ort"), padded_vectors(bundle / PADDED))
    lines = (bundle / ORT_OPERATORS).read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"ai\.onnx;\d+;[A-Za-z,]+", line) for line in lines)
    graphs = [onnx.load(bundle / path, load_external_data=False).graph for path in ORT_GRAPHS.values()]
    assert {name for line in lines for name in line.split(";")[2].split(",")} == set().union(*map(operators, graphs))

    assert main(["verify", str(bundle)]) == 0
    assert "ort/text.ort: token ids equal" in capsys.readouterr().out
    (bundle / "ort" / "bag.ort").unlink()
    assert main(["verify", str(bundle)]) == 0
    assert capsys.readouterr().out.count("not in the folder") == 1
    with (bundle / "ort" / "one.ort").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match=r"one.ort: expected sha256"):
        verify_bundle(bundle)


def test_ort_format_in_all_precisions(tmp_path: Path, small: Path) -> None:
    bundle = export_model(small, tmp_path / "out", format="ort", all_precisions=True).folder
    assert read_json(bundle / "config.json")["m2v_onnx"]["variants"].keys() == set(EXTRA)


def test_no_other_format(tmp_path: Path, small: Path) -> None:
    with pytest.raises(ValueError, match=r"format: expected onnx or ort, got 'tflite'"):
        export_model(small, tmp_path / "out", format="tflite")


def test_no_limit_in_tokenizer_config(bundles: dict[str, Path]) -> None:
    """transformers writes 1e30 for it; FastEmbed refuses a bundle without a number that fits an int64."""
    settings = read_json(bundles["made-unlimited"] / "tokenizer_config.json")
    assert (settings["model_max_length"], settings["max_length"]) == (int(1e30), 2**31 - 1)


def test_single_file_that_onnx_would_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Path) -> None:
    monkeypatch.setattr("m2v_export.bundle.write.MAX_MODEL_BYTES", 10_000)
    with pytest.raises(ExportError, match=r"without --single-file"):
        export_model(small, tmp_path / "out", single_file=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("normalize", [True, False])
def test_normalize_as_an_option(normalize: bool, tmp_path: Path, small: Path) -> None:
    reference = StaticModel.from_pretrained(small)
    bundle = export_model(small, tmp_path / "out", normalize=normalize).folder
    model = OnnxStaticModel.from_pretrained(bundle)
    assert model.normalize is normalize
    wanted = reference.encode(CORPUS, normalize=normalize)
    np.testing.assert_allclose(model.encode(CORPUS), wanted, rtol=0, atol=1e-6 * max(1.0, np.abs(wanted).max()))
    assert read_json(bundle / "config.json")["normalize"] is normalize
    word = ("divided by their L2 norm", "not normalized")[not normalize]
    assert word in (bundle / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("max_length", [3, 700, None])
def test_max_length_as_an_option(max_length: int | None, tmp_path: Path, small: Path) -> None:
    reference = StaticModel.from_pretrained(small)
    bundle = export_model(small, tmp_path / "out", max_length=max_length).folder
    model = OnnxStaticModel.from_pretrained(bundle)
    assert model.max_length == max_length
    texts = ["whale " * 1000, *CORPUS]
    wanted = reference.encode(texts, max_length=max_length)
    np.testing.assert_allclose(model.encode(texts), wanted, rtol=0, atol=1e-6)
    assert read_json(bundle / "config.json")["max_length"] == max_length
    truncation = read_json(bundle / "tokenizer.json")["truncation"]
    assert (truncation and truncation["max_length"]) == max_length
    assert read_json(bundle / "tokenizer_config.json")["model_max_length"] == max_length or max_length is None


@pytest.mark.parametrize("bad", [0, -1, 2.5, "512", True])
def test_wrong_max_length(bad: Any, tmp_path: Path, small: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(bad))):
        export_model(small, tmp_path / "out", max_length=bad)
    assert list(tmp_path.iterdir()) == []


def test_all_layouts_give_the_same_graphs(small: Path, tmp_path: Path) -> None:
    """model2vec's own, sentence-transformers' and the nested one."""
    flat, nested = tmp_path / "flat", tmp_path / "nested"
    shutil.copytree(small, flat)
    (flat / "config.json").unlink()
    (flat / "config_sentence_transformers.json").write_text("{}")
    save_file({"embedding.weight": load_file(small / "model.safetensors")["embeddings"]}, flat / "model.safetensors")
    (nested / "0_StaticEmbedding").mkdir(parents=True)
    shutil.copy(flat / "config_sentence_transformers.json", nested)
    for name in ("model.safetensors", "tokenizer.json"):
        shutil.copy(flat / name, nested / "0_StaticEmbedding")
    found = [
        export_model(source, tmp_path / f"out{i}", name="m", normalize=True).folder
        for i, source in enumerate((small, flat, nested))
    ]
    for path in (BAG, ONE, PADDED, TABLE, "tokenizer.json"):
        assert len({(folder / path).read_bytes() for folder in found}) == 1


def test_subfolder(tmp_path: Path, small: Path) -> None:
    shutil.copytree(small, tmp_path / "repo" / "inner")
    bundle = export_model(tmp_path / "repo", tmp_path / "out", subfolder="inner").folder
    assert OnnxStaticModel.from_pretrained(bundle).dim == 24


def test_static_model_object(tmp_path: Path, small: Path) -> None:
    """A model in memory, a quantized one too, without a file of its own."""
    rng = np.random.default_rng(0)
    tokenizer = make_tokenizer("wordlevel")
    made = StaticModel(
        vectors=rng.normal(size=(tokenizer.get_vocab_size(), 8)).astype(np.float32),
        tokenizer=tokenizer,
        normalize=True,
        max_length=40,
    )
    for name, source in {"made": made, "int8": StaticModel.from_pretrained(small, quantize_to="int8")}.items():
        bundle = export_model(source, tmp_path / name).folder
        model = OnnxStaticModel.from_pretrained(bundle)
        assert (model.normalize, model.max_length) == (source.normalize, source.max_length)
        found, wanted = model.encode(CORPUS), source.encode(CORPUS)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 * max(1.0, float(np.abs(wanted).max())))


def test_a_source_s_tokenizer_is_left_as_it_was(tmp_path: Path, small: Path) -> None:
    source = StaticModel.from_pretrained(small)
    before, vectors = source.tokenizer.to_str(), source.encode(CORPUS)
    export_model(source, tmp_path / "out", max_length=3, normalize=False)
    assert source.tokenizer.to_str() == before
    np.testing.assert_array_equal(source.encode(CORPUS), vectors)


def test_golden_vectors_are_model2vec_s(bundles: dict[str, Path], potion_reference: StaticModel) -> None:
    golden = read_json(bundles["potion"] / "golden.json")
    texts = [entry["text"] for entry in golden["texts"]]
    assert texts == list(TEXTS)
    vectors = np.array([entry["sentence_embedding"] for entry in golden["texts"]], np.float32)
    np.testing.assert_allclose(vectors, potion_reference.encode(texts), rtol=0, atol=1e-6)
    ids = potion_reference.tokenize([text[: 512 * potion_reference.median_token_length] for text in texts])
    assert [entry["input_ids"] for entry in golden["texts"]] == ids
    assert golden["tolerance"] == 1e-6
    assert (bundles["potion"] / "golden.json").read_bytes().isascii()


def test_nobody_adds_special_tokens(bundles: dict[str, Path]) -> None:
    for name in ("potion", "made-byte-level-bpe"):
        content = read_json(bundles[name] / "tokenizer.json")
        assert content["post_processor"] is None
        assert content["padding"] is None
        tokenizer = Tokenizer.from_file(str(bundles[name] / "tokenizer.json"))
        with_them, without = (tokenizer.encode("the whale", add_special_tokens=add).ids for add in (True, False))
        assert with_them == without


def test_config_for_other_programs(bundles: dict[str, Path]) -> None:
    """What transformers.js, FastEmbed and Text Embeddings Inference read, and what the source said."""
    config = read_json(bundles["potion"] / "config.json")
    tokenizer = Tokenizer.from_file(str(bundles["potion"] / "tokenizer.json"))
    assert config["model_type"] == "model2vec"
    assert config["architectures"] == ["StaticModel"]
    assert config["hidden_size"] == config["hidden_dim"] == 64
    assert config["vocab_size"] == tokenizer.get_vocab_size()
    assert config["max_position_embeddings"] == config["max_length"] == 512
    assert config["pad_token_id"] == tokenizer.token_to_id("[PAD]")
    assert config["normalize"] is True
    assert config["embedding_dtype"] == "float32"
    assert config["transformers.js_config"] == {"dtype": "fp32", "use_external_data_format": {"model.onnx": 1}}
    source = read_json(POTION / "config.json")
    assert {key: config[key] for key in source if key not in config.keys() & {"architectures", "model_type"}} == {
        key: value for key, value in source.items() if key not in {"architectures", "model_type"}
    }
    settings = read_json(bundles["potion"] / "tokenizer_config.json")
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert settings["model_max_length"] == settings["max_length"] == 512
    assert settings["pad_token"] == "[PAD]"
    assert settings["unk_token"] == "[UNK]"
    assert read_json(bundles["potion"] / "special_tokens_map.json") == {"pad_token": "[PAD]", "unk_token": "[UNK]"}


def test_card(tmp_path: Path) -> None:
    """Licence, attribution, sizes, sha256, the measured parity, and code that runs."""
    bundle = export_model(POTION, tmp_path / "out", name="minishlab/potion-base-2M", revision="abc123").folder
    text = (bundle / "README.md").read_text(encoding="utf-8")
    front = text.split("---\n")[1]
    assert "license: mit\n" in front
    assert "base_model: minishlab/potion-base-2M\n" in front
    assert "minishlab/potion-base-2M at abc123" in text
    assert "float32, 64 dimensions, divided by their L2 norm" in text
    assert "on golden.json | at most 1e-06 |" in text
    for path in BUNDLE_FILES - {"README.md", "config.json"}:
        assert f"| `{path}` | {(bundle / path).stat().st_size:,} | `{sha256(bundle / path)}` |" in text
    behind_milvus, bare = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", bare + "print(vectors.shape)"], cwd=bundle, capture_output=True, text=True, check=True
    )
    assert done.stdout == "(2, 64)\n"
    scope: dict[str, Any] = {}
    exec(behind_milvus.replace("path/to/this/folder", bundle.as_posix()), scope)
    assert len(scope["vectors"]) == 2


@pytest.mark.parametrize(("name", "bound"), [("rs-float32", 1e-6), ("rs-float16", 1e-3), ("rs-int8", 1e-5)])
def test_the_card_s_bound_holds(name: str, bound: float, bundles: dict[str, Path], pairs: Pairs) -> None:
    text = (bundles[name] / "README.md").read_text(encoding="utf-8")
    said = re.search(r"on golden.json \| at most (\S+) \|", text)
    assert said is not None
    pair = pairs(name)
    found = np.abs(pair.model.encode(list(TEXTS)) - pair.reference.encode(list(TEXTS)).astype(np.float32)).max()
    assert found <= float(said[1]) <= bound


def test_a_source_without_licence_is_not_given_one(tmp_path: Path, small: Path) -> None:
    source = Path(shutil.copytree(small, tmp_path / "source"))
    (source / "README.md").unlink()
    text = (export_model(source, tmp_path / "out").folder / "README.md").read_text(encoding="utf-8")
    assert "license:" not in text.split("---\n")[1]
    assert "not stated by the source" in text


def test_existing_output(tmp_path: Path, small: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("mine")
    with pytest.raises(ExportError, match=r"out exists: choose another output folder, or delete it"):
        export_model(small, tmp_path / "out")
    assert contents(tmp_path) == {"out/precious.txt": b"mine"}


@pytest.mark.parametrize("kind", ["file", "broken link", "empty folder"])
def test_anything_in_the_output_s_place(kind: str, tmp_path: Path, small: Path) -> None:
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("")
    elif kind == "empty folder":
        out.mkdir()
    else:
        out.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ExportError, match="exists"):
        export_model(small, out)
    assert list(tmp_path.iterdir()) == [out]


def test_output_that_cannot_be_written(tmp_path: Path, small: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ExportError, match=r"cannot write .*nothing was left there"):
        export_model(small, tmp_path / "file" / "out")
    assert contents(tmp_path) == {"file": b"in the way"}


def test_new_parents_are_made(tmp_path: Path, small: Path) -> None:
    assert export_model(small, tmp_path / "a" / "b").folder.is_dir()


@pytest.mark.parametrize("file", ["bag.onnx", "model.onnx", "model.onnx_data", "tokenizer.json", "README.md"])
def test_full_disk(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Path) -> None:
    """Wherever the disk fills up, the error says so and nothing stays."""
    write_bytes = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name == file:
            write_bytes(path, content[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_bytes(path, content)

    def full_tokenizer(path: Path, source: Any) -> None:
        write_tokenizer(Path("/dev/full") if path.name == file else path, source)

    def full_table(path: Path, tensors: Any) -> None:
        if path.name == file:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_table(path, tensors)

    monkeypatch.setattr(Path, "write_bytes", full)
    if file == "tokenizer.json" and not Path("/dev/full").exists():
        pytest.skip("tokenizers writes this file itself, and there is no /dev/full")
    monkeypatch.setattr("m2v_export.exporter.write_table", full_table)
    monkeypatch.setattr("m2v_export.exporter.write_tokenizer", full_tokenizer)
    with pytest.raises(ExportError, match=r"No space left on device.*; nothing was left there"):
        export_model(small, tmp_path / "deep" / "out")
    assert not [*tmp_path.iterdir()]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file size are POSIX'")
def test_the_system_refuses_to_write_more(tmp_path: Path) -> None:
    """With a real limit of the kernel, in the middle of the table; no text graph, whose making takes seconds."""
    script = """
import resource, sys
from m2v_export.text.kinds import KINDS
from m2v_onnx.commands.main import main
KINDS.clear()
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
sys.exit(main(sys.argv[1:]))
"""
    arguments = [sys.executable, "-c", script, "export", str(POTION), str(tmp_path / "out")]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_failed_check_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Path) -> None:
    """A graph that is wrong for few texts only, those that are filled up with a token that counts, is not written."""

    def wrong(embedding: Any, metadata: Any) -> Any:
        return bag_graph(replace(embedding, unk_token_id=5), metadata)

    monkeypatch.setattr("m2v_export.exporter.bag_graph", wrong)
    with pytest.raises(ExportError, match=r"onnx/bag\.onnx differs from the golden vectors by .*, expected at most"):
        export_model(small, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_export_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Path) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("m2v_export.exporter.check_bundle", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_model(small, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_no_source(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"no file or folder .*nothing"):
        export_model(tmp_path / "nothing", tmp_path / "out")
    with pytest.raises(ModelNotFoundError, match=r"config\.json, model\.safetensors, tokenizer\.json"):
        export_model(tmp_path, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_neither_torch_nor_network(tmp_path: Path, tiny: Path) -> None:
    """A local source, with both out of reach."""
    script = """
import socket, sys
for name in ("torch", "transformers", "sentence_transformers"):
    sys.modules[name] = None
def refuse(*arguments, **options):
    raise AssertionError("asked the network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from m2v_export import export_model
export_model(sys.argv[1], sys.argv[2])
assert "torch" not in {name for name, module in sys.modules.items() if module is not None}
"""
    subprocess.run([sys.executable, "-c", script, str(tiny), str(tmp_path / "out")], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux' peak memory in KiB")
def test_memory_of_an_export(tmp_path: Path) -> None:
    """A larger table costs less than half its size: 120 MB more table, less than 60 MB more memory."""
    script = """
import resource, sys
import numpy as np
from model2vec import StaticModel
from tokenizers import Tokenizer, models
rows, dim, out = int(sys.argv[1]), 512, sys.argv[2]
from safetensors.numpy import save_file
tokenizer = Tokenizer(models.WordLevel({f"w{i}": i for i in range(rows)}, unk_token="w0"))
StaticModel(np.zeros((rows, 4), np.float32), tokenizer).save_pretrained(out + "-source")
table = np.lib.format.open_memmap(out + ".npy", "w+", np.float32, (rows, dim))
table[:] = 0.5
save_file({"embeddings": np.asarray(table)}, out + "-source/model.safetensors")
"""
    measure = """
import re, sys
from m2v_export import export_model
export_model(sys.argv[1] + "-source", sys.argv[1])
print(int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1]) >> 10)
"""
    peaks = []
    for rows in (1000, 60_000):
        out = str(tmp_path / f"m{rows}")
        subprocess.run([sys.executable, "-c", script, str(rows), out], check=True)
        done = subprocess.run([sys.executable, "-c", measure, out], check=True, capture_output=True, text=True)
        peaks.append(int(done.stdout))
    # 59,000 words also cost some 10 MB in a tokenizer.
    assert peaks[1] - peaks[0] < 60


@pytest.mark.parametrize("name", ["potion", "rs-float32", "made-wordlevel"])
def test_ids_are_checked_without_the_table(tmp_path: Path, bundles: dict[str, Path], name: str) -> None:
    """For thousands of texts all its rows would come into memory."""
    whole = onnx.load(bundles[name] / TEXT, load_external_data=False)
    ids_alone = without_vectors(whole)
    assert {"table"} <= {t.name for t in whole.graph.initializer} - {t.name for t in ids_alone.graph.initializer}
    (tmp_path / "ids.onnx").write_bytes(ids_alone.SerializeToString())
    (tmp_path / Path(TABLE).name).write_bytes((bundles[name] / TABLE).read_bytes())
    graphs = [TextGraph(Session(path, SessionConfig())) for path in (bundles[name] / TEXT, tmp_path / "ids.onnx")]
    (ids, starts), (ids_of_it, starts_of_it) = (graph.ids(TEXTS) for graph in graphs)
    assert len(ids) > len(TEXTS)
    np.testing.assert_array_equal(ids, ids_of_it)
    np.testing.assert_array_equal(starts, starts_of_it)


def test_verify(tmp_path: Path, small: Path) -> None:
    bundle = export_model(small, tmp_path / "out").folder
    assert verify_bundle(bundle).model2vec is None
    differences = verify_bundle(bundle, small)
    assert set(differences.graphs) - {TEXT} == {BAG, ONE, PADDED, PLAIN}
    assert differences.model2vec is not None
    assert differences.largest <= 1e-6


def test_verify_against_another_model(bundles: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"model2vec (differs|gives other token ids)"):
        verify_bundle(bundles["made-bpe"], POTION)
    source = StaticModel.from_pretrained(POTION)
    other = StaticModel(source.embedding[::-1].copy(), source.tokenizer, normalize=True)
    with pytest.raises(ExportError, match="model2vec differs from the golden vectors"):
        verify_bundle(bundles["potion"], other)


def test_the_bundle_s_licence_files_are_the_source_s() -> None:
    """The genuine model in models/ is the one that its README names."""
    text = (ROOT / "models" / "potion-base-2M" / "README.md").read_text(encoding="utf-8")
    assert "license: mit" in text
    assert "minishlab" in text.lower()


def test_one_tokenizer_at_a_time(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large ones take hundreds of megabytes: the source's is read, then the bundle's, and none is copied."""
    parsed: list[str] = []
    from_file, deepcopy = Tokenizer.from_file, copy.deepcopy

    class Counted:
        @staticmethod
        def from_file(path: str) -> Tokenizer:
            parsed.append(Path(path).parent.name)
            return from_file(path)

    def copied(value: Any, *more: Any) -> Any:
        if isinstance(value, Tokenizer):
            parsed.append("a copy")
        return deepcopy(value, *more)

    monkeypatch.setattr("m2v_export.source.model.Tokenizer", Counted)
    monkeypatch.setattr("m2v_onnx.vectors.by_tokenizers.Tokenizer", Counted)
    monkeypatch.setattr(copy, "deepcopy", copied)
    export_model(small, tmp_path / "out")
    assert parsed[0] == small.name
    assert len(parsed) == 2, parsed


@pytest.mark.parametrize("added", ["special", "plain", "not"])
def test_roles_are_for_added_special_tokens(added: str, tmp_path: Path) -> None:
    """A role makes a token special in transformers, and texts are cut at it: an ordinary piece must have none."""
    tokenizer = Tokenizer(models.WordLevel({".": 0, "a": 1, "<pad>": 2}, unk_token="."))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = added == "special"
    if special:
        tokenizer.add_special_tokens([".", "<pad>"])
    elif added == "plain":
        tokenizer.add_tokens([".", "<pad>"])
    StaticModel(vectors=np.ones((3, 8), np.float32), tokenizer=tokenizer).save_pretrained(tmp_path / "source")
    export_model(tmp_path / "source", tmp_path / "out")
    settings = read_json(tmp_path / "out" / "tokenizer_config.json")
    roles = {"unk_token": ".", "pad_token": "<pad>"}
    assert {key: settings[key] for key in roles if key in settings} == (roles if special else {"pad_token": "[PAD]"})
    assert read_json(tmp_path / "out" / "special_tokens_map.json") == (roles if special else {})
    assert OnnxStaticModel.from_pretrained(tmp_path / "out").unk_token_id == 0


def test_wrong_ids_of_the_text_graph_fail_the_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is refused beforehand is a note; a graph that is nearly right is a defect."""

    def cuts_too_early(*arguments: Any, limits: Limits, **others: Any) -> Any:
        return text_graph(*arguments, limits=replace(limits, tokens=3), **others)

    monkeypatch.setattr(exporter, "text_graph", cuts_too_early)
    with pytest.raises(ExportError, match=r"text\.onnx gives other token ids .* please report it"):
        export_model(POTION, tmp_path / "out")
    assert contents(tmp_path) == {}


def test_a_fault_of_ours_is_no_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_: object) -> None:
        raise ValueError("shapes do not match")

    monkeypatch.setattr("m2v_export.text.wordpiece.tables.read_codes", fault)
    monkeypatch.setitem(KINDS, "WordPiece", TokenizerKind(wordpiece.read_tables, wordpiece.build_ids))
    with pytest.raises(ValueError, match="shapes do not match"):
        export_model(POTION, tmp_path / "out")
    assert not [*tmp_path.iterdir()]
