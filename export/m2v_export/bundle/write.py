"""Writing: a folder that is complete or absent, the table in pieces, a graph with its table inside."""

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import onnx

from m2v_export.source.chunks import chunks
from m2v_export.source.outside import PAGE_BYTES, Stored
from m2v_onnx.errors import ExportError

MAX_MODEL_BYTES = 2**31 - 1
"""A protobuf message's limit, so a graph file's with its table inside."""


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside ``folder``, renamed to it at the end; after an error nothing is left.

    :raises ExportError: when the folder exists or cannot be written, or the disk is full.
    """
    if folder.exists() or folder.is_symlink():
        raise ExportError(f"{folder} exists: choose another output folder, or delete it first")
    # Named before it is made, so that a signal at any moment finds what to remove.
    temporary = folder.parent / f".{folder.name}-{secrets.token_hex(4)}"
    new_parents = [parent for parent in folder.parents if not parent.exists()]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir(mode=0o700)
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        temporary.rename(folder)
    except OSError as error:
        raise ExportError(f"cannot write {folder}: {error.strerror or error}; nothing was left there") from error
    finally:
        if temporary.exists():
            shutil.rmtree(temporary, ignore_errors=True)
        for parent in new_parents if not folder.exists() else ():
            with suppress(OSError):  # somebody else has put something there meanwhile
                parent.rmdir()


def write_table(path: Path, tensors: Mapping[str, Stored]) -> None:
    """The stored tensors, each from a page's start, as ``Outside`` says."""
    with path.open("wb") as file:
        for stored in tensors.values():
            file.write(b"\0" * (-file.tell() % PAGE_BYTES))
            _write(file, stored)


def write_graph(path: Path, model: onnx.ModelProto) -> None:
    """The graph as it is, its table outside."""
    path.write_bytes(model.SerializeToString(deterministic=True))


def write_single_file(path: Path, model: onnx.ModelProto, tensors: Mapping[str, Stored]) -> None:
    """The graph with its table inside.

    The table is appended to the protobuf message by hand, so that it is never in memory as a whole: fields of a
    message may come in any order. https://protobuf.dev/programming-guides/encoding/

    :raises ExportError: when it would be larger than ONNX allows.
    """
    outer = onnx.ModelProto()
    outer.CopyFrom(model)
    inside = [tensor for tensor in outer.graph.initializer if tensor.name in tensors]
    rest = [tensor for tensor in outer.graph.initializer if tensor.name not in tensors]
    graph = onnx.GraphProto()
    graph.CopyFrom(outer.graph)
    outer.ClearField("graph")
    del graph.initializer[:]
    graph.initializer.extend(rest)
    graph_bytes = graph.SerializeToString(deterministic=True)
    heads = []
    for tensor in inside:
        stored = tensors[tensor.name]
        plain = onnx.TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
        raw = plain.SerializeToString(deterministic=True) + _tag(onnx.TensorProto, "raw_data") + _varint(stored.nbytes)
        heads.append((_tag(onnx.GraphProto, "initializer") + _varint(len(raw) + stored.nbytes) + raw, stored))
    graph_length = len(graph_bytes) + sum(len(head) + stored.nbytes for head, stored in heads)
    if graph_length > MAX_MODEL_BYTES - len(graph_bytes):
        raise ExportError(
            f"{path.name} would have {graph_length:,} bytes with its table inside, ONNX allows {MAX_MODEL_BYTES:,}:"
            " export without --single-file"
        )
    with path.open("wb") as file:
        file.write(outer.SerializeToString(deterministic=True))
        file.write(_tag(onnx.ModelProto, "graph") + _varint(graph_length) + graph_bytes)
        for head, stored in heads:
            file.write(head)
            _write(file, stored)


def _write(file: BinaryIO, stored: Stored) -> None:
    for part in stored.parts:
        for chunk in chunks(part):
            file.write(chunk.astype(chunk.dtype.newbyteorder("<"), copy=False).tobytes())


def _tag(message: type, field: str) -> bytes:
    """A length-delimited field's key."""
    number: int = message.DESCRIPTOR.fields_by_name[field].number  # type: ignore[attr-defined]
    return _varint(number << 3 | 2)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
