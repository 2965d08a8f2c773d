"""What a server is told when it starts: where it listens, who may ask, and how much it takes."""

import os
from dataclasses import dataclass, field
from pathlib import Path

KEYS_VARIABLE = "M2V_ONNX_API_KEYS"
"""The environment's variable with API keys, separated by white space."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much one worker takes.

    :ivar body: bytes of a request's body.
    :ivar texts: texts of a request.
    :ivar characters: code points of a text.
    :ivar requests: requests at a time whose bodies were read; one more is answered 429.
    :ivar waiting: bytes of all large bodies at a time, those that are still read included; more is answered 429.
    :ivar seconds: until a request's headers must be there, then its body, and then the models of a worker that still
        opens them; a connection that asks nothing for so long is closed, and one that takes no byte of its answer.
    """

    body: int = 16 << 20
    texts: int = 2048
    characters: int = 1 << 20
    requests: int = 512
    waiting: int = 128 << 20
    seconds: float = 20


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that a server and its workers need to know, besides the models.

    :ivar threads: of each worker, for large requests.
    :ivar keys: who may ask; without keys everybody.
    :ivar origins: pages of other sites that a browser lets ask: "https://example.org", or "*".
    :ivar certificate: files of TLS' certificates and of their key, in PEM; None for plain HTTP.
    :ivar log_requests: write a line for each request, with its path and without its texts.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    threads: int = 1
    keys: "Keys" = field(default_factory=lambda: Keys(()))
    origins: tuple[str, ...] = ()
    certificate: tuple[Path, Path] | None = None
    log_requests: bool = False
    limits: Limits = field(default_factory=Limits)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate else 'http'}://{host}:{self.port}"


class Keys:
    """API keys, of which only digests are kept."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._digests = tuple(map(_digest, keys))

    @classmethod
    def read(cls, path: Path | None) -> "Keys":
        """Read the keys of a file, one a line, or of the environment.

        :param path: None for ``M2V_ONNX_API_KEYS``.
        :raises ValueError: for a file without a key, or a key that a header cannot carry.
        """
        if path is None:
            where, keys = KEYS_VARIABLE, os.environ.get(KEYS_VARIABLE, "").split()
        else:
            lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
            where, keys = str(path), [line for line in lines if line and not line.startswith("#")]
            if not keys:
                raise ValueError(f"{path} has no API key: write one a line, or leave --api-key-file out")
        for number, key in enumerate(keys, 1):
            if not key.isascii() or not key.isprintable() or " " in key:
                raise ValueError(
                    f"{where}: key {number} has a character that no header carries: take letters and digits"
                )
        return cls(tuple(keys))

    def __bool__(self) -> bool:
        return bool(self._digests)

    def know(self, key: str) -> bool:
        """Whether it is one of them; takes as long for a wrong key as for a right one."""
        from hmac import compare_digest

        digest, known = _digest(key), False
        for other in self._digests:
            known |= compare_digest(digest, other)
        return known


def _digest(key: str) -> bytes:
    from hashlib import sha256  # here, as a start without keys need not wait for it

    return sha256(key.encode("utf-8", "replace")).digest()
