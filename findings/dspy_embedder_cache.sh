#!/usr/bin/env bash
# dspy.Embedder gives one model the vectors of another.
#
# Versions: dspy 3.4.1, numpy 2.4, Python 3.11.
# Seen: two objects of a class with a method `encode`, each in a dspy.Embedder(model.encode). Asked for the same texts,
#   the second answers with the first one's vectors, also in another process. With caching=False it answers with its own.
#   Each call that the cache has no answer to makes a deep copy of the object behind the method.
# Guessed: a cache on by default tells functions apart, or caches hosted models only, as the parameter's docstring says.
# Why: its cache, on disk, goes by the texts and by inspect.getsource of the function, which is the same for every model
#   of a class. So m2v_onnx.integrations.dspy has an embedder of its own, without the cache.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dspy==3.4.1 numpy || exit 2
cd "$folder"
export DSPY_CACHEDIR="$folder/cache" LITELLM_LOCAL_MODEL_COST_MAP=True
cat > model.py <<'PY'
import copy

import numpy as np


class Model:
    copies = 0

    def __init__(self, value):
        self.value = value

    def encode(self, texts):
        return np.full((len(texts), 2), self.value, np.float32)

    def __deepcopy__(self, memo):
        Model.copies += 1
        return copy.copy(self)
PY
cat > ask.py <<'PY'
import sys

import dspy
from model import Model

value, caching = float(sys.argv[1]), sys.argv[2] == "cached"
embedder = dspy.Embedder(Model(value).encode, caching=caching)
print(embedder(["a text"])[0].tolist(), Model.copies)
PY
first=$(venv/bin/python ask.py 1 cached)
second=$(venv/bin/python ask.py 2 cached)
own=$(venv/bin/python ask.py 2 not)
printf 'first: %s\nsecond: %s\nwithout the cache: %s\n' "$first" "$second" "$own"
[ "$first" = "[1.0, 1.0] 1" ] && [ "$second" = "[1.0, 1.0] 0" ] && [ "$own" = "[2.0, 2.0] 0" ]
