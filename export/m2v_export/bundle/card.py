"""The bundle's model card, README.md."""

from collections.abc import Mapping
from math import floor

from m2v_export.bundle.check import Differences
from m2v_export.bundle.snippets import SNIPPETS
from m2v_export.source.model import Source
from m2v_onnx.models.format import BAG, ORT_GRAPHS, ORT_OPERATORS, PLAIN, TABLE, TEXT, VARIANTS

_PURPOSE = {
    "onnx/bag.onnx": "`input_ids` int64 [T] and `offsets` int64 [N] to `sentence_embedding` float32 [N, dim]",
    "onnx/one.onnx": "`input_ids` int64 [T] of one text, without the unknown token, to its vector: for a query",
    "onnx/model.onnx": "`input_ids` and `attention_mask` int64 [N, L] to `sentence_embedding` and `last_hidden_state`:"
    " for programs that pool themselves, as transformers.js does",
    PLAIN: "the same, for engines other than onnxruntime",
    "onnx/text.onnx": "`utf8` uint8 [T] and `offsets` int64 [N] to `sentence_embedding`: no tokenizer needed",
    TABLE: "the table, shared by the graphs",
    "tokenizer.json": "for `tokenizers` and transformers.js; adds no special tokens",
    **{path: f"`onnx/model.onnx` in {precision}, the table inside" for path, precision in VARIANTS.items()},
    **{path: f"`{graph}` in onnxruntime's own format, the table inside" for path, graph in ORT_GRAPHS.items()},
    ORT_OPERATORS: "the operators of these, for a reduced build of onnxruntime",
    "golden.json": "texts, token ids and vectors to check an implementation against",
}

_OTHER_ENGINES = (
    f"onnxruntime reads all graphs. Other engines (OpenVINO, LiteRT, rten, tract, MNN) read `{PLAIN}`: it has no"
    " branches and\nno loops. Fill each batch up to at least one token."
)

_NORMALIZE = {True: "divided by their L2 norm", False: "not normalized"}


def card(
    source: Source, files: Mapping[str, Mapping[str, object]], differences: Differences, notes: list[str]
) -> bytes:
    """:param differences: to model2vec, as measured. :param notes: what the user should know."""
    embedding = source.embedding
    license_ = source.card.get("license")
    front = ["---", "library_name: onnx"]
    front += [f"license: {license_}"] if license_ else []
    front += [f"base_model: {source.name}"] if "/" in source.name else []
    front += [f"language: {source.card['language']}"] if "language" in source.card else []
    tags = ["model2vec", "static-embeddings", "onnx", *(["transformers.js"] if differences.variants else [])]
    front += ["pipeline_tag: feature-extraction", f"tags: [{', '.join(tags)}]", "---"]
    rows = [
        f"| `{name}` | {entry['size']:,} | `{entry['sha256']}` | {_PURPOSE.get(name, '')} |"
        for name, entry in sorted(files.items())
    ]
    cut = (
        ""
        if source.max_length is None
        else (
            f", of the first {source.max_length} tokens of a text's first"
            f" {source.max_length * source.median_token_length:,} characters"
        )
    )
    base = f", made from {source.card['base_model']}" if "base_model" in source.card else ""
    least = ""
    if differences.cosine is not None:
        least = f"\n| Least cosine to model2vec on golden.json | {floor(differences.cosine * 1e4) / 1e4} |"
    for path, cosine in differences.variants.items():
        least += f"\n| Least cosine of `{path}` to these vectors | {floor(cosine * 1e4) / 1e4} |"
    revision = f" at {source.revision}" if source.revision else ""
    text = f"""{chr(10).join(front)}

# {source.name} in ONNX

The [Model2Vec](https://github.com/MinishLab/model2vec) model {source.name}{revision}{base}, exported by
[m2v-onnx](https://pypi.org/project/m2v-onnx/). A text's vector is the mean of its tokens' rows{cut}.

| | |
|---|---|
| Licence of the model | {license_ or "not stated by the source: look there before you pass it on"} |
| Vectors | float32, {embedding.dim} dimensions, {_NORMALIZE[source.normalize]}; zeros for a text without tokens |
{_head(source)}| Table | {embedding.precision}, {len(embedding.table):,} rows for {embedding.tokens:,} tokens |
| sha256 of the source's tensors | `{source.sha256}` |
| Largest difference to model2vec on golden.json | at most {differences.bound:.0e} |{least}

## Files
| file | bytes | sha256 | what it is |
|---|---|---|---|
{chr(10).join(rows)}
{chr(10).join(f"{chr(10)}{note}" for note in notes)}
## Use
In Python, behind Milvus' interface (`pip install m2v-onnx`):

```python
from m2v_onnx import Model2VecEmbeddingFunction

ef = Model2VecEmbeddingFunction("path/to/this/folder")
vectors = ef.encode_documents(["It's dangerous to go alone!", "Take this."])
```

With onnxruntime and `tokenizers` alone:

```python
import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before onnxruntime is imported, which sends telemetry from 1.29 on

import numpy as np, onnxruntime, tokenizers

options = onnxruntime.SessionOptions()
options.enable_mem_pattern = False  # it keeps a plan for each size of input that it sees: memory would grow
tokenizer = tokenizers.Tokenizer.from_file("tokenizer.json")
session = onnxruntime.InferenceSession("{BAG}", options)
ids = [encoding.ids for encoding in tokenizer.encode_batch(["It's dangerous to go alone!", "Take this."])]
offsets = np.cumsum([0, *map(len, ids)])[:-1]
feeds = {{"input_ids": np.concatenate(ids).astype(np.int64), "offsets": offsets}}
(vectors,) = session.run(["sentence_embedding"], feeds)
```
{_transformers_js() if differences.variants else ""}{_other_languages() if TEXT in files else ""}
{_OTHER_ENGINES}

Any other program should give the token ids and vectors of `golden.json`, whose tolerance is in it.
"""
    return text.encode()


def _transformers_js() -> str:
    return """
With transformers.js, `dtype` chooses among the precisions: `fp32`, `fp16`, `int8`, `q8` (the same as `int8`), `q4`:

```js
import { AutoModel, AutoTokenizer } from "@huggingface/transformers";

const tokenizer = await AutoTokenizer.from_pretrained("path/to/this/folder");
const model = await AutoModel.from_pretrained("path/to/this/folder", { dtype: "q8" });
const { sentence_embedding } = await model(tokenizer(["Take this."], { padding: true, truncation: true }));
```
"""


def _other_languages() -> str:
    """Folded parts of the examples, a language each."""
    folded = "\n".join(
        f"<details>\n<summary>{snippet.name}</summary>\n\n```{snippet.fence}{snippet.text}```\n\n</details>"
        for snippet in SNIPPETS
    )
    return f"""
`{TEXT}` needs no tokenizer: it takes the texts' UTF-8 bytes, end to end, and where each text starts. It finds
`{TABLE}` beside it, under that name. Give its session one thread: its operations are too small to share. Switch
the session's memory pattern off: memory would grow with every new size of input. Set the environment variable
`ORT_DISABLE_TELEMETRY=1` before onnxruntime is loaded: from version 1.29 on it sends telemetry from Linux and macOS.

These are parts of the programs in m2v-onnx' `examples/`:

{folded}
"""


def _head(source: Source) -> str:
    """A line for the table of facts; nothing without a head."""
    head = source.head
    if head is None:
        return ""
    labels = "" if head.labels is None else f" of the labels {', '.join(map(str, head.labels))}"
    return f"| Output of the head | `{head.output}`{labels} ({head.activation}) |\n"
