#!/usr/bin/env bash
# pyarrow writes nulls among lists of a fixed size to Parquet, and cannot read its own file.
#
# Versions: pyarrow 20.0.0, 25.0.0 and 26.0.0, Linux, wheels of PyPI.
# Seen:    a column of lists of two floats, one of them null. 20 and 25 (and 21 to 24) write it without a word, and raise
#          ArrowInvalid when they read the file back. 26 reads what it writes. Where the null has values below it, as
#          FixedSizeListArray.from_arrays with a mask makes it, 20 raises ArrowNotImplementedError when it writes.
# Guessed: that a file which was written without an error can be read by the same program.
# Matters: vectors in a table are such lists, and a row without a text has none. `embed` refuses nulls with
#          `--layout fixed` in Parquet; in plain lists every version reads them.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cat > "$scratch/try.py" <<'PY'
import sys

import pyarrow as pa
import pyarrow.parquet as pq

table = pa.table({"vector": pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2))})
for name, act in (("write", lambda: pq.write_table(table, sys.argv[1])), ("read", lambda: pq.read_table(sys.argv[1]))):
    try:
        act()
        print(pa.__version__, name, "done")
    except pa.ArrowException as error:
        print(pa.__version__, name, type(error).__name__)
        break
PY
python3 -m venv "$scratch/venv"
for release in 20.0.0 25.0.0 26.0.0; do
  "$scratch/venv/bin/pip" install --quiet "pyarrow==$release" || exit 2
  "$scratch/venv/bin/python" "$scratch/try.py" "$scratch/$release.parquet"
done | tee "$scratch/seen"
diff "$scratch/seen" - <<'SEEN' || { echo "changed: it is not as the head of this file says" && exit 1; }
20.0.0 write done
20.0.0 read ArrowInvalid
25.0.0 write done
25.0.0 read ArrowInvalid
26.0.0 write done
26.0.0 read done
SEEN
