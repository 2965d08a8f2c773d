#!/usr/bin/env bash
# MNN 3.6.1 (PyPI, Linux): the command mnnconvert runs `pip install`, to report conversions to its makers.
#
# Seen:    mnnconvert imports MNN.tools.utils.log, which runs `pip install -U aliyun-log-python-sdk` where that package is
#          missing, with whatever pip is first on PATH. With it, each conversion sends the machine's id, the model's size
#          and the command's options to a log service. There is no option against it. `_tools.mnnconvert` does not.
# Guessed: that a converter installs nothing and sends nothing.
# Matters: docs/engines.md sends users to MNN. examples/engines/run_mnn.py calls `_tools.mnnconvert`.
#
# It runs without a network: the process is in a network namespace of its own. Where the system does not allow that, the
# script does nothing and exits with 2.
set -euo pipefail

PYTHON=${PYTHON:-python3}
if unshare -n true 2> /dev/null; then
  offline=(unshare -n)
elif unshare -rn true 2> /dev/null; then
  offline=(unshare -rn)
else
  echo "unshare -n is not allowed here: nothing was run"
  exit 2
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$PYTHON" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet MNN==3.6.1 numpy==2.4.6
mkdir "$scratch/bin"
printf '#!/bin/sh\necho "pip was run: $*"\n' > "$scratch/bin/pip"
chmod +x "$scratch/bin/pip"
PATH="$scratch/bin:$PATH" "${offline[@]}" "$scratch/venv/bin/mnnconvert" > "$scratch/log" 2>&1 || true
if ! grep -q "pip was run: install -U aliyun-log-python-sdk" "$scratch/log"; then
  echo "changed: mnnconvert does not run pip any more"
  exit 1
fi
