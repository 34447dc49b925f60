"""Who wants to be told: callbacks, kept and called so that none can harm another."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

log = logging.getLogger("halyard_sdk")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change:
    """What those who asked to be told of changes get."""

    flags: frozenset[str]
    """Keys of all flags that may answer otherwise than before, removed ones included."""


class Listeners(Generic[T]):
    """A set of callbacks. Adding, removing and telling are safe from any thread.

    Telling happens outside of the lock: a callback may add or remove callbacks, itself included.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: dict[object, Callable[[T], object]] = {}

    def __bool__(self) -> bool:
        return bool(self._callbacks)

    def add(self, callback: Callable[[T], object]) -> Callable[[], None]:
        """Add a callback; what is returned removes it again, once or more often."""
        handle = object()
        with self._lock:
            self._callbacks = {**self._callbacks, handle: callback}

        def remove() -> None:
            with self._lock:
                self._callbacks = {h: c for h, c in self._callbacks.items() if h is not handle}

        return remove

    def tell(self, news: T) -> None:
        """Call each one; an exception from a callback is logged and goes no further."""
        for callback in self._callbacks.values():
            try:
                callback(news)
            except Exception:
                log.exception("a callback raised")

    def after_fork(self) -> None:
        """In the child, where the lock may have been held by a thread that is no more."""
        self._lock = threading.Lock()
