"""Every language's example against golden.json: the same token ids, and vectors within its tolerance.

    python examples/conformance.py                          float32 and int8 of the model in models/, a Unigram, a BPE
    python examples/conformance.py BUNDLE ... --only go,rust

Each example is copied to .conformance/, built there, run on some texts, and tested with each bundle, and with two
copies of the first bundle whose golden.json is wrong, where it must fail. Traced by strace, it must write no file
outside its folder and look up no host. Then its README's way from an empty folder is followed: its files, its commands,
and what they print. A language whose tools are not there is skipped, which is a failure where the environment says
CI=true.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pages
import traced
from debian import fetch

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WORK = ROOT / ".conformance"
MODEL = ROOT / "models" / "potion-base-2M"
UNIGRAM, BPE = (ROOT / "tests" / "data" / name for name in ("model2vec-rs/vocab-quantized", "bpe"))

BUILT = (".venv", "node_modules", "target", "build", "__pycache__")
"""What builds leave in an example's folder."""

TEXTS = ("It's dangerous to go alone!", "Take this.", "naïve 日本語 👍", "x" + "日é👍" * 8_000)
"""The last one is longer than what counts, and cut where no character ends in bytes, nor in UTF-16."""
SHOWN = 1e-4
"""Programs print four digits after the point: the last one may be rounded otherwise."""

Command = tuple[str, ...]


@dataclass(frozen=True)
class Example:
    """How to build, run and test one folder of examples/; commands run in the folder's copy.

    :param tools: programs that must be there. :param embed: takes a bundle and texts, prints a line a text.
    :param test: `{bundle}` stands for the bundle, which is in the variable BUNDLE too.
    :param writes: starts of names that it may write to outside its folder.
    :param quiet: nothing is traced where this is no; a browser has a home and sockets of its own.
    :param sees_ids: the test knows token ids, not only vectors.
    :param needs: prepares what is no package of the language, and says what is missing, if anything is.
    """

    name: str
    tools: Command
    build: tuple[Command, ...]
    test: Command
    embed: Command = ()
    writes: Command = ()
    quiet: bool = True
    sees_ids: bool = True
    needs: Callable[[], str] = field(default=lambda: "")


def library() -> Path:
    """libonnxruntime of the Python package, which other languages open too."""
    (found,) = WORK.glob("python/.venv/lib/python*/site-packages/onnxruntime/capi/libonnxruntime.*")
    return found


def browser() -> str:
    """The page's test opens the browser that CHROMIUM names, else one that is installed."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return "" if any(map(shutil.which, names)) else "no chromium"


def cpp_headers() -> str:
    """Debian's headers and the Python package's library in .conformance/native, as an onnxruntime is installed."""
    native = WORK / "native"
    (native / "lib").mkdir(parents=True, exist_ok=True)
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        link = native / "lib" / name
        link.unlink(missing_ok=True)
        link.symlink_to(library())
    if not (native / "usr/include/nlohmann/json.hpp").exists():
        try:
            fetch(native, ["libonnxruntime-dev", "nlohmann-json3-dev"], suite="trixie", architecture="amd64")
        except (OSError, subprocess.CalledProcessError) as error:
            return f"Debian's libonnxruntime-dev: {error}"
    return ""


EXAMPLES = (
    Example(
        "python",
        tools=(),
        build=((sys.executable, "-m", "venv", ".venv"), (".venv/bin/pip", "install", "-q", "-r", "requirements.txt")),
        embed=(".venv/bin/python", "embed.py"),
        test=(".venv/bin/python", "golden.py", "{bundle}"),
    ),
    Example(
        "node",
        tools=("node", "npm"),
        build=(("npm", "install", "--no-package-lock", "--no-audit", "--no-fund"),),
        embed=("node", "embed.mjs"),
        test=("node", "--test"),
    ),
    Example(
        "java",
        tools=("java", "javac", "mvn"),
        build=(("mvn", "-B", "-q", "test-compile", "dependency:copy-dependencies"),),
        embed=("env", "ORT_DISABLE_TELEMETRY=1", "java", "-cp", "target/classes:target/dependency/*", "example.Embed"),
        writes=("/tmp/hsperfdata_", "/tmp/onnxruntime-java"),
        test=("mvn", "-B", "-q", "test", "-Dbundle={bundle}"),
    ),
    Example(
        "go",
        tools=("go", "cc"),
        build=(("go", "build", "-o", "embed", "."),),
        embed=("./embed",),
        test=("go", "test", "-count=1", "."),
    ),
    Example(
        "rust",
        tools=("cargo",),
        build=(("cargo", "build", "--quiet", "--release", "--locked"),),
        embed=("target/release/m2v-embed",),
        test=("cargo", "test", "--quiet", "--release", "--locked"),
    ),
    Example(
        "cpp",
        tools=("cmake", "c++", "apt-get", "dpkg-deb"),
        needs=cpp_headers,
        build=(("cmake", "-B", "build", "-DCMAKE_PREFIX_PATH={native};{native}/usr"), ("cmake", "--build", "build")),
        embed=("build/embed",),
        test=("build/golden", "{bundle}"),
    ),
    Example(
        "browser",
        tools=("node", "npm"),
        needs=browser,
        quiet=False,
        build=(("npm", "install", "--no-package-lock", "--no-audit", "--no-fund"),),
        test=("node", "--test"),
    ),
    Example(
        "readers/transformers.js",
        tools=("node", "npm"),
        build=(("npm", "install", "--no-package-lock", "--no-audit", "--no-fund"),),
        test=("node", "--test"),
    ),
    Example(
        "readers/fastembed",
        tools=(),
        build=((sys.executable, "-m", "venv", ".venv"), (".venv/bin/pip", "install", "-q", "-r", "requirements.txt")),
        test=(".venv/bin/python", "golden_vectors.py", "{bundle}"),
        sees_ids=False,
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = "by default float32 and int8 of the model in models/, a Unigram and a BPE"
    parser.add_argument("bundles", nargs="*", type=Path, help=default)
    parser.add_argument("--only", default="", help="names of examples, with commas between them")
    options = parser.parse_args()
    only = {"python", *options.only.split(",")} if options.only else {example.name for example in EXAMPLES}
    unknown = only - {example.name for example in EXAMPLES} - {""}
    if unknown:
        parser.error(f"no such example: {', '.join(sorted(unknown))}")
    bundles = [path.resolve() for path in options.bundles] or own_bundles()
    spoiled = list(spoil(bundles[0]))
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for example in EXAMPLES:
        if example.name in only:
            for label, outcome, words in outcomes(example, bundles, spoiled):
                counts[outcome] += 1
                print(f"{outcome:<8}{label}{': ' if words else ''}{words}", flush=True)
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return int(bool(counts["failed"] or (counts["skipped"] and os.environ.get("CI") == "true")))


def own_bundles() -> list[Path]:
    """The model in models/ with a float32 and with an int8 table, and small ones with other kinds of tokenizers."""
    bundles = []
    wanted = [(MODEL, precision, f"{MODEL.name}-{precision}") for precision in ("float32", "int8")]
    for source, precision, name in (*wanted, (UNIGRAM, "float32", "unigram"), (BPE, "float32", "bpe")):
        bundle = WORK / name
        shutil.rmtree(bundle, ignore_errors=True)
        command = (Path(sys.executable).with_name("m2v-onnx"), "export", source, bundle, "--precision", precision)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        bundles.append(bundle)
    return bundles


def spoil(bundle: Path) -> Iterator[Path]:
    """Two copies of a bundle whose golden.json is wrong: in one token id, and in one number of one vector."""

    for name in ("wrong-id", "wrong-number"):
        other = WORK / name
        shutil.rmtree(other, ignore_errors=True)
        shutil.copytree(bundle, other)
        golden = json.loads((bundle / "golden.json").read_text())
        entry = golden["texts"][8]
        if name == "wrong-id":
            entry["input_ids"][-1] += 1
        else:
            entry["sentence_embedding"][-1] += 2 * golden["tolerance"]
        (other / "golden.json").write_text(json.dumps(golden))
        yield other


def outcomes(example: Example, bundles: Sequence[Path], spoiled: Sequence[Path]) -> Iterator[tuple[str, str, str]]:
    """What was tried, how it went ("passed", "failed" or "skipped"), and what there is to say about it."""
    missing = next((f"no {tool}" for tool in example.tools if shutil.which(tool) is None), "") or example.needs()
    if missing:
        yield example.name, "skipped", missing
        return
    folder = copy(example)
    start = time.monotonic()
    for command in example.build:
        failure = run(command, folder, bundles[0])[1]
        if failure:
            yield f"{example.name} build", "failed", failure
            return
    yield f"{example.name} build", "passed", f"{time.monotonic() - start:.0f} s"
    for bundle in bundles:
        if example.embed:
            printed, failure = run((*example.embed, str(bundle), *TEXTS), folder, bundle)
            failure = failure or differs(printed, expected(bundle))
            yield f"{example.name} embed {bundle.name}", "failed" if failure else "passed", failure
        printed, failure = run(example.test, folder, bundle)
        yield f"{example.name} golden {bundle.name}", "failed" if failure else "passed", failure
    for bundle in spoiled if example.sees_ids else spoiled[1:]:
        printed, failure = run(example.test, folder, bundle)
        words = "" if failure else f"expected a failure, got {printed}"
        yield f"{example.name} sees {bundle.name}", "failed" if words else "passed", words

    if example.quiet:
        yield (f"{example.name} traced", *trace(example, folder, bundles[0]))
    if pages.steps(page(example)):
        failure = follow(example)
        yield f"{example.name} page", "failed" if failure else "passed", failure


def trace(example: Example, folder: Path, bundle: Path) -> tuple[str, str]:
    """Whether the program, or the test where there is only that, writes elsewhere or asks a network: outcome, words."""
    missing = traced.missing()
    if missing:
        return "skipped", missing
    command = (*example.embed, str(bundle), *TEXTS[:3]) if example.embed else filled(example.test, bundle)
    try:
        found = traced.surprises(command, folder, example.writes, environment(bundle))
    except subprocess.CalledProcessError as error:
        return "failed", f"{error}\n{error.stdout}{error.stderr}"
    return ("failed", "\n".join(found)) if found else ("passed", "")


def page(example: Example) -> Path:
    return HERE / example.name / "README.md"


def follow(example: Example) -> str:
    """Do what the README says in an empty folder, but for the graph and its table: what went wrong, if anything did."""
    folder = WORK / "pages" / example.name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "bundle/onnx").mkdir(parents=True)
    for name in ("text.onnx", "model.onnx_data"):
        shutil.copy(pages.BUNDLE / "onnx" / name, folder / "bundle/onnx")
    # What the page has to set for itself.
    unset = "unset ORT_DYLIB_PATH ORT_DISABLE_TELEMETRY ONNXRUNTIME_NODE_INSTALL\n"
    kept = f"export CARGO_TARGET_DIR='{WORK / 'pages-target'}'\n"  # from run to run, as other tools' caches are
    exported = f"set -euo pipefail\n{unset}{kept}"
    for step in pages.steps(page(example)):
        if step.file:
            (folder / step.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / step.file).write_text(step.text, encoding="utf-8")
            continue
        if "http.server" in step.text:  # the test opens the page
            continue
        printed, failure = run(("bash", "-c", exported + step.text), folder, pages.BUNDLE)
        failure = failure or (differs(printed, step.prints) if step.prints is not None else "")
        if failure:
            return failure
        exported += "".join(line + "\n" for line in step.text.splitlines() if line.startswith("export "))
    return ""


def copy(example: Example) -> Path:
    """The example's files in .conformance/, beside what an earlier run built there, and nothing else."""
    folder = WORK / example.name
    for path in folder.glob("*"):
        if path.name not in BUILT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    # Files as new as this run (not copy2): a build tool takes an older file for one that it has built.
    ignored = shutil.ignore_patterns(*BUILT)
    shutil.copytree(HERE / example.name, folder, ignore=ignored, copy_function=shutil.copy, dirs_exist_ok=True)
    return folder


def environment(bundle: Path) -> dict[str, str]:
    variables = {
        **os.environ,
        "BUNDLE": str(bundle),
        "ONNXRUNTIME": f"{WORK / 'native'};{WORK / 'native/usr'}",  # for C++
        "ONNXRUNTIME_NODE_INSTALL": "skip",  # of CUDA
        "LC_ALL": "C.UTF-8",  # Java reads its arguments in the locale's encoding
    }
    if (WORK / "python/.venv").exists():
        variables["ORT_DYLIB_PATH"] = str(next(iter(WORK.glob("python/.venv/lib/**/libonnxruntime.*")), ""))
    return variables


def filled(command: Command, bundle: Path) -> list[str]:
    return [part.replace("{bundle}", str(bundle)).replace("{native}", str(WORK / "native")) for part in command]


def run(command: Command, folder: Path, bundle: Path) -> tuple[str, str]:
    """:return: what the command printed, and what to say if it failed."""
    words = filled(command, bundle)
    result = subprocess.run(words, cwd=folder, env=environment(bundle), capture_output=True, text=True)
    told = f"`{' '.join(words)}` exited with {result.returncode}\n{result.stdout}{result.stderr}".rstrip()
    return result.stdout, told if result.returncode else ""


def expected(bundle: Path) -> str:
    """Every program must print what the Python one prints: four numbers, the dimensions, the text."""
    return run((*EXAMPLES[0].embed, str(bundle), *TEXTS), WORK / EXAMPLES[0].name, bundle)[0]


def differs(printed: str, wanted: str) -> str:
    """The first line that is another; numbers may be rounded otherwise."""
    found, lines = printed.splitlines(), wanted.splitlines()
    if len(found) != len(lines):
        return f"expected {len(lines)} lines, got {printed!r}"
    for line, other in zip(found, lines, strict=True):
        numbers = [(float(x), float(y)) for x, y in zip(line.split()[:4], other.split()[:4], strict=True)]
        if line.split()[4:] != other.split()[4:] or any(not abs(x - y) <= SHOWN for x, y in numbers):
            return f"expected `{other}`, got `{line}`"
    return ""


if __name__ == "__main__":
    sys.exit(main())
