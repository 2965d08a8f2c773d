"""Time and peak memory of an export, in a process of its own.

    python -m benchmarks.export_memory MODEL [MODEL ...]

MODEL is a Model2Vec folder. What tokenizers of hundreds of thousands of pieces take is most of it: the package
tokenlearn-static-model 0.1.1 on PyPI has one of 276,326, in static_model/model.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

CHILD = """
import resource, sys, time
start = time.perf_counter()
from m2v_export import export_model
export_model(sys.argv[1], sys.argv[2])
unit = 1 if sys.platform == "darwin" else 1024
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
print(f"{time.perf_counter() - start:.1f} s, peak {peak / 2**20:,.0f} MiB")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", metavar="MODEL", nargs="+", type=Path)
    for model in parser.parse_args().models:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-c", CHILD, str(model), f"{folder}/out"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"{model}: {done.stdout.strip()}")


if __name__ == "__main__":
    main()
