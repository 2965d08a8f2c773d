"""text.onnx, the graph with the tokenizer inside: texts to vectors without a tokenizer library."""

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from m2v_onnx.vectors.ragged import Ids, check_unicode
from m2v_onnx.vectors.session import Session, Vectors, Wanted, own_vectors

Bytes = npt.NDArray[np.uint8]


class TextGraph:
    """The graph on texts. Threads may share it."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def vectors(
        self, texts: Sequence[str], wanted: Wanted, on_tokens: Callable[[int], object] | None = None
    ) -> Vectors:
        """:param on_tokens: gets how many tokens the texts have, truncated and without unknown ones.
        :return: float32 [N, dim]; [N, outputs] of the head.
        :raises InvalidTextError: for a text with a lone surrogate.
        """
        utf8, offsets = pack(texts)
        counted = None if on_tokens is None else ("input_ids", on_tokens)
        return own_vectors(self.session, {"utf8": utf8, "offsets": offsets}, wanted, counted)

    def ids(self, texts: Sequence[str]) -> tuple[Ids, Ids]:
        """Cut, tokenize, truncate, and leave out the unknown token.

        :return: int64 [T], the texts' ids end to end, and int64 [N], where each text starts.
        """
        utf8, offsets = pack(texts)
        ids, starts = self.session.run(["input_ids", "token_offsets"], {"utf8": utf8, "offsets": offsets})
        return ids, starts


def pack(texts: Sequence[str]) -> tuple[Bytes, Ids]:
    """The input of text.onnx.

    :return: uint8 [T], the texts' UTF-8 end to end, and int64 [N], where each text starts.
    :raises InvalidTextError: for a text with a lone surrogate.
    """
    try:
        encoded = [text.encode() for text in texts]
    except UnicodeEncodeError:
        check_unicode(texts)
        raise
    # Not by numpy's cumsum, which takes most of the time for a few texts.
    offsets = np.fromiter(accumulate(map(len, encoded), initial=0), np.int64, len(encoded))
    return np.frombuffer(b"".join(encoded), np.uint8), offsets
