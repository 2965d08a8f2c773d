"""Debian packages of any suite and architecture, unpacked into a folder: nothing is installed, no root is needed.

python examples/debian.py --suite bookworm --architecture arm64 --dependencies OUT python3.11
"""

import argparse
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

RELEASE = Path("/etc/os-release")
SOURCES = (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d/debian.sources"))
"""Where this machine says which mirror of Debian it uses; others of its sources do not have other suites."""


def fetch(out: Path, packages: Sequence[str], suite: str, architecture: str, dependencies: bool = False) -> None:
    """Download packages with apt, which has a state of its own in a temporary folder, and unpack them into a folder.

    :param dependencies: with all that they need, down to the C library.
    :raises OSError: this machine is no Debian. :raises subprocess.CalledProcessError: apt's own words are printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        environment = {**os.environ, "APT_CONFIG": str(_configure(state, suite, architecture))}
        _run(["apt-get", "update"], environment, state)
        if dependencies:
            _run(["apt-get", "install", "--yes", "--download-only", "--no-install-recommends", *packages],
                 environment, state)  # fmt: skip
        else:
            _run(["apt-get", "download", *packages], environment, state)
        out.mkdir(parents=True, exist_ok=True)
        for archive in sorted(state.rglob("*.deb")):
            subprocess.run(["dpkg-deb", "--extract", archive, out], check=True)
        for name in ("bin", "lib", "sbin"):  # from Debian 13 on, no package has files there
            if (out / "usr" / name).exists() and not (out / name).exists():
                (out / name).symlink_to(f"usr/{name}")


def _configure(state: Path, suite: str, architecture: str) -> Path:
    for name in ("lists/partial", "cache/archives/partial", "sources"):
        (state / name).mkdir(parents=True)
    (state / "status").touch()  # as if nothing were installed
    codename = dict(line.split("=", 1) for line in RELEASE.read_text().splitlines() if "=" in line)["VERSION_CODENAME"]
    found = [path for path in SOURCES if path.exists()]
    if not found:
        raise FileNotFoundError(f"expected Debian's package sources in one of {', '.join(map(str, SOURCES))}")
    for path in found:
        (state / "sources" / path.name.replace("sources.list", "debian.list")).write_text(
            path.read_text().replace(codename, suite)
        )
    config = state / "apt.conf"
    config.write_text(
        f"""APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::State "{state}";
Dir::State::lists "{state}/lists";
Dir::State::status "{state}/status";
Dir::Cache "{state}/cache";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{state}/sources";
"""
    )
    return config


def _run(command: Sequence[str], environment: dict[str, str], folder: Path) -> None:
    result = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    if result.returncode:
        print(result.stdout, result.stderr, sep="\n")
        result.check_returncode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("packages", nargs="+")
    parser.add_argument("--suite", required=True)
    parser.add_argument("--architecture", required=True)
    parser.add_argument("--dependencies", action="store_true", help="with all that they need")
    options = parser.parse_args()
    fetch(options.out, options.packages, options.suite, options.architecture, options.dependencies)


if __name__ == "__main__":
    main()
