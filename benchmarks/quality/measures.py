"""What a model's vectors are good for: sentence similarity on STS-B, search on Cranfield."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.shared import SHARED, lines

Array = npt.NDArray[Any]
Encode = Callable[[Sequence[str]], Array]
Scores = Callable[[Array, Array], Array]

TOP = 10
"""Documents of a result that count."""


def cosines(a: Array, b: Array) -> Array:
    """Of row with row; 0 where one of them is zero. :return: float64 [N]."""
    return np.asarray((unit(a) * unit(b)).sum(axis=1))


def unit(vectors: Array) -> Array:
    """:return: float64, of length 1, or 0."""
    wide = vectors.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(wide / np.where(norms > 0, norms, 1))


def cosine_scores(queries: Array, documents: Array) -> Array:
    """:return: float64 [queries, documents]."""
    return np.asarray(unit(queries) @ unit(documents).T)


def hamming_scores(queries: Array, documents: Array) -> Array:
    """Of packed bits: minus the number of those that differ. :return: int64 [queries, documents]."""
    bits = [np.unpackbits(of, axis=1).astype(np.int64) for of in (queries, documents)]
    return np.asarray(-(bits[0] @ (1 - bits[1]).T + (1 - bits[0]) @ bits[1].T))


def stsb(encode: Encode) -> float:
    """Spearman correlation x 100 of cosines and human scores, over the test set."""
    rows = [line.split("\t") for line in lines("stsb/sts-test.tsv")]
    found = cosines(encode([row[1] for row in rows]), encode([row[2] for row in rows]))
    return 100 * spearman(found, np.array([float(row[0]) for row in rows]))


def spearman(a: Array, b: Array) -> float:
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def ranks(values: Array) -> Array:
    """From 1; equal values share their mean rank."""
    _, groups, sizes = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    return np.asarray((last - (sizes - 1) / 2)[groups])


def cranfield(encode: Encode, scores: Scores = cosine_scores) -> float:
    """nDCG@10 x 100, the mean over all queries; equal scores keep the corpus' order."""
    documents, queries, _ = cranfield_data()
    return float(ndcgs(scores(encode(list(queries.values())), encode(list(documents.values())))).mean())


def ndcgs(found: Array) -> Array:
    """nDCG@10 x 100 of each of Cranfield's queries.

    :param found: float64 [queries, documents], in their order in ``cranfield_data``; the larger the nearer.
    :return: float64 [queries].
    """
    documents, queries, gains = cranfield_data()
    names = list(documents)
    best = np.argsort(-found, axis=1, kind="stable")[:, :TOP]
    discounts = 1 / np.log2(np.arange(TOP) + 2)
    each = []
    for query, order in zip(queries, best, strict=True):
        got = np.array([gains[query].get(names[i], 0) for i in order])
        ideal = np.sort(np.array(list(gains[query].values())))[::-1][:TOP]
        each.append(100 * (got * discounts).sum() / (ideal * discounts[: len(ideal)]).sum())
    return np.array(each)


@cache
def cranfield_data() -> tuple[dict[str, str], dict[str, str], dict[str, dict[str, int]]]:
    """Documents, queries with a relevant one, and gains of documents by query."""
    folder = SHARED / "data" / "cranfield"
    gains: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, gain = line.split("\t")
        if int(gain) > 0:
            gains[query][document] = int(gain)
    documents, queries = (_texts(lines(f"cranfield/{name}.jsonl")) for name in ("corpus", "queries"))
    return documents, {name: text for name, text in queries.items() if name in gains}, gains


def _texts(rows: list[str]) -> dict[str, str]:
    return {value["_id"]: f"{value.get('title', '')} {value['text']}".strip() for value in map(json.loads, rows)}
