from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from halyard_protocol.messages import Changes, Snapshot, decode_server_message
from halyard_protocol.ruleset import Flag, MalformedFlag
from halyard_protocol.session.replica import (
    Changed,
    Replica,
    advanced,
    difference,
    from_snapshot,
    to_snapshot,
    with_changes,
)
from hypothesis import given
from hypothesis import strategies as st


def flag(key: str, version: int = 1, **more: Any) -> dict[str, Any]:
    return {"key": key, "version": version, **more}


def snapshot(
    *flags: Any, seq: int = 1, epoch: str = "1.0", segments: Any = (), environment: Any = None
) -> Snapshot:
    message = {
        "type": "snapshot",
        "epoch": epoch,
        "seq": seq,
        "environment": {"key": "dev"} if environment is None else environment,
        "flags": flags,
        "segments": segments,
    }
    decoded = decode_server_message(json.dumps(message))
    assert isinstance(decoded, Snapshot)
    return decoded


def changes(since: int, to: int, put: Any = None, delete: Any = None) -> Changes:
    message = {
        "type": "changes",
        "epoch": "1.0",
        "from": since,
        "to": to,
        "put": put or {},
        "delete": delete or {},
    }
    decoded = decode_server_message(json.dumps(message))
    assert isinstance(decoded, Changes)
    return decoded


def test_a_snapshot_becomes_exactly_what_it_holds() -> None:
    replica = from_snapshot(
        snapshot(flag("a"), flag("b"), seq=7, segments=[{"key": "s", "version": 3}])
    )
    assert (replica.epoch, replica.seq) == ("1.0", 7)
    assert set(replica.ruleset.flags) == {"a", "b"}
    assert set(replica.ruleset.segments) == {"s"}
    assert replica.ruleset.environment.key == "dev"


def test_a_malformed_flag_costs_only_itself() -> None:
    replica = from_snapshot(snapshot(flag("good"), flag("bad", enabled="perhaps")))
    assert isinstance(replica.ruleset.flags["good"], Flag)
    assert isinstance(replica.ruleset.flags["bad"], MalformedFlag)


def test_a_flag_without_a_readable_key_is_left_out() -> None:
    replica = from_snapshot(snapshot(flag("good"), {"version": 1}, ["no flag"], None))
    assert set(replica.ruleset.flags) == {"good"}


def test_a_malformed_segment_is_one_that_nobody_is_in() -> None:
    replica = from_snapshot(snapshot(segments=[{"key": "s", "included": "everybody"}]))
    assert replica.ruleset.segments["s"].included == ()


def test_a_malformed_environment_leaves_the_former_in_place() -> None:
    before = from_snapshot(snapshot(environment={"key": "dev", "attributes": {"region": "eu"}}))
    after, changed = with_changes(before, changes(1, 2, {"environment": {"key": 5}}))
    assert after.ruleset.environment == before.ruleset.environment
    assert changed.environment


def test_changes_put_and_delete_together() -> None:
    before = from_snapshot(snapshot(flag("a"), flag("b"), segments=[{"key": "s"}]))
    delta = changes(1, 2, {"flags": [flag("a", 2), flag("c", 2)]}, {"flags": ["b"]})
    after, changed = with_changes(before, delta)
    assert set(after.ruleset.flags) == {"a", "c"}
    assert changed == Changed(frozenset({"a", "b", "c"}), frozenset(), environment=False)
    assert after.seq == 2
    assert set(before.ruleset.flags) == {"a", "b"}, "the former replica is never changed"


def test_what_a_delta_does_not_touch_is_shared_not_copied() -> None:
    before = from_snapshot(snapshot(flag("a"), segments=[{"key": "s"}]))
    after, _ = with_changes(before, changes(1, 2, {"flags": [flag("a", 2)]}))
    assert after.segments is before.segments
    assert after.ruleset.environment is before.ruleset.environment


def test_a_delta_that_puts_what_is_there_changes_nothing() -> None:
    before = from_snapshot(snapshot(flag("a")))
    after, changed = with_changes(before, changes(1, 2, {"flags": [flag("a")]}))
    assert not changed
    assert after.seq == 2
    assert after.ruleset is before.ruleset


def test_deleting_what_is_not_there_changes_nothing() -> None:
    before = from_snapshot(snapshot(flag("a")))
    _, changed = with_changes(before, changes(1, 2, delete={"flags": ["x"], "segments": ["y"]}))
    assert not changed


def test_a_delta_of_the_environment_says_so() -> None:
    before = from_snapshot(snapshot(flag("a")))
    put = {"environment": {"key": "dev", "attributes": {"region": "us"}}}
    after, changed = with_changes(before, changes(1, 2, put))
    assert changed == Changed(environment=True)
    assert after.ruleset.environment.attributes == {"region": "us"}


def test_a_further_snapshot_reads_only_what_differs() -> None:
    first = from_snapshot(snapshot(flag("a"), flag("b")))
    second = from_snapshot(snapshot(flag("a"), flag("b", 2), seq=2), first)
    assert second.ruleset.flags["a"] is first.ruleset.flags["a"]
    assert second.ruleset.flags["b"] is not first.ruleset.flags["b"]
    assert difference(first, second) == Changed(flags=frozenset({"b"}))


def test_a_difference_between_true_and_one_is_a_difference() -> None:
    one = from_snapshot(snapshot(flag("a", variations=[{"key": "v", "value": 1}])))
    true = from_snapshot(snapshot(flag("a", variations=[{"key": "v", "value": True}]), seq=1))
    assert difference(one, true).flags == {"a"}


def test_everything_differs_from_nothing() -> None:
    replica = from_snapshot(snapshot(flag("a"), segments=[{"key": "s"}]))
    assert difference(None, replica) == Changed(frozenset("a"), frozenset("s"), environment=True)


def test_time_that_was_checked_only_moves_forward() -> None:
    replica = from_snapshot(snapshot(seq=5))
    assert advanced(replica, 9).seq == 9
    assert advanced(replica, 4) is replica


def test_a_replica_survives_being_written_down_even_what_it_could_not_read() -> None:
    replica = from_snapshot(
        snapshot(flag("bad", enabled="perhaps"), flag("new", later={"x": 1}), seq=4)
    )
    message = decode_server_message(to_snapshot(replica))
    assert isinstance(message, Snapshot)
    again = from_snapshot(message)
    assert again == replica
    assert b'"later"' in again.flags.sources["new"]


documents = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3), max_size=6)


def as_snapshot(state: dict[str, int], seq: int) -> Snapshot:
    return snapshot(*(flag(key, version) for key, version in state.items()), seq=seq)


@given(st.lists(documents, min_size=2, max_size=6))
def test_a_snapshot_and_its_changes_equal_a_fresh_snapshot(states: list[dict[str, int]]) -> None:
    replica: Replica = from_snapshot(as_snapshot(states[0], 0))
    for seq, (old, new) in enumerate(pairwise(states), start=1):
        put = {"flags": [flag(k, v) for k, v in new.items() if old.get(k) != v]}
        delta = changes(seq - 1, seq, put, {"flags": [key for key in old if key not in new]})
        before, (replica, changed) = replica, with_changes(replica, delta)
        fresh = from_snapshot(as_snapshot(new, seq))
        assert replica.ruleset == fresh.ruleset
        assert changed == difference(before, fresh)
