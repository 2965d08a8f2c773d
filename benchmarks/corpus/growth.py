"""How time and memory of `m2v-onnx embed` grow with the rows of a Parquet file; and that a killed run ends the same.

    python -m benchmarks.corpus.growth [--rows 10000 100000 1000000] [--kills 2] [--plot docs/growth-rows.svg]

Each run is a process of its own, from its start to its end, with the model of 64 dimensions that comes with the
package. CPU time tells more than time where other work goes on. The largest table is embedded once more, into another
folder, by runs that are killed by SIGKILL at random moments, and both folders are compared row by row. Twenty million
rows need 5 GB for the input, and 10 GB for each of two outputs.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt
import pyarrow.parquet as pq
from tabulate import tabulate

from benchmarks.corpus.passages import write_passages

PART_ROWS = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--plot", help="where a picture of time and memory goes")
    parser.add_argument("--folder", help="where the tables are made; a temporary one by default")
    options = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory(dir=options.folder) as given:
        folder = Path(given)
        runs = []
        for rows in options.rows:
            write_passages(folder / f"{rows}.parquet", rows)
            run = _run(folder, rows, f"out-{rows}")
            runs.append(run)
            cells = (
                f"{rows:,}",
                f"{run.seconds:.1f}",
                f"{run.cpu:.1f}",
                f"{rows / run.cpu:,.0f}",
                f"{run.peak / 1e6:.0f}",
            )
            lines.append(cells)
        head = ("rows", "seconds", "CPU seconds", "rows a CPU second", "peak memory, MB")
        print(tabulate(lines, head, disable_numparse=True, stralign="right"), flush=True)
        if options.plot:
            _plot(options.rows, runs, options.plot)
        rows, seconds = options.rows[-1], runs[-1].seconds
        chance = random.Random(7)
        moments = sorted(chance.random() * seconds for _ in range(options.kills))
        for before, moment in zip([0.0, *moments], moments, strict=False):
            process = subprocess.Popen(_command(folder, rows, "killed"), stderr=subprocess.DEVNULL)
            time.sleep(moment - before)
            process.send_signal(signal.SIGKILL)
            process.wait()
            there = _parts(folder / "killed")
            print(f"killed after {moment - before:.1f} seconds with {there} parts there", flush=True)
        _run(folder, rows, "killed")
        _compare(folder / f"out-{rows}", folder / "killed", rows)


def _command(folder: Path, rows: int, out: str) -> list[str]:
    model = ["minishlab/potion-base-2M", "-i", str(folder / f"{rows}.parquet"), "-o", str(folder / out)]
    return [sys.executable, "-m", "m2v_onnx", "embed", *model, "--part-rows", str(PART_ROWS)]


@dataclass(frozen=True)
class Run:
    """:ivar cpu: seconds of all threads. :ivar peak: the largest resident memory, in bytes."""

    seconds: float
    cpu: float
    peak: int


def _run(folder: Path, rows: int, out: str) -> Run:
    start = time.perf_counter()
    process = subprocess.Popen(_command(folder, rows, out), stderr=subprocess.DEVNULL)
    peak = 0
    while True:
        peak = max(peak, _resident(process.pid))
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        time.sleep(0.05)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"embed ended with {process.returncode}")
    return Run(time.perf_counter() - start, used.ru_utime + used.ru_stime, peak)


def _resident(process: int) -> int:
    """The largest so far, in bytes, as the kernel counts it; 0 when it has ended."""
    try:
        with Path(f"/proc/{process}/status").open(encoding="ascii") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM")), 0)
    except OSError:
        return 0


def _plot(rows: list[int], runs: list[Run], path: str) -> None:
    plt.rcParams["svg.hashsalt"] = "m2v-onnx"
    figure, (above, below) = plt.subplots(2, sharex=True, figsize=(6, 5), layout="constrained")
    above.loglog(rows, [run.cpu for run in runs], "o-")
    above.set(ylabel="CPU seconds")
    below.semilogx(rows, [run.peak / 1e6 for run in runs], "o-")
    below.set(xlabel="rows", ylabel="peak memory, MB", ylim=(0, None))
    figure.savefig(path, metadata={"Date": None})


def _parts(folder: Path) -> int:
    return len([*folder.glob("part-*.parquet")])


def _compare(one: Path, other: Path, rows: int) -> None:
    seen = 0
    names = sorted(path.name for path in one.glob("part-*.parquet"))
    assert names == sorted(path.name for path in other.glob("part-*.parquet"))
    for name in names:
        ours, theirs = pq.read_table(one / name), pq.read_table(other / name)
        assert ours.equals(theirs), f"{name} differs"
        assert ours["id"].to_pylist() == [*range(seen, seen + len(ours))]
        seen += len(ours)
    assert seen == rows
    print(f"{rows:,} rows compared: those of the killed runs are the same to the last bit")


if __name__ == "__main__":
    main()
