"""What WordPiece has of its own: its tables, the search for pieces, and the order of the stages."""

from m2v_export.text.wordpiece.tables import WordPieceTables, read_tables
from m2v_export.text.wordpiece.tokenize import build_ids

__all__ = ["WordPieceTables", "build_ids", "read_tables"]
