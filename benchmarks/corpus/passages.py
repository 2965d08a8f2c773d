"""Passages of some 260 characters in Parquet, made from a seed, however many: a table with id, title and text."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
WORDS_A_PASSAGE = 46
BATCH = 10_000
ROW_GROUP = 100_000


def write_passages(path: Path, rows: int) -> None:
    chance = np.random.default_rng(7)
    words = np.array((ROOT / "m2v_onnx" / "commands" / "demo.txt").read_text(encoding="utf-8").split(), dtype=object)
    schema = pa.schema([("id", pa.int64()), ("title", pa.string()), ("text", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:
        batches = []
        for first in range(0, rows, BATCH):
            size = min(BATCH, rows - first)
            texts = [" ".join(row) for row in chance.choice(words, (size, WORDS_A_PASSAGE)).tolist()]
            columns = [pa.array(range(first, first + size)), pa.array([text[:20] for text in texts]), pa.array(texts)]
            batches.append(pa.record_batch(columns, schema=schema))
            if len(batches) * BATCH >= ROW_GROUP or first + size == rows:
                writer.write_table(pa.Table.from_batches(batches), row_group_size=ROW_GROUP)
                batches = []
