"""What BPE has of its own: its tables, how text is cut into words, and the merges."""

from m2v_export.text.bpe.read import read_tables
from m2v_export.text.bpe.tables import BpeTables
from m2v_export.text.bpe.tokenize import build_ids

__all__ = ["BpeTables", "build_ids", "read_tables"]
