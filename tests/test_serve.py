"""The server's routes, limits and end, asked as clients ask."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m2v_onnx import OnnxStaticModel
from m2v_onnx.commands.main import main
from tests.conftest import CORPUS, POTION_BUNDLE
from tests.serving import WAIT, Running, assert_vectors, free_port, is_ready, running

pytest.importorskip("granian", reason="the extra serve is not installed")
from m2v_onnx.serve.app import METRICS_AFTER

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

TEXTS = ["It's dangerous to go alone!", "Take this.", "naïve café 北京 😀"]
LONG = "word " * 3000
KEY = "correct-horse-battery"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("serve")
    models = ("--model", f"owner/potion={POTION_BUNDLE}", "--model", "int8=minishlab/potion-base-2M")
    with running(folder, *models, "--timeout", "1", "--max-body-mb", "1", "--max-texts", "64", "--max-characters",
                 "20000", "--cors-origin", "https://example.org") as found:  # fmt: skip
        yield found


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """With keys and two workers, and the limits that it has by itself."""
    folder = tmp_path_factory.mktemp("guarded")
    keys = folder / "keys.txt"
    keys.write_text(f"# the second one is old\n{KEY}\nother\n")
    with running(folder, str(POTION_BUNDLE), "--workers", "2", "--api-key-file", str(keys)) as found:
        yield found


@pytest.mark.parametrize(
    "path", ["/embed", "/", "/invocations", "/hf-inference/models/owner/potion/pipeline/feature-extraction"]
)
def test_tei(server: Running, potion: OnnxStaticModel, path: str) -> None:
    assert_vectors(server.ask(path, {"inputs": TEXTS}).json, potion.encode(TEXTS))
    assert_vectors(server.ask(path, {"inputs": TEXTS[0]}).json, [potion.encode(TEXTS[0])])


def test_tei_options(server: Running, potion: OnnxStaticModel) -> None:
    first = potion.encode(TEXTS, normalize=False)
    assert_vectors(server.ask("/embed", {"inputs": TEXTS, "normalize": False}).json, first)
    short = first[:, :16] / np.linalg.norm(first[:, :16], axis=1, keepdims=True)
    assert_vectors(server.ask("/embed", {"inputs": TEXTS, "dimensions": 16}).json, short)
    assert_vectors(server.ask("/embed", {"inputs": [LONG], "truncate": True}).json, potion.encode([LONG]))
    reply = server.ask("/embed", {"inputs": ["a", LONG], "truncate": False})
    assert reply.status == 422
    assert "text 1 has 3,000 tokens, the most is 512" in reply.json["error"]


@pytest.mark.parametrize(
    ("body", "status", "kind", "says"),
    [
        ({"inputs": ""}, 400, "Empty", "cannot be empty"),
        ({"inputs": []}, 400, "Empty", "cannot be empty"),
        ({"inputs": ["a", ""]}, 400, "Empty", "text 1"),
        ({"inputs": [1]}, 422, "Validation", "inputs[0]"),
        ({}, 422, "Validation", "inputs"),
        ({"inputs": ["a"] * 65}, 422, "Validation", "batch size 65 > maximum allowed batch size 64"),
        ({"inputs": "a" * 20001}, 422, "Validation", "20,001 characters"),
        ({"inputs": "a", "dimensions": 65}, 422, "Validation", "expected 1 to 64"),
        ({"inputs": "a", "dimensions": 0}, 422, "Validation", "expected 1 to 64"),
        ({"inputs": "a", "prompt_name": "query"}, 422, "Validation", "no prompts"),
        ({"inputs": "a", "truncation_direction": "Up"}, 422, "Validation", "Right or Left"),
        (b"{", 400, "Validation", "no JSON"),
        (b"", 400, "Validation", "no JSON"),
        (b'{"inputs":"\xff"}', 400, "Validation", "no UTF-8"),
        (b'{"inputs":"\\ud800"}', 400, "Validation", "no JSON"),
        # Python 3.14 counts the bytes of the stack and no levels: it comes to the end of the body.
        (b'{"x":' + b"[" * 100_000, 400, "Validation", "nested too deep" if sys.version_info < (3, 14) else "no JSON"),
        (b" " * (2 << 20), 413, "Validation", "the most is 1,048,576"),
    ],
)
def test_tei_errors(server: Running, body: Any, status: int, kind: str, says: str) -> None:
    reply = server.ask("/embed", body)
    assert (reply.status, reply.json["error_type"]) == (status, kind)
    assert says in reply.json["error"]


def test_texts_without_tokens_are_zeros(server: Running) -> None:
    found = server.ask("/embed", {"inputs": [" ", "a"]}).json
    assert found[0] == [0.0] * 64
    assert server.ask("/v1/embeddings", {"input": ""}).json["data"][0]["embedding"] == [0.0] * 64


def test_embed_all_tokenize_decode(server: Running, potion: OnnxStaticModel) -> None:
    found = server.ask("/embed_all", {"inputs": TEXTS}).json
    for each, expected in zip(found, potion.encode_as_sequence(TEXTS, max_length=512), strict=True):
        assert_vectors(each, expected)
    (tokens,) = server.ask("/tokenize", {"inputs": TEXTS[2], "add_special_tokens": False}).json
    assert [token["text"] for token in tokens][:2] == ["naïve", "café"]
    assert all(TEXTS[2][token["start"] : token["stop"]] == token["text"] for token in tokens)
    ids = [token["id"] for token in tokens][:2]
    assert server.ask("/decode", {"ids": ids}).json == ["naive cafe"]
    assert server.ask("/decode", {"ids": [ids, ids[:1]]}).json == ["naive cafe", "naive"]
    assert server.ask("/decode", {"ids": [ids, 1]}).status == 422


def test_openai(server: Running, potion: OnnxStaticModel) -> None:
    texts, tokens = CORPUS[:40], sum(map(len, potion.tokenize(CORPUS[:40])))
    reply = server.ask("/v1/embeddings", {"input": texts, "model": "potion"}).json
    assert reply["model"] == "owner/potion"
    assert reply["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert [each["index"] for each in reply["data"]] == list(range(40))
    assert_vectors([each["embedding"] for each in reply["data"]], potion.encode(texts))
    coded = server.ask("/embeddings", {"input": texts, "encoding_format": "base64"}).json
    found = [np.frombuffer(base64.b64decode(each["embedding"]), "<f4") for each in coded["data"]]
    assert_vectors(found, potion.encode(texts))


@pytest.mark.parametrize("ids", [[1, 2], [[1, 2], [3]]])
def test_token_ids_name_langchains_option(server: Running, ids: Any) -> None:
    reply = server.ask("/v1/embeddings", {"input": ids})
    assert reply.status == 400
    assert "check_embedding_ctx_length=False" in reply.json["error"]["message"]
    assert reply.json["message"] == reply.json["error"]["message"]  # where pymilvus.model looks


def test_models(server: Running) -> None:
    assert [each["id"] for each in server.ask("/v1/models").json["data"]] == ["owner/potion", "int8"]
    for name in ("owner/potion", "owner%2Fpotion", "potion"):
        assert server.ask(f"/v1/models/{name}").json["id"] == "owner/potion"
    reply = server.ask("/v1/embeddings", {"input": "a", "model": "gpt"})
    assert (reply.status, reply.json["error"]["code"]) == (404, "model_not_found")
    other = server.ask("/v1/embeddings", {"input": TEXTS, "model": "int8"}).json["data"]
    expected = OnnxStaticModel.from_pretrained("minishlab/potion-base-2M").encode(TEXTS)
    assert_vectors([each["embedding"] for each in other], expected)


def test_int8_and_bits(server: Running, potion: OnnxStaticModel) -> None:
    expected = potion.encode(TEXTS, normalize=True, dtype="int8").tolist()
    bits = potion.encode(TEXTS, dtype="binary")
    voyage = server.ask("/v1/embeddings", {"input": TEXTS, "input_type": "document", "output_dtype": "int8"}).json
    assert [each["embedding"] for each in voyage["data"]] == expected
    coded = server.ask("/v1/embeddings", {"input": TEXTS, "encoding_format": "base64", "output_dtype": "int8"}).json
    found = [np.frombuffer(base64.b64decode(each["embedding"]), np.int8).tolist() for each in coded["data"]]
    assert found == expected
    kinds = ["int8", "float", "ubinary", "binary", "base64"]
    cohere = server.ask("/v2/embed", {"texts": TEXTS, "input_type": "search_document", "embedding_types": kinds}).json
    assert cohere["embeddings"]["int8"] == expected
    assert cohere["embeddings"]["ubinary"] == bits.tolist()
    assert cohere["embeddings"]["binary"] == (bits.astype(int) - 128).tolist()
    assert_vectors(cohere["embeddings"]["float"], potion.encode(TEXTS))
    coded = [np.frombuffer(base64.b64decode(each), "<f4") for each in cohere["embeddings"]["base64"]]
    assert_vectors(coded, potion.encode(TEXTS))
    assert_vectors(server.ask("/v1/embed", {"texts": TEXTS}).json["embeddings"], potion.encode(TEXTS))
    assert server.ask("/v2/embed", {"texts": TEXTS, "embedding_types": ["uint4"]}).json["message"]


def test_ollama(server: Running, potion: OnnxStaticModel) -> None:
    reply = server.ask("/api/embed", {"model": "potion:latest", "input": TEXTS}).json
    assert_vectors(reply["embeddings"], potion.encode(TEXTS))
    assert (reply["model"], reply["prompt_eval_count"]) == ("potion:latest", sum(map(len, potion.tokenize(TEXTS))))
    assert_vectors(server.ask("/api/embeddings", {"model": "potion", "prompt": TEXTS[0]}).json["embedding"],
                   potion.encode(TEXTS[0]))  # fmt: skip
    assert "there is no model" in server.ask("/api/embed", {"model": "x", "input": "a"}).json["error"]


def test_kserve(server: Running, potion: OnnxStaticModel) -> None:
    path = "/v2/models/owner/potion/infer"
    tensor = {"name": "text", "shape": [3], "datatype": "BYTES", "data": TEXTS}
    reply = server.ask(path, {"id": "7", "inputs": [tensor]}).json
    (output,) = reply["outputs"]
    assert (reply["id"], output["shape"], output["datatype"]) == ("7", [3, 64], "FP32")
    assert_vectors(np.reshape(output["data"], (3, 64)), potion.encode(TEXTS))
    packed = b"".join(len(text.encode()).to_bytes(4, "little") + text.encode() for text in TEXTS)
    head = json.dumps({
        "inputs": [{**tensor, "data": None, "parameters": {"binary_data_size": len(packed)}}],
        "outputs": [{"name": "embedding", "parameters": {"binary_data": True}}],
    }).encode()  # fmt: skip
    binary = server.ask(path, head + packed, Inference_Header_Content_Length=str(len(head)))
    begin = int(binary.headers["inference-header-content-length"])
    assert json.loads(binary.body[:begin])["outputs"][0]["parameters"]["binary_data_size"] == 3 * 64 * 4
    assert_vectors(np.frombuffer(binary.body[begin:], "<f4").reshape(3, 64), potion.encode(TEXTS))
    assert server.ask(path, {"inputs": [{**tensor, "shape": [2]}]}).status == 400
    assert server.ask("/v2/models/owner/potion/ready").json == {"name": "owner/potion", "ready": True}


def test_raw_and_arrow(server: Running, potion: OnnxStaticModel) -> None:
    for path, body in (("/embed", {"inputs": TEXTS}), ("/v1/embeddings", {"input": TEXTS})):
        reply = server.ask(path, body, Accept="application/octet-stream")
        assert reply.headers["x-shape"] == "3,64"
        assert_vectors(np.frombuffer(reply.body, "<f4").reshape(3, 64), potion.encode(TEXTS))
    pa = pytest.importorskip("pyarrow")
    reply = server.ask("/embed", {"inputs": TEXTS}, Accept="application/vnd.apache.arrow.stream")
    table = pa.ipc.open_stream(reply.body).read_all()
    assert_vectors(table["embedding"].to_pylist(), potion.encode(TEXTS))


def test_page_and_document(server: Running) -> None:
    page = server.ask("/", Accept="text/html")
    assert page.headers["content-type"].startswith("text/html")
    assert "owner/potion" in page.body.decode()
    assert "default-src 'none'" in page.headers["content-security-policy"]
    document = server.ask("/openapi.json").json
    assert {"/embed", "/v1/embeddings", "/api/embed", "/v2/embed", "/metrics"} <= set(document["paths"])


def test_wrong_paths_and_methods(server: Running) -> None:
    assert server.ask("/etc/passwd").status == 404
    assert server.ask("/../../etc/passwd").status == 404
    reply = server.ask("/embed", method="PUT", body=b"{}")
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert server.ask("/health", method="HEAD").status == 200


def test_other_sites_only_where_they_are_named(server: Running, guarded: Running) -> None:
    name = "access-control-allow-origin"
    allowed = server.ask("/embed", {"inputs": "a"}, Origin="https://example.org")
    assert allowed.headers[name] == "https://example.org"
    assert server.ask("/embed", method="OPTIONS", Origin="https://example.org").status == 204
    assert name not in server.ask("/embed", {"inputs": "a"}, Origin="https://other.org").headers
    assert name not in guarded.ask("/health", Origin="https://example.org").headers
    assert guarded.ask("/embed", method="OPTIONS", Origin="https://example.org").status == 405


def test_metrics_of_the_first_requests(tmp_path: Path) -> None:
    """What is counted before prometheus_client is imported is told after it."""
    with running(tmp_path, str(POTION_BUNDLE)) as server:
        for body in ({"inputs": "a"}, {"inputs": TEXTS}, {"inputs": ""}):
            server.ask("/embed", body)
        text = server.ask("/metrics").body.decode()
        assert 'te_request_failure{err="empty"} 1.0' in text
        for _ in range(2):  # and once more when it is imported anyway
            assert "te_request_duration_count 2.0" in text
            assert "te_request_inference_duration_count 2.0" in text
            assert "te_embed_count 4.0" in text
            time.sleep(METRICS_AFTER + 0.5)
            text = server.ask("/metrics").body.decode()


def test_the_start_imports_what_it_needs() -> None:
    code = """
import sys
import granian.server, m2v_onnx.model, m2v_onnx.serve.server, m2v_onnx.serve.app
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    late = {"prometheus_client", "http.server", "m2v_onnx.serve.page", "m2v_onnx.serve.openapi", "tokenizers", "hmac"}
    late |= {"m2v_onnx.models.hub", "m2v_onnx.vectors.costs"}
    assert not late & {*done.stdout.split()}


def test_metrics(server: Running) -> None:
    def count(name: str) -> float:
        text = server.ask("/metrics").body.decode()
        return sum(float(each) for each in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))

    before = [*map(count, ("te_embed_count", "te_request_success", "te_request_failure", "te_request_duration_count"))]
    server.ask("/embed", {"inputs": ["a"] * 40})
    server.ask("/embed", {"inputs": ""})
    after = [*map(count, ("te_embed_count", "te_request_success", "te_request_failure", "te_request_duration_count"))]
    assert np.subtract(after, before).tolist() == [40, 1, 1, 1]
    assert count("te_queue_size") == 0


def test_half_a_body_times_out_and_others_are_served(server: Running) -> None:
    slow = [server.connect() for _ in range(30)]
    for each in slow:
        each.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert server.ask("/embed", {"inputs": "a"}).status == 200
    for each in slow:
        with each:
            assert each.recv(100).startswith(b"HTTP/1.1 408 ")


def test_log_has_no_text(server: Running) -> None:
    server.ask("/embed", {"inputs": ["secret words", ""]})
    server.ask("/v1/embeddings", {"input": "secret words", "model": "x"})
    assert "secret" not in server.log.read_text()


def test_keys(guarded: Running) -> None:
    body = {"inputs": "a"}
    assert guarded.ask("/health").status == 200
    for path in ("/embed", "/v1/embeddings", "/api/embed", "/v2/embed"):
        reply = guarded.ask(path, body)
        assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
    for path in ("/metrics", "/info", "/v1/models", "/api/tags"):
        assert guarded.ask(path).status == 401
    for headers in ({"Authorization": f"Bearer {KEY}"}, {"Authorization": "bearer other"}, {"api_key": KEY},
                    {"x_api_key": KEY}):  # fmt: skip
        assert guarded.ask("/embed", body, **headers).status == 200
    for wrong in ("", "Bearer ", f"Bearer {KEY}x", f"Basic {KEY}", "Bearer # the second one is old"):
        assert guarded.ask("/embed", body, Authorization=wrong).status == 401
    assert KEY not in guarded.log.read_text()


def test_keys_of_the_environment(tmp_path: Path) -> None:
    with running(tmp_path, str(POTION_BUNDLE), M2V_ONNX_API_KEYS=f"{KEY} other") as server:
        assert server.ask("/embed", {"inputs": "a"}).status == 401
        assert server.ask("/embed", {"inputs": "a"}, Authorization="Bearer other").status == 200


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
def test_a_killed_worker_is_replaced_and_counts_stay(guarded: Running) -> None:
    key = {"Authorization": f"Bearer {KEY}"}
    before = guarded.workers()
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    until = time.monotonic() + WAIT
    while len(now := guarded.workers()) < 2 or before[0] in now:
        assert time.monotonic() < until
        time.sleep(0.05)
    while not is_ready(guarded):
        assert time.monotonic() < until
    for _ in range(20):
        assert guarded.ask("/embed", {"inputs": "a"}, **key).status in (200, 503)
    assert guarded.ask("/metrics", **key).status == 200


def test_a_flood_gets_429_and_the_server_goes_on(tmp_path: Path) -> None:
    body = {"inputs": CORPUS[:50] * 40}
    with running(tmp_path, str(POTION_BUNDLE), "--max-requests", "2", "--threads", "1") as server:
        replies: list[Any] = []
        threads = [threading.Thread(target=lambda: replies.append(server.ask("/embed", body))) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)
        statuses = {reply.status for reply in replies}
        assert statuses == {200, 429}
        refused = next(reply for reply in replies if reply.status == 429)
        assert (refused.headers["retry-after"], refused.json["error_type"]) == ("1", "Overloaded")
        assert all(len(reply.json) == 2000 for reply in replies if reply.status == 200)
        assert server.ask("/embed", {"inputs": "a"}).status == 200


def test_sigterm_finishes_what_was_begun(tmp_path: Path) -> None:
    body = {"inputs": CORPUS[:50] * 40}
    with running(tmp_path, str(POTION_BUNDLE), "--threads", "1") as server:
        replies: list[Any] = []
        threads = [threading.Thread(target=lambda: replies.append(server.ask("/embed", body))) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.1)  # they are sent by then; one that is not is refused, which the lines below allow
        server.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(WAIT)
        assert replies
        assert all(reply.status == 200 and len(reply.json) == 2000 for reply in replies)
        assert server.process.wait(WAIT) == 0
        with pytest.raises(OSError, match="refused"):
            server.ask("/health")


def test_a_port_in_use_is_said(server: Running, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(POTION_BUNDLE), "--port", str(server.port)]) == 1
    assert f"127.0.0.1:{server.port}" in capsys.readouterr().err


def test_wrong_use_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "keys.txt"
    empty.write_text("\n")
    port = str(free_port())
    for arguments, says in (
        ([], "got no model"),
        (["--model", "x"], "NAME=MODEL"),
        ([str(POTION_BUNDLE), "--model", f"{POTION_BUNDLE.name}=x"], "one name"),
        ([str(POTION_BUNDLE), "--certificate", str(empty)], "belong together"),
        ([str(POTION_BUNDLE), "--api-key-file", str(empty)], "no API key"),
        (["no-such-model"], "no-such-model"),
    ):
        assert main(["serve", *arguments, "--port", port]) in (1, 2)
        assert says in capsys.readouterr().err
