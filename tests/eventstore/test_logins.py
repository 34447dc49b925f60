"""Logins and refresh tokens: what opens what, and how often."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from eventstore.accounts import Accounts
from eventstore.logins import Login, Logins, Reused

FIRST, SECOND, THIRD = "1" * 64, "2" * 64, "3" * 64
COOKIE = "c" * 64


@pytest.fixture
async def logins(pool: asyncpg.Pool) -> Logins:
    accounts = Accounts(pool)
    await accounts.add("ada", "ada@example.org", "Ada", None)
    await accounts.add("bob", "bob@example.org", "Bob", None)
    return Logins(pool)


async def begun(logins: Logins, session: str = "s1", account: str = "ada", **more: str) -> Login:
    return await logins.begin(
        session, account, provider="", address="192.0.2.1", user_agent="curl", **more
    )


def anyhow(_login: Login) -> bool:
    return True


async def test_a_login_is_found_by_its_id_and_by_its_cookie(logins: Logins) -> None:
    login = await begun(logins, cookie_sha256=COOKIE)
    assert login.browser
    assert login.ended_at is None
    assert await logins.by_id("s1") == login
    assert await logins.by_cookie(COOKIE) == login
    assert await logins.by_id("s2") is None
    assert await logins.by_cookie(FIRST) is None


async def test_a_refresh_token_is_replaced_by_the_next_one(logins: Logins) -> None:
    login = await begun(logins, refresh_sha256=FIRST)
    assert not login.browser
    assert await logins.refresh(FIRST, SECOND, "192.0.2.2", anyhow) == login
    assert await logins.refresh(SECOND, THIRD, "192.0.2.3", anyhow) is not None
    after = await logins.by_id("s1")
    assert after is not None
    assert after.address == "192.0.2.3"
    assert after.used_at > login.used_at


async def test_a_token_that_comes_again_ends_the_login_and_its_successors(logins: Logins) -> None:
    await begun(logins, refresh_sha256=FIRST)
    await logins.refresh(FIRST, SECOND, "", anyhow)
    assert isinstance(await logins.refresh(FIRST, THIRD, "", anyhow), Reused)
    ended = await logins.by_id("s1")
    assert ended is not None
    assert ended.ended_at is not None
    assert await logins.refresh(SECOND, THIRD, "", anyhow) is None


async def test_of_many_who_present_one_token_at_once_one_is_answered(logins: Logins) -> None:
    await begun(logins, refresh_sha256=FIRST)
    answers = await asyncio.gather(
        *(logins.refresh(FIRST, f"{n:064}", "", anyhow) for n in range(8))
    )
    assert sum(isinstance(answer, Login) for answer in answers) == 1
    assert any(isinstance(answer, Reused) for answer in answers)


async def test_what_may_not_go_on_leaves_the_token_as_it_was(logins: Logins) -> None:
    await begun(logins, refresh_sha256=FIRST)
    assert await logins.refresh(FIRST, SECOND, "", lambda _login: False) is None
    assert isinstance(await logins.refresh(FIRST, SECOND, "", anyhow), Login)


async def test_an_account_ends_its_own_logins_and_no_others(logins: Logins) -> None:
    for session in ("s1", "s2", "s3"):
        await begun(logins, session)
    await begun(logins, "s4", "bob")
    assert not await logins.end("s1", "bob")
    assert await logins.end("s1", "ada")
    assert not await logins.end("s1", "ada")
    assert set(await logins.end_all("ada", but="s2")) == {"s3"}
    assert [login.session_id for login in await logins.of("ada")] == ["s2"]
    assert [login.session_id for login in await logins.of("bob")] == ["s4"]


async def test_what_is_over_is_forgotten(logins: Logins, pool: asyncpg.Pool) -> None:
    for session in ("fresh", "idle", "old", "ended", "just-ended"):
        await begun(logins, session, refresh_sha256=session)
    for change, session in (
        ("used_at = now() - interval '8 days'", "idle"),
        ("created_at = now() - interval '31 days'", "old"),
        ("ended_at = now() - interval '2 days'", "ended"),
        ("ended_at = now()", "just-ended"),
    ):
        await pool.execute(f"UPDATE login_session SET {change} WHERE session_id = '{session}'")
    await logins.forget(timedelta(days=7), timedelta(days=30))
    left = await pool.fetch("SELECT session_id FROM login_session ORDER BY 1")
    assert [row[0] for row in left] == ["fresh", "just-ended"]
    assert await pool.fetchval("SELECT count(*) FROM refresh_token") == 2


async def test_erasing_a_person_forgets_address_name_and_logins(
    logins: Logins, pool: asyncpg.Pool
) -> None:
    accounts = Accounts(pool)
    await begun(logins, refresh_sha256=FIRST)
    assert await accounts.erase("ada")
    erased = await accounts.by_id("ada")
    assert erased is not None
    assert (erased.email, erased.name, erased.password_hash) == (None, "", None)
    assert erased.erased_at is not None
    assert await logins.of("ada") == ()
    assert await accounts.search("ada") == ()
    await accounts.add("another", "ada@example.org", "Another Ada", None)
    assert not await accounts.erase("nobody")


async def test_people_are_found_by_part_of_name_or_address(
    logins: Logins, pool: asyncpg.Pool
) -> None:
    accounts = Accounts(pool)
    for text, found in (("ADA", {"ada"}), ("example", {"ada", "bob"}), ("", {"ada", "bob"}),
                        ("%", set()), ("_", set()), ("\\", set())):  # fmt: skip
        assert {account.account_id for account in await accounts.search(text)} == found


async def test_another_address_has_yet_to_be_verified(logins: Logins, pool: asyncpg.Pool) -> None:
    accounts = Accounts(pool)
    assert not await accounts.verify_email("ada", "bob@example.org")
    assert await accounts.verify_email("ada", "ADA@example.org")
    renamed = await accounts.change_profile("ada", "Ada L.", None)
    assert renamed is not None
    assert renamed.email_verified
    moved = await accounts.change_profile("ada", None, "ada@example.com")
    assert moved is not None
    assert (moved.name, moved.email_verified) == ("Ada L.", False)
