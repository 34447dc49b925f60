"""Client keys over real sockets: values, and never rules."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import redis.asyncio
from halyard_protocol.messages import Error, Heartbeat, Identify, Resume, Values, encode_message
from websockets.asyncio.client import connect

from streaming.drain import drain
from tests.streaming.browser import (
    CLIENT_DOCUMENT,
    Browser,
    browser,
    plain,
    with_client_key,
)
from tests.streaming.stage import QUICK, Stage, no, stage
from tests.streaming.writing import Ruleset

IN_GERMANY = {"attribute": "country", "op": "in", "values": ["DE"]}
KEYS = {"id": "c1", "kind": "client", "name": "page"}


@pytest.fixture
async def ruleset(ruleset: Ruleset) -> Ruleset:
    """A client key, two flags for pages, and one that is not."""
    await with_client_key(ruleset)
    await ruleset.change(plain("a"), plain("b", "off"), plain("hidden", clientSide=False))
    return ruleset


def rule(when: Any) -> dict[str, Any]:
    return {"rules": [{"id": "secret", "when": when, "serve": {"variation": "on"}}]}


async def test_a_page_is_told_the_values_of_the_flags_for_pages(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with browser(on_stage) as page:
        welcome = await page.hello()
        values = await page.next_of(Values)
    assert (welcome.intent, welcome.environment) == ("values", "production")
    assert (values.full, values.epoch, values.seq) == (True, "7.1", ruleset.seq)
    assert page.variations() == {"a": "on", "b": "off"}
    assert msgspec.json.decode(page.values["a"]) == {
        "value": "yes",
        "variation": "on",
        "reason": {"kind": "FALLTHROUGH"},
        "version": ruleset.seq,
    }


async def test_no_page_is_told_a_rule(on_stage: Stage, ruleset: Ruleset) -> None:
    rollout = {"buckets": [{"variation": "on", "weight": 100_000}]}
    await ruleset.change(
        plain("a", "off", **rule(IN_GERMANY)),
        plain("b", prerequisites=[{"flag": "hidden", "variations": ["off"]}], offVariation="off"),
        plain("c", fallthrough={"rollout": rollout}),
    )
    async with browser(on_stage) as page:
        await page.start({"key": "alice", "country": "DE"})
    assert page.variations() == {"a": "on", "b": "off", "c": "on"}
    reasons = [json.loads(value)["reason"] for value in page.values.values()]
    kinds = ["RULE_MATCH", "PREREQUISITE_FAILED", "FALLTHROUGH"]
    assert sorted(reasons, key=str) == sorted(({"kind": kind} for kind in kinds), key=str)
    assert not any(b"secret" in value or b"hidden" in value for value in page.values.values())


async def test_a_change_is_told_to_those_whom_it_concerns_and_nothing_else_is(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with browser(on_stage) as alice, browser(on_stage) as bob:
        await alice.start({"key": "alice", "country": "DE"})
        await bob.start("bob")
        before = on_stage.gateway.counters.value_frames
        await ruleset.change(plain("hidden", "off", clientSide=False))
        await ruleset.change(("segment:s", {"key": "s", "included": [{"keys": ["bob"]}]}))
        await ruleset.change(plain("a", "off", **rule(IN_GERMANY)))
        for page, variation in ((alice, "on"), (bob, "off")):
            values = await page.next_of(Values)
            assert (values.full, set(values.values), values.removed) == (False, {"a"}, ())
            assert page.variations()["a"] == variation
        assert on_stage.gateway.counters.value_frames == before + 2


async def test_what_a_flag_leans_on_is_followed(on_stage: Stage, ruleset: Ruleset) -> None:
    in_segment = {"op": "segment", "values": ["s"]}
    await ruleset.change(
        ("segment:s", {"key": "s", "included": [{"keys": ["alice"]}]}),
        plain("base", "off", clientSide=False, **rule(in_segment)),
        plain("a", prerequisites=[{"flag": "base", "variations": ["on"]}], offVariation="off"),
    )
    async with browser(on_stage) as page:
        await page.start()
        assert page.variations()["a"] == "on"
        await ruleset.change(("segment:s", {"key": "s"}))
        await page.next_of(Values)
        assert page.variations() == {"a": "off", "b": "off"}


async def test_flags_come_go_and_may_be_malformed(on_stage: Stage, ruleset: Ruleset) -> None:
    async with browser(on_stage) as page:
        await page.start()
        await ruleset.change(("flag:a", None), plain("c"), plain("b", rules="none"))
        values = await page.next_of(Values)
        assert values.removed == ("a",)
        assert page.variations() == {"b": None, "c": "on"}
        assert json.loads(page.values["b"])["reason"]["errorCode"] == "MALFORMED_FLAG"
        await ruleset.change(plain("c", clientSide=False))
        await page.next_of(Values)
        assert page.variations() == {"b": None}


async def test_who_comes_back_with_the_digest_of_its_values_gets_a_heartbeat(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with browser(on_stage) as page:
        await page.start()
    async with browser(on_stage) as again:
        await again.hello(digest=page.digest, resume=Resume(page.epoch, page.seq))
        answer = await again.next()
        assert isinstance(answer, Heartbeat)
        assert answer.seq == ruleset.seq
        await ruleset.change(plain("a", "off"))
        assert set((await again.next_of(Values)).values) == {"a"}
    async with browser(on_stage) as late:
        await late.hello(digest=page.digest)
        assert (await late.next_of(Values)).full
        assert late.variations() == {"a": "off", "b": "off"}


async def test_somebody_else_on_the_same_socket(on_stage: Stage, ruleset: Ruleset) -> None:
    await ruleset.change(plain("a", "off", **rule(IN_GERMANY)))
    async with browser(on_stage) as page:
        await page.start()
        await page.identify({"key": "bob", "country": "DE"})
        values = await page.next_of(Values)
        assert values.full
        assert page.variations() == {"a": "on", "b": "off"}


async def test_of_a_flood_of_contexts_the_last_counts(on_stage: Stage, ruleset: Ruleset) -> None:
    await ruleset.change(plain("a", "off", **rule({"attribute": "n", "op": "in", "values": [19]})))
    async with browser(on_stage) as page:
        await page.start()
        for n in range(20):
            await page.identify({"key": "alice", "n": n})
        while page.variations()["a"] == "off":
            assert (await page.next_of(Values)).full
        answers = sum(isinstance(message, Values) for message in page.heard)
        assert answers < 6


@pytest.mark.parametrize(
    ("context", "field"),
    [
        (None, "context: is missing"),
        ({"key": 7}, "context/key: a key is a string"),
        ({"kind": "multi", "user": "alice"}, "context/user: is an object"),
        ({"key": "alice", "long": "x" * 17_000}, "context: has at most 16384 bytes"),
    ],
)
async def test_a_context_that_is_none_is_refused_by_name(
    on_stage: Stage, ruleset: Ruleset, context: Any, field: str
) -> None:
    async with browser(on_stage) as page:
        message = {"type": "hello", "protocol": 1, "context": context}
        await page.connection.send(json.dumps(message))
        error = await page.next_of(Error)
        assert (error.code, error.fatal) == ("INVALID_CONTEXT", True)
        assert error.message.startswith(field)
        code, reason = await page.closed()
        assert code == 4400
        assert reason.startswith(field)


async def test_nobody_becomes_a_context_that_is_none(on_stage: Stage, ruleset: Ruleset) -> None:
    async with browser(on_stage) as page:
        await page.start("alice")
        await page.connection.send('{"type":"identify","context":{"key":7}}')
        error = await page.next_of(Error)
        assert (error.code, error.fatal) == ("INVALID_CONTEXT", True)
        assert (await page.closed())[0] == 4400


async def test_identify_is_for_client_keys_that_have_said_hello(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with browser(on_stage) as page:
        await page.identify("alice")
        assert await page.closed() == (4400, "identify came before hello")
    async with on_stage.client() as sdk:
        await sdk.synchronise()
        await sdk.connection.send(encode_message(Identify("alice")).decode())
        assert await sdk.closed() == (4403, "identify is for client keys")


async def test_a_revoked_key_closes_its_pages_and_no_others(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with browser(on_stage) as page, on_stage.client() as sdk:
        await page.start()
        await sdk.synchronise()
        await ruleset.change((CLIENT_DOCUMENT, None))
        assert (await page.closed())[0] == 4401
        await sdk.reach(ruleset.seq)


async def test_an_unknown_client_key_is_refused(on_stage: Stage, ruleset: Ruleset) -> None:
    async with browser(on_stage, key=f"{ruleset.env}-c-other") as page:
        assert (await page.closed())[0] == 4401


async def test_a_key_is_for_the_pages_of_its_origins(on_stage: Stage, ruleset: Ruleset) -> None:
    await with_client_key(ruleset, origins=["https://shop.example"])
    async with browser(on_stage, origin="https://evil.example") as page:
        assert (await page.closed())[0] == 4403
    async with (
        browser(on_stage, origin="https://shop.example") as page,
        browser(on_stage) as program,
    ):
        await page.start()
        await program.start()
        await with_client_key(ruleset, origins=["https://other.example"])
        assert (await page.closed())[0] == 4403
        await ruleset.change(plain("a", "off"))
        await program.next_of(Values)


async def test_long_values_are_deflated_for_those_who_offer_it(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    await ruleset.change(*(plain(f"flag-{n}") for n in range(50)))
    sent = {}
    for compression in ("deflate", None):
        async with browser(on_stage, compression=compression) as page:
            before = on_stage.gateway.counters.bytes_sent
            await page.start()
            assert len(page.values) == 52
            sent[compression] = on_stage.gateway.counters.bytes_sent - before
    assert sent["deflate"] < sent[None] / 4


async def test_values_follow_the_clock(on_stage: Stage, ruleset: Ruleset) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    await ruleset.change(plain("a", expiresAt=soon, offVariation="off"))
    async with browser(on_stage) as page:
        await page.start()
        assert page.variations()["a"] == "on"
        values = await page.next_of(Values)
        assert (values.seq, page.variations()["a"]) == (ruleset.seq, "off")
        assert json.loads(page.values["a"])["reason"] == {"kind": "EXPIRED"}


async def test_another_epoch_is_told_with_what_differs_in_it(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with browser(on_stage) as page:
        await page.start()
        ruleset.documents["flag:a"]["fallthrough"] = {"variation": "off"}
        await ruleset.swap("g2", epoch=8)
        values = await page.next_of(Values)
        assert (values.epoch, values.full, set(values.values)) == ("8.1", False, {"a"})
        await ruleset.swap("g3", epoch=9)
        while page.epoch != "9.1":
            assert isinstance(await page.next(), Heartbeat)


async def test_who_comes_from_a_faster_gateway_is_told_nothing_older(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with browser(on_stage) as page:
        welcome = await page.hello(resume=Resume("7.1", ruleset.seq + 1))
        assert welcome.seq == ruleset.seq
        await ruleset.change(plain("a", "off"))
        assert (await page.next_of(Values)).seq == ruleset.seq
    assert not any(isinstance(message, Heartbeat) for message in page.heard)
    assert page.variations() == {"a": "off", "b": "off"}


async def test_pages_of_one_context_share_all_that_is_worked_out(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with browser(on_stage) as one, browser(on_stage) as other:
        await one.start({"key": "alice", "country": "DE"})
        await other.start({"country": "DE", "key": "alice"})
        await ruleset.change(plain("a", "off"))
        assert await one.next_of(Values) == await other.next_of(Values)


async def test_before_the_ruleset_was_read_a_page_waits(
    redis_client: redis.asyncio.Redis, ruleset: Ruleset
) -> None:
    async with stage(redis_client, QUICK, no) as fresh, browser(fresh) as page:
        await page.start()
        assert page.variations() == {"a": "on", "b": "off"}


async def test_pages_are_asked_to_leave_as_all_are(on_stage: Stage, ruleset: Ruleset) -> None:
    async with browser(on_stage) as page:
        await page.start()
        await drain(on_stage.gateway, window_s=0.1, grace_s=0.1)
        assert (await page.closed())[0] == 1001
    assert "Goodbye" in [type(message).__name__ for message in page.heard]


async def test_who_pages_are_for_goes_into_the_sample(on_stage: Stage, ruleset: Ruleset) -> None:
    upstream = on_stage.gateway.upstream
    async with browser(on_stage) as first:
        await first.start()
        before = upstream.waiting
        async with browser(on_stage) as page:
            await page.start({"key": "bob", "plan": "free"})
        assert upstream.waiting > before


async def test_a_page_that_is_behind_gets_one_difference(on_stage: Stage, ruleset: Ruleset) -> None:
    async with browser(on_stage) as page:
        await page.start()
        (connection,) = on_stage.gateway.connections
        async with browser(on_stage) as witness:
            await witness.start()
            connection.pause_writing()
            for variation in ("off", "on", "off"):
                await ruleset.change(plain("a", variation))
            while witness.seq < ruleset.seq:
                await witness.next_of(Values)
        connection.resume_writing()
        values = await page.next_of(Values)
        assert (values.seq, page.variations()["a"]) == (ruleset.seq, "off")
        assert sum(isinstance(message, Values) for message in page.heard) == 2


async def test_a_page_is_told_when_the_gateway_is_out_of_touch(
    on_stage: Stage, ruleset: Ruleset
) -> None:
    async with browser(on_stage) as page:
        await page.start()
        (connection,) = on_stage.gateway.connections
        assert connection.environment is not None
        connection.environment.feed.stale = True
        async with browser(on_stage) as late:
            await late.hello("bob")
            await late.next_of(Values)
            assert (await late.next_of(Heartbeat)).stale


async def test_many_pages_hear_of_one_change(on_stage: Stage, ruleset: Ruleset) -> None:
    await ruleset.change(plain("a", "off", **rule(IN_GERMANY)))
    pages: list[Browser] = []
    for n in range(100):
        pages.append(Browser(await connect(f"{on_stage.url}?key={ruleset.env}-c-public-one")))
        await pages[-1].start({"key": f"user-{n}", "country": "DE" if n % 2 else "FR"})
    await ruleset.change(plain("a", "on", **rule({"not": IN_GERMANY})))
    for page in pages:
        await page.next_of(Values)
        assert page.variations()["a"] == "on"
        await page.connection.close()
