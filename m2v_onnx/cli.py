"""The command ``m2v-onnx``: a thin layer over the Python API."""

import argparse
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m2v_onnx.errors import M2vOnnxError, MissingExtraError

FAILURE = 1
WRONG_USE = 2

if TYPE_CHECKING:
    from m2v_onnx.model import LoadOptions

_Command = Callable[[argparse.Namespace], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    :return: 0, 1 after a failure (one line on standard error), 2 after wrong use.
    """
    options = _parse(_parser(), arguments)
    log, shown = logging.getLogger("m2v_onnx"), logging.StreamHandler()
    log.addHandler(shown)
    log.setLevel(logging.INFO)
    try:
        options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, `head` say, had enough
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except UsageError as error:
        return _complain(options.command, error, WRONG_USE)
    except (M2vOnnxError, OSError, ValueError, TypeError) as error:
        return _complain(options.command, error, FAILURE)
    finally:
        log.removeHandler(shown)
    return 0


def _parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """As ``parse_args``, which leaves with 2 after wrong use; texts may come after options too, where argparse takes
    the first place that it sees for all of them."""
    options, rest = parser.parse_known_args(arguments)
    more = getattr(options, "texts", None)
    if more is None or any(argument.startswith("-") for argument in rest):
        if rest:
            options.parser.error(f"unrecognized arguments: {' '.join(rest)}")
        return options
    more.extend(rest)
    return options


class UsageError(Exception):
    """Options that argparse lets pass and that make no sense together."""


def _complain(command: str, error: Exception, code: int) -> int:
    text = " ".join(str(error).split()) or type(error).__name__
    print(f"m2v-onnx {command}: {text}", file=sys.stderr)
    return code


def _export(options: argparse.Namespace) -> None:
    _need("to export", ("onnx", "model2vec"))
    from m2v_export import export_model

    report = export_model(
        options.source,
        options.out,
        **_vectors(options),
        single_file=options.single_file,
        precision=options.precision,
        dimensions=options.dimensions,
        vocabulary_quantization=options.vocabulary_quantization,
        name=options.name,
        revision=options.revision,
        token=options.token,
        subfolder=options.subfolder,
    )
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
    print(f"wrote {report.folder}")


def _verify(options: argparse.Namespace) -> None:
    _need("to verify", ("onnx", "model2vec"))
    from m2v_export import verify_bundle

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


def _info(options: argparse.Namespace) -> None:
    from m2v_onnx import telemetry
    from m2v_onnx.model import OnnxStaticModel

    model = OnnxStaticModel.from_pretrained(options.bundle, **_loading(options))
    rows: dict[str, object] = {
        "graph": model.files.text if model.tokens_from == "graph" and model.files.text else model.files.graph,
        "dim": model.dim,
        "normalize": model.normalize,
        "max_length": model.max_length,
        "median_token_length": model.median_token_length,
        "tokens from": model.tokens_from,
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
    for name, entry in sorted(model.files.manifest.items()):
        print(f"{entry['size']:>13,}  {name}")


def _embed(options: argparse.Namespace) -> None:
    from m2v_onnx.embed import embed

    if options.texts and options.input:
        raise UsageError("got texts and --input: give one of them")
    if not options.texts and not options.input and sys.stdin.isatty():
        raise UsageError("got no texts: give them as arguments, with --input FILE, or on standard input")
    if options.input and options.input.suffix not in (".txt", ".jsonl"):
        raise UsageError(f"--input: expected a .txt or .jsonl file, got {options.input}")
    if options.output and options.output.suffix not in (".npy", ".jsonl"):
        raise UsageError(f"--output: expected a .npy or .jsonl file, got {options.output}")
    if options.progress:
        _need("a progress bar", ("tqdm",))
    embed(
        options.model,
        texts=options.texts,
        source=options.input,
        target=options.output,
        field=options.field,
        batch_size=options.batch_size,
        progress=options.progress,
        dtype=options.dtype,
        loading=_loading(options),
        **_vectors(options),
    )


def _demo(options: argparse.Namespace) -> None:
    from m2v_onnx.demo import demo

    demo(options.model, options.texts)


def _vectors(options: argparse.Namespace) -> dict[str, Any]:
    from m2v_onnx.model import UNSET

    length = UNSET if options.max_length is None else options.max_length or None
    return {"normalize": options.normalize, "max_length": length}


def _loading(options: argparse.Namespace) -> "LoadOptions":
    names = ("revision", "token", "subfolder", "tokenizer")
    return {name: getattr(options, name) for name in names}  # type: ignore[return-value]


def _need(purpose: str, packages: Sequence[str]) -> None:
    """:raises MissingExtraError: naming the first package that is not installed."""
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtraError(purpose, "export", package)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="m2v-onnx",
        description="Model2Vec static embeddings in ONNX.",
        epilog="`m2v-onnx COMMAND --help` has examples of each.",
    )
    parser.add_argument("--version", action="version", version=f"m2v-onnx {version('m2v-onnx')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    export = _command(
        commands,
        "export",
        _export,
        "write a Model2Vec model as a bundle and check it against model2vec",
        "m2v-onnx export minishlab/potion-base-8M potion-base-8M-onnx",
        "m2v-onnx export path/to/model out --max-length 256",
        "m2v-onnx export path/to/model out --precision int4 --dimensions 128",
    )
    export.add_argument("source", metavar="SOURCE", help="a model's folder, or a Hub id")
    export.add_argument("out", metavar="OUT", type=Path, help="the bundle's folder; it must not exist")
    _add_vectors(export)
    export.add_argument(
        "--precision",
        choices=("float32", "float16", "int8", "int4"),
        help="of the table, in the file and in memory; the model's own by default",
    )
    export.add_argument(
        "--dimensions", type=_at_least_one, metavar="D", help="keep the first D dimensions; all of them by default"
    )
    export.add_argument(
        "--vocabulary-quantization",
        type=_at_least_one,
        metavar="ROWS",
        help="cluster the rows into so many, by model2vec (needs scikit-learn)",
    )
    export.add_argument("--single-file", action="store_true", help="put the table into each graph's file")
    export.add_argument("--name", help="the model's name in the card; by default the Hub id or the folder's name")
    _add_location(export)

    embed = _command(
        commands,
        "embed",
        _embed,
        "make the vectors of texts",
        "m2v-onnx embed minishlab/potion-base-2M 'a text' 'another one'",
        "m2v-onnx embed BUNDLE --input lines.txt --output vectors.npy --progress",
        "m2v-onnx embed BUNDLE --input docs.jsonl --field body --output vectors.jsonl",
        "cat lines.txt | m2v-onnx embed BUNDLE > vectors.jsonl",
    )
    embed.add_argument("model", metavar="MODEL", help="a bundle, an .onnx file, a model's folder, or a Hub id")
    embed.add_argument(
        "texts", metavar="TEXT", nargs="*", help="texts; without them and --input: lines of standard input"
    )
    embed.add_argument("-i", "--input", type=Path, metavar="FILE", help="a .txt file, a text a line, or a .jsonl file")
    embed.add_argument("-o", "--output", type=Path, metavar="FILE",
                       help="a .npy file, [N, dim], or a .jsonl file; standard output by default")  # fmt: skip
    embed.add_argument("--field", default="text", help="the key of the text in .jsonl objects (default: %(default)s)")
    embed.add_argument(
        "--dtype",
        choices=("float32", "float16", "int8", "binary"),
        default="float32",
        help="of the vectors; binary is a bit a dimension, eight to a byte (default: %(default)s)",
    )
    _add_vectors(embed)
    embed.add_argument("--batch-size", type=_at_least_one, default=1024, metavar="TEXTS")
    embed.add_argument("--progress", action="store_true", help="show a progress bar on standard error")
    _add_location(embed)
    _add_tokenizer(embed)

    verify = _command(
        commands,
        "verify",
        _verify,
        "check a bundle's files, and its vectors against model2vec's",
        "m2v-onnx verify BUNDLE",
        "m2v-onnx verify BUNDLE path/to/source",
    )
    verify.add_argument("bundle", metavar="BUNDLE", type=Path)
    verify.add_argument("source", metavar="SOURCE", nargs="?", help="the Model2Vec model that it was exported from")

    info = _command(commands, "info", _info, "what a model is and which files it has", "m2v-onnx info BUNDLE")
    info.add_argument("bundle", metavar="BUNDLE", help="or anything else that `embed` takes as a model")
    _add_location(info)
    _add_tokenizer(info)

    demo = _command(
        commands,
        "demo",
        _demo,
        "index a small text into Milvus Lite and search it",
        "m2v-onnx demo",
        "m2v-onnx demo BUNDLE 'how do whales breathe?'",
    )
    demo.add_argument("model", metavar="MODEL", nargs="?", default="minishlab/potion-base-2M")
    demo.add_argument("texts", metavar="QUERY", nargs="*", help="what to search for")
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, run: _Command, text: str, *examples: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog="examples:\n" + "\n".join(f"  {example}" for example in examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run, parser=parser)
    return parser


def _add_vectors(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--normalize",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="divide vectors by their L2 norm, or do not; the model's own setting by default",
    )
    parser.add_argument(
        "--max-length",
        type=_at_least_zero,
        metavar="TOKENS",
        help="truncate texts to so many tokens, 0 for no limit; the model's own setting by default",
    )


def _add_location(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--revision", help="a commit, branch or tag on the Hub")
    parser.add_argument("--token", help="the Hub's access token; by default huggingface_hub's own, HF_TOKEN say")
    parser.add_argument("--subfolder", help="a folder inside the model's folder or repository")


def _add_tokenizer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tokenizer",
        choices=("auto", "nanotoken", "graph", "tokenizers"),
        default="auto",
        help="where token ids come from; by default the first of the others that serves",
    )


def _at_least_zero(value: str) -> int:
    if not value.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, got {value!r}")
    return int(value)


def _at_least_one(value: str) -> int:
    number = int(value) if value.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {value!r}")
    return number
