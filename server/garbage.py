"""The garbage collector looks at what lives long once, and then no more.

A process holds hundreds of thousands of objects for weeks: imported code, folded states, indexes,
connections. CPython's full collection goes through all of them, and nobody is answered meanwhile:
0.1 to 0.3 s, every few seconds where much is allocated. What has survived one is put aside here
(:func:`gc.freeze`), so that the next looks at what is new.

Cycles that become garbage among what was put aside would stay for ever. Therefore all of it is
looked at again when it has grown by half, which is as often as its size's logarithm.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

SLOW_S = 0.005
"""A full collection of this length is worth sparing the next one what it looked at."""
GROWTH = 1.5
"""All is looked at again when so many times as much is put aside as was after the last time."""

_FULL = 2
"""The oldest of CPython's generations."""


class LongLived:
    """What is put aside, kept up by being told of each collection, as :data:`gc.callbacks` tell."""

    def __init__(self) -> None:
        self._began_s = 0.0
        self._all = True
        """Whether a full collection looks, or will look, at what was put aside as well."""
        self._kept = 0
        """How many objects were put aside when all had been looked at."""

    def __call__(self, phase: Literal["start", "stop"], told: dict[str, int]) -> None:
        """Be told that a collection begins, or has ended."""
        if told["generation"] != _FULL:
            return
        if phase == "start":
            if self._all:
                gc.unfreeze()
            self._began_s = time.perf_counter()
        elif self._all or time.perf_counter() - self._began_s > SLOW_S:
            gc.freeze()
            count = gc.get_freeze_count()
            if self._all:
                self._kept = count
            self._all = count > self._kept * GROWTH


@contextmanager
def long_lived_put_aside() -> Iterator[None]:
    """Keep what lives long out of full collections, until the block ends."""
    long_lived = LongLived()
    gc.callbacks.append(long_lived)
    try:
        yield
    finally:
        gc.callbacks.remove(long_lived)
        gc.unfreeze()
