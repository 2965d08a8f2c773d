"""Model2Vec models as ONNX bundles. Needs the extra ``export``."""

from m2v_onnx.errors import ExportError, MissingExtraError

try:
    from m2v_export.exporter import Report, export_model, verify_bundle
except ModuleNotFoundError as error:
    if error.name not in ("onnx", "model2vec"):
        raise
    raise MissingExtraError("m2v_export", "export", error.name) from error

__all__ = ["ExportError", "Report", "export_model", "verify_bundle"]
