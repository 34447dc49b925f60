"""Content numbers change only from what the caller has seen."""

from __future__ import annotations

import asyncpg
import pytest

from eventstore.contents import Content, Contents


@pytest.fixture
def contents(pool: asyncpg.Pool) -> Contents:
    return Contents(pool)


async def test_nothing_is_settled_at_first(contents: Contents) -> None:
    assert await contents.get("demo", "env") is None


async def test_a_content_is_settled_once(contents: Contents) -> None:
    assert await contents.settle("demo", "env", Content(1, 1), None)
    assert not await contents.settle("demo", "env", Content(1, 2), None)
    assert await contents.get("demo", "env") == Content(1, 1)
    assert await contents.get("demo", "other") is None


async def test_a_content_is_replaced_only_by_who_has_seen_it(contents: Contents) -> None:
    await contents.settle("demo", "env", Content(1, 1), None)
    assert await contents.settle("demo", "env", Content(2, 1), Content(1, 1))
    assert not await contents.settle("demo", "env", Content(3, 1), Content(1, 1))
    assert not await contents.settle("demo", "env", Content(3, 1), Content(2, 2))
    assert await contents.get("demo", "env") == Content(2, 1)


async def test_a_content_that_was_lost_is_settled_anew(contents: Contents) -> None:
    assert await contents.settle("demo", "env", Content(7, 2), Content(6, 2))
    assert await contents.get("demo", "env") == Content(7, 2)
