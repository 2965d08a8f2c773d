"""A bundle in FastEmbed, as a custom model, against golden.json: python golden_vectors.py BUNDLE"""

import json
import os
import sys
from pathlib import Path

import numpy as np

# onnxruntime sends telemetry from version 1.29 on, unless this is set before its first import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType


def load(bundle: Path) -> TextEmbedding:
    """The graph pools and normalizes by itself, so FastEmbed is told to take its output as it is."""
    config = json.loads((bundle / "config.json").read_text())
    TextEmbedding.add_custom_model(
        model="local/bundle",
        sources=ModelSource(hf="local/bundle"),
        dim=config["hidden_dim"],
        pooling=PoolingType.DISABLED,
        normalization=False,
        output_name="sentence_embedding",
        model_file="onnx/model.onnx",
        additional_files=["onnx/model.onnx_data"],
    )
    return TextEmbedding("local/bundle", specific_model_path=str(bundle))


def main() -> None:
    bundle = Path(sys.argv[1])
    golden = json.loads((bundle / "golden.json").read_text())
    model = load(bundle)
    # model2vec cuts long texts by characters first, FastEmbed does not. Of the bundles here that tells in the BPE's.
    most = 1_000 if bundle.name.startswith("bpe") else None
    entries = [entry for entry in golden["texts"] if most is None or len(entry["text"]) <= most]
    texts = [entry["text"] for entry in entries]
    expected = np.array([entry["sentence_embedding"] for entry in entries], np.float32)
    for batch_size in (len(texts), 1):
        found = np.array(list(model.embed(texts, batch_size=batch_size)))
        difference = np.abs(found - expected).max(axis=1)
        for text, one in zip(texts, difference, strict=True):
            if not one <= golden["tolerance"]:  # NaN too
                sys.exit(f"{text[:40]!a}: the vector is off by {one:.1e}")
        print(f"{len(texts)} texts in batches of {batch_size}: vectors off by at most {difference.max():.1e}")


if __name__ == "__main__":
    main()
