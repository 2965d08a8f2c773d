"""What the ways to a vector cost, by the kind of tokenizer: what ``tokenizer="auto"`` goes by.

Each figure was measured by ``python -m benchmarks.ways``, which prints them. They are no property of a machine that
runs a model: what counts is which of two ways is faster, and the same batch goes the same way everywhere.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Of one batch on one core, in microseconds.

    :ivar batch: of any batch. :ivar text: more for each text. :ivar character: more for each character.
    """

    batch: float
    text: float
    character: float

    def of(self, texts: int, characters: int) -> float:
        return self.batch + self.text * texts + self.character * characters


@dataclass(frozen=True)
class Ways:
    """:ivar graph: by text.onnx. :ivar library: by `tokenizers`, with one.onnx or bag.onnx."""

    graph: Cost
    library: Cost

    def library_is_faster(self, texts: int, characters: int) -> bool:
        return texts <= MOST_TEXTS and self.library.of(texts, characters) < self.graph.of(texts, characters)

    def most_texts(self, characters: int) -> int:
        """:param characters: of each text. :return: how many texts the library is faster for."""
        found = 0
        while self.library_is_faster(found + 1, (found + 1) * characters):
            found += 1
        return found


MOST_TEXTS = 48
"""That the benchmark has in a batch: of more the graph takes all."""

WORDPIECE = "WordPiece"

COSTS = {
    WORDPIECE: Ways(Cost(138, 7.8, 0.12), Cost(0, 27.4, 0.29)),
    "WordLevel": Ways(Cost(143, 5.4, 0.11), Cost(77, 9.3, 0.42)),  # WordPiece's, where no text is looked up by words
    "Unigram": Ways(Cost(275, 21.5, 0.31), Cost(82, 0, 0.99)),
    "BPE": Ways(Cost(262, 10.3, 0.23), Cost(49, 13.2, 0.47)),
}
"""By the type of the model in tokenizer.json."""


def ways_of(kind: str) -> Ways:
    """:param kind: one that is not known costs as WordPiece does."""
    return COSTS.get(kind, COSTS[WORDPIECE])
