"""onnxruntime without its telemetry. Whoever needs onnxruntime takes it from here: nothing else imports it.

Importing this package has set the environment variable that onnxruntime looks at when it is first imported; on Windows
it looks at no variable.
"""

import sys

import onnxruntime

from m2v_onnx import telemetry

__all__ = ["onnxruntime"]

if sys.platform == "win32" and telemetry.is_off():
    onnxruntime.disable_telemetry_events()
