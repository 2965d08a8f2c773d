"""The way from an empty folder in each example's README: its files are the example's own, its commands are run.

    python examples/pages.py    writes the files into the READMEs anew, after a change to one

A file's block comes after a line that ends with its name, as `embed.go`: and what commands print comes after them, in a
block of text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUNDLE = HERE.parent / "models" / "potion-base-8M-onnx"
"""What the pages' programs print the vectors of."""

START = "\n## From an empty folder\n"
BLOCK = re.compile(r"(?:`(?P<file>[\w./-]+)`:\n\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """One code block of a README: a file, by its name; or commands, and what they print, if that is shown."""

    text: str
    file: str = ""
    prints: str | None = None


def section(page: Path) -> str:
    """What stands under "From an empty folder"; nothing where there is no such section."""
    return page.read_text(encoding="utf-8").partition(START)[2].partition("\n## ")[0]


def steps(page: Path) -> list[Step]:
    found: list[Step] = []
    for block in BLOCK.finditer(section(page)):
        if block["language"] == "text":
            found[-1] = replace(found[-1], prints=block["text"])
        elif block["file"] or block["language"] == "sh":
            found.append(Step(block["text"], block["file"] or ""))
    return found


def with_files(page: Path) -> str:
    """The page, with the files as they are now."""

    def block(match: re.Match[str]) -> str:
        if not match["file"]:
            return match[0]
        text = (page.parent / match["file"]).read_text(encoding="utf-8")
        return f"`{match['file']}`:\n\n```{match['language']}\n{text}```"

    old = section(page)
    return page.read_text(encoding="utf-8").replace(old, BLOCK.sub(block, old)) if old else page.read_text("utf-8")


def pages() -> Iterator[Path]:
    return (page for page in sorted(HERE.rglob("README.md")) if "node_modules" not in page.parts and section(page))


if __name__ == "__main__":
    for page in pages():
        page.write_text(with_files(page), encoding="utf-8")
