"""How much of a text counts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """:ivar tokens: the most of a text; None for all.
    :ivar code_points: the most of a text, to which it is cut before it is tokenized; None for all.
    :ivar left_out: the token that is left out, after truncation; None for none.
    """

    tokens: int | None
    code_points: int | None
    left_out: int | None

    @classmethod
    def of(cls, max_length: int | None, median_token_length: int, unk_token_id: int | None) -> "Limits":
        """As model2vec has them: a text is cut to ``max_length`` times ``median_token_length`` code points."""
        return cls(max_length, None if max_length is None else max_length * median_token_length, unk_token_id)
