"""Bundles of models of every kind, to run in the engines: models.py OUT

    python examples/engines/models.py kinds
    python examples/engines/conformance.py rten tract --bundle kinds/*

Their tables are random but for those of model2vec-rs and potion-base-2M.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from model2vec import StaticModel
from model2vec.inference import StaticModelPipeline
from model2vec.inference.mlp import Activation, Layer, MLPHead
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from m2v_export import export_model
from m2v_export.bundle.golden import TEXTS
from m2v_onnx.models.format import TOKENIZER

ROOT = Path(__file__).resolve().parents[2]
POTION = ROOT / "models" / "potion-base-2M"
DATA = ROOT / "tests" / "data"
PRECISIONS = ("float32", "float16", "int8", "int4")
RNG = np.random.default_rng(5)


def words() -> Tokenizer:
    """The words of the golden texts, by a normalizer that text.onnx does not have, which would take seconds."""
    vocabulary = ["[UNK]", "[PAD]", *sorted({word for text in TEXTS for word in text.lower().split()})]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def plain(dim: int) -> StaticModel:
    tokenizer = words()
    return StaticModel(vectors=normal(tokenizer.get_vocab_size(), dim), tokenizer=tokenizer, normalize=True)


def weighted(dim: int, rows: int = 30) -> StaticModel:
    """A quantized vocabulary with float64 weights."""
    tokenizer = words()
    tokens = tokenizer.get_vocab_size()
    of_tokens: Any = {"weights": RNG.random(tokens), "token_mapping": RNG.integers(0, rows, tokens)}
    return StaticModel(vectors=normal(rows, dim), tokenizer=tokenizer, normalize=True, **of_tokens)


def with_head(activation: str, dim: int = 13) -> StaticModelPipeline:
    layers = [Layer(normal(16, dim), normal(16)), Layer(normal(3, 16), normal(3))]
    labels = None if activation == "identity" else np.array(["a", "b", "c"])
    return StaticModelPipeline(plain(dim), MLPHead(layers, Activation(activation), labels))


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python models.py OUT")
    out = Path(sys.argv[1])
    sources = out / ".sources"
    sources.mkdir(parents=True)

    def export(source: Path, *precisions: str, name: str = "", **options: Any) -> None:
        for precision in precisions:
            export_model(source, out / f"{name or source.name}-{precision}", precision=precision, **options)

    def made(name: str, model: StaticModel | StaticModelPipeline) -> Path:
        model.save_pretrained(sources / name)
        return sources / name

    for dim in (2, 13):
        export(made(f"dim-{dim}", plain(dim)), *PRECISIONS)
    export(sources / "dim-13", "float32", "int8", name="dim-13-not-normalized", normalize=False)
    export(made("dim-256", plain(256)), "float32", "int8")
    export(made("weighted-5", weighted(5)), "float32", "int8")
    export(made("weighted-24", weighted(24)), "float32", "int4")
    for activation in ("softmax", "sigmoid", "identity"):
        export(made(activation, with_head(activation)), "float32", "int8")
    for name, precisions in {"float16": ["float16"], "int8": ["int8"], "vocab-quantized": ["float32", "int8"]}.items():
        source = Path(shutil.copytree(DATA / "model2vec-rs" / name, sources / name))
        if not (source / TOKENIZER).exists():
            shutil.copy(POTION / TOKENIZER, source)
        export(source, *precisions, name=f"model2vec-rs-{name}")
    export(DATA / "bpe", "float32", "int8")
    export(POTION, "float16", "int4")
    export(POTION, "float32", "int8", name="potion-single-file", single_file=True)
    export(POTION, "float32", "int8", name="potion-not-normalized", normalize=False)


if __name__ == "__main__":
    main()
