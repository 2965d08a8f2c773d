"""What every check stores and asks for: the second document answers, the last one has no tokens."""

from typing import Any, get_args

from m2v_onnx import OnnxStaticModel
from m2v_onnx.vectors.dtypes import VectorType

MODEL = OnnxStaticModel.from_pretrained("minishlab/potion-base-2M")
DOCUMENTS = ["The whale sings to its calf.", "Salt the water before the pasta.", "The river froze in January.", ""]
QUERY = "how do I cook noodles"
ANSWER, EMPTY = 1, 3

VECTORS: dict[str, Any] = {kind: MODEL.encode(DOCUMENTS, dtype=kind) for kind in get_args(VectorType)}
ASKED: dict[str, Any] = {kind: MODEL.encode(QUERY, dtype=kind) for kind in get_args(VectorType)}
