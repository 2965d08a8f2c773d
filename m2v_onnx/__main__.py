"""``python -m m2v_onnx``: the command ``m2v-onnx``."""

import sys

from m2v_onnx.cli import main

if __name__ == "__main__":
    sys.exit(main())
