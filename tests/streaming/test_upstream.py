"""What SDKs send back: added up as it is, bounded, written once."""

from __future__ import annotations

import json
from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest
from halyard_protocol.messages import Dropped, Exposure, Exposures, Track, TrackingEvent
from halyard_protocol.session.documents import Document, read_document
from hypothesis import given
from hypothesis import strategies as st

from eventstore.counts import (
    MAX_COUNT,
    SLOT_S,
    CountBatch,
    EventCount,
    ExposureCount,
    LossCount,
    SeenAttribute,
    SeenValue,
)
from eventstore.errors import StoreRefused, StoreUnavailable
from streaming.counters import Counters
from streaming.environment import Environment
from streaming.upstream.allowance import Allowance, Verdict
from streaming.upstream.reception import MAX_SPAN_MS, Upstream
from streaming.upstream.sampling import MAX_ELEMENTS, MAX_VALUE_LENGTH
from streaming.upstream.settings import Allowed, UpstreamSettings

ENV = "env000000001"
MIDNIGHT_S = 1_777_680_000
"""2026-05-02, in UTC: a slot begins there."""


class Sunk:
    """Where batches end: kept once by their ids, and sometimes after some trouble."""

    def __init__(self) -> None:
        self.batches: dict[str, CountBatch] = {}
        self.tried: list[str] = []
        self.troubles: list[Exception] = []
        self.keeps_all_the_same = False

    async def __call__(self, batch: CountBatch) -> None:
        self.tried.append(batch.id)
        trouble = self.troubles.pop(0) if self.troubles else None
        if trouble is None or self.keeps_all_the_same:
            self.batches[batch.id] = batch
        if trouble is not None:
            raise trouble

    def rows(self, of: type) -> list[Any]:
        return [row for each in self.batches.values() for row in each.rows if type(row) is of]

    def losses(self) -> dict[tuple[str, str], int]:
        return {(loss.what, loss.reason): loss.times for loss in self.rows(LossCount)}


class Gate:
    """An upstream with a clock of its own, and an environment that it knows."""

    def __init__(self, now_s: int = MIDNIGHT_S, **settings: Any) -> None:
        self.now_ms = now_s * 1000
        self.counters = Counters()
        self.sunk = Sunk()
        made = UpstreamSettings(**settings)
        self.upstream = Upstream(self.counters, made, clock_ms=lambda: self.now_ms)
        self.upstream.sink = self.sunk
        documents = [_flag("a"), _flag("gone", deleted=True)]
        documents += [_flag("b", clientSide=True, trackExposures=True), _flag("c", clientSide=True)]
        feed = SimpleNamespace(documents={f"flag:{each.key}": each for each in documents})
        self.environment = cast("Environment", SimpleNamespace(id=ENV, feed=feed))

    def tell(self, message: Exposures | Track, *, public: bool = False) -> bool:
        allowance = self.upstream.allowance(public=public)
        return self.upstream.receive(self.environment, allowance, message)


def _flag(key: str, **fields: Any) -> Document:
    return read_document(f"flag:{key}", json.dumps({"key": key, "version": 3, **fields}).encode())


def exposure(count: int = 1, **fields: Any) -> Exposure:
    plain: dict[str, Any] = {"version": 3, "variation": "on", "reason": "FALLTHROUGH"}
    return Exposure(count=count, **(plain | fields))


def exposures(**flags: tuple[Exposure, ...]) -> Exposures:
    return Exposures(from_=0, to=0, flags=flags)


def unavailable() -> StoreUnavailable:
    return StoreUnavailable("gone", outcome_unknown=True)


counters = st.builds(
    Exposure,
    version=st.integers(1, 3),
    variation=st.sampled_from(["on", "off", None]),
    reason=st.sampled_from(["FALLTHROUGH", "ERROR"]),
    count=st.integers(1, 1_000),
)


@given(
    told=st.lists(st.tuples(st.sampled_from("ab"), counters), max_size=30),
    order=st.randoms(use_true_random=False),
    gateways=st.integers(1, 3),
    together=st.integers(1, 5),
)
async def test_any_split_over_messages_and_gateways_in_any_order_gives_the_same_sums(
    told: list[tuple[str, Exposure]], order: Any, gateways: int, together: int
) -> None:
    expected: Counter[tuple[Any, ...]] = Counter()
    for flag, each in told:
        expected[flag, each.version, each.variation or "", each.reason] += each.count
    order.shuffle(told)
    gates = [Gate(batch_rows=3) for _ in range(gateways)]
    for place in range(0, len(told), together):
        flags: dict[str, tuple[Exposure, ...]] = {}
        for flag, each in told[place : place + together]:
            flags[flag] = (*flags.get(flag, ()), each)
        gate = order.choice(gates)
        assert gate.tell(exposures(**flags))
        if order.random() < 0.3:
            gate.sunk.troubles = [unavailable()]
            gate.sunk.keeps_all_the_same = order.random() < 0.5
            await gate.upstream.flush()
    found: Counter[tuple[Any, ...]] = Counter()
    for gate in gates:
        assert await gate.upstream.flush()
        assert await gate.upstream.flush()
        assert gate.sunk.losses() == {}
        for row in gate.sunk.rows(ExposureCount):
            found[row.flag, row.version, row.variation, row.reason] += row.times
    assert found == expected


@pytest.mark.parametrize("skew_ms", [0, -(10**12), 10**15])
@pytest.mark.parametrize(
    ("span_ms", "before_s"),
    [(0, 0), (30_000, SLOT_S), (2 * SLOT_S * 1000, SLOT_S), (10**12, MAX_SPAN_MS // 2000), (-5, 0)],
)
async def test_only_the_length_of_a_span_is_believed(
    skew_ms: int, span_ms: int, before_s: int
) -> None:
    gate = Gate()
    message = Exposures(from_=skew_ms, to=skew_ms + span_ms, flags={"a": (exposure(),)})
    gate.tell(message)
    await gate.upstream.flush()
    (row,) = gate.sunk.rows(ExposureCount)
    assert (MIDNIGHT_S - row.slot_s, row.last_at_ms) == (before_s, gate.now_ms)


async def test_either_side_of_midnight_is_counted_on_its_day() -> None:
    gate = Gate(MIDNIGHT_S - 1)
    gate.tell(exposures(a=(exposure(1),)))
    gate.now_ms += 1_000
    gate.tell(exposures(a=(exposure(2),)))
    await gate.upstream.flush()
    slots = {row.slot_s: row.times for row in gate.sunk.rows(ExposureCount)}
    assert slots == {MIDNIGHT_S - SLOT_S: 1, MIDNIGHT_S: 2}


async def test_what_is_not_known_or_not_sound_is_lost_and_told() -> None:
    gate = Gate()
    bad = (exposure(5, variation="a\0"), exposure(6, variation=""), exposure(7, version=2**60))
    gate.tell(exposures(a=(exposure(1), *bad), gone=(exposure(2),), nobody=(exposure(3),)))
    gate.tell(Exposures(0, 0, dropped=Dropped(exposures=4, events=9)))
    await gate.upstream.flush()
    assert {row.flag: row.times for row in gate.sunk.rows(ExposureCount)} == {"a": 1, "gone": 2}
    assert gate.sunk.losses() == {
        ("exposures", "unknown"): 3,
        ("exposures", "invalid"): 18,
        ("exposures", "sdk"): 4,
        ("events", "sdk"): 9,
    }
    assert gate.counters.upstream_lost == gate.sunk.losses()
    assert gate.counters.exposures == {ENV: 3}


async def test_what_an_sdk_says_that_it_lost_stays_a_number_of_which_metrics_can_be_made() -> None:
    gate = Gate()
    for _ in range(2):
        gate.tell(Exposures(0, 0, dropped=Dropped(exposures=10**400, events=2**64)))
    await gate.upstream.flush()
    assert gate.sunk.losses() == {("exposures", "sdk"): MAX_COUNT, ("events", "sdk"): MAX_COUNT}
    assert set(gate.counters.upstream_lost.values()) == {2 * MAX_COUNT}


async def test_a_client_key_counts_for_flags_that_it_is_shown() -> None:
    gate = Gate()
    gate.tell(exposures(a=(exposure(1),), b=(exposure(2),), gone=(exposure(3),)), public=True)
    await gate.upstream.flush()
    assert [row.flag for row in gate.sunk.rows(ExposureCount)] == ["b"]
    assert gate.sunk.losses() == {("exposures", "unknown"): 4}


async def test_a_client_key_counts_nothing_where_exposures_are_not_tracked() -> None:
    gate = Gate()
    gate.tell(exposures(b=(exposure(1),), c=(exposure(2),)), public=True)
    await gate.upstream.flush()
    assert [row.flag for row in gate.sunk.rows(ExposureCount)] == ["b"]
    assert gate.sunk.losses() == {}  # a page cannot know better


async def test_a_reason_of_a_later_version_is_some_other_reason() -> None:
    gate = Gate()
    gate.tell(exposures(a=(exposure(reason="FULL_MOON"), exposure(reason="NEW_MOON"))))
    await gate.upstream.flush()
    assert [(row.reason, row.times) for row in gate.sunk.rows(ExposureCount)] == [("OTHER", 2)]


async def test_there_are_so_many_different_sums_and_a_public_key_takes_no_others_room() -> None:
    gate = Gate(max_distinct=3, max_distinct_public=2)

    def versions(first: int, last: int) -> tuple[Exposure, ...]:
        return tuple(exposure(version=version) for version in range(first, last))

    gate.tell(exposures(b=versions(0, 5)), public=True)
    gate.tell(exposures(a=versions(0, 5)))
    await gate.upstream.flush()
    gate.tell(exposures(a=versions(2, 5)))
    await gate.upstream.flush()
    counted = Counter((row.flag, row.version) for row in gate.sunk.rows(ExposureCount))
    assert counted == {("b", 0): 1, ("b", 1): 1, ("a", 0): 1, ("a", 1): 1, ("a", 2): 2}
    assert sum(row.times for row in gate.sunk.rows(LossCount)) == 3 + 2 + 2
    gate.now_ms += SLOT_S * 1000
    gate.tell(exposures(a=versions(8, 9)))
    await gate.upstream.flush()
    assert gate.sunk.rows(ExposureCount)[-1].version == 8


async def test_a_batch_in_doubt_is_written_again_as_it_was_and_the_rest_waits() -> None:
    gate = Gate()
    gate.sunk.troubles = [unavailable(), TimeoutError()]
    gate.sunk.keeps_all_the_same = True
    gate.tell(exposures(a=(exposure(1),)))
    for times in (2, 4):
        assert not await gate.upstream.flush()
        gate.tell(exposures(a=(exposure(times),)))
    assert gate.upstream.waiting == 1
    assert await gate.upstream.flush()
    assert await gate.upstream.flush()
    assert len(set(gate.sunk.tried)) == 2
    assert gate.sunk.tried[:3] == gate.sunk.tried[:1] * 3
    assert sorted(row.times for row in gate.sunk.rows(ExposureCount)) == [1, 6]
    assert (gate.counters.upstream_failures, gate.counters.upstream_batches) == (2, 2)


async def test_what_does_not_fit_while_the_database_is_away_is_lost_to_that() -> None:
    gate = Gate(max_rows=2)
    gate.sunk.troubles = [unavailable()]
    gate.tell(exposures(a=(exposure(1),)))
    assert not await gate.upstream.flush()
    gate.tell(exposures(a=(exposure(2), exposure(3, version=4), exposure(5, version=5))))
    gate.upstream.sample(ENV, "alice")
    gate.tell(exposures(a=(exposure(7),)))  # of what is there already there may be more
    assert await gate.upstream.flush()
    assert await gate.upstream.flush()
    assert gate.sunk.losses() == {("exposures", "database"): 5}
    counted = Counter(row.times for row in gate.sunk.rows(ExposureCount))
    assert counted == Counter([1, 9, 3])


@pytest.mark.parametrize("trouble", [StoreRefused("no"), unavailable()])
async def test_a_batch_that_is_given_up_is_lost_and_told(trouble: Exception) -> None:
    gate = Gate(give_up_s=0)
    gate.sunk.troubles = [trouble]
    gate.tell(exposures(a=(exposure(7),)))
    gate.tell(Track((TrackingEvent("bought", 1),)))
    assert await gate.upstream.flush()
    assert await gate.upstream.flush()
    assert gate.sunk.losses() == {("exposures", "database"): 7, ("events", "database"): 1}
    assert gate.sunk.rows(ExposureCount) == []


async def test_the_end_writes_what_was_in_doubt_and_what_came_since() -> None:
    gate = Gate()
    gate.sunk.troubles = [unavailable()]
    gate.tell(exposures(a=(exposure(1),)))
    await gate.upstream.flush()
    gate.tell(exposures(a=(exposure(2),)))
    await gate.upstream.finish(5)
    assert sum(row.times for row in gate.sunk.rows(ExposureCount)) == 3


async def test_tracked_events_are_summed_up_by_name() -> None:
    gate = Gate(MIDNIGHT_S + 1)
    now = 10**15  # another clock's
    events = (
        TrackingEvent("bought", now - 60_000, {"user": "alice"}, 2.0),
        TrackingEvent("bought", now - 500, {"user": "bob"}, -1.0),
        TrackingEvent("bought", now),
        TrackingEvent("", now),
        TrackingEvent("x" * 201, now),
        TrackingEvent("a\0b", now),
        TrackingEvent("much", now, value=1e19),
    )
    gate.tell(Track(events))
    await gate.upstream.flush()
    earlier, later = sorted(gate.sunk.rows(EventCount), key=lambda row: cast("int", row.slot_s))
    assert (earlier.slot_s, earlier.times, earlier.total) == (MIDNIGHT_S - SLOT_S, 1, 2.0)
    assert (later.times, later.valued, later.least, later.most) == (2, 1, -1.0, -1.0)
    assert later.last_at_ms == gate.now_ms
    assert gate.sunk.losses() == {("events", "invalid"): 4}
    assert gate.counters.tracking_events == {ENV: 3}


def test_an_allowance_is_spent_and_earned_again() -> None:
    allowance = Allowance(Allowed(at_once=10, per_second=2), 0, public=False)
    assert allowance.spend(10, 0) is Verdict.WITHIN
    assert allowance.spend(1, 0) is Verdict.OVER
    assert allowance.spend(1, 1) is Verdict.WITHIN
    assert allowance.spend(1, 1_000) is Verdict.WITHIN
    assert allowance.spend(10, 1_000) is Verdict.OVER
    assert allowance.spend(50, 1_000) is Verdict.ABUSIVE


async def test_a_flag_without_counters_is_not_for_nothing() -> None:
    gate = Gate(of_client_keys=Allowed(at_once=10, per_second=1))
    named: dict[str, tuple[Exposure, ...]] = {f"flag-{number}": () for number in range(100)}
    assert not gate.tell(Exposures(0, 1, named), public=True)


async def test_a_flood_is_lost_and_told_and_only_who_does_not_stop_is_abusive() -> None:
    gate = Gate(of_server_keys=Allowed(at_once=10, per_second=0))
    allowance = gate.upstream.allowance(public=False)
    message = Track((TrackingEvent("bought", 1),) * 8)
    answers = [gate.upstream.receive(gate.environment, allowance, message) for _ in range(7)]
    assert answers == [True] * 6 + [False]
    await gate.upstream.flush()
    assert gate.sunk.losses() == {("events", "flood"): 48}


ALICE = {
    "kind": "multi",
    "user": {
        "key": "alice",
        "plan": "free",
        "age": 3,
        "beta": True,
        "tags": ["x", "x", "y", 1, {"deep": 1}],
        "many": list(range(100)),
        "address": {"city": "Rome"},
        "story": "s" * (MAX_VALUE_LENGTH + 1),
        "nothing": None,
        "nu\0ll": 1,
    },
    "device": {"key": "phone"},
}


async def test_a_sampled_context_shows_names_types_and_short_values() -> None:
    gate = Gate()
    for _ in range(2):
        gate.upstream.sample(ENV, ALICE)
    await gate.upstream.flush()
    types = {(row.kind, row.attribute): row.type for row in gate.sunk.rows(SeenAttribute)}
    assert types == {
        ("user", "key"): "string",
        ("user", "plan"): "string",
        ("user", "age"): "number",
        ("user", "beta"): "boolean",
        ("user", "tags"): "list",
        ("user", "many"): "list",
        ("user", "address"): "object",
        ("user", "story"): "string",
        ("device", "key"): "string",
    }
    rows = gate.sunk.rows(SeenValue)
    assert {row.seen for row in rows} == {2}
    shown = {(row.attribute, row.type, row.value) for row in rows if row.attribute != "many"}
    assert shown == {
        ("key", "string", "alice"),
        ("key", "string", "phone"),
        ("plan", "string", "free"),
        ("age", "number", "3"),
        ("beta", "boolean", "true"),
        ("tags", "string", "x"),
        ("tags", "string", "y"),
        ("tags", "number", "1"),
    }
    assert sum(row.attribute == "many" for row in rows) == MAX_ELEMENTS


async def test_keys_can_be_hashed_and_sampling_turned_off() -> None:
    hashing, off = Gate(sampling="hashed"), Gate(sampling="off")
    for gate in (hashing, off):
        gate.upstream.sample(ENV, "alice")
        gate.upstream.sample(ENV, {"key": "alice", "plan": "free"})
        await gate.upstream.flush()
    values = {row.attribute: row for row in hashing.sunk.rows(SeenValue)}
    assert values["plan"].value == "free"
    assert values["key"].seen == 2
    assert len(values["key"].value) == 16
    assert "alice" not in values["key"].value
    assert off.sunk.rows(SeenValue) == []


async def test_servers_contexts_are_sampled_and_no_more_than_enough_of_them() -> None:
    gate = Gate(max_contexts=2)
    contexts = ({"key": ""}, "a", {"key": "b"}, {"key": "c"})
    gate.tell(Exposures(0, 0, contexts=contexts), public=True)
    assert gate.upstream.waiting == 0
    gate.tell(Exposures(0, 0, contexts=contexts))
    await gate.upstream.flush()
    assert {row.value for row in gate.sunk.rows(SeenValue)} == {"a", "b"}
