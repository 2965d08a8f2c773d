"""The graphs in onnxruntime's own format, for builds of it that read no ONNX and have few operators."""

import subprocess
import sys
from pathlib import Path

from m2v_onnx.errors import ExportError
from m2v_onnx.models.format import ORT_GRAPHS, ORT_OPERATORS
from m2v_onnx.ort import onnxruntime

LIST_OPERATORS = """
import sys
from pathlib import Path
from onnxruntime.tools.ort_format_model import create_config_from_models
create_config_from_models([Path(path) for path in sys.argv[2:]], Path(sys.argv[1]), False)
"""
"""In a process of its own: importing it changes sys.path and the root logger."""


def write_ort(folder: Path) -> None:
    """Convert a bundle's graphs, each with its table inside, and list their operators.

    Not optimized: there is nothing that onnxruntime could make faster, and what it makes of a graph is not in every
    build. :raises ExportError: when onnxruntime cannot do it.
    """
    graphs = {path: folder / source for path, source in ORT_GRAPHS.items() if (folder / source).is_file()}
    written = [folder / path for path in graphs]
    written[0].parent.mkdir()
    for path, source in zip(written, graphs.values(), strict=True):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.optimized_model_filepath = str(path)
        options.add_session_config_entry("session.save_model_format", "ORT")
        try:
            onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a class for each of its codes, with no common base
            raise ExportError(f"onnxruntime {onnxruntime.__version__} cannot write {path.name}: {error}") from error
    listed = folder / ORT_OPERATORS
    command = [sys.executable, "-c", LIST_OPERATORS, str(listed), *map(str, written)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode or not listed.is_file():
        last = (done.stderr.strip().splitlines() or ["no error was printed"])[-1]
        raise ExportError(f"onnxruntime {onnxruntime.__version__} cannot list the graphs' operators: {last}")
    # Its comments name the folder that the bundle is written in.
    lines = [line for line in listed.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    listed.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
