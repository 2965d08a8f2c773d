"""How fast a precision's graphs pool, on random tokens, with one thread."""

from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

import numpy as np

from m2v_export.bundle.write import write_graph, write_table
from m2v_export.graphs.kinds import bag_graph, one_graph
from m2v_export.source.embedding import Embedding
from m2v_export.source.precision import PRECISIONS, stored_as
from m2v_onnx.models.format import BAG, ONE, TABLE
from m2v_onnx.ort import onnxruntime
from m2v_onnx.vectors.session import LOG_ERRORS

DIM = 256
ROWS = (30_000, 500_000)
BATCHES = ((ONE, 1, 8), (ONE, 1, 64), (BAG, 64, 20), (BAG, 32, 64), (BAG, 16, 150))
"""Texts and tokens of each: a query, a passage, sentences, passages, and longer than the graph pools by one product."""

FEEDS, ROUNDS = 20, 60


def speeds() -> list[list[str]]:
    """:return: rows of a table: graph, rows, texts, tokens, and nanoseconds a token in each precision."""
    rng = np.random.default_rng(0)
    table = []
    for rows in ROWS:
        source = Embedding(rng.standard_normal((rows, DIM), dtype=np.float32), None, None, None, True)
        with TemporaryDirectory() as folder:
            for precision in PRECISIONS:
                _write(Path(folder) / precision, stored_as(source, precision))
            for graph, texts, tokens in BATCHES:
                times = _times({p: _open(Path(folder) / p / graph) for p in PRECISIONS}, graph, rows, texts, tokens)
                row = [f"{t:.0f} ({times['float32'] / t:.2f})" for t in times.values()]
                table.append([f"`{Path(graph).name}`", f"{rows:,}", str(texts), str(tokens), *row])
    return table


def _write(folder: Path, embedding: Embedding) -> None:
    (folder / BAG).parent.mkdir(parents=True)
    write_table(folder / TABLE, embedding.tensors)
    write_graph(folder / BAG, bag_graph(embedding, {}))
    write_graph(folder / ONE, one_graph(embedding, {}))


def _open(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = LOG_ERRORS
    return onnxruntime.InferenceSession(str(path), options)


def _times(
    sessions: dict[str, onnxruntime.InferenceSession], graph: str, rows: int, texts: int, tokens: int
) -> dict[str, float]:
    """Nanoseconds a token, the least of some rounds; the precisions take turns in every order, for the first one after
    a pause finds the processor asleep."""
    rng = np.random.default_rng(1)
    offsets = np.arange(texts) * tokens
    more = {"offsets": offsets} if graph == BAG else {}
    feeds = [{"input_ids": rng.integers(0, rows, texts * tokens), **more} for _ in range(FEEDS)]
    least = dict.fromkeys(sessions, np.inf)
    turns = list(sessions.items())
    for _ in range(ROUNDS):
        turns.append(turns.pop(0))
        for name, session in turns:
            begin = perf_counter()
            for feed in feeds:
                session.run(["sentence_embedding"], feed)
            least[name] = min(least[name], (perf_counter() - begin) / (FEEDS * texts * tokens) * 1e9)
        sleep(0.05)
    return least
