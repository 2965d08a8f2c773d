"""English texts that every machine has: the docstrings of Python's standard library."""

import ast
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

SENTENCE_CHARACTERS = range(40, 200)
PASSAGE_CHARACTERS = 260
QUERY_WORDS = 7


def sets() -> dict[str, list[str]]:
    """Texts by kind: queries of some 10 tokens, sentences, and passages of some 260 characters."""
    sentences = list(dict.fromkeys(_sentences()))
    return {
        "queries": list(dict.fromkeys(" ".join(sentence.split()[:QUERY_WORDS]).lower() for sentence in sentences)),
        "sentences": sentences,
        "passages": list(_passages(sentences)),
    }


def _sentences() -> Iterator[str]:
    for docstring in _docstrings():
        for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])|\n\s*\n", docstring):
            sentence = " ".join(sentence.split())
            if len(sentence) in SENTENCE_CHARACTERS:
                yield sentence


def _docstrings() -> Iterator[str]:
    """Of modules, classes and functions, and the comments between them; in the order of the files' names."""
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if "site-packages" in path.parts or "lib2to3" in path.parts:
            continue
        try:
            source = path.read_text(encoding="utf-8")
            tree = ast.parse(source)
        except (SyntaxError, UnicodeDecodeError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                yield ast.get_docstring(node) or ""
        for block in re.findall(r"(?:^[ ]*# .*\n){2,}", source, re.MULTILINE):
            yield re.sub(r"^ *# ?", "", block, flags=re.MULTILINE)


def _passages(sentences: list[str]) -> Iterator[str]:
    passage = ""
    for sentence in sentences:
        passage = f"{passage} {sentence}".strip()
        if len(passage) >= PASSAGE_CHARACTERS:
            yield passage[:PASSAGE_CHARACTERS]
            passage = ""
