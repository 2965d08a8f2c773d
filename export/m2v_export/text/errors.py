"""Why a tokenizer cannot be put into a graph."""


class UnsupportedTokenizer(ValueError):
    """A part of the tokenizer cannot be exported exactly. The message names the part; the other graphs need no
    tokenizer inside and can be exported all the same."""
