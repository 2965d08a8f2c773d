"""``m2v-onnx verify``."""

import argparse
from pathlib import Path
from typing import Any

from m2v_onnx.commands.arguments import add_command, need


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "verify",
        run,
        "check a bundle's files, and its vectors against model2vec's",
        "m2v-onnx verify BUNDLE",
        "m2v-onnx verify BUNDLE path/to/source",
    )
    parser.add_argument(
        "bundle",
        metavar="BUNDLE",
        type=Path,
        help="a folder that `m2v-onnx export` wrote, or a model inside the package",
    )
    parser.add_argument("source", metavar="SOURCE", nargs="?", help="the Model2Vec model that it was exported from")


def run(options: argparse.Namespace) -> None:
    need("to verify", ("onnx", "model2vec"))
    from m2v_export import verify_bundle
    from m2v_onnx.models.bundle import read_bundle

    differences = verify_bundle(options.bundle, options.source)
    print("sha256 of every file: as written")
    for name, distance in differences.graphs.items():
        print(f"{name}: token ids equal, largest difference to the golden vectors {distance:.1e}")
    if differences.model2vec is not None:
        print(f"model2vec: token ids equal, largest difference to the golden vectors {differences.model2vec:.1e}")
    for name, distance in differences.heads.items():
        print(f"{name}: largest difference to the golden outputs of the head {distance:.1e}")
    if differences.cosine is not None:
        print(f"model2vec: least cosine of a golden vector {differences.cosine:.6f}")
    files = read_bundle(options.bundle) if options.bundle.is_dir() else None
    for path in files.variants if files else ():
        if path in differences.variants:
            print(f"{path}: least cosine to the golden vectors {differences.variants[path]:.6f}")
        elif not (options.bundle / path).is_file():
            print(f"{path}: not in the folder, not checked")
