"""``m2v-onnx serve``."""

import argparse
import gc
import os
from pathlib import Path
from typing import Any

from m2v_onnx.commands.arguments import (
    UsageError,
    add_command,
    add_location,
    add_opening,
    at_least_one,
    load_options,
    port,
)


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "serve",
        run,
        "answer requests for vectors over HTTP",
        "m2v-onnx serve minishlab/potion-base-8M",
        "m2v-onnx serve BUNDLE --host 0.0.0.0 --port 8080 --workers 2 --api-key-file keys.txt",
        "m2v-onnx serve --model english=BUNDLE --model other=minishlab/potion-base-2M",
        "m2v-onnx serve BUNDLE --certificate cert.pem --certificate-key key.pem --log-requests",
        "m2v-onnx serve BUNDLE --threads 1 --max-requests 256 --max-waiting-mb 64 --timeout 10",
        "m2v-onnx serve BUNDLE --max-body-mb 4 --max-texts 512 --max-characters 100000",
        "m2v-onnx serve BUNDLE --cors-origin https://example.org --tokenizer graph",
        "m2v-onnx serve owner/name --precision int8 --revision v1.0 --subfolder small --token hf_...",
    )
    parser.add_argument(
        "source", metavar="MODEL", nargs="?", help="a bundle, an .onnx file, a model's folder, or a Hub id"
    )
    parser.add_argument(
        "--model",
        metavar="NAME=MODEL",
        action="append",
        default=[],
        help="a model, and the name that requests have for it; may be given more than once",
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=port, default=8080, help="(default: %(default)s)")
    parser.add_argument("--workers", type=at_least_one, default=1, help="processes (default: %(default)s)")
    parser.add_argument(
        "--threads",
        type=at_least_one,
        help="of each worker, for large requests (default: the cores, shared by the workers)",
    )
    parser.add_argument(
        "--api-key-file",
        type=Path,
        metavar="FILE",
        help="API keys, one a line, of which requests must have one; by default those in M2V_ONNX_API_KEYS",
    )
    parser.add_argument(
        "--cors-origin",
        metavar="ORIGIN",
        action="append",
        default=[],
        help="another site whose pages may ask, https://example.org say, or * for all; may be given more than once",
    )
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="for HTTPS: the certificates in PEM")
    parser.add_argument("--certificate-key", type=Path, metavar="FILE", help="and their key, in PEM")
    parser.add_argument("--max-texts", type=at_least_one, default=2048, help="a request (default: %(default)s)")
    parser.add_argument("--max-characters", type=at_least_one, default=1 << 20, help="a text (default: %(default)s)")
    parser.add_argument(
        "--max-body-mb", type=at_least_one, default=16, metavar="MB", help="a request's body (default: %(default)s)"
    )
    parser.add_argument(
        "--max-requests",
        type=at_least_one,
        default=512,
        help="that a worker has in work or waiting; more are answered 429 (default: %(default)s)",
    )
    parser.add_argument(
        "--max-waiting-mb",
        type=at_least_one,
        default=128,
        metavar="MB",
        help="the large bodies that a worker holds; more are answered 429 (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=at_least_one,
        default=20,
        metavar="SECONDS",
        help="until a request's headers must be there, its body, and a new worker's models (default: %(default)s)",
    )
    parser.add_argument("--log-requests", action="store_true", help="write a line for each request, without its texts")
    add_location(parser)
    add_opening(parser)


def run(options: argparse.Namespace) -> None:
    gc.disable()  # until all is imported and opened: it stays, and to look through it takes a tenth of the start
    try:
        _run(options)
    finally:
        gc.enable()


def _run(options: argparse.Namespace) -> None:
    # numpy multiplies no matrices here. To start its threads takes 40 ms of CPU time, and workers could not share what
    # is opened before they are forked.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from m2v_onnx.serve.server import check_extra, serve
    from m2v_onnx.serve.settings import Keys, Limits, Settings
    from m2v_onnx.vectors.batching import default_threads

    check_extra()
    sources = _sources(options)
    if (options.certificate is None) != (options.certificate_key is None):
        raise UsageError("--certificate and --certificate-key belong together: give both, or none")
    for path in (options.certificate, options.certificate_key):
        if path is not None and not path.is_file():
            raise UsageError(f"there is no file {path}")
    settings = Settings(
        host=options.host,
        port=options.port,
        workers=options.workers,
        threads=options.threads or max(1, default_threads() // options.workers),
        keys=Keys.read(options.api_key_file),
        origins=tuple(options.cors_origin),
        certificate=options.certificate and (options.certificate, options.certificate_key),
        log_requests=options.log_requests,
        limits=Limits(
            body=options.max_body_mb << 20,
            texts=options.max_texts,
            characters=options.max_characters,
            requests=options.max_requests,
            waiting=options.max_waiting_mb << 20,
            seconds=options.timeout,
        ),
    )
    from m2v_onnx.model import OnnxStaticModel

    models = {
        name: OnnxStaticModel.from_pretrained(source, **load_options(options)) for name, source in sources.items()
    }
    serve(settings, models)


def _sources(options: argparse.Namespace) -> dict[str, str]:
    """Each model's name, and where it comes from. :raises UsageError: when there is none, or two of one name."""
    given: list[tuple[str, str]] = []
    if options.source is not None:
        given.append((_name(options.source), options.source))
    for each in options.model:
        name, equals, source = each.partition("=")
        if not equals or not name or not source:
            raise UsageError(f"--model: expected NAME=MODEL, got {each!r}")
        given.append((name, source))
    if not given:
        raise UsageError("got no model: give one, minishlab/potion-base-8M say, or --model NAME=MODEL")
    sources = dict(given)
    if len(sources) < len(given):
        raise UsageError(f"two models have one name, of {[name for name, _ in given]}: give other names")
    return sources


def _name(source: str) -> str:
    """A Hub id as it is, and of a path its last part: requests need not know where a model lies."""
    path = Path(source).expanduser()
    if not path.exists():
        return source
    return path.stem if path.is_file() else path.resolve().name
