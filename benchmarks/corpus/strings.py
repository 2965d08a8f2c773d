"""Whether text.onnx is faster when it gets the bytes of an Arrow array instead of Python's strings. It is not.

    python -m benchmarks.corpus.strings

Both ways group the texts of a batch by length, and run the graph in one thread.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import compute

from benchmarks.corpus.passages import write_passages
from m2v_onnx import OnnxStaticModel
from m2v_onnx.vectors.batching import similar
from m2v_onnx.vectors.by_graph import TextGraph, pack
from m2v_onnx.vectors.encoder import RUN_CHARACTERS
from m2v_onnx.vectors.session import Session, SessionConfig, own_vectors

ROWS, BATCH, ROUNDS = 16_384, 4_096, 3


def main() -> None:
    model = OnnxStaticModel.from_pretrained("minishlab/potion-base-8M", tokenizer="graph", threads=1)
    text = model.files.text
    assert text is not None
    session = Session(text, SessionConfig())
    graph = TextGraph(session)
    with tempfile.TemporaryDirectory() as folder:
        write_passages(Path(folder) / "in.parquet", ROWS)
        column = pq.read_table(Path(folder) / "in.parquet")["text"].combine_chunks()
    batches = [column.slice(first, BATCH) for first in range(0, ROWS, BATCH)]

    def by_strings(batch: pa.Array) -> npt.NDArray[np.float32]:
        texts = batch.to_pylist()
        vectors = np.empty((len(texts), model.dim), np.float32)
        for group in similar(np.fromiter(map(len, texts), np.int64, len(texts)), RUN_CHARACTERS):
            vectors[group] = graph.vectors([texts[i] for i in group.tolist()], "unit")
        return vectors

    def by_bytes(batch: pa.Array) -> npt.NDArray[np.float32]:
        vectors = np.empty((len(batch), model.dim), np.float32)
        for group in similar(compute.utf8_length(batch).to_numpy().astype(np.int64), RUN_CHARACTERS):
            part = batch.take(pa.array(group))
            _, offsets, utf8 = part.buffers()
            starts = np.frombuffer(offsets, np.int32, len(part) + 1).astype(np.int64)
            fed: dict[str, npt.NDArray[Any]] = {
                "utf8": np.frombuffer(utf8, np.uint8, starts[-1]),
                "offsets": starts[:-1],
            }
            vectors[group] = own_vectors(session, fed, "unit", None)
        return vectors

    for batch in batches:
        np.testing.assert_array_equal(by_strings(batch), by_bytes(batch))
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, way in (("strings", by_strings), ("bytes", by_bytes)):
            start = time.process_time()
            for batch in batches:
                way(batch)
            best[name] = min(best.get(name, np.inf), time.process_time() - start)
    start = time.process_time()
    for batch in batches:
        pack(batch.to_pylist())
    strings = time.process_time() - start
    print(f"by Python's strings {ROWS / best['strings']:,.0f} texts a CPU second, by Arrow's bytes", end=" ")
    print(
        f"{ROWS / best['bytes']:,.0f}; making and packing the strings is {strings / best['strings']:.1%} of the first"
    )


if __name__ == "__main__":
    main()
