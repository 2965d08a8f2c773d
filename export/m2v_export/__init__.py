"""Model2Vec models as ONNX bundles. Needs the extra ``export``."""

from m2v_export.exporter import Report, export_model, verify_bundle
from m2v_onnx.errors import ExportError

__all__ = ["ExportError", "Report", "export_model", "verify_bundle"]
