"""What the programs of this folder read: a JSON object a line, with shape and data of each input of the graph."""

import json
import sys
from collections.abc import Callable, Iterator

import numpy as np


def feeds() -> Iterator[dict[str, np.ndarray]]:
    for line in sys.stdin:
        yield {k: np.array(v["data"], np.int64).reshape(v["shape"]) for k, v in json.loads(line).items()}


def answer(embed: Callable[[dict[str, np.ndarray]], np.ndarray]) -> None:
    """Write the vectors of each batch, a JSON list of lists."""
    for batch in feeds():
        print(json.dumps(np.asarray(embed(batch)).tolist()), flush=True)
