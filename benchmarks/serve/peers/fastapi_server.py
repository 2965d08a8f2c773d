"""The peer: FastAPI, uvicorn and model2vec, as their documentation has them; with base64 for the fair comparison."""

import base64
import os
from typing import Any

from fastapi import FastAPI
from model2vec import StaticModel
from pydantic import BaseModel

app = FastAPI()
model = StaticModel.from_pretrained(os.environ["PEER_MODEL"])


class Request(BaseModel):
    input: str | list[str]
    encoding_format: str = "float"


@app.get("/health")  # type: ignore[untyped-decorator,unused-ignore]
def health() -> dict[str, str]:
    return {"status": "ready"}


@app.post("/v1/embeddings")  # type: ignore[untyped-decorator,unused-ignore]
def embeddings(request: Request) -> dict[str, Any]:
    texts = [request.input] if isinstance(request.input, str) else request.input
    vectors = model.encode(texts)
    data = [
        {
            "object": "embedding",
            "index": i,
            "embedding": base64.b64encode(vector.tobytes()).decode()
            if request.encoding_format == "base64"
            else vector.tolist(),
        }
        for i, vector in enumerate(vectors)
    ]
    return {"object": "list", "data": data, "model": "model", "usage": {"prompt_tokens": 0, "total_tokens": 0}}
