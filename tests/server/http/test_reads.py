"""Reading a past state as a whole."""

from __future__ import annotations

import asyncio

import pytest

from domain import commands as c
from domain.pages import dump, load, pages_of
from server.http import reads
from server.http.reads import read_whole
from tests.support.project_logs import ProjectLog


async def test_others_have_their_turns_while_a_past_state_is_read_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reads, "SLICE_S", 0.0)
    log = ProjectLog()
    log.do(*(c.CreateFlag(key) for key in "abcdef"))
    past = load(dump(log.state))
    pages = pages_of(past)
    assert pages is not None
    reading = asyncio.ensure_future(read_whole(past))
    left = [len(pages.left())]
    while left[-1]:
        await asyncio.sleep(0)
        left.append(len(pages.left()))
    await reading
    assert len(left) > len("abcdef")
    assert past == log.state


async def test_a_state_that_stands_by_itself_has_nothing_to_read() -> None:
    log = ProjectLog()
    await read_whole(log.state)
    assert pages_of(log.state) is None
