"""``python -m m2v_onnx``: the command ``m2v-onnx``."""

import sys

from m2v_onnx.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
