from __future__ import annotations

from datetime import UTC, datetime

import pytest
from halyard_protocol.codec import MalformedDocument
from halyard_sdk import Change, State, Status, testing

ALICE = {"key": "alice", "country": "DE"}


def test_values_are_what_everybody_gets() -> None:
    with testing.client({"new-checkout": True, "theme": "dark"}) as flags:
        assert flags.boolean("new-checkout", ALICE, False) is True
        assert flags.string("theme", "bob", "light") == "dark"
        assert flags.boolean("unknown", ALICE, False) is False


def test_setting_a_value_again_replaces_it_of_whatever_type() -> None:
    flags = testing.client({"x": True})
    flags.set("x", 5)
    assert flags.integer("x", ALICE, 0) == 5


def test_it_is_ready_until_closed_and_answers_beyond() -> None:
    flags = testing.client({"x": True})
    heard: list[Status] = []
    flags.on_status(heard.append)
    assert flags.wait_ready(0)
    assert flags.status.state == "READY"
    flags.close()
    assert flags.status.state == "OFFLINE"
    assert [status.state for status in heard] == [State.OFFLINE]
    assert flags.boolean("x", ALICE, False)


def test_a_flag_with_targets_and_rules_is_really_evaluated() -> None:
    flags = testing.client()
    flags.put(
        testing.flag("theme", "light", "dark", "blue")
        .target("dark", "bob")
        .rule("blue", "country", "in", "DE", "AT")
        .when("dark", {"all": [{"attribute": "age", "op": "greaterThan", "values": [60]}]})
    )
    assert flags.string("theme", "bob", "") == "dark"
    assert flags.string("theme", ALICE, "") == "blue"
    assert flags.string("theme", {"key": "c", "age": 61}, "") == "dark"
    assert flags.detail("theme", "dora", "").reason.kind == "FALLTHROUGH"


def test_a_disabled_flag_gives_its_off_value_or_the_callers_default() -> None:
    flags = testing.client()
    flags.put(testing.flag("x", "a", "b").disable("b"))
    flags.put(testing.flag("y", "a", "b").disable())
    assert flags.string("x", ALICE, "mine") == "b"
    assert flags.string("y", ALICE, "mine") == "mine"


def test_one_and_true_are_different_values() -> None:
    flags = testing.client()
    flags.put(testing.flag("x", 1, True).serve(True))
    assert flags.variation("x", ALICE, None) is True


def test_a_value_that_the_flag_does_not_have_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="not among the values of the flag 'x'"):
        testing.flag("x", "a", "b").serve("c")


def test_a_flag_may_be_given_as_it_travels() -> None:
    flags = testing.client()
    flags.put(
        {
            "key": "x",
            "type": "string",
            "enabled": True,
            "variations": [{"key": "v", "value": "here"}],
            "fallthrough": {"rollout": {"buckets": [{"variation": "v", "weight": 100_000}]}},
        }
    )
    assert flags.string("x", ALICE, "") == "here"
    with pytest.raises(MalformedDocument):
        flags.put({"key": "x", "enabled": "perhaps"})


def test_segments_and_the_environment_are_seen_by_rules() -> None:
    flags = testing.client()
    region = {"kind": "environment", "attribute": "region", "op": "equals", "values": ["eu"]}
    flags.put(testing.flag("x", "no", "yes").when("yes", {"op": "segment", "values": ["beta"]}))
    flags.put(testing.flag("y", "no", "yes").when("yes", region))
    flags.put_segment({"key": "beta", "included": [{"keys": ["alice"]}]})
    flags.set_environment(region="eu")
    assert flags.all_flags(ALICE) == {"x": "yes", "y": "yes"}


def test_callbacks_are_called_as_by_a_real_client() -> None:
    flags = testing.client({"x": True})
    flags.put(testing.flag("y").when(False, {"op": "segment", "values": ["beta"]}))
    everything: list[Change] = []
    only_y: list[Change] = []
    flags.on_change(everything.append)
    leave = flags.on_change("y", only_y.append)
    flags.set("x", False)
    flags.put_segment({"key": "beta"})
    leave()
    flags.remove("y")
    assert everything == [Change(frozenset(key)) for key in "xyy"]
    assert only_y == [Change(frozenset("y"))]
    assert flags.variation("y", ALICE, "mine") == "mine"


async def test_the_same_exists_for_asyncio() -> None:
    async with testing.async_client({"x": True}) as flags:
        await flags.start()
        assert await flags.wait_ready(0)
        assert flags.boolean("x", ALICE, False)
        assert flags.status.since <= datetime.now(UTC)
    await flags.close()
    assert flags.status.state is State.OFFLINE
