"""The command ``m2v-onnx``: choosing a command, and how commands end."""

import argparse
import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib import import_module
from types import FrameType
from typing import Any

from m2v_onnx.commands.arguments import CommandParser, UsageError
from m2v_onnx.corpus.streams import discard
from m2v_onnx.errors import M2vOnnxError

FAILURE = 1
WRONG_USE = 2
INTERRUPTED = 130

COMMANDS = ("export", "embed", "index", "search", "serve", "verify", "info", "push", "demo")
"""Modules of this package, in the order of ``--help``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    :return: 0, 1 after a failure (one line on standard error), 2 after wrong use or where an output is there already,
        130 after Ctrl-C, and 128 and the signal's number after SIGTERM or SIGHUP. Temporary files are removed in every
        case.
    """
    given = sys.argv[1:] if arguments is None else arguments
    # The parser of one command is made in a fifth of the time of all, and says the same of it.
    only = given[:1] if given[:1] and given[0] in COMMANDS else COMMANDS
    options = _parse(_parser(only), given)
    log, shown = logging.getLogger("m2v_onnx"), logging.StreamHandler()
    log.addHandler(shown)
    log.setLevel(logging.INFO)
    try:
        with _orderly_end():
            options.run(options)
            if sys.stdout is not None:  # else it was closed before
                sys.stdout.flush()
    except KeyboardInterrupt:
        discard(sys.stdout)
        return INTERRUPTED
    except _Ended as ended:
        discard(sys.stdout)
        return 128 + ended.signal
    except BrokenPipeError:  # the reader, `head` say, had enough
        discard(sys.stdout)
        return FAILURE
    except (UsageError, FileExistsError) as error:
        return _complain(options.command, error, WRONG_USE)
    except (M2vOnnxError, OSError, ValueError, TypeError) as error:
        return _complain(options.command, error, FAILURE)
    finally:
        log.removeHandler(shown)
    return 0


class _Ended(BaseException):
    """A signal asked the process to end. No ``Exception``, so that nothing on the way takes it for a failure."""

    def __init__(self, number: int) -> None:
        self.signal = number


@contextlib.contextmanager
def _orderly_end() -> Iterator[None]:
    """Leave by an exception where a signal would end the process at once, so that temporary files are removed."""
    if threading.current_thread() is not threading.main_thread():  # only there can handlers be set
        yield
        return

    def end(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # once is enough: a second one must not interrupt the cleaning up
        raise _Ended(number)

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # What nohup or a parent has set to be ignored stays so.
    numbers = [n for n in (getattr(signal, name) for name in names) if signal.getsignal(n) == signal.SIG_DFL]
    try:
        for number in numbers:
            signal.signal(number, end)
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _parse(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """As ``parse_args``, which leaves with 2 after wrong use; texts may come after options too, where argparse takes
    the first place that it sees for all of them."""
    options, rest = parser.parse_known_args(arguments)
    more = getattr(options, "texts", None)
    if more is None or any(argument.startswith("-") for argument in rest):
        if rest:
            options.parser.error(f"unrecognized arguments: {' '.join(rest)}")
        return options
    options.texts = [*more, *rest]
    return options


def _complain(command: str, error: Exception, code: int) -> int:
    text = " ".join(str(error).split()) or type(error).__name__
    if sys.stderr is not None:  # print would take standard output instead
        print(f"m2v-onnx {command}: {text}", file=sys.stderr)
    return code


class _Version(argparse.Action):
    """Tell the version: to find it out takes as long as to import half of the commands, so it is done only then."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help="show the version, and leave")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"m2v-onnx {version('m2v-onnx')}")
        parser.exit()


def _parser(names: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="m2v-onnx",
        description="Model2Vec static embeddings in ONNX.",
        epilog="`m2v-onnx COMMAND --help` has examples of each.",
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=CommandParser)
    for name in names:
        import_module(f"m2v_onnx.commands.{name}").add(commands)
    return parser
