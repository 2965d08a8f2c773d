"""Tokenizers without a usable unknown token: what is known works as in model2vec, what is not is named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model2vec import StaticModel
from tokenizers import Tokenizer, models, pre_tokenizers

from m2v_export import export_model, verify_bundle
from m2v_onnx import InvalidModelError, InvalidTextError, OnnxStaticModel
from m2v_onnx.commands.main import main

VOCAB = {"a": 0, "b": 1, "ab": 2, "##b": 3, "c": 4}
KINDS: dict[str, Any] = {
    "Unigram without": lambda: models.Unigram([("a", -1.0), ("b", -2.0), ("ab", -1.5), ("c", -3.0)], unk_id=None),
    "WordPiece's is not in the vocabulary": lambda: models.WordPiece(VOCAB, unk_token="[UNK]"),
    "WordLevel's is not in the vocabulary": lambda: models.WordLevel(VOCAB, unk_token="[UNK]"),
    "BPE's is not in the vocabulary": lambda: models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")], unk_token="[UNK]"),
}
KNOWN = ["a b", "ab a", "", "a"]


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    tokenizer = Tokenizer(KINDS[request.param]())
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 8)).astype(np.float32)
    StaticModel(vectors=table, tokenizer=tokenizer, normalize=True).save_pretrained(tmp_path / "source")
    return tmp_path / "source"


def test_known_texts_are_as_in_model2vec(source: Path, tmp_path: Path) -> None:
    report = export_model(source, tmp_path / "bundle")
    assert any("golden.json lacks" in note and "no unknown token" in note for note in report.notes)
    golden = json.loads((tmp_path / "bundle" / "golden.json").read_text())["texts"]
    assert "" in [text["text"] for text in golden]
    assert verify_bundle(tmp_path / "bundle", source).largest < 1e-6
    model, reference = OnnxStaticModel.from_pretrained(tmp_path / "bundle"), StaticModel.from_pretrained(source)
    assert model.unk_token_id is None
    np.testing.assert_allclose(model.encode(KNOWN), reference.encode(KNOWN), rtol=0, atol=1e-6)
    np.testing.assert_allclose(model.encode(KNOWN * 200), reference.encode(KNOWN * 200), rtol=0, atol=1e-6)
    assert model.tokenize(KNOWN) == reference.tokenize(KNOWN)


def test_unknown_texts_are_named(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export_model(source, tmp_path / "bundle")
    model = OnnxStaticModel.from_pretrained(tmp_path / "bundle")
    for encode in (model.encode, model.tokenize, lambda texts: list(model.encode_iter(texts, batch_size=1))):
        with pytest.raises(InvalidTextError, match=r"text 1 cannot be tokenized: 'a ζ' has a part without a token"):
            encode(["a b", "a ζ"])
    with pytest.raises(InvalidTextError, match="text 0 cannot be tokenized"):
        model.encode("a ζ")
    with pytest.raises(InvalidTextError, match="text 2999 cannot be tokenized: 'a ζ'"):
        model.encode(["a b"] * 2999 + ["a ζ"])
    assert main(["embed", str(tmp_path / "bundle"), "a ζ"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "text 0 cannot be tokenized" in error


def test_an_unknown_id_that_is_not_there(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.Unigram([("a", -1.0), ("b", -2.0)], unk_id=0))
    StaticModel(vectors=np.ones((2, 4), np.float32), tokenizer=tokenizer).save_pretrained(tmp_path / "source")
    path = tmp_path / "source" / "tokenizer.json"
    config = json.loads(path.read_text())
    config["model"]["unk_id"] = 7
    path.write_text(json.dumps(config))
    with pytest.raises(InvalidModelError, match=r"tokenizer\.json"):
        export_model(tmp_path / "source", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
