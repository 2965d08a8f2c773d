#!/usr/bin/env bash
# scipy 1.17.1 with numpy 2.4.6: of two int8 vectors, the squared Euclidean distance is right and its root is not.
#
# Seen:    two random int8 vectors of 64 dimensions. scipy.spatial.distance.cosine says 0, the same direction, where they
#          are nearly at a right angle; for others it says 2 or raises "math domain error". cityblock is a third too
#          small, without a warning, and euclidean a fourth. sqeuclidean is right, and cdist with all four names.
#          Output: cosine        cosine()            0.0000  cdist       0.9908  exact       0.9908
#                  euclidean     euclidean()       626.3593  cdist     822.7989  exact     822.7989
#                  sqeuclidean   sqeuclidean()  676998.0000  cdist  676998.0000  exact  676998.0000
# Guessed: that a distance of integers is computed in floating point, as cdist of the same module does, and that the
#          Euclidean distance is the root of the squared one. scipy's issue 9961 (open) is about uint8 in two of these.
# Matters: this package stores vectors in int8, for Milvus and others. Somebody who compares two of them by scipy's cosine
#          gets 0. Use cdist, or convert to float32 first.
set -euo pipefail

PYTHON=${PYTHON:-python3}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$PYTHON" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet scipy==1.17.1 numpy==2.4.6
"$scratch/venv/bin/python" -W ignore - <<'PROGRAM'
import sys

import numpy as np
from scipy.spatial import distance

one, other = np.random.default_rng(0).integers(-127, 128, (2, 64)).astype(np.int8)
one64, other64 = one.astype(np.float64), other.astype(np.float64)
right = {}
for name in ("cosine", "cityblock", "euclidean", "sqeuclidean"):
    function = getattr(distance, name)
    exact = function(one64, other64)
    found = function(one, other), distance.cdist(one[None], other[None], name)[0, 0]
    right[name] = [bool(np.isclose(each, exact)) for each in found]
    print(f"{name:13} {name + '()':13} {found[0]:12.4f}  cdist {found[1]:12.4f}  exact {exact:12.4f}")
as_seen = {
    "cosine": [False, True],
    "cityblock": [False, True],
    "euclidean": [False, True],
    "sqeuclidean": [True, True],
}
sys.exit(0 if right == as_seen else "changed: other functions are right")
PROGRAM
