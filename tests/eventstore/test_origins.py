"""Where commands came from: found from their events, erased, forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from eventstore.log import Duplicate, Origin
from eventstore.origins import Origins
from eventstore.store import EventStore
from tests.support.logs import append, batch_at, new_command, new_event

HOME = Origin("token", "token-1", "192.0.2.7", "curl/8")


@pytest.fixture
def origins(pool: asyncpg.Pool) -> Origins:
    return Origins(pool)


async def test_each_event_has_the_origin_of_its_command(
    store: EventStore, origins: Origins
) -> None:
    by_session = Origin("session", "login-1", "2001:db8::1", None)
    await append(
        store,
        "demo",
        new_command(new_event(), origin=HOME),
        new_command(new_event(revision=2), new_event(revision=3)),
        new_command(origin=HOME),  # changed nothing
        new_command(new_event(revision=4), new_event(revision=5), origin=by_session),
    )
    await append(store, "other", new_command(new_event()))
    found = await origins.of_events("demo", range(7))
    assert found == {1: HOME, 4: by_session, 5: by_session}
    assert await origins.of_events("other", [1]) == {}


async def test_a_repeat_leaves_the_first_origin(store: EventStore, origins: Origins) -> None:
    command = new_command(new_event(), origin=HOME)
    await append(store, "demo", command)
    head = await store.head("demo")
    again = new_command(
        new_event(), idempotency_key=command.idempotency_key, origin=Origin("token", "token-2")
    )
    assert isinstance(await store.append(batch_at(head, again)), Duplicate)
    assert await origins.of_events("demo", [1, 2]) == {1: HOME}


async def test_an_account_s_origins_are_erased_and_no_other_s(
    store: EventStore, origins: Origins
) -> None:
    await append(
        store,
        "demo",
        new_command(new_event(), origin=HOME, actor_id="acc-1"),
        new_command(new_event(revision=2), origin=HOME, actor_id="acc-2"),
    )
    assert await origins.erase("acc-1") == 1
    assert await origins.of_events("demo", [1, 2]) == {2: HOME}


async def test_addresses_are_forgotten_with_age_and_credentials_are_not(
    store: EventStore, origins: Origins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.origins.FORGOTTEN_AT_ONCE", 2)
    commands = [new_command(new_event(revision=n), origin=HOME) for n in range(1, 6)]
    await append(store, "demo", *commands)
    assert await origins.forget_before(datetime.now(UTC) - timedelta(days=1)) == 0
    assert await origins.forget_before(datetime.now(UTC) + timedelta(days=1)) == 5
    assert await origins.forget_before(datetime.now(UTC) + timedelta(days=1)) == 0
    assert await origins.of_events("demo", [3]) == {3: Origin("token", "token-1")}
