"""What Unigram has of its own: its tables, the search for the best pieces of a word, and the order of the stages."""

from m2v_export.text.unigram.tables import UnigramTables, read_tables
from m2v_export.text.unigram.tokenize import build_ids

__all__ = ["UnigramTables", "build_ids", "read_tables"]
