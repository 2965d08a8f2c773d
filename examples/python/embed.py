"""Vectors of texts, with onnxruntime and numpy alone: python embed.py BUNDLE TEXT ..."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime


def pack(texts: Sequence[str]) -> dict[str, npt.NDArray[np.uint8] | npt.NDArray[np.int64]]:
    """What text.onnx takes: the texts' UTF-8 bytes, uint8 [T], end to end, and where each text starts, int64 [N]."""
    encoded = [text.encode() for text in texts]
    starts = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return {"utf8": np.frombuffer(b"".join(encoded), np.uint8), "offsets": starts[:-1]}


def embed(session: onnxruntime.InferenceSession, texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """:return: float32 [N, dim]."""
    vectors: npt.NDArray[np.float32]
    (vectors,) = session.run(["sentence_embedding"], pack(texts))
    return vectors


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit("usage: python embed.py BUNDLE TEXT ...")
    bundle, *texts = sys.argv[1:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # The graph's operations are too small to share.
    session = onnxruntime.InferenceSession(Path(bundle) / "onnx" / "text.onnx", options)
    for text, vector in zip(texts, embed(session, texts), strict=True):
        start = " ".join(f"{value:.4f}" for value in vector[:4])
        print(f"{start} ... ({vector.size} dimensions)  {text}")


if __name__ == "__main__":
    main()
