"""What the child of a fork may use of its parent's models, and what it must open anew.

A session and a tokenizer have locks, and may have threads. A thread that holds a lock in the middle of a fork is not in
the child, where nobody unlocks it: the child would wait forever. So a child opens its own. That costs time and memory,
so there are two cases in which it need not:

- No other thread of Python's was there at the fork, so none was in a tokenizer.
- The parent has said that it is at rest (``rest``).
"""

import os
import sys
from pathlib import Path


class Forks:
    """Of this process and its ancestors."""

    def __init__(self) -> None:
        self._tokenizers = {os.getpid()}
        self._sessions: set[int] = set()
        self._parent = os.getpid()
        self._alone = self._resting = False

    def rest(self) -> bool:
        """Say that this process uses its models no more: children that it forks from now on use them as they are.

        :return: False where that cannot be: another thread is there, of C code too, which a fork would lose, or the
            system does not tell (Linux does).
        """
        threads = Path("/proc/self/task")
        self._resting = threads.is_dir() and len([*threads.iterdir()]) == 1
        return self._resting

    def may_use_tokenizer(self, process: int) -> bool:
        """:param process: that made it."""
        return process in self._tokenizers and os.getpid() in self._tokenizers

    def may_use_session(self, process: int) -> bool:
        """:param process: that opened it, another one than this."""
        return process in self._sessions

    def _before(self) -> None:
        # Threads that C code has started are among the frames too, once they have called Python.
        alone = self._resting or len(sys._current_frames()) == 1
        self._alone, self._parent = alone and os.getpid() in self._tokenizers, os.getpid()

    def _in_child(self) -> None:
        if not self._alone:
            self._tokenizers.clear()
        self._tokenizers.add(os.getpid())
        self._sessions = {self._parent} if self._resting else set()
        self._resting = False


FORKS = Forks()

if hasattr(os, "register_at_fork"):  # C code forks without telling: such a child is not among them
    os.register_at_fork(before=FORKS._before, after_in_child=FORKS._in_child)
