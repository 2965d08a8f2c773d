"""What can go wrong, in the words of the user. Every error of this project is an ``M2vOnnxError``."""


class M2vOnnxError(Exception):
    """The base of all. The message says what was got, what was expected and what to do."""


class ModelNotFoundError(M2vOnnxError, FileNotFoundError):
    """Nothing by that name. The usual cause is a typing error in a path, or a Hub id without network: the message
    lists the places that were tried and the command that mends each."""

    def __str__(self) -> str:
        return str(self.args[0])


class InvalidModelError(M2vOnnxError, ValueError):
    """The files are there and wrong: truncated, foreign, or not fitting each other. Copy or export them again."""


class InvalidTextError(M2vOnnxError, ValueError):
    """A text that cannot be tokenized: it holds a lone surrogate, or what the tokenizer has no token for and no unknown
    token either; or a line that is no text. The message says which one and what to do.

    :ivar number: which of the texts, from 0; None where it is told otherwise.
    """

    def __init__(self, reason: str, *, number: int | None = None) -> None:
        """:param reason: what is wrong; with a number it goes on after "text 7"."""
        super().__init__(reason if number is None else f"text {number} {reason}")
        self.reason, self.number = reason, number

    def counted_from(self, first: int) -> "InvalidTextError":
        """The same of a text among more. :param first: the number of the first of those that were counted."""
        return self if self.number is None else InvalidTextError(self.reason, number=first + self.number)


class ExportError(M2vOnnxError, RuntimeError):
    """The export could not be finished, for a reason that is not the source's: the output folder, the disk, or a
    check of the written bundle that failed. Nothing is left behind."""


class CorpusError(M2vOnnxError, RuntimeError):
    """A job on files cannot be finished, or gone on with: rows are missing at its end, or what an earlier run has left
    is another job's. The message says what differs, and what to do."""


class CollectionError(M2vOnnxError, RuntimeError):
    """A collection of Milvus is not there, does not fit the table or the model, or Milvus refused something; the
    message has Milvus' own words."""


class UploadError(M2vOnnxError, RuntimeError):
    """A bundle was not pushed: the Hub did not take it, or something there would be shown or replaced that nobody asked
    for. No commit was made."""


class MissingExtraError(M2vOnnxError, ImportError):
    """An optional dependency is not installed; the message has the pip command."""

    def __init__(self, purpose: str, extra: str | None, *packages: str) -> None:
        """:param extra: of m2v-onnx, that brings the packages; None where it has none.
        :param packages: those that are missing, at least one.
        """
        what = " ".join(packages) if extra is None else f"'m2v-onnx[{extra}]'"
        named = f"the package {packages[0]}" if len(packages) == 1 else f"the packages {', '.join(packages)}"
        super().__init__(f"{purpose} needs {named}: pip install {what}")
