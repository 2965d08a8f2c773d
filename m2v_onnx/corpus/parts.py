"""A folder of Parquet files as the output of ``embed_files``: a part is whole or absent, and what is there is not done
again.

The manifest says what the job is, and which rows of the input each part has. It is written after each part, so a run
that ends at any moment leaves a part's worth of work undone, and nothing that must be removed by hand. Its name, and
those of the other files that are no parts, begin with "_": programs that read a folder leave such files out.
"""

import json
import logging
import os
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from m2v_onnx.corpus.files import File
from m2v_onnx.corpus.sinks import open_sink
from m2v_onnx.corpus.tables import Advance, Embedded, Engine, ErrorList, Job, Result, check_counts, progress, write
from m2v_onnx.corpus.writing import new_file
from m2v_onnx.errors import CorpusError
from m2v_onnx.limits import Unset
from m2v_onnx.models.bundle import fingerprint

MANIFEST = "_manifest.json"
LOCK = "_lock"
TEMPORARY = (".part-", "._manifest", "._errors-")
"""How names of files begin that are not whole yet."""

FORMAT_VERSION = 1

COUNTS = ("rows", "written", "bad", "empty")
"""Of ``Embedded``, that the manifest has of each part."""

log = logging.getLogger("m2v_onnx")

DO = "give the same command, another folder, or --force to begin anew"


def into_parts(
    job: Job, folder: Path, part_rows: int, engine: Engine | None = None, *, force: bool, shown: bool
) -> Embedded:
    """Write a job's rows into a folder, and go on where an earlier run ended.

    :param part_rows: rows of the input a part.
    :param engine: what writes the parts; None for this process.
    :param force: begin anew: remove the parts of an earlier run.
    :raises FileExistsError: for a folder with other files.
    :raises CorpusError: for a folder that another run writes into, or that holds another job.
    """
    folder.mkdir(exist_ok=True)
    with _locked(folder):
        _remove_temporary(folder)
        wanted = _description(job, part_rows)
        manifest = _read(folder)
        if manifest is not None and force:
            _remove(folder, manifest)
            manifest = None
        if manifest is None:
            _check_no_strangers(folder)
            manifest = {**wanted, "parts": [], "complete": False}
            _save(folder, manifest)
        else:
            _check_same(folder, manifest, wanted, job.vector_option)
            _check_parts(folder, manifest)
        before = _sum(manifest).rows
        if not manifest["complete"]:
            if manifest["parts"]:
                log.info(
                    "%s: parts there: %s, with %s rows of the input; it goes on after them",
                    folder,
                    f"{len(manifest['parts']):,}",
                    f"{before:,}",
                )
            _go_on(job, folder, manifest, part_rows, engine, shown=shown)
        return replace(_sum(manifest), before=before)


def read_done(folder: Path) -> tuple[int, int]:
    """How many whole parts a folder has, and how many rows of the input they are. Zeros for a folder without any."""
    try:
        manifest = _read(folder)
    except (CorpusError, OSError):
        return 0, 0
    return (len(manifest["parts"]), _sum(manifest).rows) if manifest else (0, 0)


def _go_on(
    job: Job, folder: Path, manifest: dict[str, Any], part_rows: int, engine: Engine | None, *, shown: bool
) -> None:
    parts = manifest["parts"]
    start = (*parts[-1]["next"],) if parts else (0, 0)
    if engine is not None:
        job = job.counted()
    write_parts = _one_by_one if engine is None else engine.write_parts
    with progress(job, shown=shown, done=_sum(manifest).rows) as advance:
        try:
            # Closed at once after an error, and with it the workers end.
            with closing(write_parts(job, folder, len(parts), start, part_rows, advance)) as written:
                for part in written:
                    _check_inputs(manifest["inputs"], _inputs(job.files), folder)
                    parts.append(part)
                    _save(folder, manifest)
        finally:
            _remove_temporary(folder)  # of workers that were killed
    check_counts(job, _sum(manifest))
    manifest["complete"] = True
    _save(folder, manifest)


def _one_by_one(
    job: Job, folder: Path, number: int, start: tuple[int, int], part_rows: int, advance: Advance
) -> Generator[dict[str, Any], None, None]:
    results = job.results(start, part_rows)
    # A table without rows has a part too: it says which columns there are.
    while (first := next(results, None)) is not None or number == 0:
        part = _write(job, folder, number, start, part_rows, _part(first, results, part_rows), advance)
        yield part
        start, number = (*part["next"],), number + 1


def write_part(job: Job, folder: Path, number: int, start: tuple[int, int], part_rows: int) -> dict[str, Any]:
    """Write one part of a folder, whatever others there are.

    :param number: of the part, from 0.
    :param start: where its rows begin: a file's place, and the rows of it to leave out.
    :return: what the manifest has of it.
    """
    results = job.results(start, part_rows, one_part=True)
    return _write(job, folder, number, start, part_rows, results, lambda rows, file, position: None)


def _write(
    job: Job,
    folder: Path,
    number: int,
    start: tuple[int, int],
    part_rows: int,
    results: Iterator[Result],
    advance: Advance,
) -> dict[str, Any]:
    expected = part_rows if job.rows is None else min(part_rows, job.rows - number * part_rows)
    name = f"part-{number:05}.parquet"
    places = {file.path: i for i, file in enumerate(job.files)}
    done, (place, row) = Embedded(0, 0, 0, 0), start
    with new_file(folder / name, binary=True, force=True) as file, _errors_of(folder, name) as errors:
        with open_sink("parquet", file, job.written, job.vector, job.none, expected) as sink:
            for result in results:
                done = write(result, sink, errors, done)
                at = places[result.file.path]
                place, row = at, result.rows + (row if at == place else 0)
                advance(result.rows, result.file, result.position)
        file.flush()
        os.fsync(file.fileno())
    counts = {name: getattr(done, name) for name in COUNTS}
    return {"file": name, "bytes": (folder / name).stat().st_size, **counts, "next": [place, row]}


def _part(first: Result | None, results: Iterator[Result], part_rows: int) -> Iterator[Result]:
    """The results of one part; no result is of two."""
    rows = 0
    for result in chain([] if first is None else [first], () if first is None else results):
        rows += result.rows
        yield result
        if rows >= part_rows:
            return


def _errors_of(folder: Path, part: str) -> ErrorList:
    return ErrorList(folder / f"_errors-{Path(part).stem}.jsonl", force=True)


def _sum(manifest: dict[str, Any]) -> Embedded:
    parts = manifest["parts"]
    return Embedded(*(sum(part[name] for part in parts) for name in COUNTS))


def _description(job: Job, part_rows: int) -> dict[str, Any]:
    """What makes a job another one."""
    model = job.model
    return {
        "format_version": FORMAT_VERSION,
        "model": fingerprint(model.files),
        "options": {
            "text": [*job.texts],
            "columns": [*job.columns],
            "key": job.key,
            "vector": job.vector,
            "dtype": job.dtype,
            "bitorder": job.bitorder,
            "layout": job.layout,
            "on_error": job.on_error,
            "empty": job.empty,
            "normalize": model.normalize if job.normalize is None else job.normalize,
            "max_length": model.max_length if isinstance(job.max_length, Unset) else job.max_length,
            "part_rows": part_rows,
        },
        "inputs": _inputs(job.files),
    }


def _inputs(files: list[File]) -> list[dict[str, Any]]:
    found = []
    for file in files:
        status = file.path.stat()
        found.append({"path": str(file.path.resolve()), "size": status.st_size, "mtime_ns": status.st_mtime_ns})
    return found


def _check_same(folder: Path, manifest: dict[str, Any], wanted: dict[str, Any], vector_option: str) -> None:
    if manifest["format_version"] != FORMAT_VERSION:
        raise CorpusError(f"{folder} was begun by another version of m2v-onnx: finish it with that, {DO}")
    if manifest["model"] != wanted["model"]:
        raise CorpusError(f"{folder} was begun with another model: {DO}")
    for name, value in wanted["options"].items():
        before = manifest["options"].get(name)
        if before != value:
            option = vector_option if name == "vector" else f"--{name.replace('_', '-')}"
            raise CorpusError(f"{folder} was begun with {option} {_shown(before)}, got {_shown(value)}: {DO}")
    _check_inputs(manifest["inputs"], wanted["inputs"], folder)


def _shown(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def _check_inputs(before: list[dict[str, Any]], now: list[dict[str, Any]], folder: Path) -> None:
    paths = [each["path"] for each in before]
    if paths != [each["path"] for each in now]:
        different = sorted({*paths} ^ {each["path"] for each in now}) or ["the same files in another order"]
        raise CorpusError(f"{folder} was begun with other inputs ({different[0]}): {DO}")
    for old, new in zip(before, now, strict=True):
        if old != new:
            raise CorpusError(
                f"{old['path']} has changed since {folder} was begun (it had {old['size']:,} bytes, and has"
                f" {new['size']:,} now, and another time of its last change): {DO}"
            )


def _check_parts(folder: Path, manifest: dict[str, Any]) -> None:
    for part in manifest["parts"]:
        path = folder / part["file"]
        size = path.stat().st_size if path.exists() else None
        if size != part["bytes"]:
            raise CorpusError(f"{path}: expected {part['bytes']:,} bytes, got {size}: copy it back, or {DO}")


def _check_no_strangers(folder: Path) -> None:
    strangers = sorted(path.name for path in folder.iterdir() if path.name != LOCK)
    if strangers:
        raise FileExistsError(
            f"{folder} has files that are not of this program ({strangers[0]}): give a folder that is new or empty"
        )


def _remove_temporary(folder: Path) -> None:
    """What runs and workers that were killed have left."""
    for left in folder.glob(".*"):
        if left.name.startswith(TEMPORARY):
            left.unlink()


def _remove(folder: Path, manifest: dict[str, Any]) -> None:
    """The manifest at last: what is left after an interruption is still known."""
    for part in manifest["parts"]:
        (folder / part["file"]).unlink(missing_ok=True)
    for path in (*folder.glob("part-*.parquet"), *folder.glob("_errors-part-*.jsonl")):
        path.unlink(missing_ok=True)
    (folder / MANIFEST).unlink()


def _read(folder: Path) -> dict[str, Any] | None:
    path = folder / MANIFEST
    if not path.exists():
        return None
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = manifest["format_version"], manifest["parts"], manifest["complete"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"{path} is damaged ({error}): give another folder, or remove this one") from error
    return manifest


def _save(folder: Path, manifest: dict[str, Any]) -> None:
    with new_file(folder / MANIFEST, binary=True, force=True) as file:
        file.write(json.dumps(manifest, indent=1).encode())
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other runs out. The system ends the lock with the process, however that ends."""
    with (folder / LOCK).open("a+b") as file:
        try:
            if os.name == "nt":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise CorpusError(
                f"{folder}: another run writes into it: wait for its end, or give another folder"
            ) from error
        yield
