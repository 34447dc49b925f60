"""What lives long is looked at once, and what of it became garbage goes all the same."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from server import garbage
from server.garbage import long_lived_put_aside

MANY = 60_000


class Circle:
    """Garbage that only a collection finds."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def put_aside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where it is worth it for a little: how much the tests before have left is not known."""
    monkeypatch.setattr(garbage, "SLOW_S", 0.0)
    monkeypatch.setattr(garbage, "GROWTH", 1.02)
    with long_lived_put_aside():
        gc.collect()
        yield
    gc.collect()


def test_what_has_survived_is_not_looked_at_again() -> None:
    kept = [[number] for number in range(MANY)]
    gc.collect()
    looked_at = {id(each) for each in gc.get_objects()}
    assert not any(id(each) in looked_at for each in kept)


def test_garbage_is_collected_as_ever() -> None:
    gone = weakref.ref(Circle())
    gc.collect()
    assert gone() is None


def test_what_became_garbage_after_it_was_put_aside_goes_when_more_has_come() -> None:
    circle = Circle()
    circle.filled = [[number] for number in range(MANY)]  # type: ignore[attr-defined]
    gc.collect()
    gone = weakref.ref(circle)
    del circle
    more: list[list[list[int]]] = []
    while gone() is not None and len(more) < 8:
        more.append([[number] for number in range(MANY)])
        gc.collect()
    assert gone() is None


def test_afterwards_everything_is_as_it_was() -> None:
    with long_lived_put_aside():
        gc.collect()
    assert gc.get_freeze_count() == 0
