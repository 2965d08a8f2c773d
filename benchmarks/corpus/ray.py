"""`m2v-onnx embed --engine ray` on the cores of this machine, beside the same command without Ray.

    python -m benchmarks.corpus.ray [--rows 400000] [--workers 2] [--rounds 3]

Both write the same parts, with the model of 64 dimensions that comes with the package, and as many threads or workers.
Rounds alternate, and the fastest of each counts. Ray runs already, and the workers' start is counted, for each job has
its own.
"""

import argparse
import tempfile
import time
from pathlib import Path

import ray

from benchmarks.corpus.passages import write_passages
from m2v_onnx import OnnxStaticModel, OnRay, embed_files

MODEL = "minishlab/potion-base-2M"
PARTS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ray.init(num_cpus=options.workers, include_dashboard=False, object_store_memory=100 << 20, logging_level="warning")
    model = OnnxStaticModel.from_pretrained(MODEL, threads=options.workers)
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as given:
        folder = Path(given)
        write_passages(folder / "in.parquet", options.rows)
        for _ in range(options.rounds):
            for name, engine in (("one process", None), ("ray", OnRay(workers=options.workers, model=MODEL))):
                start = time.perf_counter()
                embed_files(
                    model, folder / "in.parquet", folder / name, part_rows=-(-options.rows // PARTS), engine=engine,
                    force=True,
                )  # fmt: skip
                seconds = time.perf_counter() - start
                best[name] = min(best.get(name, seconds), seconds)
                print(f"{name}: {seconds:.1f} s", flush=True)
    for name, seconds in best.items():
        print(f"{name}: {options.rows / seconds:,.0f} rows/s, {best['one process'] / seconds:.0%} of one process")


if __name__ == "__main__":
    main()
