"""One text at a time in a process that does other work between them, so that its caches are full of that: a server's
query, not a benchmark's.

    python -m benchmarks.speed.cold [--queries 200] [--rounds 5] [CONTENDER ...]

Each contender has a process of its own, on one core. They are asked in turn, some queries at a time. Before each query,
and not timed, the process reads and writes WALKED bytes. What is printed is the median of the rounds' medians, and the
least of these; trust the ratios. With ``--walk 0`` the same queries come one after the other, warm.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from benchmarks.speed.__main__ import WALKED, Worker, models
from benchmarks.speed.contenders import CONTENDERS
from benchmarks.speed.texts import sets

QUERIES, ROUNDS = 200, 5
NAMES = [
    "model2vec",
    "laghu + laghu-rs",
    "m2v-onnx, extra fast",
    "m2v-onnx int8, extra fast",
    "m2v-onnx",
    "m2v-onnx int8",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="CONTENDER", help="all of a query's by default")
    parser.add_argument("--queries", type=int, default=QUERIES, help="of a round")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--walk", type=int, default=WALKED, help="bytes between queries")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "texts.json"
        texts.write_text(json.dumps(sets()), encoding="utf-8")
        model = models(Path(folder))[0]
        found = measure(model.files, texts, options.names or NAMES, options.queries, options.rounds, options.walk)
    print(f"{model.name}, {options.walk >> 20} MB of other work before each query, microseconds a query")
    base = next(iter(found.values()))
    for name, medians in found.items():
        middle, least = statistics.median(medians), min(medians)
        print(f"{name:28} {middle:7.1f} least {least:7.1f} times {statistics.median(base) / middle:5.2f}")


def measure(
    files: dict[str, Path], texts: Path, names: list[str], queries: int, rounds: int, walk: int
) -> dict[str, list[float]]:
    """:return: of each contender the median of each round, in microseconds."""
    workers = {name: Worker(name, files[CONTENDERS[name].needs], 1) for name in names}
    for worker in workers.values():
        worker.ask(do="texts", path=str(texts))
        worker.ask(do="one by one", kind="queries", begin=0, end=queries, walk=walk)
    found: dict[str, list[float]] = {name: [] for name in names}
    for i in range(1, rounds + 1):
        for name, worker in workers.items():
            asked = worker.ask(do="one by one", kind="queries", begin=i * queries, end=(i + 1) * queries, walk=walk)
            found[name].append(asked["median"] * 1e6)
    for worker in workers.values():
        worker.close()
    return found


if __name__ == "__main__":
    main()
