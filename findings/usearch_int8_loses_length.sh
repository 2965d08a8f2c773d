#!/usr/bin/env bash
# usearch 2.26.6: an int8 index makes unit vectors of float32 ones, under inner product and squared L2 too.
#
# Seen:    a vector and ten times that vector are the same entry: their squared L2 distance is 0, and their inner products
#          with anything are equal. Distances are in units of 127 * 127, and a vector of zeros stays one. float32 and
#          bfloat16 indexes of the same metrics keep the lengths, so that only `dtype` differs.
# Guessed: a scale for the index, or values rounded and cut at 127, or a refusal; cosine alone needs no lengths.
# Matters: vectors of models without normalization have lengths that mean something. docs/stores.md says which type is
#          for which model.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet usearch==2.26.6 numpy==2.4.6
"$scratch/venv/bin/python" - << 'PYTHON'
import sys

import numpy as np
from usearch.index import Index

vector = np.random.default_rng(0).normal(size=64).astype(np.float32)
as_described = True
for metric in ("ip", "l2sq"):
    for dtype in ("f32", "bf16", "i8"):
        index = Index(ndim=64, metric=metric, dtype=dtype)
        index.add(np.arange(2), np.stack([vector, 10 * vector]))
        found = index.search(vector, 2)
        distances = dict(zip(found.keys.tolist(), found.distances.tolist()))
        print(f"{metric:4} {dtype:4}: to itself {distances[0]:.1f}, to ten times itself {distances[1]:.1f}")
        as_described &= (distances[0] == distances[1]) == (dtype == "i8")
sys.exit(not as_described)
PYTHON
