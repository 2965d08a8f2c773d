"""A bar on standard error that shows how far a job is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from m2v_onnx.errors import MissingExtraError


@contextmanager
def progress_bar(rows: int | None, unit: str, done: int = 0) -> Iterator[Any]:
    """Show a bar (tqdm).

    :param rows: how many there are; None where nobody knows yet.
    :param unit: what is counted, "row" say.
    :param done: rows that are done before.
    :return: tqdm's own, with ``n``, ``total`` and ``update``.
    :raises MissingExtraError: without tqdm.
    """
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise MissingExtraError("a progress bar", "arrow", "tqdm") from error
    with tqdm(total=rows, initial=done, unit=unit, unit_scale=True) as bar:
        yield bar
