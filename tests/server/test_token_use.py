from __future__ import annotations

import asyncio
from datetime import datetime
from typing import cast

import pytest

from eventstore.errors import StoreUnavailable
from eventstore.token_uses import TokenUses
from server import token_use
from server.token_use import TokenUseNotes


class Remembering:
    """In place of the table."""

    def __init__(self) -> None:
        self.noted: list[dict[str, datetime]] = []
        self.away = False

    async def note(self, uses: dict[str, datetime]) -> None:
        if self.away:
            raise StoreUnavailable("away", outcome_unknown=False)
        self.noted.append(uses)


def notes() -> tuple[TokenUseNotes, Remembering]:
    stored = Remembering()
    return TokenUseNotes(cast("TokenUses", stored)), stored


async def test_a_token_is_noted_once_a_minute_however_often_it_is_used() -> None:
    kept, stored = notes()
    for _ in range(3):
        kept.used("t1")
    kept.used("t2")
    await kept.write()
    kept.used("t1")
    await kept.write()
    assert [sorted(each) for each in stored.noted] == [["t1", "t2"], []]


async def test_what_could_not_be_written_is_written_later() -> None:
    kept, stored = notes()
    kept.used("t1")
    stored.away = True
    await kept.write()
    stored.away = False
    await kept.write()
    assert [sorted(each) for each in stored.noted] == [["t1"]]


async def test_what_is_noted_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_use, "MAX_NOTED", 2)
    kept, stored = notes()
    for token in ("t1", "t2", "t3"):
        kept.used(token)
    await kept.write()
    assert [sorted(each) for each in stored.noted] == [["t1", "t2"]]


async def test_what_is_left_is_written_at_the_end() -> None:
    kept, stored = notes()
    running = asyncio.create_task(kept.run())
    kept.used("t1")
    await asyncio.sleep(0)  # so that it has begun
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [sorted(each) for each in stored.noted] == [["t1"]]
