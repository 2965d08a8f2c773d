"""From Parquet to Parquet with vectors: ``embed_files`` beside other ways, in one run.

    python -m benchmarks.corpus [--rows 40000 200000] [--rounds 3] [--ours]

- ``encode``: the vectors of the same texts, which are in memory as a list; nothing is read or written.
- ``embed_files``: Parquet to Parquet.
- ``a loop``: model2vec and pyarrow, batches of 8,192 rows.
- ``datasets.map``: model2vec in a batched map of `datasets`, if that is installed; its cache is a new one each time.

With ``--ours`` only the first two. A run begins and ends with work that nothing can be done beside, which counts where
rows are few, and a longer list of texts lies in slower memory: so there are several sizes. The rounds of all ways
alternate, and the fastest round of each counts. Each writes a new file, for to replace one is to wait for the disk on
some file systems. Models and imports are warm. This project runs
the bundle that comes with it, whose table is int8; model2vec runs the float32 table that it was made from. For 256
dimensions the original of potion-base-8M must be in ../shared.

Then CPU time of writing alone: the writer of ``embed_files`` beside pymilvus' LocalBulkWriter, if that is installed.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from model2vec import StaticModel
from tabulate import tabulate

from benchmarks.corpus.passages import ROOT, write_passages
from benchmarks.shared import SHARED
from m2v_onnx import OnnxStaticModel, embed_files
from m2v_onnx.corpus.columns import list_array
from m2v_onnx.corpus.sinks import open_sink

BATCH = 8192
MODELS = (
    (ROOT / "models" / "potion-base-2M-onnx", ROOT / "models" / "potion-base-2M"),
    (ROOT / "models" / "potion-base-8M-onnx", SHARED / "models" / "potion-base-8M"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[40_000, 200_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ours", action="store_true", help="leave out what is no code of this project")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as given:
        folder = Path(given)
        for rows in options.rows:
            write_passages(folder / "in.parquet", rows)
            for bundle, source in MODELS:
                if source.is_dir():
                    _compare(bundle, source, folder, options.rounds, ours_only=options.ours)
                else:
                    print(f"left out: {source} is absent")
        if not options.ours:
            _writing(folder)


def _compare(bundle: Path, source: Path, folder: Path, rounds: int, *, ours_only: bool) -> None:
    ours, theirs = OnnxStaticModel.from_pretrained(bundle), StaticModel.from_pretrained(source)
    path, out = folder / "in.parquet", folder / "out.parquet"
    texts = pq.read_table(path, columns=["text"])["text"].to_pylist()
    ways: dict[str, Callable[[], object]] = {
        "encode": lambda: ours.encode(texts),
        "embed_files": lambda: embed_files(ours, path, out),
    }
    if not ours_only:
        ways["a loop"] = partial(_loop, theirs, path, out)
    if not ours_only and find_spec("datasets"):
        ways["datasets.map"] = partial(_datasets, theirs, path, out)
    ours.encode(texts[:BATCH])
    theirs.encode(texts[:BATCH])
    clock: dict[str, float] = {}
    cpu: dict[str, float] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            out.unlink(missing_ok=True)
            start, used = time.perf_counter(), time.process_time()
            way()
            clock[name] = min(clock.get(name, np.inf), time.perf_counter() - start)
            cpu[name] = min(cpu.get(name, np.inf), time.process_time() - used)
    print(f"\n{len(texts):,} passages of {sum(map(len, texts)) / len(texts):.0f} characters, {ours.dim} dimensions")
    rows = [
        (name, f"{len(texts) / clock[name]:,.0f}", f"{len(texts) / cpu[name]:,.0f}",
         f"{clock[name] / clock['embed_files']:.2f}", f"{cpu[name] / cpu['embed_files']:.2f}")
        for name in ways
    ]  # fmt: skip
    head = ("way", "texts/s", "texts/CPU s", "embed_files is faster by", "in CPU time")
    print(tabulate(rows, head, disable_numparse=True, colalign=("left", *["right"] * 4)))
    sys.stdout.flush()


def _loop(model: StaticModel, path: Path, out: Path) -> None:
    source = pq.ParquetFile(path)
    schema = source.schema_arrow.append(pa.field("vector", pa.list_(pa.float32(), model.dim)))
    with pq.ParquetWriter(out, schema) as writer:
        for batch in source.iter_batches(BATCH):
            vectors = model.encode(batch["text"].to_pylist())
            column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), model.dim)
            writer.write_batch(pa.record_batch([*batch.columns, column], schema=schema))


def _datasets(model: StaticModel, path: Path, out: Path) -> None:
    import datasets

    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as cache:
        ds = datasets.Dataset.from_parquet(str(path), cache_dir=cache)
        ds = ds.map(lambda batch: {"vector": model.encode(batch["text"])}, batched=True)
        ds.to_parquet(str(out))


def _writing(folder: Path, rows: int = 20_000, dim: int = 256) -> None:
    vectors = np.random.default_rng(7).standard_normal((rows, dim), np.float32)
    table = pq.read_table(folder / "in.parquet").slice(0, rows)
    rows = len(table)
    schema = pa.schema([*table.schema, pa.field("vector", pa.list_(pa.float32()))])
    used = time.process_time()
    with (
        (folder / "ours.parquet").open("wb") as file,
        open_sink("parquet", file, schema, "vector", vectors[:0]) as sink,
    ):
        for first in range(0, rows, 4096):
            (batch,) = table.slice(first, 4096).combine_chunks().to_batches()
            lists = list_array(vectors[first : first + len(batch)], "milvus")
            sink.write(pa.record_batch([*batch.columns, lists], schema=schema))
    ours = (time.process_time() - used) / rows
    print(f"\nwriting {rows:,} rows with {dim} dimensions: {1 / ours:,.0f} rows a CPU second")
    try:
        theirs = _bulk_writer(folder, table, vectors[:rows], dim) / rows
    except ImportError as error:
        print(f"left out: pymilvus' bulk writer ({error})")
        return
    print(f"pymilvus' LocalBulkWriter: {1 / theirs:,.0f}, so ours takes {ours / theirs:.3f} of its CPU time")


def _bulk_writer(folder: Path, table: pa.Table, vectors: Any, dim: int) -> float:
    """CPU seconds."""
    from pymilvus import CollectionSchema, DataType, FieldSchema
    from pymilvus.bulk_writer import BulkFileType, LocalBulkWriter

    schema = CollectionSchema(
        [
            FieldSchema("id", DataType.INT64, is_primary=True),
            FieldSchema("title", DataType.VARCHAR, max_length=1000),
            FieldSchema("text", DataType.VARCHAR, max_length=10_000),
            FieldSchema("vector", DataType.FLOAT_VECTOR, dim=dim),
        ]
    )
    documents = table.to_pylist()
    used = time.process_time()
    writer = LocalBulkWriter(schema, str(folder / "bulk"), file_type=BulkFileType.PARQUET)
    for document, vector in zip(documents, vectors, strict=True):
        writer.append_row({**document, "vector": vector})
    writer.commit()
    return time.process_time() - used


if __name__ == "__main__":
    main()
