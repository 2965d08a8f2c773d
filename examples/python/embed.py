"""Vectors of texts, with onnxruntime and numpy alone: python embed.py BUNDLE TEXT ..."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

# onnxruntime sends telemetry from version 1.29 on, unless this is set before its first import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime


def open_session(bundle: str | Path) -> onnxruntime.InferenceSession:
    """Open a bundle's text.onnx, which finds model.onnx_data beside it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # The graph's operations are too small to share.
    options.enable_mem_pattern = False  # It keeps a plan for each size of input that it sees: memory would grow.
    return onnxruntime.InferenceSession(Path(bundle) / "onnx" / "text.onnx", options)


def counted(session: onnxruntime.InferenceSession) -> int | None:
    """How many characters of a text count, None for all. The graph cuts the rest off, but slowly."""
    metadata = session.get_modelmeta().custom_metadata_map
    tokens: int | None = json.loads(metadata["max_length"])
    return None if tokens is None else tokens * int(metadata["median_token_length"])


def pack(
    texts: Sequence[str], characters: int | None = None
) -> dict[str, npt.NDArray[np.uint8] | npt.NDArray[np.int64]]:
    """What text.onnx takes: the texts' UTF-8 bytes, uint8 [T], end to end, and where each text starts, int64 [N]."""
    encoded = [text[:characters].encode() for text in texts]
    starts = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return {"utf8": np.frombuffer(b"".join(encoded), np.uint8), "offsets": starts[:-1]}


def embed(session: onnxruntime.InferenceSession, texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """:return: float32 [N, dim]."""
    vectors: npt.NDArray[np.float32]
    (vectors,) = session.run(["sentence_embedding"], pack(texts, counted(session)))
    return vectors


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit("usage: python embed.py BUNDLE TEXT ...")
    bundle, *texts = sys.argv[1:]
    for text, vector in zip(texts, embed(open_session(bundle), texts), strict=True):
        start = " ".join(f"{value:.4f}" for value in vector[:4])
        print(f"{start} ... ({vector.size} dimensions)  {text}")


if __name__ == "__main__":
    main()
