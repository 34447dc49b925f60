"""Accounts: personal data outside the log."""

from __future__ import annotations

import asyncpg
import pytest

from eventstore.accounts import Accounts, EmailTaken
from eventstore.errors import StoreConflict


@pytest.fixture
def accounts(pool: asyncpg.Pool) -> Accounts:
    return Accounts(pool)


async def test_an_account_is_found_by_id_and_by_address_in_any_case(accounts: Accounts) -> None:
    added = await accounts.add("acc-1", "Ada@Example.org", "Ada", "hash")
    assert (added.email, added.name, added.password_hash) == ("Ada@Example.org", "Ada", "hash")
    assert await accounts.by_id("acc-1") == added
    assert await accounts.by_email("aDA@example.ORG") == added
    assert await accounts.by_id("acc-2") is None
    assert await accounts.by_email("bob@example.org") is None


async def test_an_address_belongs_to_one_account(accounts: Accounts) -> None:
    await accounts.add("acc-1", "ada@example.org", "Ada", None)
    with pytest.raises(EmailTaken, match="ADA"):
        await accounts.add("acc-2", "ADA@example.org", "Another", None)
    assert await accounts.by_id("acc-2") is None


async def test_an_id_belongs_to_one_account(accounts: Accounts) -> None:
    await accounts.add("acc-1", "ada@example.org", "Ada", None)
    with pytest.raises(StoreConflict) as taken:
        await accounts.add("acc-1", "bob@example.org", "Bob", None)
    assert not isinstance(taken.value, EmailTaken)
    assert taken.value.constraint == "account_pkey"


async def test_a_password_hash_is_replaced(accounts: Accounts) -> None:
    await accounts.add("acc-1", "ada@example.org", "Ada", "old")
    assert await accounts.set_password_hash("acc-1", "new")
    found = await accounts.by_id("acc-1")
    assert found is not None
    assert found.password_hash == "new"
    assert not await accounts.set_password_hash("acc-2", "new")
