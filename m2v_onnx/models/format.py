"""The bundle's format: versions, file names and metadata keys. The exporter writes them, the runtime reads them."""

FORMAT_VERSION = 1
"""Raised when an older runtime would read a bundle wrongly."""

OPSET = 18
"""ONNX operators: every onnxruntime since 1.14 has them, the web and mobile builds too."""

IR_VERSION = 8
"""ONNX file format: the one that came with opset 18. Newer ones are refused by older onnxruntimes."""

PLAIN_OPSET = 13
"""Operators of plain.onnx, which other engines read too: the first with axes as inputs. Of newer ones some engines know
only a part."""

PLAIN_IR_VERSION = 7
"""The file format that came with opset 13."""

PRODUCER = "m2v-onnx"

BAG = "onnx/bag.onnx"
PADDED = "onnx/model.onnx"
PLAIN = "onnx/plain.onnx"
"""As model.onnx, by operators that every engine has."""
TEXT = "onnx/text.onnx"
ONE = "onnx/one.onnx"
"""One text's tokens to its vector, in as few kernels as can be: what a query takes."""
TABLE = "onnx/model.onnx_data"
"""The table as external data of all graphs, under the name that the Hub and transformers.js look for."""

VARIANTS = {
    "onnx/model_fp16.onnx": "float16",
    "onnx/model_int8.onnx": "int8",
    "onnx/model_quantized.onnx": "int8",
    "onnx/model_q4.onnx": "int4",
}
"""``PADDED`` in other precisions, each with its table inside, on request: the names that transformers.js looks for when
its ``dtype`` is fp16, int8, q8 or q4. No uint8, bnb4 or q4f16: these would be the same tables under false names."""

ORT_GRAPHS = {"ort/bag.ort": BAG, "ort/model.ort": PADDED, "ort/one.ort": ONE, "ort/text.ort": TEXT}
"""Graphs in onnxruntime's own format, each with its table inside, on request: a build without ONNX reads them."""

ORT_OPERATORS = "ort/required_operators.config"
"""Their operators, as a build of onnxruntime takes them."""

EXTRA = (*VARIANTS, *ORT_GRAPHS, ORT_OPERATORS)
"""What a bundle has on request only, and our runtime does not need."""

GRAPHS = {"onnxruntime": (BAG, ONE, TEXT), "other engines": (PLAIN,)}
"""Which graphs an engine should read, in config.json; onnxruntime reads all of them."""

TOKENIZER = "tokenizer.json"
CONFIG = "config.json"
GOLDEN = "golden.json"
PROBES = "probes.json"
"""Checksums of the token ids of some thousands of made texts: what a fast tokenizer is held to when a model opens."""
CARD = "README.md"

MANIFEST = "m2v_onnx"
"""The key in config.json that marks a bundle: {"format_version": int, "graphs": {engines: [path]}, "files": {path:
{"size", "sha256"}}}, and ``KIND``; where there is something of ``EXTRA``, also "variants", of the form of "files". Our
runtime does not download these."""

KIND = "tokenizer"
"""The key in the manifest for the type of the tokenizer's model: "WordPiece", "Unigram", "BPE" or "WordLevel". It says
what each way to a vector costs, without a look at tokenizer.json."""

EMBEDDING = "sentence_embedding"
"""Output of every graph: float32 [N, dim], normalized if the model says so."""

MEAN = "mean_embedding"
"""Output of bag.onnx where the model normalizes: float32 [N, dim], the same before normalization."""

PROBABILITIES = "probabilities"
"""Output of every graph of a classifier: float32 [N, labels]; the labels are in the metadata."""

PREDICTIONS = "predictions"
"""Output of every graph of a regressor: float32 [N, outputs]."""

NORM_EPSILON = 1e-32
"""Added to the norm before dividing, as model2vec does; a zero vector stays zero."""

CACHE_VARIABLE = "M2V_ONNX_CACHE"
