from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg

from eventstore.token_uses import TokenUses


async def test_an_older_use_does_not_take_the_place_of_a_later_one(pool: asyncpg.Pool) -> None:
    uses, now = TokenUses(pool), datetime.now(UTC)
    await uses.note({"t1": now, "t2": now})
    await uses.note({"t1": now - timedelta(hours=1), "t2": now + timedelta(hours=1)})
    await uses.note({})
    assert await uses.of(["t1", "t2", "t3"]) == {"t1": now, "t2": now + timedelta(hours=1)}
