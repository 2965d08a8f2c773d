"""Does this onnxruntime give the token ids and vectors of golden.json? python golden.py BUNDLE"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from embed import counted, onnxruntime, open_session, pack


def check(session: onnxruntime.InferenceSession, golden: list[dict[str, Any]], tolerance: float) -> float:
    """The largest difference of a vector's number to the golden one, of texts that are run as one batch."""
    outputs = ["sentence_embedding", "input_ids", "token_offsets"]
    vectors, ids, starts = session.run(outputs, pack([entry["text"] for entry in golden], counted(session)))
    largest = 0.0
    for entry, vector, found in zip(golden, vectors, np.split(ids, starts[1:]), strict=True):
        name = ascii(entry["text"][:40])
        if found.tolist() != entry["input_ids"]:
            sys.exit(f"{name}: token ids {found.tolist()}, expected {entry['input_ids']}")
        difference = float(np.abs(vector - np.float32(entry["sentence_embedding"])).max())
        if not difference <= tolerance:  # NaN too
            sys.exit(f"{name}: a vector is off by {difference:.1e}, allowed are {tolerance:.1e}")
        largest = max(largest, difference)
    return largest


def main() -> None:
    bundle = Path(sys.argv[1])
    golden = json.loads((bundle / "golden.json").read_text())
    texts, tolerance = golden["texts"], golden["tolerance"]
    session = open_session(bundle)
    batch = check(session, texts, tolerance)
    single = max(check(session, [entry], tolerance) for entry in texts)
    print(f"{len(texts)} texts, token ids equal, vectors off by at most {batch:.1e} in a batch, {single:.1e} alone")


if __name__ == "__main__":
    main()
