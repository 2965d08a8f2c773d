"""onnxruntime's telemetry: off, unless the user wants it.

From 1.29 on Microsoft's builds for Linux and macOS have it on. The import alone then writes a device id and a database
under the home folder, starts a thread and looks up a host, and children of a fork hang at their end. One environment
variable prevents all of it, if it is set before the first import; a call of onnxruntime's interface does not.
"""

import os
import re
import sys
import warnings

VARIABLE = "ORT_DISABLE_TELEMETRY"
"""onnxruntime's variable: 1, true, yes, on or y for no telemetry, in any case."""

CI_VARIABLES = (
    "CI",
    "TF_BUILD",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "CIRCLECI",
    "TRAVIS",
    "JENKINS_URL",
    "CODEBUILD_BUILD_ID",
    "BUILDKITE",
    "TEAMCITY_VERSION",
    "APPVEYOR",
    "BITBUCKET_BUILD_NUMBER",
    "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI",
    "ORT_RUNNING_UNIT_TESTS",
)
"""Where one of them is set, onnxruntime has no telemetry either: what a test wants to see, it sees without them."""

FIRST_VERSION = (1, 29)
"""The first onnxruntime with telemetry outside Windows."""

_too_late = False
"""Whether onnxruntime was imported before this package, with its telemetry on and not by the user's wish."""


def switch_off() -> None:
    """Set the variable for this process and its children, unless the user has set it, either way.

    Warns where onnxruntime was imported already.
    """
    global _too_late
    if os.environ.get(VARIABLE, "").strip():
        return
    _too_late = _has_telemetry() and _ci_variable() is None
    os.environ[VARIABLE] = "1"
    if _too_late:
        warnings.warn(
            "onnxruntime was imported before m2v_onnx, with its telemetry on: it has written files under the home"
            " folder, asks the network, and a process that is forked from this one can hang at its end. Set"
            f" {VARIABLE}=1 in the environment, or import m2v_onnx first; {VARIABLE}=0 keeps telemetry on and this"
            " warning away.",
            stacklevel=3,
        )


def is_off() -> bool:
    """Whether the variable says so."""
    return os.environ.get(VARIABLE, "").strip().lower() in ("1", "true", "yes", "on", "y")


def state() -> str:
    """Say whether onnxruntime, which is imported by now, has its telemetry on, and why."""
    if sys.platform != "win32" and not _has_telemetry():
        return f"none in onnxruntime {sys.modules['onnxruntime'].__version__}"
    if _too_late:
        return "on: onnxruntime was imported before m2v_onnx"
    if is_off():
        return f"off ({VARIABLE}={os.environ[VARIABLE]})"
    variable = _ci_variable() if sys.platform != "win32" else None
    return f"off ({variable} is set)" if variable else f"on ({VARIABLE}={os.environ.get(VARIABLE, '')})"


def _has_telemetry() -> bool:
    """Whether onnxruntime is imported, in a version with telemetry of its own. Windows has its event tracing instead,
    which writes no files and has no thread."""
    version = re.match(r"(\d+)\.(\d+)", str(getattr(sys.modules.get("onnxruntime"), "__version__", "")))
    return sys.platform != "win32" and version is not None and tuple(map(int, version.groups())) >= FIRST_VERSION


def _ci_variable() -> str | None:
    """The first of ``CI_VARIABLES`` that counts as set."""
    unset = ("", "0", "false", "no", "off")
    return next((name for name in CI_VARIABLES if os.environ.get(name, "").strip().lower() not in unset), None)
