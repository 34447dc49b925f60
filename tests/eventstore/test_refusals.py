"""What accounts were refused: written together, read in pages, bounded, and without the erased."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from eventstore.accounts import Accounts
from eventstore.refusals import Refusals, Refused, RefusedAction

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=400)
ACTION = RefusedAction(
    "ann", "token", "t1", "flag:write", "shop", "live", "POST", "/api/v1/x", "192.0.2.7"
)


@pytest.fixture
def refusals(pool: asyncpg.Pool) -> Refusals:
    return Refusals(pool)


def refused(at: datetime = NOW, **changes: Any) -> Refused:
    return Refused(replace(ACTION, **changes), 2, at)


async def test_what_is_written_is_read_newest_first_and_in_pages(refusals: Refusals) -> None:
    await refusals.add([refused(permission=f"p{n}") for n in range(3)])
    await refusals.add([refused(project=None, environment=None, address=None)])
    await refusals.add([])
    newest, *others = await refusals.page(3)
    assert newest.action == replace(ACTION, project=None, environment=None, address=None)
    assert (newest.times, newest.refused_at) == (2, NOW)
    assert [each.action.permission for each in others] == ["p2", "p1"]
    [last] = await refusals.page(3, before=others[-1].id)
    assert last.action.permission == "p0"


async def test_a_page_is_of_an_actor_a_permission_or_a_project(refusals: Refusals) -> None:
    await refusals.add([refused(), refused(actor_id="bob"), refused(project="blog")])
    assert len(await refusals.page(9, actor_id="bob")) == 1
    assert len(await refusals.page(9, project="shop")) == 2
    assert len(await refusals.page(9, actor_id="bob", project="blog")) == 0
    assert len(await refusals.page(9, permission="flag:write")) == 3
    assert await refusals.page(9, permission="flag") == []


async def test_the_oldest_go_with_their_age_and_beyond_a_number(
    refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.refusals.MAX_KEPT", 4)
    await refusals.add([refused(LONG_AGO), *(refused(permission=f"p{n}") for n in range(6))])
    await refusals.tidy(NOW - timedelta(days=90), LONG_AGO)
    kept = [each.action.permission for each in await refusals.page(9)]
    assert kept == ["p5", "p4", "p3", "p2"]


async def test_one_account_s_many_leave_those_of_others(
    refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.refusals.MAX_OF_ACCOUNT", 2)
    await refusals.add([refused(actor_id="bob"), *(refused(permission=f"p{n}") for n in range(5))])
    await refusals.tidy(LONG_AGO, LONG_AGO)
    kept = [each.action.permission for each in await refusals.page(9)]
    assert kept == ["p4", "p3", "flag:write"]


async def test_addresses_go_before_the_rest(refusals: Refusals) -> None:
    await refusals.add([refused(NOW - timedelta(days=2)), refused()])
    await refusals.tidy(LONG_AGO, NOW - timedelta(days=1))
    addresses = [each.action.address for each in await refusals.page(9)]
    assert addresses == ["192.0.2.7", None]


async def test_erasing_an_account_takes_its_addresses_and_credentials(refusals: Refusals) -> None:
    await refusals.add([refused(), refused(actor_id="bob")])
    await refusals.erase("ann")
    bob, ann = await refusals.page(9)
    assert bob.action.address == "192.0.2.7"
    assert ann.action == replace(ACTION, address=None, credential_kind=None, credential_id=None)


async def test_what_is_written_after_an_account_was_erased_has_no_address(
    refusals: Refusals, pool: asyncpg.Pool
) -> None:
    accounts = Accounts(pool)
    await accounts.add("ann", "ann@example.org", "Ann", None)
    await refusals.add([refused()])
    await accounts.erase("ann")
    await refusals.add([refused()])
    late, early = await refusals.page(9)
    assert (late.action.address, late.action.credential_id) == (None, None)
    # The one from just before, which the erasure may have passed by, goes when it is tidied up.
    assert early.action.address is not None
    await refusals.tidy(LONG_AGO, LONG_AGO)
    assert [each.action.address for each in await refusals.page(9)] == [None, None]
