"""How much of the CPU time of ``index_documents`` is this project's own, and how much is Milvus Lite's.

Passages of some 260 characters, made from a seed. The same table is gone through twice: once into Milvus Lite, and once
with everything but the requests: reading, embedding and making the rows. CPU time is that of all threads of the
process, in which Milvus Lite runs too. Opening the model is not counted.

    python -m benchmarks.indexing [--rows 20000]
"""

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.corpus.passages import write_passages
from m2v_onnx import OnnxStaticModel, index_documents
from m2v_onnx.corpus.batches import open_table
from m2v_onnx.corpus.collections import ROWS
from m2v_onnx.corpus.fields import choose_columns, stored_rows, texts_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    rows = parser.parse_args().rows
    model = OnnxStaticModel.from_pretrained("minishlab/potion-base-8M")
    model.encode(["a text"] * ROWS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "docs.parquet"
        write_passages(path, rows)

        start = time.process_time()
        table = open_table(path)
        columns = choose_columns(table.schema, text="text", key=None, columns=None, vector="vector")
        for batch in table.batches(ROWS):
            vectors = model.encode(texts_of(batch, columns.text, 0))
            for row, vector in zip(stored_rows(batch, columns, 0), vectors, strict=True):
                row["vector"] = vector
        own = time.process_time() - start

        start, clock = time.process_time(), time.perf_counter()
        index_documents(model, path, uri=str(Path(folder) / "milvus.db"))
        whole, clock = time.process_time() - start, time.perf_counter() - clock
    print(f"{rows:,} rows, {model.dim} dimensions: {whole:.1f} CPU seconds, {clock:.1f} seconds in all")
    print(f"without Milvus Lite: {own:.1f} CPU seconds, {own / whole:.0%} of them")


if __name__ == "__main__":
    main()
