"""Keys that sign access tokens, and secrets that are good for one password."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from eventstore.accounts import Accounts
from eventstore.login_secrets import LoginSecrets

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
def secrets(pool: asyncpg.Pool) -> LoginSecrets:
    return LoginSecrets(pool)


async def test_a_key_is_added_where_none_signs(secrets: LoginSecrets, pool: asyncpg.Pool) -> None:
    await secrets.add_signing_key("k1", b"1" * 32, DAY, HOUR)
    await secrets.add_signing_key("k2", b"2" * 32, DAY, HOUR)
    assert [key.key_id for key in await secrets.signing_keys()] == ["k1"]
    await pool.execute("UPDATE signing_key SET signs_until = now()")
    await secrets.add_signing_key("k2", b"2" * 32, DAY, HOUR)
    assert [key.key_id for key in await secrets.signing_keys()] == ["k1", "k2"]


async def test_a_key_that_verifies_no_more_is_forgotten(
    secrets: LoginSecrets, pool: asyncpg.Pool
) -> None:
    await secrets.add_signing_key("k1", b"1" * 32, DAY, HOUR)
    await pool.execute("UPDATE signing_key SET verifies_until = now()")
    assert await secrets.signing_keys() == ()
    await secrets.forget()
    assert await pool.fetchval("SELECT count(*) FROM signing_key") == 0


async def test_a_one_time_secret_is_taken_once_and_in_time(
    secrets: LoginSecrets, pool: asyncpg.Pool
) -> None:
    await Accounts(pool).add("ada", "ada@example.org", "Ada", None)
    await secrets.give_one_time("a" * 64, "ada", DAY)
    await secrets.give_one_time("b" * 64, "ada", DAY)
    assert await secrets.one_time_account("a" * 64) is None
    assert await secrets.one_time_account("b" * 64) == "ada"
    taken = await asyncio.gather(*(secrets.take_one_time("b" * 64) for _ in range(5)))
    assert taken.count("ada") == 1
    await secrets.give_one_time("c" * 64, "ada", -HOUR)
    assert await secrets.one_time_account("c" * 64) is None
    assert await secrets.take_one_time("c" * 64) is None
    await secrets.forget()
    assert await pool.fetchval("SELECT count(*) FROM one_time_secret") == 0
