"""Where the CPU time of ``embed_files`` goes, from Parquet to Parquet with 64 dimensions.

    python -m benchmarks.corpus.stages [--rows 40000] [--rounds 10]

Each stage runs alone, in one thread, on all batches; the fastest round counts. Then ``encode`` and the whole job, in
all threads.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.corpus.passages import ROOT, write_passages
from m2v_onnx import OnnxStaticModel, embed_files
from m2v_onnx.corpus.columns import list_array, strings
from m2v_onnx.corpus.files import open_files
from m2v_onnx.corpus.tables import ROWS

MODEL = ROOT / "models" / "potion-base-2M-onnx"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        used = _stages(Path(folder), options.rows, options.rounds)
    for name, seconds in used.items():
        print(f"{name:40} {1e3 * seconds:7.1f} ms  {seconds / used['embed_files, all threads']:4.0%}")


def _stages(folder: Path, rows: int, rounds: int) -> dict[str, float]:
    source, out = folder / "in.parquet", folder / "out.parquet"
    write_passages(source, rows)
    model = OnnxStaticModel.from_pretrained(MODEL)

    def read() -> list[pa.RecordBatch]:
        return [piece.batch for piece in open_files([source])[0].pieces(ROWS, ["id", "title", "text"])]

    read_batches = read()
    texts = [strings(batch["text"]) for batch in read_batches]
    vectors = [model.encode_counted(each)[0] for each in texts]
    table = pa.Table.from_batches(read_batches)
    lists = pa.table({"vector": pa.chunked_array([list_array(each) for each in vectors])})

    def write(columns: pa.Table, compression: str | None = None) -> None:
        pq.write_table(
            columns, out, use_dictionary=False, write_statistics=False, compression=compression, row_group_size=rows
        )

    flat = [text for each in texts for text in each]
    ways: dict[str, Callable[[], object]] = {
        "read, and decompress": read,
        "texts as Python's strings": lambda: [strings(batch["text"]) for batch in read_batches],
        "vectors of the texts": lambda: [model.encode_counted(each) for each in texts],
        "vectors as Arrow's lists": lambda: [list_array(each) for each in vectors],
        "write id and title, compressed": lambda: write(table.select(["id", "title"]), "snappy"),
        "write text, compressed": lambda: write(table.select(["text"]), "snappy"),
        "write text, if it were not": lambda: write(table.select(["text"])),
        "write vectors": lambda: write(lists),
        "encode, all threads": lambda: model.encode(flat),
        "embed_files, all threads": lambda: embed_files(model, source, out),
    }
    return _fastest(ways, rounds, out)


def _fastest(ways: dict[str, Callable[[], object]], rounds: int, out: Path) -> dict[str, float]:
    """CPU seconds of each."""
    used: dict[str, Sequence[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            out.unlink(missing_ok=True)
            start = time.process_time()
            way()
            used[name] = [*used[name], time.process_time() - start]
    return {name: min(seconds) for name, seconds in used.items()}


if __name__ == "__main__":
    main()
