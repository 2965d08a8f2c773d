"""``m2v-onnx export``."""

import argparse
from pathlib import Path
from typing import Any

from m2v_onnx.commands.arguments import (
    UsageError,
    add_command,
    add_location,
    add_vectors,
    at_least_one,
    need,
    vector_options,
)


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "export",
        run,
        "write a Model2Vec model as a bundle and check it against model2vec",
        "m2v-onnx export minishlab/potion-base-8M potion-base-8M-onnx",
        "m2v-onnx export path/to/model out --max-length 256",
        "m2v-onnx export path/to/model out --precision int4 --dimensions 128",
        "m2v-onnx export path/to/model out --vocabulary-quantization 8000 --no-normalize --name owner/name",
        "m2v-onnx export path/to/model out --single-file",
        "m2v-onnx export path/to/model out --all-precisions",
        "m2v-onnx export path/to/model out --format ort",
        "m2v-onnx export owner/name out --revision v1.0 --subfolder small --token hf_...",
    )
    parser.add_argument("source", metavar="SOURCE", help="a model's folder, or a Hub id")
    parser.add_argument("out", metavar="OUT", type=Path, help="the bundle's folder; it must not exist")
    add_vectors(parser)
    parser.add_argument(
        "--precision",
        choices=("float32", "float16", "int8", "int4"),
        help="of the table, in the file and in memory; the model's own by default",
    )
    parser.add_argument(
        "--all-precisions",
        action="store_true",
        help="add model.onnx in float16, int8 and int4, as an ONNX repository on the Hub has them",
    )
    parser.add_argument(
        "--format",
        choices=("onnx", "ort"),
        default="onnx",
        help="ort: add each graph in onnxruntime's own format, and their operators, for a reduced build of it",
    )
    parser.add_argument(
        "--dimensions", type=at_least_one, metavar="D", help="keep the first D dimensions; all of them by default"
    )
    parser.add_argument(
        "--vocabulary-quantization",
        type=at_least_one,
        metavar="ROWS",
        help="cluster the rows into so many, by model2vec (needs scikit-learn)",
    )
    parser.add_argument("--single-file", action="store_true", help="put the table into each graph's file")
    parser.add_argument("--name", help="the model's name in the card; by default the Hub id or the folder's name")
    add_location(parser)


def run(options: argparse.Namespace) -> None:
    need("to export", ("onnx", "model2vec"))
    if options.out.exists():
        raise UsageError(f"{options.out} exists: choose another output folder, or delete it first")
    from m2v_export import export_model

    report = export_model(
        options.source,
        options.out,
        **vector_options(options),
        single_file=options.single_file,
        precision=options.precision,
        all_precisions=options.all_precisions,
        format=options.format,
        dimensions=options.dimensions,
        vocabulary_quantization=options.vocabulary_quantization,
        name=options.name,
        revision=options.revision,
        token=options.token,
        subfolder=options.subfolder,
    )
    print(f"{'bytes':>13}  {'sha256':<64}  file")
    for name, entry in report.files.items():
        print(f"{entry['size']:>13,}  {entry['sha256']}  {name}")
    for note in report.notes:
        print(note)
    print(f"largest difference to the golden vectors: {max(report.differences.graphs.values()):.1e}")
    print(f"golden vectors to model2vec: {report.differences.model2vec:.1e}")
    if report.differences.heads:
        print(f"largest difference to the golden outputs of the head: {max(report.differences.heads.values()):.1e}")
    if report.differences.cosine is not None:
        print(f"least cosine of a golden vector to model2vec's: {report.differences.cosine:.6f}")
    for path, cosine in report.differences.variants.items():
        print(f"{path}: least cosine to the golden vectors: {cosine:.6f}")
    print(f"wrote {report.folder}")
