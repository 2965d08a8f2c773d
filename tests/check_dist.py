"""What `make dist` holds the wheel and the source archive to.

python -m tests.check_dist dist
"""

import sys
import tarfile
import zipfile
from pathlib import Path

MOST_WHEEL_BYTES = 13_000_000

IN_THE_WHEEL = (
    "m2v_onnx/py.typed",
    "m2v_onnx/commands/demo.txt",
    "m2v_onnx/bundled/potion-base-8M/onnx/text.onnx",
    "m2v_onnx/bundled/potion-base-8M/onnx/model.onnx_data",
    "m2v_onnx/bundled/potion-base-2M/onnx/text.onnx",
    "m2v_export/py.typed",
    "m2v_export/text/wordpiece/tokenize.py",
)
NOT_IN_THE_WHEEL = ("tests", "benchmarks", "examples", "models", "docs", "findings", "export")
IN_THE_SOURCES = ("README.md", "CHANGELOG.md", "LICENSE", "models/LICENSE", "tests/conftest.py", "docs/milvus.md")


def main(folder: Path) -> None:
    (wheel,), (archive,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    size = wheel.stat().st_size
    assert size <= MOST_WHEEL_BYTES, f"{wheel.name} has {size:,} bytes, at most {MOST_WHEEL_BYTES:,} are wanted"
    names = zipfile.ZipFile(wheel).namelist()
    assert len(names) == len(set(names)), "a file is in the wheel twice"
    missing = [name for name in IN_THE_WHEEL if name not in names]
    assert not missing, f"{wheel.name} lacks {missing}"
    tops = {name.partition("/")[0] for name in names}
    assert not tops & set(NOT_IN_THE_WHEEL), f"{wheel.name} has {sorted(tops)} at its top"
    assert [name for name in names if name.endswith("models/LICENSE")], "the models' licence is not in the wheel"
    with tarfile.open(archive) as sources:
        paths = {name.partition("/")[2] for name in sources.getnames()}
    missing = [name for name in IN_THE_SOURCES if name not in paths]
    assert not missing, f"{archive.name} lacks {missing}"
    print(f"{wheel.name}: {size:,} bytes, {len(names)} files; {archive.name}: {archive.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
