"""Does memory grow with every new size of input? The examples' programs with and without onnxruntime's memory pattern.

    python -m benchmarks.new_sizes [BUNDLE] [--batches 12000]

Needs what `make conformance` leaves in .conformance/. A batch is 1 to 32 texts of 1 to 60 words, all at random, so that
nearly every batch has another size. Prints the process' resident memory in MB after each tenth of the batches.
"""

import argparse
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUNDLE = ROOT / "models" / "potion-base-8M-onnx"
WORK = ROOT / ".conformance"

PYTHON = """
import random, sys
sys.path.insert(0, ".")
from embed import embed, onnxruntime

bundle, batches, pattern = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "on"
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.enable_mem_pattern = pattern
session = onnxruntime.InferenceSession(f"{bundle}/onnx/text.onnx", options)
words = "whales come up to the surface to breathe through a blowhole on top of their heads".split()
random.seed(0)
for batch in range(1, batches + 1):
    embed(session, [" ".join(random.choices(words, k=random.randint(1, 60))) for _ in range(random.randint(1, 32))])
    if batch % (batches // 10) == 0:
        with open("/proc/self/status") as status:
            (resident,) = (line.split()[1] for line in status if line.startswith("VmRSS"))
        print(int(resident) // 1024, end=" ")
"""

NODE = """
const { embed } = await import("./embed.mjs");
const { InferenceSession } = await import("onnxruntime-node");
const [bundle, batches, pattern] = process.argv.slice(1);
const session = await InferenceSession.create(`${bundle}/onnx/text.onnx`, {
  intraOpNumThreads: 1,
  enableMemPattern: pattern === "on",
});
const words = "whales come up to the surface to breathe through a blowhole on top of their heads".split(" ");
const upTo = (most) => 1 + Math.floor(Math.random() * most);
const text = () => Array.from({ length: upTo(60) }, () => words[upTo(words.length) - 1]).join(" ");
for (let batch = 1; batch <= batches; batch++) {
  await embed(session, Array.from({ length: upTo(32) }, text));
  if (batch % (batches / 10) === 0) process.stdout.write(`${process.memoryUsage().rss >> 20} `);
}
"""

PROGRAMS = {
    "python": (".venv/bin/python", "-c", PYTHON),
    "node": ("node", "--input-type=module", "-e", NODE),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", type=Path, default=BUNDLE)
    parser.add_argument("--batches", type=int, default=12_000)
    options = parser.parse_args()
    for name, command in PROGRAMS.items():
        for pattern in ("on", "off"):
            arguments = (str(options.bundle.resolve()), str(options.batches), pattern)
            done = subprocess.run((*command, *arguments), cwd=WORK / name, capture_output=True, text=True, check=True)
            print(f"{name}, memory pattern {pattern}: {done.stdout.strip()} MB", flush=True)


if __name__ == "__main__":
    main()
