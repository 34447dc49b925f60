"""What a feed's evaluator answers from is what an SDK reads of the feed's snapshot."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from halyard_protocol.context import Context
from halyard_protocol.messages import Snapshot, decode_server_message
from halyard_protocol.ruleset import Flag, Ruleset
from halyard_protocol.session.feed import Delta, Feed, Stored
from halyard_protocol.session.replica import from_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming import feed_evaluator
from streaming.feed_evaluator import FeedEvaluator

NAMES = ("flag:a", "flag:b", "flag:c", "segment:a", "segment:b", "environment", "key:k", "later:x")
BROKEN: dict[str, dict[str, Any]] = {
    "flag:b": {"rules": 3},
    "segment:b": {"included": "x"},
    "environment": {"attributes": 1},
}


def body(name: str, version: int, *, deleted: bool = False, broken: bool = False) -> bytes:
    key = name.partition(":")[2] or "production"
    fields: dict[str, Any] = {"key": key, "version": version, "salt": "s"}
    fields |= {"deleted": True} if deleted else {}
    return json.dumps(fields | (BROKEN.get(name, {}) if broken else {})).encode()


def as_an_sdk_reads(feed: Feed) -> Ruleset:
    snapshot = decode_server_message(b"".join(feed.source().parts()))
    assert isinstance(snapshot, Snapshot)
    return from_snapshot(snapshot).ruleset


def stored(changed: int, *names: str, epoch: str = "1.1", horizon: int = 0) -> Stored:
    return Stored(epoch, changed, changed, horizon, {n: body(n, changed) for n in names})


changes = st.lists(
    st.tuples(
        st.sampled_from(["delta", "again", "renewed", "pruned"]),
        st.dictionaries(st.sampled_from(NAMES), st.tuples(st.booleans(), st.booleans())),
        st.booleans(),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(changes=changes)
def test_it_follows_whatever_happens_to_the_feed(changes: list[Any]) -> None:
    feed = Feed()
    feed.install(stored(1, "flag:a", "environment"))
    evaluator = FeedEvaluator(feed)
    epoch = 1
    for seq, (kind, documents, look) in enumerate(changes, 2):
        bodies = {
            name: body(name, seq, deleted=deleted and name != "environment", broken=broken)
            for name, (deleted, broken) in documents.items()
            if not (name == "environment" and broken)  # what came before it would be kept
        }
        if kind == "delta":
            feed.merge(Delta(f"{epoch}.1", feed.changed, seq, seq, bodies))
        else:
            epoch += kind == "renewed"
            horizon = seq if kind == "pruned" else 0
            if kind == "again":  # what has gone without a tombstone has gone below the horizon
                bodies = {name: known.body for name, known in feed.documents.items()} | bodies
            bodies.setdefault("environment", body("environment", seq))
            feed.install(Stored(f"{epoch}.1", seq, seq, horizon, bodies))
        if look:
            assert evaluator.current().ruleset == as_an_sdk_reads(feed)
    assert evaluator.current().ruleset == as_an_sdk_reads(feed)


def test_what_did_not_change_stays_the_same_object() -> None:
    feed = Feed()
    feed.install(stored(1, *NAMES))
    evaluator = FeedEvaluator(feed)
    before = evaluator.current()
    assert evaluator.current() is before
    feed.merge(Delta("1.1", 1, 2, 2, {"flag:a": body("flag:a", 2)}))
    after = evaluator.current().ruleset
    assert after.flags["a"] is not before.ruleset.flags["a"]
    assert after.flags["b"] is before.ruleset.flags["b"]
    assert after.segments["a"] is before.ruleset.segments["a"]
    kept = ("flag:b", "flag:c", "segment:a", "environment")
    renewed = {name: feed.documents[name].body for name in kept}
    feed.install(Stored("2.1", 2, 2, 0, renewed))
    anew = evaluator.current().ruleset
    assert anew.flags["b"] is before.ruleset.flags["b"]
    assert set(anew.flags) == {"b", "c"}


async def test_a_large_ruleset_is_read_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_evaluator, "SLICE_S", 0)
    feed = Feed()
    feed.install(stored(1, *NAMES))
    evaluator = FeedEvaluator(feed)
    preparing = asyncio.create_task(evaluator.prepare())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [evaluator.prepared] == [False]
    feed.merge(Delta("1.1", 1, 2, 2, {"flag:new": body("flag:new", 2)}))
    await preparing
    assert evaluator.prepared
    assert evaluator.current().ruleset == as_an_sdk_reads(feed)


def test_it_evaluates() -> None:
    feed = Feed()
    flag: dict[str, Any] = {"key": "a", "enabled": False, "offVariation": "off"}
    flag["variations"] = [{"key": "off", "value": False}]
    feed.install(Stored("1.1", 1, 1, 0, {"flag:a": json.dumps(flag).encode()}))
    evaluator = FeedEvaluator(feed).current()
    assert isinstance(evaluator.ruleset.flags["a"], Flag)
    assert evaluator.detail("a", Context.of("u"), None, 0).value is False
