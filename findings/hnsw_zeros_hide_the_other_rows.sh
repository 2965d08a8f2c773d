#!/usr/bin/env bash
# hnswlib 0.8.0 and faiss-cpu 1.15.1: a hundred rows of zeros hide most of four thousand unit vectors from an HNSW search.
#
# Seen:    4,000 random unit vectors of 32 dimensions, squared L2, M 16, construction 200, search 100, each query a stored
#          vector. It is found first 200 of 200 times. With 100 rows of zeros put in before: hnswlib finds 4, FAISS 90.
#          With 1,000 rows of zeros: 0 and 2. A scan of all rows (IndexFlatL2) finds 200.
# Guessed: that rows which are nobody's answer cost room and time, and that the vectors beside them are found as before.
# Matters: a text with no known token is a vector of zeros. Zeros are nearer to every unit vector (1) than most unit vectors
#          are to each other (about 2), so that they may fill the links of the graph. Leave such rows out of the index.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet hnswlib==0.8.0 faiss-cpu==1.15.1 numpy==2.4.6 || exit 2
"$scratch/venv/bin/python" - << 'PYTHON'
import sys

import faiss
import hnswlib
import numpy as np

DIM, ROWS = 32, 4000
faiss.omp_set_num_threads(1)
vectors = np.random.default_rng(0).normal(size=(ROWS, DIM)).astype(np.float32)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
seen = {}
for zeros in (0, 100, 1000):
    stored = np.concatenate([np.zeros((zeros, DIM), np.float32), vectors])
    own = np.arange(zeros + 100, zeros + 300)
    plain = hnswlib.Index("l2", DIM)
    plain.init_index(len(stored), M=16, ef_construction=200, random_seed=1)
    plain.add_items(stored, num_threads=1)
    plain.set_ef(100)
    graph = faiss.IndexHNSWFlat(DIM, 16)
    graph.hnsw.efConstruction, graph.hnsw.efSearch = 200, 100
    graph.add(stored)
    scan = faiss.IndexFlatL2(DIM)
    scan.add(stored)
    found = {
        "hnswlib": plain.knn_query(stored[own], 1, num_threads=1)[0],
        "faiss": graph.search(stored[own], 1)[1],
        "scan": scan.search(stored[own], 1)[1],
    }
    seen[zeros] = {name: int((rows[:, 0] == own).sum()) for name, rows in found.items()}
    print(f"{zeros} rows of zeros, found of 200: {seen[zeros]}")
whole = all(count == 200 for count in seen[0].values()) and all(counts["scan"] == 200 for counts in seen.values())
lost = seen[100]["hnswlib"] < 100 and max(seen[1000]["hnswlib"], seen[1000]["faiss"]) < 100 and seen[100]["faiss"] < 190
sys.exit(not (whole and lost))
PYTHON
