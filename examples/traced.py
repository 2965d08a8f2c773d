"""What a program writes and whom it asks, seen by strace: for programs that should do neither.

    strace -ff -y ...       a file a thread, so that no call is cut in two; paths beside the numbers of open files

onnxruntime is quiet where the variable CI is set, so that is taken away first.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

CHANGES = (
    "creat,mkdir,mkdirat,mknod,mknodat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,"
    "truncate,chdir"
)
"""A program that goes elsewhere (chdir) can write there by relative names, which strace does not show whole."""

OPENS = "open,openat,openat2"
ASKS = "connect,sendto,sendmsg,sendmmsg"
# A "?" before a call: not every processor has it.
CALLS = "trace=" + ",".join(f"?{name}" for name in f"{CHANGES},{OPENS},{ASKS}".split(","))

CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>\S+)")
WRITES = re.compile(r"\bO_(WRONLY|RDWR|CREAT|TRUNC|APPEND)\b")
FOLDER = re.compile(r"(?:AT_FDCWD|\d+)<(.*?)>")
PATH = re.compile(r'"((?:[^"\\]|\\.)*)"')
NETWORK = re.compile(r"\bsa_family=AF_(INET|INET6|NETLINK)\b")
"""Looking up a host asks the kernel for this machine's addresses (netlink), then a server."""

NOWHERE = ("/dev/", "/proc/")


def missing() -> str:
    """Say why nothing can be traced here, if so."""
    if shutil.which("strace") is None:
        return "no strace"
    with tempfile.TemporaryDirectory() as folder:
        tried = subprocess.run(["strace", "-o", f"{folder}/trace", "true"], capture_output=True, text=True)
    return f"strace may not trace: {tried.stderr.strip()}" if tried.returncode else ""


def surprises(
    command: Sequence[str], folder: Path, allowed: Sequence[str] = (), environment: Mapping[str, str] = os.environ
) -> list[str]:
    """Run a program without the variables CI and ORT_DISABLE_TELEMETRY, with a home and a temporary folder of its own.

    :param folder: where it runs and may write, as in the temporary folder.
    :param allowed: starts of other paths that it may write.
    :return: calls that wrote elsewhere, removed there, or turned to a network, one of each kind.
    :raises subprocess.CalledProcessError: when the program fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        trace, home, temporary = (Path(scratch, name) for name in ("trace", "home", "temporary"))
        for path in (trace, home, temporary):
            path.mkdir()
        kept = {k: v for k, v in environment.items() if k not in ("CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}
        subprocess.run(
            [
                "strace",
                "-ff",
                "-qq",
                "-y",
                "-s",
                "4096",
                "-e",
                "signal=none",
                "-e",
                CALLS,
                "-o",
                trace / "of",
                *command,
            ],
            cwd=folder,
            env={**kept, "HOME": str(home), "TMPDIR": str(temporary)},
            capture_output=True,
            text=True,
            check=True,
        )
        lines = [line for file in sorted(trace.iterdir()) for line in file.read_text(errors="replace").splitlines()]
        return list(dict.fromkeys(_surprises(lines, folder, (*NOWHERE, f"{folder}/", f"{temporary}/", *allowed))))


def _surprises(lines: Sequence[str], folder: Path, allowed: Sequence[str]) -> Iterator[str]:
    for line in lines:
        call = CALL.match(line)
        if call is None:
            continue
        name, arguments = call["name"], call["arguments"]
        if name in ASKS.split(","):
            if NETWORK.search(arguments):  # whether or not there was an answer
                yield line
        elif (
            not call["result"].startswith("-1")
            and (name in CHANGES.split(",") or WRITES.search(arguments))
            and not all(path.startswith(tuple(allowed)) for path in _paths(arguments, folder))
        ):
            yield line


def _paths(arguments: str, folder: Path) -> Iterator[str]:
    """The files that a call names; `-y` shows the folder that a relative name starts from."""
    start = str(folder)
    for part in re.finditer(f"{FOLDER.pattern}|{PATH.pattern}", arguments):
        if part[1] is not None:
            start = part[1]
        else:
            yield os.path.normpath(os.path.join(start, part[2]))  # noqa: PTH118 - of names that may be gone
