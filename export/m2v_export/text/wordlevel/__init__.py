"""WordLevel: a word is a token or unknown.

That is WordPiece without pieces inside words: the same stages in the same order.
"""

from m2v_export.text.wordlevel.tables import read_tables
from m2v_export.text.wordpiece import build_ids

__all__ = ["build_ids", "read_tables"]
