"""Static embedding models (Model2Vec) in onnxruntime."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from m2v_onnx import telemetry

if TYPE_CHECKING:
    from m2v_onnx.corpus.bulk import import_documents
    from m2v_onnx.corpus.collections import index_documents, search_documents
    from m2v_onnx.corpus.columns import embed_array, embed_table
    from m2v_onnx.corpus.on_ray import OnRay, embed_dataset
    from m2v_onnx.corpus.tables import embed_files
    from m2v_onnx.errors import (
        CollectionError,
        CorpusError,
        ExportError,
        InvalidModelError,
        InvalidTextError,
        M2vOnnxError,
        MissingExtraError,
        ModelNotFoundError,
        UploadError,
    )
    from m2v_onnx.milvus import Model2VecEmbeddingFunction
    from m2v_onnx.model import OnnxStaticModel
    from m2v_onnx.pipeline import OnnxStaticModelPipeline

_HOMES = {
    "Model2VecEmbeddingFunction": "milvus",
    "OnRay": "corpus.on_ray",
    "OnnxStaticModel": "model",
    "OnnxStaticModelPipeline": "pipeline",
    "embed_array": "corpus.columns",
    "embed_dataset": "corpus.on_ray",
    "embed_files": "corpus.tables",
    "embed_table": "corpus.columns",
    "import_documents": "corpus.bulk",
    "index_documents": "corpus.collections",
    "search_documents": "corpus.collections",
    "CollectionError": "errors",
    "CorpusError": "errors",
    "ExportError": "errors",
    "InvalidModelError": "errors",
    "InvalidTextError": "errors",
    "M2vOnnxError": "errors",
    "MissingExtraError": "errors",
    "ModelNotFoundError": "errors",
    "UploadError": "errors",
}

__all__ = [
    "CollectionError",
    "CorpusError",
    "ExportError",
    "InvalidModelError",
    "InvalidTextError",
    "M2vOnnxError",
    "MissingExtraError",
    "Model2VecEmbeddingFunction",
    "ModelNotFoundError",
    "OnRay",
    "OnnxStaticModel",
    "OnnxStaticModelPipeline",
    "UploadError",
    "embed_array",
    "embed_dataset",
    "embed_files",
    "embed_table",
    "import_documents",
    "index_documents",
    "search_documents",
]


telemetry.switch_off()  # before anything imports onnxruntime, which looks at it then


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: the import itself costs nothing, and the CLI answers at once."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
