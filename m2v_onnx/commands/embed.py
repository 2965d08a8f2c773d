"""``m2v-onnx embed``."""

import argparse
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m2v_onnx.commands.arguments import (
    UsageError,
    add_command,
    add_location,
    add_opening,
    add_vectors,
    at_least_one,
    load_options,
    names,
    need,
    vector_options,
)

if TYPE_CHECKING:
    from m2v_onnx.corpus.on_ray import OnRay


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "embed",
        run,
        "make the vectors of texts, of lines or of a table's rows",
        "m2v-onnx embed minishlab/potion-base-8M 'a text' 'another one'",
        "m2v-onnx embed BUNDLE --input lines.txt --output vectors.npy --progress",
        "m2v-onnx embed BUNDLE --input docs.jsonl.gz --field body --skip-blank --output vectors.jsonl --force",
        "m2v-onnx embed BUNDLE --input docs.txt --output codes.npy --dtype int8 --max-length 128 --no-normalize",
        "m2v-onnx embed BUNDLE --input docs.txt --output bits.npy --dtype binary --bitorder little --precision int8",
        "m2v-onnx embed BUNDLE -i docs.parquet -o with-vectors.parquet --text title,body --columns id,title",
        "m2v-onnx embed BUNDLE -i 'parts/*.csv.gz' -i more.csv -o vectors.arrow --vector embedding --layout fixed",
        "m2v-onnx embed BUNDLE -i docs.jsonl -o docs.parquet --on-error skip --empty null --dtype float16",
        "m2v-onnx embed BUNDLE -i corpus/ -o corpus-with-vectors --part-rows 500000",
        "m2v-onnx embed BUNDLE -i corpus/ -o corpus-with-vectors --engine ray --address auto --workers 16",
        "cat lines.txt | m2v-onnx embed BUNDLE > vectors.jsonl",
        "zcat docs.jsonl.gz | m2v-onnx embed BUNDLE --format jsonl --batch-size 256 --tokenizer graph > vectors.jsonl",
        "m2v-onnx embed owner/name --revision v1.0 --subfolder small --token hf_... 'a text'",
    )
    parser.add_argument("model", metavar="MODEL", help="a bundle, an .onnx file, a model's folder, or a Hub id")
    parser.add_argument(
        "texts", metavar="TEXT", nargs="*", default=[], help="texts; without them and --input: lines of standard input"
    )
    parser.add_argument(
        "-i",
        "--input",
        metavar="FILE",
        action="append",
        help="lines: a .txt file, a text a line, or a .jsonl file, each also .gz or .zst; - for standard input. Tables:"
        " .parquet, .arrow, .feather, .jsonl or .csv files, the last two also .gz or .zst, folders of them, and"
        " patterns in quotes; give it several times for several inputs",
    )
    parser.add_argument(
        "--format", choices=("txt", "jsonl"), help="of the input, where its name does not tell; standard input is txt"
    )
    parser.add_argument("--field", default="text", help="the key of the text in .jsonl objects (default: %(default)s)")
    parser.add_argument(
        "--skip-blank", action="store_true", help="leave blank lines of a .jsonl input out; by default they are errors"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="a .npy file, [N, dim], or a .jsonl file; - for standard output, which is the default. Of tables also a"
        " .parquet, .arrow or .feather file, or a folder of .parquet files, a name without a suffix: the same command"
        " goes on there where it was stopped",
    )
    parser.add_argument("--force", action="store_true", help="replace the output file where there is one")
    parser.add_argument(
        "--dtype",
        type=str.lower,
        choices=("float32", "float16", "bfloat16", "int8", "binary"),
        default="float32",
        help="of the vectors; binary is a bit a dimension, eight to a byte; bfloat16 is for .parquet and .arrow"
        " (default: %(default)s)",
    )
    parser.add_argument(
        "--bitorder",
        choices=("big", "little"),
        default="big",
        help="of binary vectors: the first dimension in a byte's highest bit, or in its lowest, for sqlite-vec"
        " (default: %(default)s)",
    )
    add_vectors(parser)
    parser.add_argument(
        "--batch-size", type=at_least_one, default=4096, metavar="TEXTS", help="at a time (default: %(default)s)"
    )
    parser.add_argument("--progress", action="store_true", help="show a progress bar on standard error")
    add_location(parser)
    add_opening(parser)
    _add_tables(parser)


def _add_tables(parser: argparse.ArgumentParser) -> None:
    tables = parser.add_argument_group("of tables")
    tables.add_argument(
        "--text",
        type=names,
        metavar="COLUMNS",
        help="whose texts are embedded; several, as in title,body, are joined by a space (default: text)",
    )
    tables.add_argument("--columns", type=names, metavar="COLUMNS", help="that are written too; all by default")
    tables.add_argument("--vector", metavar="NAME", help="of the column of vectors (default: vector)")
    tables.add_argument(
        "--layout",
        choices=("list", "milvus", "fixed"),
        help="what a vector is in the file: a plain list; what Milvus' import takes, in the other columns too; or a"
        " list of a fixed size (default: list)",
    )
    tables.add_argument(
        "--on-error",
        choices=("fail", "skip", "null"),
        help="what becomes of a row without a text, or one that cannot be read: an error that names it; left out; or a"
        " null for a vector. The last two list it in OUTPUT.errors.jsonl (default: fail)",
    )
    tables.add_argument(
        "--empty",
        choices=("zero", "null", "skip"),
        help="the vector of a text without tokens: zeros, null, or the row is left out (default: zero)",
    )
    tables.add_argument(
        "--part-rows",
        type=at_least_one,
        metavar="ROWS",
        help="of the input, that become one file of a folder (default: 1000000)",
    )
    tables.add_argument(
        "--engine", choices=("ray",), help="what writes the parts of a folder: workers of Ray; this process by default"
    )
    tables.add_argument(
        "--address", help="of a cluster of Ray, auto say; by default Ray is started on this machine for the command"
    )
    tables.add_argument(
        "--workers", type=at_least_one, metavar="WORKERS", help="of Ray, of a core each (default: the cluster's cores)"
    )


RAY_OPTIONS = ("address", "workers")
TABLE_OPTIONS = ("text", "columns", "vector", "layout", "on_error", "empty", "part_rows")


def run(options: argparse.Namespace) -> None:
    try:
        if _is_of_tables(options):
            _embed_tables(options)
        else:
            _embed_lines(options)
    except KeyboardInterrupt:
        if sys.stderr is not None:
            print(f"m2v-onnx embed: interrupted{_what_is_left(options.output)}", file=sys.stderr)
        raise


def _what_is_left(output: str | None) -> str:
    """What a run that was interrupted has left, and what the user can do."""
    from m2v_onnx.corpus.parts import read_done
    from m2v_onnx.corpus.sinks import is_folder
    from m2v_onnx.corpus.streams import is_stream

    if output is None or output == "-" or is_stream(Path(output)):
        return ""
    if not is_folder(output):
        return f": nothing was written to {output}; the same command begins anew"
    parts, rows = read_done(Path(output))
    if not parts:
        return f": {output} has no whole part yet; the same command begins anew"
    return (
        f": {output} has {parts:,} whole part{'s' if parts > 1 else ''} with {rows:,} rows of the input; the same"
        " command goes on after them"
    )


def _is_of_tables(options: argparse.Namespace) -> bool:
    """Whether rows of tables are embedded, and not lines: an input, the output or an option is of tables."""
    from m2v_onnx.corpus.files import is_of_tables
    from m2v_onnx.corpus.sinks import TABLES, is_folder

    inputs, output = options.input or [], options.output or "-"
    return (
        len(inputs) > 1
        or any(map(is_of_tables, inputs))
        or Path(output).suffix.lower() in TABLES
        or (bool(inputs) and output != "-" and is_folder(output))
        or any(getattr(options, name) is not None for name in ("engine", *RAY_OPTIONS, *TABLE_OPTIONS))
    )


def _embed_tables(options: argparse.Namespace) -> None:
    from m2v_onnx.corpus.files import find_files, need_pyarrow
    from m2v_onnx.corpus.sinks import is_folder
    from m2v_onnx.corpus.tables import check_table_output, embed_files, errors_beside
    from m2v_onnx.model import OnnxStaticModel

    if options.texts:
        raise UsageError(
            "got texts as arguments, and an input, output or option of tables: leave one of them out; put a pattern"
            " such as 'parts/*.parquet' into quotes"
        )
    if not options.input or "-" in options.input:
        raise UsageError("a table is read from files: give --input FILE")
    if options.output is None or options.output == "-":
        raise UsageError("a table is written to a file: give --output FILE")
    for name in ("format", "skip_blank"):
        if getattr(options, name):
            raise UsageError(f"--{name.replace('_', '-')} is for lines, and the input or the output is a table")
    if options.field != "text":
        raise UsageError(f"--field is for lines, and the input or the output is a table: give --text {options.field}")
    if options.progress:
        need("a progress bar", ("tqdm",), "arrow")
    need_pyarrow()
    if options.engine and not is_folder(options.output):
        raise UsageError(f"--engine {options.engine} writes a folder of parts: give an --output without a suffix")
    for name in RAY_OPTIONS:
        if options.engine is None and getattr(options, name) is not None:
            raise UsageError(f"--{name} is for Ray: give --engine ray too, or leave it out")
    try:
        check_table_output(
            Path(options.output),
            in_parts=is_folder(options.output),
            dtype=options.dtype,
            layout=options.layout or "list",
            on_error=options.on_error or "fail",
            empty=options.empty or "zero",
            force=options.force,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    find_files(options.input)  # what is not there is told before a model is downloaded
    given = {name: getattr(options, name) for name in TABLE_OPTIONS if getattr(options, name) is not None}
    done = embed_files(
        lambda: OnnxStaticModel.from_pretrained(options.model, **load_options(options)),
        options.input,
        options.output,
        dtype=options.dtype,
        bitorder=options.bitorder,
        batch_size=options.batch_size,
        force=options.force,
        engine=_on_ray(options) if options.engine else None,
        show_progress_bar=options.progress,
        **given,
        **vector_options(options),
    )
    if done.before and done.before == done.rows:
        notes = [f"{options.output} was finished before, with {done.written:,} rows: nothing to do"]
    else:
        notes = [f"{done.rows:,} rows read, {done.written:,} written"]
        if done.before:
            notes.append(f"an earlier run had done {done.before:,} of the rows")
    if done.bad:
        output = Path(options.output)
        listed = output / "_errors-*.jsonl" if is_folder(output) else errors_beside(output)
        notes.append(f"bad rows: {done.bad:,}, listed in {listed}")
    if done.empty:
        notes.append(f"texts without tokens: {done.empty:,}")
    print(f"m2v-onnx embed: {'; '.join(notes)}", file=sys.stderr)


def _on_ray(options: argparse.Namespace) -> "OnRay":
    from m2v_onnx.corpus.on_ray import OnRay, need_ray

    need_ray()
    return OnRay(options.address, options.workers, options.model, load_options(options))


def _embed_lines(options: argparse.Namespace) -> None:
    from m2v_onnx.corpus.reading import Input, find_input
    from m2v_onnx.corpus.writing import check_output, find_output, writing
    from m2v_onnx.model import OnnxStaticModel

    try:
        given = options.input[0] if options.input else None
        source = None if options.texts and given is None else find_input(given, options.format)
        target = find_output(options.output)
        _check(options, source, target.path)
        check_output(target, force=options.force)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if options.progress:
        need("a progress bar", ("tqdm",))
    blank = 0

    def count_blank() -> None:
        nonlocal blank
        blank += 1

    on_blank = count_blank if options.skip_blank else None
    # Texts first: what cannot be read is told before a model is downloaded.
    with (source or Input.of(options.texts)).texts(options.field, on_blank) as texts:
        model = OnnxStaticModel.from_pretrained(options.model, **load_options(options))
        none = model.encode([], dtype=options.dtype, bitorder=options.bitorder)
        with writing(target, none, force=options.force) as write:
            for vectors in model.encode_iter(
                texts,
                batch_size=options.batch_size,
                show_progress_bar=options.progress,
                dtype=options.dtype,
                bitorder=options.bitorder,
                **vector_options(options),
            ):
                write(vectors)
    if blank:
        print(f"m2v-onnx embed: blank lines skipped: {blank:,}", file=sys.stderr)


def _check(options: argparse.Namespace, source: Any, target: Path | None) -> None:
    """:raises UsageError: for options that make no sense together, before anything is opened for writing."""
    if options.dtype == "bfloat16":
        raise UsageError("bfloat16 vectors go into .parquet or .arrow files: give such an --output")
    if options.texts and options.input is not None:
        raise UsageError("got texts and --input: give one of them")
    if options.texts and (options.format or options.skip_blank):
        raise UsageError("got texts as arguments, and --format or --skip-blank, which are for an input")
    if source and options.skip_blank and source.format != "jsonl":
        raise UsageError(
            "--skip-blank is for JSON lines; a blank line of a txt input is a text, and gets a vector: give --format"
            " jsonl, or leave --skip-blank out"
        )
    if source and source.path is None:
        if sys.stdin is None:
            raise UsageError("standard input is closed: give texts as arguments, or --input FILE")
        if sys.stdin.isatty() and options.input is None:
            raise UsageError("got no texts: give them as arguments, with --input FILE, or on standard input")
    if target is None and sys.stdout is None:
        raise UsageError("standard output is closed: give --output FILE")
    if source and _same_file(source.path, target):
        raise UsageError(f"{target or 'standard output'} is the input too: give another output")


def _same_file(source: Path | None, target: Path | None) -> bool:
    """Whether both are one regular file, by whatever names. None is standard input, or standard output."""
    found = [_status(path, stream) for path, stream in ((source, sys.stdin), (target, sys.stdout))]
    return (
        None not in found and all(stat.S_ISREG(each.st_mode) for each in found if each) and os.path.samestat(*found)  # type: ignore[arg-type]
    )


def _status(path: Path | None, stream: Any) -> os.stat_result | None:
    """None for what is not there, or has no file behind it."""
    from m2v_onnx.corpus.streams import status

    try:
        return os.fstat(stream.fileno()) if path is None else status(path)
    except (OSError, ValueError, AttributeError):
        return None
