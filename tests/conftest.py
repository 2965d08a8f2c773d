"""Models for the tests: the genuine one in models/, model2vec-rs' small ones, and those that are made here."""

import hashlib
import json
import os
import pickle
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from model2vec import StaticModel
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from m2v_export import export_model
from m2v_export.text import unigram, wordpiece
from m2v_export.text.kinds import KINDS, TokenizerKind
from m2v_export.text.samples import code_point_texts
from m2v_export.text.tables import graphemes, probe
from m2v_onnx import OnnxStaticModel
from tests.hub_server import Hub, Script, runner, serving

ROOT = Path(__file__).parent.parent
POTION = ROOT / "models" / "potion-base-2M"
COMMITTED_BUNDLE = ROOT / "models" / "potion-base-2M-onnx"
"""The one in the wheel: int8."""

for _number in (signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)):  # Windows has no SIGHUP
    # A job in the background, or under nohup, ignores these. What is ignored stays so in the commands that tests start
    # and stop with them; what is handled by a function does not.
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)

if "M2V_ONNX_TESTS" not in os.environ:
    # The first process of a run makes it and removes it; pytest-xdist's workers inherit the variable.
    _TEMPORARY = tempfile.TemporaryDirectory(prefix="m2v-onnx-tests-", ignore_cleanup_errors=True)
    os.environ["M2V_ONNX_TESTS"] = _TEMPORARY.name
SHARED_FOLDER = Path(os.environ["M2V_ONNX_TESTS"])
"""What is made once for all workers of a run."""

POTION_BUNDLE = SHARED_FOLDER / "potion-base-2M-onnx"
"""The same in float32, exported when the tests begin."""

DATA = ROOT / "tests" / "data"

settings.register_profile("m2v", deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
settings.load_profile("m2v")

RS_MODELS = ("float32", "float16", "int8", "sentence-transformers", "vocab-quantized")
MADE_MODELS = ("bpe", "byte-level-bpe", "wordlevel", "unigram", "weighted", "nested", "unlimited", "half-weighted")
ALL_MODELS = ("potion", *(f"rs-{name}" for name in RS_MODELS), *(f"made-{name}" for name in MADE_MODELS))

T = TypeVar("T")

CORPUS = (DATA / "corpus.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's caches, or asks the network."""
    monkeypatch.setenv("M2V_ONNX_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(scope="session", autouse=True)
def potion_bundle() -> Iterator[None]:
    """POTION_BUNDLE, and exports in a fraction of their seconds: what is asked of a tokenizer is asked once, and
    text.onnx is checked with fewer texts. The tests of each kind of tokenizer have many more."""
    some_code_points = [*code_point_texts()][::50]
    with pytest.MonkeyPatch.context() as patch:
        for name, kind in [*KINDS.items()]:
            read_tables = once(
                kind.read_tables, lambda tokenizer, config: (json.dumps(config), tokenizer.encode_special_tokens)
            )
            patch.setitem(KINDS, name, TokenizerKind(read_tables, kind.build_ids))
        characters = once(probe.read_characters, _parts)
        for module in (probe, wordpiece.tables, unigram.tables):
            patch.setattr(module, "read_characters", characters)
        clusters = once(graphemes.read_clusters, lambda step: step["precompiled_charsmap"])
        for module in (graphemes, unigram.tables):
            patch.setattr(module, "read_clusters", clusters)
        patch.setattr("m2v_export.bundle.check_text.FUZZED_TEXTS", 100)
        patch.setattr("m2v_export.bundle.check_text.code_point_texts", lambda: some_code_points)
        exported_once(POTION, POTION_BUNDLE, name="minishlab/potion-base-2M")
        yield


def once(function: Callable[..., T], key: Callable[..., object]) -> Callable[..., T]:
    """A function whose results are kept for all workers.

    :param key: of its arguments; it is written the same for the same result, and otherwise for others.
    """
    known: dict[Path, T] = {}

    def call(*arguments: Any) -> T:
        digest = hashlib.sha256(repr(key(*arguments)).encode()).hexdigest()
        path = SHARED_FOLDER / f"{function.__module__}.{function.__name__}" / digest

        def make(folder: Path) -> None:
            known[path] = function(*arguments)
            folder.mkdir()
            (folder / "result").write_bytes(pickle.dumps(known[path]))

        if path not in known:
            made_once(path, make)
        if path not in known:
            known[path] = pickle.loads((path / "result").read_bytes())
        return known[path]

    return call


def _parts(tokenizer: Tokenizer, clusters: Sequence[str] = (), of_ascii: Tokenizer | None = None) -> object:
    """What decides on a tokenizer's characters."""
    parts = tokenizer.normalizer, tokenizer.pre_tokenizer, of_ascii and of_ascii.normalizer
    return [part and part.__getstate__() for part in parts], clusters


def exported_once(source: Path, out: Path, **options: Any) -> Path:
    """The bundle of a source, by the first worker that needs it; others wait for it."""
    return made_once(out, lambda folder: export_model(source, folder, **options))


def made_once(out: Path, make: Callable[[Path], object]) -> Path:
    """A folder that one worker makes, complete or absent, and the others wait for."""
    lock, new = out.with_suffix(".lock"), out.with_suffix(".new")
    out.parent.mkdir(exist_ok=True, parents=True)
    while not out.exists():
        try:
            lock.mkdir()
        except FileExistsError:
            time.sleep(0.05)
            continue
        try:
            if not out.exists():
                make(new)
                new.rename(out)
        finally:
            lock.rmdir()
    return out


class Bundles(dict[str, Path]):
    """The bundle of every source, exported when it is first asked for."""

    def __init__(self, sources: dict[str, Path]) -> None:
        self._sources = sources

    def __missing__(self, name: str) -> Path:
        self[name] = exported_once(self._sources[name], SHARED_FOLDER / "bundles" / name)
        return self[name]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A Hub without models."""
    with serving(tmp_path / "repositories") as hub:
        yield hub


@pytest.fixture
def run(hub: Hub, tmp_path: Path) -> Script:
    """Runs Python or our command in a process that knows this Hub."""
    return runner(hub, tmp_path)


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every source by name."""
    folder = tmp_path_factory.mktemp("sources")
    found = {"potion": POTION}
    for name in RS_MODELS:
        shutil.copytree(DATA / "model2vec-rs" / name, folder / name)
        if not (folder / name / "tokenizer.json").exists():
            shutil.copy(POTION / "tokenizer.json", folder / name)
        found[f"rs-{name}"] = folder / name
    for name in MADE_MODELS:
        found[f"made-{name}"] = made_once(SHARED_FOLDER / "sources" / f"made-{name}", partial(make_source, name=name))
    found["tiny"] = made_once(SHARED_FOLDER / "sources" / "tiny", partial(make_tiny, found["made-wordlevel"]))
    return found


@pytest.fixture(scope="session")
def small(sources: dict[str, Path]) -> Path:
    """A source that is exported in no time, for what is the same with every model."""
    return sources["made-wordlevel"]


@pytest.fixture(scope="session")
def tiny(sources: dict[str, Path]) -> Path:
    """One without text.onnx, which other processes too export in no time."""
    return sources["tiny"]


@pytest.fixture(scope="session")
def bundles(sources: dict[str, Path]) -> dict[str, Path]:
    """The bundle of every source."""
    return Bundles(sources)


@dataclass(frozen=True)
class Pair:
    """A model of ours and the same in model2vec."""

    model: OnnxStaticModel
    reference: StaticModel


@pytest.fixture(scope="session")
def pairs(sources: dict[str, Path], bundles: dict[str, Path]) -> Callable[[str], Pair]:
    """Both models of a source, loaded once."""

    @cache
    def pair(name: str) -> Pair:
        return Pair(OnnxStaticModel.from_pretrained(bundles[name]), StaticModel.from_pretrained(sources[name]))

    return pair


@pytest.fixture(scope="session")
def potion() -> OnnxStaticModel:
    return OnnxStaticModel.from_pretrained(POTION_BUNDLE)


@pytest.fixture(scope="session")
def model_inside() -> OnnxStaticModel:
    """The model in the wheel."""
    return OnnxStaticModel.from_pretrained(COMMITTED_BUNDLE)


@pytest.fixture(scope="session")
def potion_reference() -> StaticModel:
    return StaticModel.from_pretrained(POTION)


def make_source(folder: Path, name: str) -> Path:
    """Write a small model of another kind, with random rows."""
    kind = name if name in ("bpe", "byte-level-bpe", "unigram") else "wordlevel"
    tokenizer = make_tokenizer(kind)
    tokens, dim = tokenizer.get_vocab_size(), 24
    rng = np.random.default_rng(len(name))
    table = rng.normal(size=(tokens, dim)).astype(np.float32)
    options: dict[str, Any] = {"normalize": name != "bpe"}
    if name in ("weighted", "half-weighted"):
        dtype = np.float64 if name == "weighted" else np.float16
        table = rng.normal(size=(50, dim)).astype(np.float32 if name == "weighted" else np.float16)
        options |= {
            "weights": rng.random(tokens).astype(dtype),
            "token_mapping": rng.integers(0, 50, tokens).astype(np.uint16 if name == "weighted" else np.int64),
        }
    if name == "unlimited":
        options["max_length"] = None
    StaticModel(vectors=table, tokenizer=tokenizer, **options).save_pretrained(folder)
    if name == "nested":
        _nest(folder)
    return folder


def make_tiny(source: Path, folder: Path) -> None:
    """The same source with a normalizer that no graph has."""
    shutil.copytree(source, folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.save(str(folder / "tokenizer.json"))


def make_tokenizer(kind: str) -> Tokenizer:
    """A small tokenizer, the same for all workers: trainers give another vocabulary in every process."""
    folder = made_once(SHARED_FOLDER / "tokenizers" / kind, partial(_train, kind))
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def _train(kind: str, folder: Path) -> None:
    """Train it on the corpus."""
    special = ["[UNK]", "[PAD]"]
    if kind == "bpe":
        tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer: trainers.Trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=special, show_progress=False)
    elif kind == "byte-level-bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    elif kind == "unigram":
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=400, special_tokens=["<unk>", "<pad>"], unk_token="<unk>", show_progress=False
        )
    else:
        tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.Lowercase()
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))


def _nest(folder: Path) -> None:
    """Into sentence-transformers' layout with the module in a folder of its own."""
    from safetensors.numpy import load_file, save_file

    inner = folder / "0_StaticEmbedding"
    inner.mkdir()
    table = load_file(folder / "model.safetensors")["embeddings"]
    (folder / "model.safetensors").unlink()
    save_file({"embedding.weight": table}, inner / "model.safetensors")
    shutil.move(folder / "tokenizer.json", inner)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").unlink()
    (folder / "config_sentence_transformers.json").write_text(json.dumps(config))
