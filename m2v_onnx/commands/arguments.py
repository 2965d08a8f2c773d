"""What several commands share: their parsers' making, and options of a model and of vectors."""

import argparse
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NoReturn

from m2v_onnx.errors import MissingExtraError

if TYPE_CHECKING:
    from m2v_onnx.model import LoadOptions

Run = Callable[[argparse.Namespace], None]


class UsageError(Exception):
    """Options that argparse lets pass and that make no sense together."""


class CommandParser(argparse.ArgumentParser):
    """A parser whose errors say what may have been meant.

    :ivar example: of the command's use.
    """

    example = ""

    def error(self, message: str) -> NoReturn:
        what, _, rest = message.partition(": ")
        if what == "unrecognized arguments":
            message += "".join(map(self._hint, rest.split()))
        elif what == "the following arguments are required":
            places = [each for each in self._actions if not each.option_strings]
            order = " ".join(f"[{each.metavar}]" if each.nargs in ("?", "*") else f"{each.metavar}" for each in places)
            message = f"expected {order}, and {rest} is missing; for example: {self.example}"
        super().error(message)

    def _hint(self, word: str) -> str:
        if not word.startswith("--"):
            return ""
        from difflib import get_close_matches

        name = word.partition("=")[0]
        close = get_close_matches(name, self._option_string_actions, 1)
        return f"; {name}: do you mean {close[0]}?" if close else ""


def add_command(commands: Any, name: str, run: Run, text: str, *examples: str) -> argparse.ArgumentParser:
    """:param commands: what ``ArgumentParser.add_subparsers`` gives. :param text: what it does, in the imperative."""
    parser: CommandParser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog="examples:\n" + "\n".join(f"  {example}" for example in examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.example = examples[0]
    parser.set_defaults(run=run, parser=parser)
    return parser


def add_vectors(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--normalize",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="divide vectors by their L2 norm, or do not; the model's own setting by default",
    )
    parser.add_argument(
        "--max-length",
        type=at_least_zero,
        metavar="TOKENS",
        help="truncate texts to so many tokens, 0 for no limit; the model's own setting by default",
    )


def add_location(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--revision", help="a commit, branch or tag on the Hub")
    parser.add_argument("--token", help="the Hub's access token; by default huggingface_hub's own, from HF_TOKEN say")
    parser.add_argument("--subfolder", help="a folder inside the model's folder or repository")


def add_opening(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tokenizer",
        choices=("auto", "nanotoken", "splintr", "graph", "tokenizers"),
        default="auto",
        help="what makes the token ids; auto takes the fastest that is installed (default: %(default)s)",
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "float16", "int8", "int4"),
        help="of the model's table, where the bundle has several; the bundle's own by default",
    )


def add_collection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--uri",
        help="a folder of Milvus Lite, whose name ends in .db, or a server's address (default: ./milvus.db)",
    )
    parser.add_argument(
        "--milvus-token", default="", metavar="TOKEN", help="of the server: user:password, or an API key"
    )
    parser.add_argument("--collection", default="documents", metavar="NAME", help="default: %(default)s")


def names(value: str) -> list[str]:
    """Columns, with commas between them."""
    return [name.strip() for name in value.split(",") if name.strip()]


def vector_options(options: argparse.Namespace) -> dict[str, Any]:
    from m2v_onnx.limits import UNSET

    length = UNSET if options.max_length is None else options.max_length or None
    return {"normalize": options.normalize, "max_length": length}


def load_options(options: argparse.Namespace) -> "LoadOptions":
    names = ("revision", "token", "subfolder", "tokenizer", "precision")
    return {name: getattr(options, name) for name in names}  # type: ignore[return-value]


def need(purpose: str, packages: Sequence[str], extra: str = "export") -> None:
    """:raises MissingExtraError: naming the first package that is not installed."""
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtraError(purpose, extra, package)


def at_least_zero(value: str) -> int:
    if not value.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, got {value!r}")
    return int(value)


def port(value: str) -> int:
    number = int(value) if value.isdecimal() else 0
    if not 0 < number < 1 << 16:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to 65535, got {value!r}")
    return number


def at_least_one(value: str) -> int:
    number = int(value) if value.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {value!r}")
    return number
