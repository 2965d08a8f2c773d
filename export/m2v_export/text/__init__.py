"""The tokenizer inside a graph: UTF-8 bytes in, token ids out, in integers and standard operators."""

from m2v_export.text.errors import UnsupportedTokenizer
from m2v_export.text.tables import TextTables, read_tables
from m2v_export.text.tokenize import tokenize

__all__ = ["TextTables", "UnsupportedTokenizer", "read_tables", "tokenize"]
