"""How far chance alone moves a score: int8 beside random errors of int8's size. docs/mteb.md has what it prints.

    python -m benchmarks.quality.chance

Needs ../shared. A table in int8 is rounded to a grid. Here the same grid is moved by a random part of a step for each
number of the table, so that each error is as large as int8's own and says nothing: 100 such tables a model. What their
scores do is what int8's score does by chance. Besides, int8 with each row's scale chosen for the least squared error.
Texts are pooled by numpy, from token ids that are made once.
"""

import numpy as np
from model2vec import StaticModel

from benchmarks.quality.measures import TOP, Array, cosine_scores, cosines, cranfield_data, ndcgs, spearman
from benchmarks.shared import SHARED, lines, need_shared
from m2v_export.source.embedding import Embedding
from m2v_export.source.model import read_folder
from m2v_export.source.precision import stored_as

MODELS = ("potion-base-2M", "potion-base-8M")
TABLES = 100
GOAL = 0.1
"""Points that we asked int8 to stay within."""

CLIPS = np.linspace(0.9, 1.0, 21)
"""How much of a row's largest value the largest code stands for, tried one after the other."""


class Pooled:
    """Both tasks' texts as counts of tokens."""

    def __init__(self, model: StaticModel) -> None:
        documents, queries, _ = cranfield_data()
        rows = [line.split("\t") for line in lines("stsb/sts-test.tsv")]
        self.human = np.array([float(row[0]) for row in rows])
        texts = [*queries.values(), *documents.values(), *(row[1] for row in rows), *(row[2] for row in rows)]
        ids = [each[:512] for each in model.tokenize(texts)]
        self.used = np.unique(np.concatenate([np.asarray(each, np.int64) for each in ids]))
        self.counts = np.zeros((len(texts), len(self.used)), np.float32)
        for row, each in zip(self.counts, ids, strict=True):
            np.add.at(row, np.searchsorted(self.used, np.asarray(each, np.int64)), 1)
        self.ends = np.cumsum([len(queries), len(documents), len(rows)])

    def scores(self, table: Array) -> tuple[float, Array, Array]:
        """:param table: [used, dim]. :return: STS-B, Cranfield's queries, and their scores [queries, documents]."""
        queries, documents, first, second = np.split(self.counts @ table.astype(np.float32), self.ends)
        found = cosine_scores(queries, documents)
        return 100 * spearman(cosines(first, second), self.human), ndcgs(found), found


def steps(stored: Embedding) -> Array:
    """The size of int8's grid at each number of the table. :return: float64 [rows, dim]."""
    assert stored.weights is not None
    assert stored.scales is not None
    return np.asarray(stored.weights.astype(np.float64)[:, None] * stored.scales.astype(np.float64))


def least_squares(table: Array, step: Array) -> Array:
    """int8 with the scale of each row, of several, that has the least squared error."""
    best, least = np.zeros(table.shape), np.full((len(table), 1), np.inf)
    for clip in CLIPS:
        tried = np.clip(np.rint(table / (step * clip)), -127, 127) * step * clip
        error = ((tried - table) ** 2).sum(axis=1, keepdims=True)
        best, least = np.where(error < least, tried, best), np.minimum(error, least)
    return best


def main() -> None:
    need_shared()
    print(
        "| model | task | float32 | int8 | int8, least squares | random errors of int8's size: mean, spread | beyond"
        f" {GOAL} | as far as int8 |\n|---|---|---|---|---|---|---|---|"
    )
    notes = []
    for name in MODELS:
        folder = SHARED / "models" / name
        embedding = read_folder(folder).embedding
        assert embedding.mapping is None
        assert embedding.weights is None
        stored = stored_as(embedding, "int8")
        pooled = Pooled(StaticModel.from_pretrained(folder))
        table, step = embedding.table[pooled.used].astype(np.float64), steps(stored)[pooled.used]
        codes = stored.table[pooled.used].astype(np.float64)
        exact, rounded, fitted = (pooled.scores(each) for each in (table, codes * step, least_squares(table, step)))
        rng = np.random.default_rng(0)
        moved = []
        for _ in range(TABLES):
            shift = rng.uniform(-0.5, 0.5, table.shape)
            sts, each, _ = pooled.scores((np.rint(table / step + shift) - shift) * step)
            moved.append((sts - exact[0], each.mean() - exact[1].mean()))
        for i, task in enumerate(("STS-B", "Cranfield")):
            was, now, best = (float(np.mean(scores[i])) for scores in (exact, rounded, fitted))
            by = np.array(moved)[:, i]
            moves = f"{now - was:+.2f} | {best - was:+.2f} | {by.mean():+.2f}, {by.std():.2f}"
            shares = f"{np.mean(np.abs(by) > GOAL):.0%} | {np.mean(np.abs(by) >= abs(now - was)):.0%}"
            print(f"| {name} | {task} | {was:.2f} | {moves} | {shares} |", flush=True)
        notes.append(places(name, exact, rounded))
    print()
    print("\n".join(notes))


def places(name: str, exact: tuple[float, Array, Array], rounded: tuple[float, Array, Array]) -> str:
    """What changed in Cranfield's results."""
    changes = rounded[1] - exact[1]
    best = [np.argsort(-scores[2], axis=1, kind="stable")[:, :TOP] for scores in (exact, rounded)]
    nearest = np.sort(exact[2], axis=1)[:, ::-1]
    gaps = nearest[:, :TOP] - nearest[:, 1 : TOP + 1]
    largest = np.abs(rounded[2] - exact[2]).max()
    same = int((best[0] == best[1]).all(axis=1).sum())
    top = np.sort(np.abs(changes))[::-1][:3].sum() / len(changes)
    return (
        f"{name}: int8 moves no cosine by more than {largest:.4f}; {np.mean(gaps < largest):.0%} of the {gaps.size:,}"
        f" places 1 to {TOP} are nearer than that to the next. {len(changes) - same} of {len(changes)} questions have"
        f" another order of their first {TOP}; {np.sum(changes > 1e-9)} score more and {np.sum(changes < -1e-9)} less."
        f" The three that changed most are {top:.2f} points of the mean."
    )


if __name__ == "__main__":
    main()
