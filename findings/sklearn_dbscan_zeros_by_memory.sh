#!/usr/bin/env bash
# scikit-learn 1.9.1: the option working_memory decides which clusters DBSCAN makes of rows of zeros under cosine.
#
# Seen:    3,000 rows, three of them zeros, eps 0.05, min_samples 1. With working_memory 1024 (MiB, the default) each row of
#          zeros is a cluster of its own. With 1 or 8 the three are noise, -1, though with min_samples 1 a row is never
#          noise. The other rows keep their clusters.
# Guessed: that working_memory changes time and memory, and no result.
# Matters: a text with no known token is a vector of zeros. In one block a row's distance to itself is set to 0; in several
#          blocks it is computed, and is 1 for zeros. Related: scikit-learn's issue 12628.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6 || exit 2
"$scratch/venv/bin/python" - << 'PYTHON'
import sys

import numpy as np
import sklearn
from sklearn.cluster import DBSCAN

vectors = np.random.default_rng(0).normal(size=(3000, 8)).astype(np.float32)
vectors[10:13] = 0
noise = {}
for memory in (1, 8, 1024):
    with sklearn.config_context(working_memory=memory):
        labels = DBSCAN(eps=0.05, min_samples=1, metric="cosine").fit(vectors).labels_
    noise[memory] = np.flatnonzero(labels == -1).tolist()
    print(f"working_memory {memory}: rows of zeros {labels[10:13].tolist()}, noise: rows {noise[memory]}")
sys.exit(noise != {1: [10, 11, 12], 8: [10, 11, 12], 1024: []})
PYTHON
