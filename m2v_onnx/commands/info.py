"""``m2v-onnx info``."""

import argparse
from typing import Any

from m2v_onnx.commands.arguments import add_command, add_location, add_opening, load_options


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "info",
        run,
        "print what a model is and which files it has",
        "m2v-onnx info minishlab/potion-base-8M",
        "m2v-onnx info BUNDLE --tokenizer graph",
        "m2v-onnx info owner/name --precision int8 --revision v1.0 --subfolder small --token hf_...",
    )
    parser.add_argument(
        "bundle",
        metavar="BUNDLE",
        help="or anything else that `embed` takes as a model: a Model2Vec model is exported into the cache first",
    )
    add_location(parser)
    add_opening(parser)


def run(options: argparse.Namespace) -> None:
    from m2v_onnx import telemetry
    from m2v_onnx.model import OnnxStaticModel
    from m2v_onnx.models.bundle import variants_here

    model = OnnxStaticModel.from_pretrained(options.bundle, **load_options(options))
    rows: dict[str, object] = {
        "graph": model.files.text if model.tokens_from == "graph" and model.files.text else model.files.graph,
        "dim": model.dim,
        "normalize": model.normalize,
        "max_length": model.max_length,
        "median_token_length": model.median_token_length,
        "tokens from": model.tokens_from,
        "why from there": model.tokens_from_reason,
        "unknown token": model.unk_token_id,
        "ort telemetry": telemetry.state(),
    }
    if model.metadata:
        rows |= {
            "source": f"{model.metadata.source} {model.metadata.revision}".strip(),
            "source sha256": model.metadata.source_sha256,
            "precision": model.metadata.precision,
            "exporter": model.metadata.exporter,
        }
        if model.metadata.activation:
            rows["head"] = model.metadata.activation
        if model.metadata.labels:
            rows["labels"] = ", ".join(map(str, model.metadata.labels))
    for key, value in rows.items():
        print(f"{key + ':':<21}{value}")
    here = {name: model.files.variants[name] for name in variants_here(model.files)}
    print(f"{'bytes':>13}  file")
    for name, entry in sorted((model.files.manifest | here).items()):
        print(f"{entry['size']:>13,}  {name}")
