#!/usr/bin/env bash
# pymilvus 3.0.2 with milvus-lite 3.2.2: bytes for a FLOAT_VECTOR are taken as one number a byte.
#
# Seen:    eight bytes go into a float vector of dimension 8, and -1, -2, 3 of an int8 array come back as 255.0, 254.0 and
#          3.0. The vector's own float32 bytes are refused ("expected dim 8, got 32"). An int8 array, from which the bytes
#          are, is refused with a clear error; float64 is taken.
# Guessed: that bytes are the vector's memory, as for FLOAT16_VECTOR, BINARY_VECTOR and INT8_VECTOR, or an error.
# Matters: an int8 vector made ready for INT8_VECTOR by `.tobytes()` lands in a float field without a word, with all
#          negative numbers wrong.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet pymilvus==3.0.2 milvus-lite==3.2.2 numpy==2.4.6
cd "$scratch"
"$scratch/venv/bin/python" - << 'PYTHON'
import logging
import sys

import numpy as np
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

logging.disable(logging.CRITICAL)
client = MilvusClient("vectors.db")
schema = client.create_schema()
schema.add_field("id", DataType.INT64, is_primary=True)
schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
index = client.prepare_index_params()
index.add_index("vector", metric_type="L2", index_type="FLAT")
client.create_collection("vectors", schema=schema, index_params=index)

numbers = np.array([-1, -2, 3, 127, -128, 0, 1, 2], np.int8)
given = {
    "int8 array": numbers,
    "int8 bytes": numbers.tobytes(),
    "float32 bytes": numbers.astype(np.float32).tobytes(),
}
seen = {}
for key, (name, vector) in enumerate(given.items()):
    try:
        client.insert("vectors", [{"id": key, "vector": vector}])
        seen[name] = [float(number) for number in client.get("vectors", ids=[key])[0]["vector"]]
    except MilvusException as error:
        seen[name] = f"refused: {error.message}"
    print(f"{name}: {seen[name]}")
refused = all(str(seen[name]).startswith("refused") for name in ("int8 array", "float32 bytes"))
sys.exit(not (refused and seen["int8 bytes"] == numbers.view(np.uint8).tolist()))
PYTHON
