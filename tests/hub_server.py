"""A small server that speaks the Hub's API as far as huggingface_hub asks, and processes that ask it through
HF_ENDPOINT: snapshots, new repositories, uploads to its large file storage (basic transfers), commits."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_secret"
"""What the server takes for a token with the right to read and write everything."""

LARGE = (".onnx", ".onnx_data", ".safetensors")
"""What the Hub keeps in its large file storage, as a new repository's .gitattributes say."""

Script = Callable[..., "Answer"]


@dataclass
class Commit:
    """One that was made here.

    :ivar sizes: {path: bytes} of what it added. :ivar deleted: paths.
    """

    repository: str
    revision: str
    summary: str
    sizes: dict[str, int]
    deleted: list[str]


@dataclass
class Hub:
    """Repositories by name, each with the files of its revisions; what was asked for.

    :ivar root: where new repositories are kept.
    :ivar stored: the large file storage, by sha256.
    :ivar fails: how many uploads to it are still answered with an error.
    """

    root: Path
    endpoint: str = ""
    repositories: dict[str, dict[str, Path]] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    stored: dict[str, bytes] = field(default_factory=dict)
    fails: int = 0

    def add(self, name: str, folder: Path, revision: str = "main") -> str:
        """:return: the commit."""
        self.repositories.setdefault(name, {})[revision] = folder
        return self.commit(name, revision)

    def create(self, name: str, private: bool) -> None:
        folder = self.root / name
        folder.mkdir(parents=True)
        (folder / ".gitattributes").write_text("*.onnx filter=lfs diff=lfs merge=lfs -text\n")
        self.add(name, folder)
        if private:
            self.private.add(name)

    def commit(self, name: str, revision: str) -> str:
        made = sum(1 for commit in self.commits if (commit.repository, commit.revision) == (name, revision))
        return hashlib.sha1(f"{name} {revision} {made}".encode()).hexdigest()

    def folder(self, name: str, revision: str) -> tuple[Path, str] | None:
        """A revision's files, by its name or commit."""
        for known, folder in self.repositories.get(name, {}).items():
            if revision in (known, self.commit(name, known)):
                return folder, self.commit(name, known)
        return None

    @property
    def downloads(self) -> list[str]:
        return [path.split("/resolve/")[1].partition("/")[2] for path in self.asked if path.startswith("GET /")
                and "/resolve/" in path]  # fmt: skip

    @property
    def uploads(self) -> list[str]:
        """The sha256 of files that were sent to the large file storage."""
        return [path.rpartition("/")[2] for path in self.asked if path.startswith("PUT /storage/")]


@dataclass(frozen=True)
class Answer:
    """What a process printed, and how it ended."""

    out: str
    error: str
    code: int


class Handler(BaseHTTPRequestHandler):
    """What huggingface_hub's clients ask for."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        parts = path.strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        name = "/".join(parts[2:4] if api else parts[:2])
        if name not in self.hub.repositories:
            return self._send(404, b"Repository not found", {"X-Error-Code": "RepoNotFound"}, body)
        if name in self.hub.private and not self._may():
            return self._send(401, b"Invalid username or password.", {}, body)
        rest = parts[4:] if api else parts[2:]
        found = self.hub.folder(name, rest[1] if len(rest) > 1 else "main")
        if found is None:
            return self._send(404, b"Revision not found", {"X-Error-Code": "RevisionNotFound"}, body)
        folder, sha = found
        if api:
            return self._send(200, json.dumps(self._facts(name, folder, sha, rest[:1])).encode(), {}, body)
        file = folder / "/".join(rest[2:])
        if not file.is_file():
            return self._send(404, b"Entry not found", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha}, body)
        content = file.read_bytes()
        headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": sha}
        return self._send(200, content, headers, body)

    def _facts(self, name: str, folder: Path, sha: str, kind: list[str]) -> Any:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        places = [path.relative_to(folder).as_posix() for path in files]
        if kind == ["tree"]:
            return [
                {"type": "file", "path": place, "size": path.stat().st_size, "oid": git_blob(path.read_bytes())}
                for place, path in zip(places, files, strict=True)
            ]
        return {"_id": "1", "id": name, "modelId": name, "sha": sha, "private": name in self.hub.private, "tags": [],
                "downloads": 0, "likes": 0, "siblings": [{"rfilename": place} for place in places]}  # fmt: skip

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"POST {path}")
        content = self._body()
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if not self._may():
            return self._send(401, b"Invalid username or password.", {}, True)
        if path == "/api/repos/create":
            return self._create(json.loads(content))
        if match := re.fullmatch(r"/(.+/.+)\.git/info/lfs/objects/batch", path):
            return self._json({"transfer": "basic", "objects": list(map(self._place, json.loads(content)["objects"]))})
        match = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/([^/]+)", path)
        assert match is not None, path
        name, action, revision = match.groups()
        found = self.hub.folder(name, revision)
        if found is None:
            return self._send(404, b"Revision not found", {"X-Error-Code": "RevisionNotFound"}, True)
        if action == "preupload":
            return self._json({"files": [self._mode(found[0], file) for file in json.loads(content)["files"]]})
        return self._commit(name, revision, found[0], [json.loads(line) for line in content.splitlines()])

    def do_PUT(self) -> None:
        path = urlsplit(self.path).path
        content = self._body()
        if self.hub.fails:
            self.hub.fails -= 1
            return self._send(403, b"The signature has expired", {}, True)
        self.hub.asked.append(f"PUT {path}")
        oid = path.rpartition("/")[2]
        assert hashlib.sha256(content).hexdigest() == oid
        self.hub.stored[oid] = content
        return self._send(200, b"", {}, True)

    def _create(self, wanted: dict[str, Any]) -> None:
        name = f"{wanted['organization']}/{wanted['name']}"
        if name in self.hub.repositories:
            return self._send(409, b"You already created this model repo", {}, True)
        private = wanted.get("visibility") == "private" or wanted.get("private") is True
        self.hub.create(name, private)
        return self._json({"url": f"{self.hub.endpoint}/{name}", "name": name, "id": "1"})

    def _place(self, file: dict[str, Any]) -> dict[str, Any]:
        """Where a large file is to be sent; nowhere if it is stored already."""
        if file["oid"] in self.hub.stored:
            return file
        return {**file, "actions": {"upload": {"href": f"{self.hub.endpoint}/storage/{file['oid']}"}}}

    def _mode(self, folder: Path, file: dict[str, Any]) -> dict[str, Any]:
        there = folder / file["path"]
        mode = "lfs" if file["path"].endswith(LARGE) else "regular"
        oid = git_blob(there.read_bytes()) if mode == "regular" and there.is_file() else None
        return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid}

    def _commit(self, name: str, revision: str, folder: Path, lines: list[dict[str, Any]]) -> None:
        contents, deleted, summary = {}, [], ""
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                summary = value["summary"]
            elif line["key"] == "file":
                contents[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                contents[value["path"]] = self.hub.stored[value["oid"]]
            else:
                assert line["key"] == "deletedFile", line
                deleted.append(value["path"])
        new = folder.with_name(f"{folder.name}.{len(self.hub.commits)}")
        shutil.copytree(folder, new)
        for path, content in contents.items():
            (new / path).parent.mkdir(parents=True, exist_ok=True)
            (new / path).write_bytes(content)
        for path in deleted:
            (new / path).unlink()
        self.hub.commits.append(Commit(name, revision, summary, {p: len(c) for p, c in contents.items()}, deleted))
        oid = self.hub.add(name, new, revision)
        self._json({"commitUrl": f"{self.hub.endpoint}/{name}/commit/{oid}", "commitOid": oid, "success": True,
                    "hookOutput": ""})  # fmt: skip

    def _may(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _body(self) -> bytes:
        """What was sent, with its length or in chunks."""
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"}, True)

    def _send(self, code: int, content: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)


def git_blob(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


@contextmanager
def serving(root: Path) -> Iterator[Hub]:
    """A Hub that answers. :param root: a folder for the repositories that are made."""
    hub = Hub(root)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def runner(hub: Hub, folder: Path) -> Script:
    """What runs Python, or with ``cli`` our command, in a process with this Hub, and its caches in a folder."""

    def start(code: str, *arguments: str, cli: bool = False, **environment: str) -> Answer:
        variables = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        variables |= {
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(folder / "hf"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "M2V_ONNX_CACHE": str(folder / "cache"),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        script = "import sys; from m2v_onnx.commands.main import main; sys.exit(main(sys.argv[1:]))" if cli else code
        command = [sys.executable, "-c", script, *([code] if cli else []), *arguments]
        done = subprocess.run(command, env=variables | environment, capture_output=True, text=True, timeout=120)
        return Answer(done.stdout.strip(), done.stderr.strip(), done.returncode)

    return start
