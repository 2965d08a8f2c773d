"""Pages whose code is run: what stands in them, and how it is run.

A block marked ``python`` is run; a ``text`` block behind it is what it prints. Of a block marked ``sh`` the commands
``m2v-onnx`` are run; of one marked ``console`` they are only parsed, for they need the network or a pipe. ``py`` is
Python that needs other packages: it is only compiled.
"""

import contextlib
import io
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```([\w-]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ENDS = frozenset("|><;&()")
"""Characters that end a command in a shell's line."""


@dataclass(frozen=True)
class Block:
    """A block of code.

    :ivar language: as it is marked.
    :ivar prints: the ``text`` block behind it; None where there is none.
    """

    language: str
    code: str
    prints: str | None

    @property
    def commands(self) -> list[list[str]]:
        """The arguments of each command ``m2v-onnx``, for a block of the shell."""
        return [arguments for line in self.code.replace("\\\n", "").splitlines() for arguments in _commands(line)]


def blocks(text: str) -> list[Block]:
    """The blocks of a page, in order."""
    found = FENCE.findall(text)
    return [
        Block(language, code, after if kind == "text" else None)
        for (language, code), (kind, after) in zip(found, [*found, ("", "")][1:], strict=True)
    ]


def printed(code: str, name: str) -> str:
    """What Python code prints."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, name, "exec"), {"__name__": "page"})
    return output.getvalue()


def broken_links(page: Path) -> list[str]:
    """Links to files or headings that are not there, those of the web left out."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        target, _, heading = link.partition("#")
        path = page.parent / target if target else page
        if not path.exists() or (heading and heading not in _headings(path)):
            broken.append(link)
    return broken


def _headings(page: Path) -> set[str]:
    """As GitHub names them in links."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _commands(line: str) -> list[list[str]]:
    if "m2v-onnx " not in line:
        return []
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    parts: list[list[str]] = [[]]
    for token in lexer:
        if token and set(token) <= ENDS:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part[1:] for part in parts if part and part[0] == "m2v-onnx"]
