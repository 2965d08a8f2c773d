"""The steps of a normalizer, and which of them are done to bytes, before characters become codes."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import Tokenizer, models, normalizers

from m2v_export.text.errors import UnsupportedTokenizer
from m2v_export.text.tables.added import added_table
from m2v_export.text.tables.graphemes import HAS_RULE, JOINS, Clusters
from m2v_export.text.tables.probe import changed_characters
from m2v_export.text.tables.rewriting import Rewriting, check_strings, read_rewriting
from m2v_export.text.tables.utf8 import SYMBOLS

Step = Mapping[str, Any]

SPACES = ("\\s+", " {2,}")
"""Regular expressions that Replace may have: they make one of several spaces."""

BLANKS = " by another text than one space, which counts beside white space that is left, such as U+0085"
"""Why SentencePiece's normalizer is refused as newer versions of transformers write it: ``Strip`` of the end, and ``▁``
for several spaces. Of ``a  \\x85b`` the words are ``a▁`` and ``b``; of ``a \\x85b`` they are ``a`` and ``b``."""

ONE_CHARACTER = re.compile(r"\[[^\[\]]+\]|\\s|\\p\{\w+\}")
"""Regular expressions that match one character, whatever is beside it."""

BY_CHARACTER = ("Lowercase", "NFD", "NFKD", "StripAccents")
"""Steps that change each character by itself, but for the order of marks."""

COMPOSES = ("NFC", "NFKC")


@dataclass(frozen=True)
class Plan:
    """The steps, in this order.

    :ivar strings: what Replace makes of strings of several characters.
    :ivar before: steps that change each character by itself, before one that looks at several.
    :ivar composes: NFC or NFKC, or nothing.
    :ivar behind: the others.
    """

    strings: Mapping[str, str]
    before: Sequence[Step]
    composes: str
    behind: Sequence[Step]

    @property
    def strips(self) -> bool:
        """Whether white space is taken away."""
        return any(step["type"] == "Strip" for step in self.behind)

    @property
    def sorts_marks(self) -> bool:
        """Whether marks change their places that are not taken away."""
        return any(
            step["type"] == "BertNormalizer"
            and (step["lowercase"] if step["strip_accents"] is None else step["strip_accents"])
            for step in self.behind
        )

    @property
    def has_clusters(self) -> bool:
        return bool(self.behind) and self.behind[0]["type"] == "Precompiled"

    def normalizer(self, steps: Sequence[Step]) -> normalizers.Normalizer | None:
        """:return: some of the steps."""
        return _with_normalizer(steps).normalizer if steps else None

    def check_clusters(self, clusters: Clusters) -> None:
        """ASCII is not written anew, so clusters with it must not depend on what it becomes."""
        if not self.before:
            return
        changed = changed_characters(_with_normalizer(self.before))
        of_ascii = {part for c, form in changed.items() if c < "\x80" for part in (c, *form)}
        joining = {chr(i) for i in np.flatnonzero(clusters.marks & JOINS)} - {*changed}
        rules = {chr(i) for i in np.flatnonzero(clusters.marks & HAS_RULE)}
        for several in clusters.several:
            if not of_ascii.isdisjoint(several) and {*several[1:]} <= joining:
                raise UnsupportedTokenizer(f"normalizer: Precompiled with {several!r}, behind steps that change it")
        if not of_ascii.isdisjoint(rules):
            raise UnsupportedTokenizer("normalizer: Precompiled that changes ASCII letters, behind steps that do")

    def rewriting(self, added: Sequence[str]) -> Rewriting | None:
        """:param added: contents of the added tokens."""
        if not (self.strings or self.before or self.composes):
            return None
        symbols = SYMBOLS + len(added)
        of_added = {tuple(content.encode()): SYMBOLS + i for i, content in enumerate(added)}
        return read_rewriting(
            added_table(of_added, symbols),
            self.strings,
            _with_normalizer(self.before) if self.before else None,
            symbols,
            self.composes,
        )


def plan_normalizer(normalizer: Step | None) -> Plan:
    """:raises UnsupportedTokenizer: when a step, or the order of the steps, cannot be exact."""
    steps = [*_steps(normalizer)]
    count = 0
    while count < len(steps) and _is_string(steps[count]):
        count += 1
    strings = {step["pattern"]["String"]: step["content"] for step in steps[:count]}
    check_strings(strings)
    steps = steps[count:]
    pivots = [i for i, step in enumerate(steps) if step["type"] in ("Precompiled", *COMPOSES)]
    if len(pivots) > 1:
        raise UnsupportedTokenizer(f"normalizer: {steps[pivots[1]]['type']} behind {steps[pivots[0]]['type']}")
    before = steps[: pivots[0]] if pivots else []
    composes = steps[pivots[0]]["type"] if pivots and steps[pivots[0]]["type"] in COMPOSES else ""
    behind = steps[len(before) + bool(composes) :]
    for step in before:
        if step["type"] not in BY_CHARACTER and not _replaces_one(step):
            raise UnsupportedTokenizer(f"normalizer: {_name(step)} before {steps[pivots[0]]['type']}")
    for step in behind:
        _check(step)
    if composes and any(c < "\x80" for c in changed_characters(_with_normalizer(before)) if before):
        raise UnsupportedTokenizer(f"normalizer: ASCII changed before {composes}")
    if not pivots and any(step["type"] in ("NFD", "NFKD") for step in behind):
        # Asked now, whether marks change their places.
        read_rewriting(None, {}, _with_normalizer(behind), SYMBOLS, "")
    return Plan(strings, before, composes, behind)


def _steps(normalizer: Step | None) -> Iterator[Step]:
    if normalizer is None:
        return
    if normalizer["type"] == "Sequence":
        for step in normalizer["normalizers"]:
            yield from _steps(step)
    else:
        yield normalizer


def _is_string(step: Step) -> bool:
    return step["type"] == "Replace" and len(step["pattern"].get("String", "")) > 1


def _replaces_one(step: Step) -> bool:
    """Whether a step replaces one character by any text."""
    if step["type"] != "Replace":
        return False
    pattern = step["pattern"]
    return len(pattern.get("String", "")) == 1 or ONE_CHARACTER.fullmatch(pattern.get("Regex", "")) is not None


def _check(step: Step) -> None:
    """Whether each character's form does not depend on its neighbours, but for spaces."""
    if step["type"] == "Replace":
        one_space = step["pattern"].get("Regex") in SPACES and step["content"] == " "
        if not one_space and not _replaces_one(step):
            why = BLANKS if step["pattern"].get("Regex") in SPACES else ""
            raise UnsupportedTokenizer(f"normalizer: {_name(step)}{why}")
    elif step["type"] not in (*BY_CHARACTER, "Precompiled", "BertNormalizer", "Strip"):
        raise UnsupportedTokenizer(f"normalizer: {_name(step)}")


def _name(step: Step) -> str:
    if step["type"] == "Replace":
        return f"Replace of {next(iter(step['pattern'].values()))!r}"
    return str(step["type"])


def _with_normalizer(steps: Sequence[Step]) -> Tokenizer:
    """A tokenizer that has nothing but some of the steps."""
    config = json.loads(Tokenizer(models.WordLevel({"a": 0}, "a")).to_str())
    return Tokenizer.from_str(json.dumps(config | {"normalizer": {"type": "Sequence", "normalizers": [*steps]}}))
