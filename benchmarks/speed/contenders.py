"""Who is measured: each a function that loads a model and gives the function that encodes a list of texts."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# Before any contender imports onnxruntime, which otherwise writes files under the home folder and asks the network.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

Encode = Callable[[list[str]], Any]


@dataclass(frozen=True)
class Contender:
    """:ivar packages: what it takes: their versions are reported, and the megabytes of these and of what they require.
    :ivar load: from the model's files to a function from texts to vectors.
    :ivar needs: which of the model's files it reads.
    :ivar bound: how near its vectors must be to model2vec's, to be measured at all.
    """

    packages: tuple[str, ...]
    load: Callable[[Path], Encode]
    needs: str = "source"
    bound: float = 1e-5


def _model2vec(source: Path) -> Encode:
    from model2vec import StaticModel

    return StaticModel.from_pretrained(source).encode


def _laghu(source: Path) -> Encode:
    import laghu

    return laghu.load(source, fallback=False).encode  # type: ignore[no-any-return]


def _fastembed(source: Path) -> Encode:
    from fastembed.text.static_embedding import StaticTextEmbedding

    model = StaticTextEmbedding("minishlab/potion-base-8M", specific_model_path=str(source), mmap=True)
    return lambda texts: np.array(list(model.embed(texts, batch_size=1024)))


def _pymilvus(source: Path) -> Encode:
    """On a patched load: model2vec dropped the method that it calls in 0.7."""
    from model2vec import StaticModel

    setattr(StaticModel, "load_local", StaticModel.from_pretrained)  # noqa: B010
    from pymilvus.model.dense import Model2VecEmbeddingFunction

    ef = Model2VecEmbeddingFunction(source)
    return lambda texts: np.array(ef.encode_documents(texts))


def _plain(folder: Path) -> Encode:
    """An older export through onnxruntime and tokenizers, as its users would."""
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    session = onnxruntime.InferenceSession(next(folder.rglob("model.onnx")), options)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(512)
    names = {i.name for i in session.get_inputs()}

    def encode(texts: list[str]) -> Any:
        found = []
        for begin in range(0, len(texts), 256):
            encodings = tokenizer.encode_batch_fast(texts[begin : begin + 256], add_special_tokens=False)
            lists = [encoding.ids for encoding in encodings]
            lengths = np.array([len(ids) for ids in lists])
            if "offsets" in names:
                flat = np.concatenate(lists).astype(np.int64)
                feeds = {"input_ids": flat, "offsets": np.cumsum(lengths) - lengths}
            else:
                mask = np.arange(lengths.max()) < lengths[:, None]
                grid = np.zeros(mask.shape, np.int64)
                grid[mask] = np.concatenate(lists)
                feeds = {"input_ids": grid, "attention_mask": mask.astype(np.int64)}
            found.append(session.run(None, feeds)[0])
        return np.concatenate(found)

    return encode


def _ours(tokenizer: Any) -> Callable[[Path], Encode]:
    def load(bundle: Path) -> Encode:
        from m2v_onnx import OnnxStaticModel

        return OnnxStaticModel.from_pretrained(bundle, tokenizer=tokenizer).encode

    return load


def _bare(bundle: Path) -> Encode:
    """As it is without the extra `fast`: a few texts by tokenizers, many by the text graph."""
    sys.modules["nanotoken"] = None  # type: ignore[assignment]
    return _ours("auto")(bundle)


BARE = ("m2v-onnx", "onnxruntime", "numpy", "tokenizers")
FAST = (*BARE, "nanotoken")

CONTENDERS = {
    "model2vec": Contender(("model2vec",), _model2vec),
    "laghu + laghu-rs": Contender(("laghu", "laghu-rs"), _laghu),
    "FastEmbed StaticTextEmbedding": Contender(("fastembed",), _fastembed),
    "pymilvus.model, patched": Contender(("pymilvus", "pymilvus.model", "model2vec"), _pymilvus),
    "onnxruntime, offsets export": Contender(("onnxruntime", "tokenizers"), _plain, "offsets"),
    "onnxruntime, model2vec export": Contender(("onnxruntime", "tokenizers"), _plain, "padded"),
    "m2v-onnx, extra fast": Contender(FAST, _ours("nanotoken"), "float32"),
    "m2v-onnx": Contender(BARE, _bare, "float32"),
    "m2v-onnx, text graph alone": Contender(("m2v-onnx", "onnxruntime", "numpy"), _ours("graph"), "float32"),
    "m2v-onnx, tokenizers alone": Contender(BARE, _ours("tokenizers"), "float32"),
    "m2v-onnx int8, extra fast": Contender(FAST, _ours("nanotoken"), "int8", 1e-2),
    "m2v-onnx int8": Contender(BARE, _bare, "int8", 1e-2),
}
"""In the tables' order; all on the onnxruntime and tokenizers that are installed. int8 is another, smaller table."""

LEFT_OUT = {
    "sentence-transformers StaticEmbedding": "needs PyTorch, which is 20 times the size of everything else here",
}
