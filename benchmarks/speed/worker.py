"""One contender in a process of its own: reads jobs as JSON lines, answers with what it measured.

Run by the driver: python -m benchmarks.speed.worker CONTENDER MODEL CORES
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

LATENCY_WARM_UP = 200


def main() -> None:
    name, model, cores = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    from benchmarks.speed.contenders import CONTENDERS

    encode = CONTENDERS[name].load(model)
    encode(["a first text"])
    answer(ready=True, private=psutil.Process().memory_full_info().uss)
    texts: dict[str, list[str]] = {}
    for line in sys.stdin:
        job: dict[str, Any] = json.loads(line)
        if job["do"] == "texts":
            texts = json.loads(Path(job["path"]).read_text(encoding="utf-8"))
            answer(ready=True)
        elif job["do"] == "encode":
            some = texts[job["kind"]][job["begin"] : job["end"]]
            begin = time.perf_counter()
            encode(some)
            answer(seconds=time.perf_counter() - begin, peak=peak())
        elif job["do"] == "vectors":
            np.save(job["path"], np.asarray(encode(texts[job["kind"]][: job["end"]]), np.float32))
            answer(ready=True)
        elif job["do"] == "one by one":
            some = texts[job["kind"]][job["begin"] : job["end"]]
            for text in some[:LATENCY_WARM_UP]:
                encode([text])
            walked = np.zeros(job["walk"] // 8)
            times = []
            for text in some:
                walked += 1  # what a cache holds of the query before is gone
                begin = time.perf_counter()
                encode([text])
                times.append(time.perf_counter() - begin)
            answer(median=float(np.median(times)), p99=float(np.quantile(times, 0.99)))


def peak() -> int:
    """The most memory that the process had, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def answer(**values: Any) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main()
