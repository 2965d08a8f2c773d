#!/usr/bin/env bash
# onnxruntime 1.32.0 (PyPI, Linux): the import alone writes files under the home folder, unless CI is set.
#
# Seen:    `import onnxruntime`, nothing else: ~/.cache/Microsoft/DeveloperTools/.onnxruntime/deviceid and onnxruntime.db.
#          With CI=1 or ORT_DISABLE_TELEMETRY=1 set before: no file. With ORT_DISABLE_TELEMETRY set by os.environ after
#          the import, or disable_telemetry_events() called after it: the files are there already.
#          1.28.0 writes nothing.
# Guessed: that an import writes no files, and that what a CI run shows is what users have.
# Matters: this project says that it works offline. Its tests run with CI set, where none of this can be seen: they take
#          CI and its like out of the environment of the processes that they look at.
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
for version in 1.28.0 1.32.0; do
  "$PYTHON" -m venv "$scratch/$version"
  "$scratch/$version/bin/pip" install --quiet "onnxruntime==$version" numpy==2.4.6
done

changed=0
# look NAME VERSION EXPECTED CODE [VARIABLE=VALUE...]: run the code with an empty home and no other variables.
look() {
  local name=$1 version=$2 expected=$3 code=$4
  shift 4
  local home="$scratch/home"
  rm -rf "$home" && mkdir "$home"
  env -i PATH="$PATH" HOME="$home" "$@" "${offline[@]}" "$scratch/$version/bin/python" -c "$code"
  local found
  found=$(cd "$home" && find . -type f | sed 's|.*/||' | sort | tr '\n' ' ' | sed 's/ $//')
  printf '%-56s %s\n' "onnxruntime $version, $name:" "${found:-nothing}"
  [ "$found" = "$expected" ] || { echo "  expected: ${expected:-nothing}" && changed=1; }
}

files="deviceid onnxruntime.db"
look "import" 1.32.0 "$files" "import onnxruntime"
look "import, CI=1" 1.32.0 "" "import onnxruntime" CI=1
look "import, CI=false" 1.32.0 "$files" "import onnxruntime" CI=false
look "import, GITHUB_ACTIONS=true" 1.32.0 "" "import onnxruntime" GITHUB_ACTIONS=true
look "import, ORT_DISABLE_TELEMETRY=1" 1.32.0 "" "import onnxruntime" ORT_DISABLE_TELEMETRY=1
look "the variable set after the import" 1.32.0 "$files" \
  "import onnxruntime, os; os.environ['ORT_DISABLE_TELEMETRY'] = '1'"
look "disable_telemetry_events() after the import" 1.32.0 "$files" \
  "import onnxruntime; onnxruntime.disable_telemetry_events()"
look "import" 1.28.0 "" "import onnxruntime"
exit $changed
