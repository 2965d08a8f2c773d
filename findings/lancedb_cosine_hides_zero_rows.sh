#!/usr/bin/env bash
# lancedb 0.40.0: under cosine, rows with a vector of zeros are never found, and a query of zeros finds no row at all.
#
# Seen:    five rows, one of them zeros, no index, limit 10: squared L2 and dot give five rows, cosine gives four. A query of
#          zeros gives an empty list. No error, no warning, and no distance of NaN or 1: the rows are just not there.
# Guessed: a distance of 1 (as Milvus, Qdrant, FAISS and Chroma give), or NaN at the end of the list; a full scan with a
#          limit above the number of rows returns every row.
# Matters: a static embedding model gives zeros for a text with no known token, such as "" or "???". Such a document can
#          then be read by its key and never be found, and such a query looks like an empty table.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet lancedb==0.40.0 numpy==2.4.6
cd "$scratch"
"$scratch/venv/bin/python" - << 'PYTHON'
import sys

import lancedb
import numpy as np
import pyarrow as pa

DIM, ROWS, ZEROS = 8, 5, 2
vectors = np.random.default_rng(0).normal(size=(ROWS, DIM)).astype(np.float32)
vectors[ZEROS] = 0
column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIM)
table = lancedb.connect("vectors").create_table("rows", pa.table({"id": pa.array(range(ROWS)), "vector": column}))


def found(query, metric):
    return sorted(row["id"] for row in table.search(query).metric(metric).limit(10).to_list())


every = [*range(ROWS)]
seen = {metric: found(vectors[0], metric) for metric in ("l2", "dot", "cosine")}
for metric, rows in seen.items():
    print(f"{metric}: rows {rows}")
by_zeros = found(vectors[ZEROS], "cosine")
print(f"cosine, a query of zeros: rows {by_zeros}")
sys.exit((seen["l2"], seen["dot"], seen["cosine"], by_zeros) != (every, every, [0, 1, 3, 4], []))
PYTHON
