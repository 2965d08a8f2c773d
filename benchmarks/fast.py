"""The fast library for Unigram and BPE against `tokenizers`, on one tokenizer.json.

``python -m benchmarks.fast TOKENIZER_JSON TEXTS [TEXTS ...]`` prints, for each file of texts, how many have other ids,
and texts a second of both on one core, in batches of 256: unseen text first, then the same again.
"""

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import argparse
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from m2v_onnx.vectors import probes
from m2v_onnx.vectors.by_splintr import SplintrTokens
from m2v_onnx.vectors.by_tokenizers import TokenizersTokens
from m2v_onnx.vectors.encoder import Tokens
from m2v_onnx.vectors.ragged import split

BATCH, MAX_LENGTH, TEXTS = 256, 512, 16_384


def texts_a_second(tokens: Tokens, texts: Sequence[str]) -> float:
    start = time.perf_counter()
    for at in range(0, len(texts), BATCH):
        tokens.ids(texts[at : at + BATCH], MAX_LENGTH)
    return len(texts) / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("texts", type=Path, nargs="+")
    options = parser.parse_args()
    print(", ".join(f"{name} {version(name)}" for name in ("splintr-rs", "tokenizers", "numpy")))
    start = time.perf_counter()
    slow = TokenizersTokens.read(options.tokenizer)
    read = time.perf_counter()
    fast = SplintrTokens.read(options.tokenizer, slow.median_token_length, slow.unk_token_id)
    opened = time.perf_counter()
    found = probes.checksums(*fast.ids(probes.texts(), None))
    checked = time.perf_counter()
    print(
        f"opens in {opened - read:.2f} s (tokenizers {read - start:.2f}); {len(probes.texts()):,} probes take", end=" "
    )
    text = probes.first_difference(probes.checksums(*slow.ids(probes.texts(), None)), found)
    print(f"{checked - opened:.2f} s;", "none differs" if text is None else f"one differs, after {text[:40]!r}")
    for path in options.texts:
        texts = path.read_text(encoding="utf-8").splitlines()[:TEXTS]
        rates = [(texts_a_second(fast, texts), texts_a_second(slow, texts)) for _ in ("unseen", "seen")]
        ids = [split(*tokens.ids(texts, MAX_LENGTH)) for tokens in (fast, slow)]
        differ = sum(ours != theirs for ours, theirs in zip(*ids, strict=True))
        told = ", then ".join(f"{ours:,.0f} against {theirs:,.0f} ({ours / theirs:.1f})" for ours, theirs in rates)
        print(f"{path.name}: {len(texts):,} texts, {differ} differ; {told} texts/s")


if __name__ == "__main__":
    main()
