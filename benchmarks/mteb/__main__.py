"""STS-B and Cranfield through the package mteb, from ../shared: ``make mteb`` or ``python -m benchmarks.mteb``.

Ours runs in mteb's own wrapper for sentence-transformers, behind the face with these names. STS-B is mteb's own task,
with the data from disk; Cranfield is none of mteb's, and becomes one with its retrieval class. No network is needed.
Prints the table of docs/mteb.md, and ends with 1 when int8 moves a score by more than 0.1 points, up
or down, or float32 moves one at all. Today it does: docs/mteb.md says which.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import datasets
import mteb
import numpy as np
import numpy.typing as npt
from model2vec import StaticModel
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models import SentenceTransformerEncoderWrapper
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ModelMeta, ScoringFunction

from benchmarks.shared import SHARED, lines, need_shared
from m2v_export import export_model
from m2v_onnx.integrations.sentence_transformers import SentenceTransformer

MODELS = ("potion-base-2M", "potion-base-8M")
PRECISIONS = ("float32", "int8", "int4")
MOST_MOVED = {"float32": 0.005, "int8": 0.1, "int4": 1.0}
"""Points of a score, against model2vec."""


Encode = Callable[[list[str]], npt.NDArray[np.float32]]


class Encoder(AbsEncoder):  # type: ignore[misc]
    """A function from texts to vectors as mteb wants it: model2vec's."""

    def __init__(self, name: str, encode: Encode) -> None:
        facts = {"name": f"local/{name}", "revision": "local", "similarity_fn_name": ScoringFunction.COSINE}
        self.mteb_model_meta = ModelMeta.create_empty(facts)
        self._encode = encode

    def encode(self, inputs: Iterable[dict[str, Any]], **_: Any) -> npt.NDArray[np.float32]:
        return self._encode([text for batch in inputs for text in batch["text"]])


class Cranfield(AbsTaskRetrieval):  # type: ignore[misc]
    """1,400 abstracts on aerodynamics and 225 questions: https://ir-datasets.com/cranfield.html"""

    metadata = TaskMetadata(
        name="Cranfield",
        description="Abstracts on aerodynamics, with questions and judgements.",
        dataset={"path": "local/cranfield", "revision": "local"},
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
    )


def sts() -> Any:
    """mteb's own task, its test split from disk."""
    task = mteb.get_task("STSBenchmark")
    rows = [line.split("\t") for line in lines("stsb/sts-test.tsv")]
    columns = {
        "score": [float(row[0]) for row in rows],
        "sentence1": [row[1] for row in rows],
        "sentence2": [row[2] for row in rows],
    }
    task.dataset = {"test": datasets.Dataset.from_dict(columns)}
    task.data_loaded = True
    return task


def cranfield() -> Any:
    task = Cranfield()
    corpus, queries = (
        [json.loads(line) for line in lines(f"cranfield/{name}.jsonl")] for name in ("corpus", "queries")
    )
    relevant: dict[str, dict[str, int]] = {}
    for line in lines("cranfield/qrels.tsv")[1:]:
        query, document, score = line.split("\t")
        relevant.setdefault(query, {})[document] = int(score)
    documents = [{"id": d["_id"], "title": d.get("title", ""), "text": d["text"]} for d in corpus]
    split = {
        "corpus": datasets.Dataset.from_list(documents),
        "queries": datasets.Dataset.from_list([{"id": q["_id"], "text": q["text"]} for q in queries]),
        "relevant_docs": relevant,
        "top_ranked": None,
    }
    task.dataset = {"default": {"test": split}}
    task.data_loaded = True
    return task


def scores(encoder: AbsEncoder) -> list[float]:
    """STS-B's Spearman correlation and Cranfield's nDCG@10, times 100."""
    result = mteb.evaluate(encoder, [sts(), cranfield()], cache=None, show_progress_bar=False)
    return [100 * task.get_score() for task in result.task_results]


def main() -> None:
    need_shared()
    too_far = []
    print(f"mteb {mteb.__version__}\n\n| model | vectors | STS-B | Cranfield |\n|---|---|---|---|")
    for model in MODELS:
        source = SHARED / "models" / model
        theirs = scores(Encoder(f"{model}-model2vec", StaticModel.from_pretrained(source).encode))
        print(f"| {model} | model2vec | {theirs[0]:.2f} | {theirs[1]:.2f} |", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            for precision in PRECISIONS:
                bundle = export_model(source, Path(folder) / precision, precision=precision).folder
                ours = scores(SentenceTransformerEncoderWrapper(SentenceTransformer(bundle)))
                print(f"| {model} | {precision} | {ours[0]:.2f} | {ours[1]:.2f} |", flush=True)
                moved = max(abs(x - y) for x, y in zip(theirs, ours, strict=True))
                if moved > MOST_MOVED[precision]:
                    too_far.append(f"{model} in {precision}")
    if too_far:
        sys.exit(f"further from model2vec than they may be: {', '.join(too_far)}")


if __name__ == "__main__":
    main()
