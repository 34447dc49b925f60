"""Keys that come to their end by themselves, over real sockets."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import redis.asyncio
from halyard_protocol.session.documents import read_document
from halyard_sdk import AsyncClient, State

from streaming import live_keys
from streaming.caller import KeyRefused
from streaming.keys import end_of
from streaming.live_keys import ENDED, REFUSED
from streaming.serving import ServedEnvironment
from tests.streaming.browser import CLIENT_DOCUMENT, browser, with_client_key
from tests.streaming.stage import Stage, stage, until
from tests.streaming.writing import OTHER_KEY, SERVER_KEY, Ruleset, key_document

SOON_S = 0.4


async def end(
    ruleset: Ruleset, in_s: float | None, document: str = "", kind: str = "server"
) -> None:
    """Give a key an end, or take it back."""
    key = {"id": "k1", "kind": kind, "name": "one"}
    if in_s is not None:
        instant = datetime.now(UTC) + timedelta(seconds=in_s)
        key["expiresAt"] = instant.isoformat().replace("+00:00", "Z")
    await ruleset.change((document or key_document(SERVER_KEY), key))


async def refusal(on_stage: Stage, key: str) -> tuple[int | None, str]:
    async with on_stage.client(key) as client:
        return await client.closed()


def test_a_document_without_an_end_has_none() -> None:
    with_end = b'{"id":"k","version":1,"expiresAt":"2026-03-01T12:00:00Z"}'
    assert end_of(read_document("key:k", with_end)) == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert end_of(read_document("key:k", b'{"id":"k","version":1,"name":"expiresAt"}')) is None


async def test_a_key_that_ends_closes_its_connections_and_no_others(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with on_stage.client() as ending, on_stage.client(OTHER_KEY) as other:
        await ending.synchronise()
        await other.synchronise()
        await end(ruleset, SOON_S)
        await ruleset.change(("flag:a", None))
        await ending.reach(ruleset.seq)
        assert await ending.closed() == (4401, ENDED)
        assert await refusal(on_stage, SERVER_KEY) == (4401, REFUSED)
        await ruleset.change(("flag:b", None))
        await other.reach(ruleset.seq)


async def test_a_page_whose_key_ends_is_closed(on_stage: Stage, ruleset: Ruleset) -> None:
    await with_client_key(ruleset)
    async with browser(on_stage) as page:
        await page.start()
        await end(ruleset, SOON_S, CLIENT_DOCUMENT, "client")
        assert await page.closed() == (4401, ENDED)


async def test_with_no_time_left_it_ends_as_soon_as_that_is_known(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        await end(ruleset, -1)
        assert await client.closed() == (4401, ENDED)


async def test_an_end_that_was_put_off_or_taken_back_does_not_come(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with on_stage.client() as client:
        await client.synchronise()
        await end(ruleset, SOON_S)
        await end(ruleset, None)
        await end(ruleset, 3 * SOON_S, key_document(OTHER_KEY))
        async with on_stage.client(OTHER_KEY) as other:
            await other.synchronise()
            assert await other.closed() == (4401, ENDED)
        await ruleset.change(("flag:a", None))
        await client.reach(ruleset.seq)


async def test_nobody_is_closed_for_good_by_a_ruleset_that_is_behind_the_log(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_keys, "AGAIN_S", 0.05)
    asked, current = asyncio.Event(), False

    async def is_current(_environment: str) -> bool:
        asked.set()
        return current

    async with stage(redis_client, is_current=is_current) as behind:
        async with behind.client() as client:
            await client.synchronise()
            await end(ruleset, SOON_S)
            await asked.wait()
            await ruleset.change(("flag:a", None))
            await client.reach(ruleset.seq)
            assert (await refusal(behind, SERVER_KEY))[0] == 1011
            current = True
            assert await client.closed() == (4401, ENDED)


async def test_an_end_that_is_put_off_while_it_comes_is_heard_of(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    """The ruleset learns of it only after the clock has come to the end."""
    asked = asyncio.Event()

    async def is_current(_environment: str) -> bool:
        asked.set()
        key = {"id": "k1", "kind": "server", "name": "one"}
        await ruleset.change_in_silence((key_document(SERVER_KEY), key))
        return True

    async with stage(redis_client, is_current=is_current) as on_stage:
        async with on_stage.client() as client:
            await client.synchronise()
            await end(ruleset, SOON_S)
            keys = next(iter(on_stage.gateway.hub.environments.values())).keys
            await asked.wait()
            await until(lambda: not keys.overdue)
            await ruleset.change(("flag:a", None))
            await client.reach(ruleset.seq)


async def test_what_is_asked_over_http_ends_with_the_key(on_stage: Stage, ruleset: Ruleset) -> None:
    gateway, told = on_stage.gateway, asyncio.Event()
    served: ServedEnvironment = await gateway.serve_key(SERVER_KEY, 5)
    await end(ruleset, SOON_S)
    await until(lambda: served.changed == ruleset.changed)
    unsubscribe = served.on_change(told.set)
    assert await gateway.serve_key(SERVER_KEY, 5) is served
    await told.wait()
    unsubscribe()
    assert not served.live
    with pytest.raises(KeyRefused, match="has come to its end"):
        await gateway.serve_key(SERVER_KEY, 5)
    assert (await gateway.serve_key(OTHER_KEY, 5)).live


async def test_an_sdk_that_got_its_new_key_in_time_goes_on_and_one_that_did_not_stops(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    url = on_stage.url.removesuffix("/stream/v1")
    async with AsyncClient(url, SERVER_KEY) as late, AsyncClient(url, SERVER_KEY) as early:
        assert await late.wait_ready(5)
        assert await early.wait_ready(5)
        await end(ruleset, SOON_S)
        await early.close()
        async with AsyncClient(url, OTHER_KEY) as changed:
            assert await changed.wait_ready(5)
            await until(lambda: late.status.state is State.OFFLINE)
            heard = asyncio.Event()
            changed.on_change(lambda _: heard.set(), key="a")
            await ruleset.change(("flag:a", None))
            await heard.wait()
            assert changed.status.state is State.READY
        assert ENDED in late.status.reason


async def test_the_timer_ends_with_the_gateway(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    async with stage(redis_client) as on_stage, on_stage.client() as client:
        await client.synchronise()
        await end(ruleset, 3_600)
        keys = next(iter(on_stage.gateway.hub.environments.values())).keys
        await until(lambda: keys.waits)
    assert not keys.waits
