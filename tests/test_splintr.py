"""splintr, the fast library for Unigram and BPE: the same token ids as `tokenizers`, or it is left."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from m2v_export import export_model
from m2v_onnx import InvalidModelError, InvalidTextError, MissingExtraError, OnnxStaticModel
from m2v_onnx.vectors import probes
from m2v_onnx.vectors.by_splintr import SplintrTokens
from m2v_onnx.vectors.by_tokenizers import TokenizersTokens
from m2v_onnx.vectors.ragged import split, truncate
from tests.conftest import CORPUS, POTION_BUNDLE, SHARED_FOLDER, made_once
from tests.texts import CODE_POINTS, TEXTS


@pytest.fixture(scope="module", params=["unigram", "made-byte-level-bpe"])
def bundle(request: pytest.FixtureRequest, sources: dict[str, Path], bundles: dict[str, Path]) -> Path:
    pytest.importorskip("splintr")
    if request.param == "unigram":
        return made_once(SHARED_FOLDER / "unigram-for-splintr", lambda out: _export_plain(sources["made-unigram"], out))
    return bundles[request.param]


def _export_plain(source: Path, out: Path) -> None:
    """Without NFKC: see ``test_other_unicode_tables``."""
    copy = shutil.copytree(source, out.with_suffix(".source"))
    config = json.loads((copy / "tokenizer.json").read_bytes())
    (copy / "tokenizer.json").write_text(json.dumps(config | {"normalizer": None}))
    export_model(copy, out)


def test_other_unicode_tables(bundles: dict[str, Path]) -> None:
    """splintr 0.22 has Unicode's tables in a newer version than `tokenizers` 0.23: NFKC differs on some code points."""
    pytest.importorskip("splintr")
    with pytest.warns(UserWarning, match="splintr gives other token ids"):
        assert OnnxStaticModel.from_pretrained(bundles["made-unigram"]).tokens_from in ("graph", "tokenizers")


@pytest.fixture(scope="module")
def pair(bundle: Path) -> tuple[OnnxStaticModel, OnnxStaticModel]:
    """By splintr, and by `tokenizers`."""
    fast, slow = (OnnxStaticModel.from_pretrained(bundle, tokenizer=name) for name in ("splintr", "tokenizers"))
    return fast, slow


def test_auto_takes_it(bundle: Path) -> None:
    assert OnnxStaticModel.from_pretrained(bundle).tokens_from == "splintr"


@pytest.mark.parametrize("max_length", [512, 3, None])
def test_vectors(pair: tuple[OnnxStaticModel, OnnxStaticModel], max_length: int | None) -> None:
    found, expected = (model.encode([*TEXTS, *CORPUS], max_length=max_length) for model in pair)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * max(1.0, float(np.abs(expected).max())))


def test_one_text_at_a_time(pair: tuple[OnnxStaticModel, OnnxStaticModel]) -> None:
    for text in TEXTS:
        found, expected = (model.encode(text) for model in pair)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * max(1.0, float(np.abs(expected).max())))


def test_every_code_point(pair: tuple[OnnxStaticModel, OnnxStaticModel]) -> None:
    texts = [" ".join(f"a{chr(i)}b" for i in CODE_POINTS[at : at + 64]) for at in range(0, len(CODE_POINTS), 64)]
    assert pair[0].tokenize(texts) == pair[1].tokenize(texts)


def test_fuzzed_texts(pair: tuple[OnnxStaticModel, OnnxStaticModel]) -> None:
    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
    def check(texts: list[str]) -> None:
        assert pair[0].tokenize(texts) == pair[1].tokenize(texts)

    check()


def test_a_lone_surrogate(pair: tuple[OnnxStaticModel, OnnxStaticModel]) -> None:
    with pytest.raises(InvalidTextError, match=r"U\+D800"):
        pair[0].encode(["a", "\ud800"])


@pytest.mark.parametrize("unk_id", [0, 2])
def test_unknown_characters_count_as_they_do_in_tokenizers(tmp_path: Path, unk_id: int) -> None:
    """A run of them is one token, whatever piece stands for it; splintr takes the one named ``<unk>``, for each."""
    pytest.importorskip("splintr")
    pieces = [("[UNK]", 0.0), ("<pad>", 0.0), (".", -2.0), ("▁", -1.0), ("a", -2.0), ("b", -3.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    if unk_id == 0:
        tokenizer.add_special_tokens(["[UNK]"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    reference = TokenizersTokens.read(tmp_path / "tokenizer.json")
    fast = SplintrTokens.read(tmp_path / "tokenizer.json", reference.median_token_length, reference.unk_token_id)
    texts = ["a漢字b", "漢字", "漢", "字a", "a... b", "漢.字", "漢 字", "[UNK][UNK]漢字", "", "ab漢", "漢字"]
    for max_length in (None, 2):
        assert split(*fast.ids(texts, max_length)) == split(*reference.ids(texts, max_length))


def test_it_is_left_where_a_probe_differs(tmp_path: Path, bundle: Path) -> None:
    changed = shutil.copytree(bundle, tmp_path / "bundle")
    content = (changed / "probes.json").read_bytes()
    at = content.index(b'"checksums": "') + 14 + 16 * 5  # the sixth group's
    (changed / "probes.json").write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    with pytest.warns(UserWarning, match=r"splintr gives other token ids than .*probes\.json .*another tokenizer is"):
        assert OnnxStaticModel.from_pretrained(changed).tokens_from in ("graph", "tokenizers")
    with pytest.raises(InvalidModelError, match="other token ids"):
        OnnxStaticModel.from_pretrained(changed, tokenizer="splintr")


def test_a_bundle_without_probes(tmp_path: Path, bundle: Path) -> None:
    """As older exporters wrote them: it opens, and nothing unchecked is taken."""
    older = shutil.copytree(bundle, tmp_path / "bundle")
    (older / "probes.json").unlink()
    config = json.loads((older / "config.json").read_bytes())
    del config["m2v_onnx"]["files"]["probes.json"]
    (older / "config.json").write_text(json.dumps(config))
    assert OnnxStaticModel.from_pretrained(older).tokens_from in ("graph", "tokenizers")
    with pytest.raises(InvalidModelError, match=r"has no probes\.json to check splintr with"):
        OnnxStaticModel.from_pretrained(older, tokenizer="splintr")


def test_it_is_not_installed(monkeypatch: pytest.MonkeyPatch, bundles: dict[str, Path]) -> None:
    monkeypatch.setitem(sys.modules, "splintr", None)
    with pytest.raises(MissingExtraError, match=r"m2v-onnx\[fast\]"):
        OnnxStaticModel.from_pretrained(bundles["made-unigram"], tokenizer="splintr")


def test_wordpiece_has_no_probes() -> None:
    with pytest.raises(InvalidModelError, match=r"has no probes\.json"):
        OnnxStaticModel.from_pretrained(POTION_BUNDLE, tokenizer="splintr")


def test_the_texts_of_the_probes() -> None:
    """Other texts than a bundle's checksums were made of would be called a difference: raise VERSION with them."""
    found = probes.checksums(*TokenizersTokens.read(POTION_BUNDLE / "tokenizer.json").ids(probes.texts(), None))
    assert len(probes.texts()) > 5000
    assert {" ", "\t\n", "▁▁"} <= set(probes.texts())
    command = (
        "import hashlib; from m2v_onnx.vectors import probes;"
        "print(hashlib.sha256('\\0'.join(probes.texts()).encode()).hexdigest())"
    )
    said = subprocess.run([sys.executable, "-c", command], check=True, capture_output=True, text=True, timeout=60)
    assert said.stdout.strip() == "89ca6ba9282243526d4f396b278c56e1dd18d44e2ddd088791f055fc7e6f6db9"
    assert len(found) == -(-len(probes.texts()) // probes.GROUP)


def test_truncate() -> None:
    ids, offsets = truncate(np.array([1, 2, 3, 4, 5, 6]), np.array([0, 0, 4, 6]), 2)
    assert (ids.tolist(), offsets.tolist()) == ([1, 2, 5, 6], [0, 0, 2, 4])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_of_a_fork(bundle: Path) -> None:
    code = f"""
import os
from m2v_onnx import OnnxStaticModel
model = OnnxStaticModel.from_pretrained({str(bundle)!r}, tokenizer="splintr")
tokens = model._encoder._tokens
texts = ["a whale sings of the sea " * 20] * 3000
expected = tokens.ids(texts, None)[0]  # large enough for splintr's threads
child = os.fork()
if child == 0:
    os._exit(0 if (tokens.ids(texts, None)[0] == expected).all() else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
