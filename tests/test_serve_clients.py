"""Real clients against a real server: what their users get is what ``encode`` gives.

Those that bring more than a test suite should install are in the extra ``serve-clients``: ``make serve-clients`` runs
this file with them.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from m2v_onnx import OnnxStaticModel
from tests.conftest import CORPUS, POTION_BUNDLE
from tests.serving import Running, assert_vectors, running

pytest.importorskip("granian", reason="the extra serve is not installed")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

NAME = POTION_BUNDLE.name
TEXTS = ["Salt the water before the pasta.", "naïve café 北京", *CORPUS[:40]]
QUERY = "how do I cook noodles"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("clients"), str(POTION_BUNDLE)) as found:
        yield found


def test_curl(server: Running, potion: OnnxStaticModel) -> None:
    curl = shutil.which("curl") or pytest.skip("curl is not installed")
    command = [curl, "-s", "-f", f"{server.url}/embed", "-d", json.dumps({"inputs": TEXTS[0]})]
    assert_vectors(json.loads(subprocess.check_output(command)), [potion.encode(TEXTS[0])])


@pytest.mark.parametrize("encoding", ["float", None])  # None: it asks for base64 by itself
def test_openai(server: Running, potion: OnnxStaticModel, encoding: Any) -> None:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="-")
    options = {} if encoding is None else {"encoding_format": encoding}
    answer = client.embeddings.create(model=NAME, input=TEXTS, **options)
    assert_vectors([each.embedding for each in answer.data], potion.encode(TEXTS))
    assert answer.usage.total_tokens == sum(map(len, potion.tokenize(TEXTS)))
    assert len(client.embeddings.create(model=NAME, input=QUERY, dimensions=16).data[0].embedding) == 16
    assert [each.id for each in client.models.list()] == [NAME]
    with pytest.raises(openai.NotFoundError, match="there is no model"):
        client.embeddings.create(model="other", input=QUERY)


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub may ask: this machine, here."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


@pytest.mark.usefixtures("online")
def test_huggingface_hub(server: Running, potion: OnnxStaticModel) -> None:
    hub = pytest.importorskip("huggingface_hub")
    client = hub.InferenceClient(server.url)
    assert_vectors(client.feature_extraction(QUERY), [potion.encode(QUERY)])
    assert_vectors(client.feature_extraction(QUERY, normalize=False), [potion.encode(QUERY, normalize=False)])


def test_ollama(server: Running, potion: OnnxStaticModel) -> None:
    ollama = pytest.importorskip("ollama")
    client = ollama.Client(host=server.url)
    assert_vectors(client.embed(NAME, input=TEXTS).embeddings, potion.encode(TEXTS))
    assert_vectors(client.embeddings(NAME, prompt=QUERY).embedding, potion.encode(QUERY))
    assert [each.model for each in client.list().models] == [NAME]
    with pytest.raises(ollama.ResponseError, match="there is no model"):
        client.embed("other", input=QUERY)


def test_milvus_lite_embeds_its_own_text(server: Running, tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    from pymilvus import DataType, Function, FunctionType, MilvusClient

    client = MilvusClient(str(tmp_path / "notes.db"))
    try:
        schema = client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("text", DataType.VARCHAR, max_length=9000)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=64)
        embed = {"provider": "openai", "base_url": f"{server.url}/v1", "api_key": "-", "model_name": NAME}
        schema.add_function(
            Function(
                name="embed",
                function_type=FunctionType.TEXTEMBEDDING,
                input_field_names=["text"],
                output_field_names=["vector"],
                params=embed,
            )
        )
        index = client.prepare_index_params()
        index.add_index("vector", index_type="AUTOINDEX", metric_type="COSINE")
        client.create_collection("notes", schema=schema, index_params=index)
        texts = ["The whale sings to its calf.", TEXTS[0], "The river froze in January."]
        client.insert("notes", [{"id": i, "text": text} for i, text in enumerate(texts)])
        (hits,) = client.search("notes", data=[QUERY], limit=1, output_fields=["text"])
        assert hits[0]["entity"]["text"] == TEXTS[0]
    finally:
        client.close()


MILVUS: dict[str, tuple[str, dict[str, Any]]] = {
    # Written after the source of Milvus' providers: path, headers and body of what each sends.
    "tei, at creation": ("/embed", {"inputs": ["check"]}),
    "tei, a batch": ("/embed", {"inputs": CORPUS[:32]}),
    "tei, options": ("/embed", {"inputs": CORPUS[:32], "truncate": True, "truncation_direction": "Right"}),
    "tei, a large batch": ("/embed", {"inputs": (CORPUS * 50)[:2048], "truncate": True}),
    "huggingface": (f"/hf-inference/models/{NAME}/pipeline/feature-extraction",
                    {"inputs": CORPUS[:32], "normalize": True, "truncate": True}),
    "openai": ("/v1/embeddings", {"model": NAME, "input": CORPUS[:32], "encoding_format": "float", "dimensions": 64}),
    "voyage": ("/v1/embeddings", {"model": NAME, "input": CORPUS[:32], "input_type": "document", "truncation": True,
                                  "output_dimension": 64}),
    "cohere": ("/v2/embed", {"model": NAME, "texts": CORPUS[:32], "input_type": "search_document",
                             "embedding_types": ["float"], "truncate": "END"}),
    "cohere, int8": ("/v2/embed", {"model": NAME, "texts": CORPUS[:32], "input_type": "search_query",
                                   "embedding_types": ["int8"], "truncate": "END", "output_dimension": 64}),
}  # fmt: skip


@pytest.mark.parametrize("name", MILVUS)
def test_requests_of_milvus_providers(server: Running, potion: OnnxStaticModel, name: str) -> None:
    path, body = MILVUS[name]
    texts: Any = body.get("inputs") or body.get("input") or body.get("texts")
    texts = [text if text else "-" for text in texts]
    body = {key: texts if key in ("inputs", "input", "texts") else value for key, value in body.items()}
    scheme = "bearer" if name.startswith("cohere") else "Bearer"
    reply = server.ask(path, body, Authorization=f"{scheme} any")
    assert reply.status == 200
    found = reply.json
    if name.startswith("cohere"):
        (found,) = found["embeddings"].values()
    elif isinstance(found, dict):
        found = [each["embedding"] for each in sorted(found["data"], key=lambda each: int(each["index"]))]
    expected = potion.encode(texts, dtype="int8") if name.endswith("int8") else potion.encode(texts)
    assert_vectors(found, expected)


def test_schemathesis(server: Running, tmp_path: Path) -> None:
    """Whatever the OpenAPI document allows, and much that it does not: no 5xx, and every answer as it says."""
    tool = shutil.which("schemathesis", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if tool is None:
        pytest.skip("schemathesis is not installed (extra serve-clients)")
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    command = [tool, "run", f"{server.url}/openapi.json", "--checks", checks, "--max-examples", "20", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_langchain(server: Running, potion: OnnxStaticModel) -> None:
    langchain = pytest.importorskip("langchain_openai")
    embeddings = langchain.OpenAIEmbeddings(
        base_url=f"{server.url}/v1", api_key="-", model=NAME, check_embedding_ctx_length=False
    )
    assert_vectors(embeddings.embed_documents(TEXTS), potion.encode(TEXTS))
    assert_vectors(embeddings.embed_query(QUERY), potion.encode(QUERY))


@pytest.mark.usefixtures("online")
def test_langchain_huggingface(server: Running, potion: OnnxStaticModel) -> None:
    langchain = pytest.importorskip("langchain_huggingface")
    hub = pytest.importorskip("huggingface_hub")
    embeddings = langchain.HuggingFaceEndpointEmbeddings(model="owner/name")
    embeddings.client = hub.InferenceClient(server.url)  # its constructor takes no address (1.2)
    assert_vectors(embeddings.embed_documents(TEXTS), potion.encode(TEXTS))
    assert_vectors(embeddings.embed_query(QUERY), potion.encode(QUERY))


def test_llama_index(server: Running, potion: OnnxStaticModel) -> None:
    tei = pytest.importorskip("llama_index.embeddings.text_embeddings_inference")
    embeddings = tei.TextEmbeddingsInference(base_url=server.url, model_name=NAME)
    assert_vectors(embeddings.get_text_embedding_batch(TEXTS), potion.encode(TEXTS))


def test_haystack(server: Running, potion: OnnxStaticModel) -> None:
    haystack = pytest.importorskip("haystack.components.embedders")
    from haystack.utils import Secret

    embedder = haystack.OpenAITextEmbedder(api_key=Secret.from_token("-"), api_base_url=f"{server.url}/v1", model=NAME)
    assert_vectors(embedder.run(QUERY)["embedding"], potion.encode(QUERY))


@pytest.mark.usefixtures("online")
def test_haystack_with_text_embeddings_inference(server: Running, potion: OnnxStaticModel) -> None:
    haystack = pytest.importorskip("haystack_integrations.components.embedders.huggingface_api")
    from haystack import Document

    where: dict[str, Any] = {"api_type": "text_embeddings_inference", "api_params": {"url": server.url}, "token": None}
    where["normalize"] = True  # it asks for what it is told, and by default for no
    assert_vectors(haystack.HuggingFaceAPITextEmbedder(**where).run(QUERY)["embedding"], potion.encode(QUERY))
    embedder = haystack.HuggingFaceAPIDocumentEmbedder(**where, progress_bar=False)
    found = embedder.run([Document(content=text) for text in TEXTS])["documents"]
    assert_vectors([each.embedding for each in found], potion.encode(TEXTS))


def test_chromadb(server: Running, potion: OnnxStaticModel) -> None:
    functions = pytest.importorskip("chromadb.utils.embedding_functions")
    embed = functions.OpenAIEmbeddingFunction(api_key="-", api_base=f"{server.url}/v1", model_name=NAME)
    assert_vectors(embed(TEXTS), potion.encode(TEXTS))


def test_pymilvus_model(server: Running, potion: OnnxStaticModel) -> None:
    dense = pytest.importorskip("pymilvus.model.dense")
    embed = dense.TEIEmbeddingFunction(server.url)
    assert_vectors(embed.encode_documents(TEXTS), potion.encode(TEXTS))
