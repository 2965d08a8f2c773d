"""The tokenizer inside a graph: UTF-8 bytes in, vectors out, in integers and standard operators.

The stages, as their scopes are called in the file, and where each is:

=========== ============================== ========================================================================
stage       file                           what it does
=========== ============================== ========================================================================
decode      ``stages/decode.py``           bytes to symbols, the end of the batch behind them
cut         ``stages/cut.py``              keeps the first code points of each text
normalize   ``stages/normalize/``          symbols to codes, one a character of the normalized text
words       ``stages/words.py``            where words begin, and the search for whole words; that of WordPiece is in
                                           ``wordpiece/whole.py``
pieces      ``wordpiece/pieces/``          words that are not found whole become their longest pieces
truncate    ``stages/truncate.py``         keeps the first tokens of each text, then drops the unknown token
pool        ``m2v_export/graphs/``         tokens to vectors, the same in every graph
=========== ============================== ========================================================================

``tables/`` has what is read off the real tokenizer at export; the stages look it up. ``kinds.py`` says which tokenizers
there are: ``wordpiece/`` is one kind, with its own order of the stages; ``wordlevel/`` is the same without pieces
inside words. ``graph.py`` is the whole graph.
"""

from m2v_export.text.errors import UnsupportedTokenizer
from m2v_export.text.graph import text_graph, without_vectors
from m2v_export.text.kinds import read_tokenizer
from m2v_export.text.limits import Limits

__all__ = ["Limits", "UnsupportedTokenizer", "read_tokenizer", "text_graph", "without_vectors"]
