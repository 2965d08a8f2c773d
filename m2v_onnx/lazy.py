"""Properties that are computed when they are first asked for."""

import os
from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class lazy_property(Generic[T]):
    """A property that is computed once and then kept: threads that share the object wait for the first of them.

    ``functools.cached_property`` has one lock for all objects in Python 3.11: a model would wait until another one is
    open, and the child of a fork that happened meanwhile would wait forever. From Python 3.12 on it has none, and
    threads would each open the same files. Here each object has a lock of its own, and a child of a fork another one.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute, self.__doc__ = compute, compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        """Called until the object has a value of that name."""
        if instance is None:
            return self
        values = vars(instance)
        # One step, so that no two threads get two locks.
        with values.setdefault(f"{self._name}, locked in process {os.getpid()}", Lock()):
            if self._name not in values:
                values[self._name] = self._compute(instance)
            value: T = values[self._name]
            return value
