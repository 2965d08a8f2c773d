"""Files for Milvus' bulk import, and the request that imports them: ``import_documents`` and ``index --bulk``.

Collections are in Milvus Lite, behind an address like a server's. Milvus Lite has no import, so a small HTTP server at
the same address takes that request, writes it down, and answers as Milvus' documentation says.
"""

import contextlib
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from m2v_onnx import CollectionError, CorpusError, InvalidTextError, OnnxStaticModel, import_documents
from m2v_onnx.commands.main import main
from m2v_onnx.corpus.bulk import import_call
from tests.test_cli import BUNDLE, failed
from tests.test_collections import TABLE, TEXTS

pytest.importorskip("milvus_lite", reason="the extra milvus is not installed")
pytest.importorskip("pymilvus.bulk_writer", reason="the extra bulk is not installed", exc_type=ImportError)


class Server(socketserver.ThreadingTCPServer):
    """Calls of gRPC go on to Milvus Lite, requests of HTTP are answered here: one port, as a server of Milvus has."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, grpc: str) -> None:
        super().__init__(("127.0.0.1", 0), Http)
        self.grpc = grpc
        self.requests: list[tuple[str, str | None, Any]] = []
        self.jobs: list[dict[str, Any]] = []
        self.code = 0

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def finish_request(self, request: Any, client_address: Any) -> None:
        if request.recv(4, socket.MSG_PEEK) == b"PRI ":
            self._pass_on(request)
        else:
            super().finish_request(request, client_address)

    def _pass_on(self, request: socket.socket) -> None:
        if self.grpc.startswith("unix:"):
            lite = socket.socket(socket.AF_UNIX)
            lite.connect(self.grpc.removeprefix("unix:"))
        else:
            host, _, port = self.grpc.rpartition("/")[2].rpartition(":")
            lite = socket.create_connection((host, int(port)))

        def copy(source: socket.socket, target: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while content := source.recv(1 << 16):
                    target.sendall(content)
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)

        back = threading.Thread(target=copy, args=(lite, request), daemon=True)
        back.start()
        copy(request, lite)
        back.join()
        lite.close()


class Http(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = self.path.removeprefix("/v2/vectordb/jobs/import/")
        self.server.requests.append((name, self.headers["Authorization"], content))
        data = {"records": self.server.jobs} if name == "list" else {"jobId": f"job-{len(self.server.requests)}"}
        answer = json.dumps({"code": self.server.code, "data": data, "message": "no such bucket"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    from milvus_lite.server_manager import server_manager_instance

    database = str(tmp_path / "behind.db")
    with Server(server_manager_instance.start_and_get_uri(database)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
    server_manager_instance.release_server(database)


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    pq.write_table(TABLE.set_column(0, "id", TABLE["id"].cast(pa.int32())), "docs.parquet")
    return "docs.parquet"


def test_files_and_the_call(docs: str, capsys: pytest.CaptureFixture[str], potion: OnnxStaticModel) -> None:
    assert main(["index", BUNDLE, docs, "--bulk", "import", "--part-rows", "3", "--columns", "title"]) == 0
    out = capsys.readouterr().out
    assert "4 rows in 2 files of import" in out
    assert "texts without tokens: 1" in out
    assert not Path("milvus.db").exists()
    *_, call = out.splitlines()
    called: dict[str, Any] = {}
    exec(call, {"bulk_import": lambda *arguments, **named: called.update(named, of=arguments)})
    assert called == {
        "of": ("http://localhost:19530", "documents"),
        "files": [["import/part-00000.parquet"], ["import/part-00001.parquet"]],
        "api_key": "root:Milvus",
    }
    made = pa.concat_tables([pq.read_table(path) for (path,) in called["files"]])
    assert made.schema.names == ["id", "title", "vector"]
    assert made.schema.field("id").type == pa.int64()  # a key of Milvus has 64 bits
    assert made.select(["id", "title"]).to_pylist() == TABLE.select(["id", "title"]).to_pylist()
    np.testing.assert_allclose(np.array(made["vector"].to_pylist()), potion.encode(TEXTS), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "binary"])
def test_files_have_what_the_import_takes(dtype: Any, docs: str, potion: OnnxStaticModel) -> None:
    import_documents(potion, docs, "import", dtype=dtype)
    kind = pq.read_schema("import/part-00000.parquet").field("vector").type
    wanted = {"float32": pa.float32(), "int8": pa.int8()}.get(dtype, pa.uint8())
    assert kind.value_type == wanted
    assert pa.types.is_list(kind)


def test_a_server_is_asked_to_import(server: Server, docs: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["index", BUNDLE, docs, "--bulk", "import", "--part-rows", "2", "--uri", server.uri]
    command += ["--milvus-token", "root:Milvus", "--collection", "pages", "--metric", "IP"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert f"collection pages of {server.uri}: made" in out
    assert "copy the files into import/ of the server's bucket" in out
    assert server.requests == []
    times = [path.stat().st_mtime_ns for path in sorted(Path("import").glob("part-*"))]
    server.jobs = [{"jobId": "old", "state": "Failed"}]
    assert main([*command, "--bulk-path", "/new/import/"]) == 0
    assert "import begun: job job-2" in capsys.readouterr().out
    (_, _, listed), (asked, authorization, content) = server.requests
    assert listed["collectionName"] == "pages"
    assert (asked, authorization) == ("create", "Bearer root:Milvus")
    assert content["collectionName"] == "pages"
    assert content["files"] == [["new/import/part-00000.parquet"], ["new/import/part-00001.parquet"]]
    assert [path.stat().st_mtime_ns for path in sorted(Path("import").glob("part-*"))] == times  # not made again

    from pymilvus import MilvusClient

    client = MilvusClient(server.uri)
    fields = {field["name"]: field["type"].name for field in client.describe_collection("pages")["fields"]}
    client.close()
    assert fields == {"id": "INT64", "title": "VARCHAR", "text": "VARCHAR", "vector": "FLOAT_VECTOR"}


def test_nothing_is_imported_twice(server: Server, docs: str, potion: OnnxStaticModel) -> None:
    from pymilvus import MilvusClient

    def call(**more: Any) -> Any:
        return import_documents(potion, docs, "import", uri=server.uri, bucket_path="import", **more)

    server.jobs = [{"jobId": "7", "state": "Importing"}]
    with pytest.raises(CollectionError, match=r"an import into documents is not done yet \(job 7\)"):
        call()
    server.jobs = []
    assert call().jobs
    client = MilvusClient(server.uri)
    row = {"id": 1, "title": "", "text": "", "vector": [0.5] * potion.dim}
    client.insert("documents", [row])  # what the import would have done
    with pytest.raises(CollectionError, match="documents has 1 rows already, and an import replaces none"):
        call()
    assert [name for name, *_ in server.requests].count("create") == 1
    assert call(force=True).created
    client.close()


def test_keys_that_milvus_makes(server: Server, docs: str, potion: OnnxStaticModel) -> None:
    pq.write_table(TABLE.drop_columns("id"), docs)
    first = import_documents(potion, docs, "import", uri=server.uri)
    assert first.created
    assert pq.read_schema("import/part-00000.parquet").names == ["title", "text", "vector"]
    again = import_documents(potion, docs, "import", uri=server.uri, bucket_path="")
    assert not again.created
    assert again.files == (("part-00000.parquet",),)


def test_what_the_server_refuses_is_told(
    server: Server, docs: str, potion: OnnxStaticModel, capsys: pytest.CaptureFixture[str]
) -> None:
    server.code = 1100
    assert main(["index", BUNDLE, docs, "--bulk", "import", "--uri", server.uri, "--bulk-path", "import"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{server.uri}: Milvus says: " in line
    assert "no such bucket" in line
    other = pa.table({"id": [1], "text": ["a"], "year": [1990]})
    pq.write_table(other, docs)
    with pytest.raises(CollectionError, match="no field 'year', which the table has"):
        import_documents(potion, docs, "other", uri=server.uri)
    assert not Path("other").exists()


@pytest.mark.parametrize("uri", ["./milvus.db", "milvus.db"])
def test_milvus_lite_is_refused_before_any_work(uri: str, docs: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = failed(capsys, "index", "no-such-model", docs, "--bulk", "import", "--uri", uri)
    assert f"Milvus Lite has no import, got the database {uri}: leave --bulk out, or give a server's --uri" in error
    assert [path.name for path in Path().iterdir()] == [docs]


def test_options_that_make_no_sense(docs: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = failed(capsys, "index", "no-such-model", docs, "--bulk", "import", "--bulk-path", "import")
    assert "expected the --uri of the server that has the files" in error
    error = failed(capsys, "index", "no-such-model", docs, "--bulk-path", "import", code=2)
    assert "--bulk-path is of --bulk: give that too" in error
    assert [path.name for path in Path().iterdir()] == [docs]


def test_another_key_is_another_job(docs: str, potion: OnnxStaticModel) -> None:
    """Its column has another type."""
    pq.write_table(TABLE.append_column("n", pa.array([1, 2, 3, 4], pa.int32())), docs)
    import_documents(potion, docs, "import")
    with pytest.raises(CorpusError, match="was begun with --key id, got n"):
        import_documents(potion, docs, "import", key="n")


def test_what_has_changed_has_the_name_that_this_command_gives_it(
    docs: str, potion: OnnxStaticModel, capsys: pytest.CaptureFixture[str]
) -> None:
    import_documents(potion, docs, "import")
    error = failed(capsys, "index", BUNDLE, docs, "--bulk", "import", "--vector-field", "other")
    assert "import was begun with --vector-field vector, got other: give the same command, another folder" in error


def test_bad_rows(docs: str, potion: OnnxStaticModel) -> None:
    with pytest.raises(InvalidTextError, match="row 2 has no 'title': fill it, or leave such rows out of the table"):
        import_documents(potion, docs, "import", text="title")
    pq.write_table(pa.table({"id": [1, None], "text": ["a", "b"]}), docs)
    with pytest.raises(ValueError, match=r"docs.parquet, row 1 has no key 'id': fill it, or give another --key"):
        import_documents(potion, docs, "other")
    assert [*Path().rglob("part-*")] == []
    pq.write_table(pa.table({"id": [1], "text": ["é" * 40_000]}), docs)
    with pytest.raises(ValueError, match="80,000 bytes in 'text', and Milvus stores at most 65,535"):
        import_documents(potion, docs, "third")


def test_more_files_than_a_request_takes() -> None:
    groups = [[f"a/part-{i:05}.parquet" for i in range(first, last)] for first, last in ((0, 1024), (1024, 1030))]
    calls: list[Any] = []
    *_, one, other = import_call(groups, "http://here", "pages").splitlines()
    for call in (one, other):
        exec(call, {"bulk_import": lambda *_, files, **__: calls.append(files)})
    assert calls == [[[name] for name in group] for group in groups]
