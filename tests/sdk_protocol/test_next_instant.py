"""How long an answer stays true: exactly, where that is promised, and never for too long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from halyard_protocol.bucketing import bucket
from halyard_protocol.conditions import All, AnyOf, Condition, Leaf, Not, Unknown
from halyard_protocol.context import Context
from halyard_protocol.evaluation import Detail, evaluate
from halyard_protocol.instants import instant_ms
from halyard_protocol.next_instant import is_timeless, next_instant
from halyard_protocol.ruleset import (
    TOTAL_WEIGHT,
    Bucket,
    Environment,
    Flag,
    MalformedFlag,
    Prerequisite,
    Ramp,
    Rollout,
    Rule,
    Ruleset,
    Segment,
    SegmentKeys,
    SegmentRule,
    Serve,
    Target,
    Variation,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.rulesets import (
    FLAGS,
    NOW_MS,
    SEGMENTS,
    contexts,
    flags,
    instants,
    ramps,
    rulesets,
    segments,
    strange_contexts,
    tuples_of,
)

DAY_MS = 86_400_000
MINUTE_MS = 60_000
ENVIRONMENT = Environment("test")
ALICE = Context.of("alice")
ON, OFF = Serve("on"), Serve("off")


def at(text: str) -> int:
    return instant_ms(datetime.fromisoformat(text).replace(tzinfo=UTC))


CALENDAR, CALENDAR_END = at("0001-01-01T00:00"), at("9999-12-31T00:00") + DAY_MS


def moment(ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def flag(key: str = "one", **parts: Any) -> Flag:
    plain = Flag(
        key=key,
        enabled=True,
        variations=(Variation("on", True), Variation("off", False)),
        off_variation="off",
        fallthrough=OFF,
        salt="s",
    )
    return msgspec.structs.replace(plain, **parts)


def ruleset_of(*held: Flag | MalformedFlag, segments: tuple[Segment, ...] = ()) -> Ruleset:
    return Ruleset(
        ENVIRONMENT, {each.key: each for each in held}, {each.key: each for each in segments}
    )


def ruled(*conditions: Condition, **parts: Any) -> Ruleset:
    rules = tuple(Rule(str(nr), when, ON) for nr, when in enumerate(conditions))
    return ruleset_of(flag(rules=rules, **parts))


def time_leaf(attribute: str, op: str, *values: Any, zone: str | None = None) -> Leaf:
    return Leaf(op, values, attribute, "time", zone)


def following(ruleset: Ruleset, now_ms: int = NOW_MS, context: Context = ALICE) -> int | None:
    return next_instant(ruleset, "one", context, now_ms)


def answer(ruleset: Ruleset, now_ms: int, context: Context = ALICE) -> Detail:
    return evaluate(ruleset, "one", context, None, now_ms)


# The property: nothing changes before.

timed_leaves: st.SearchStrategy[Condition] = (
    st.builds(
        Leaf,
        op=st.sampled_from(
            ["before", "after", "equals", "notIn", "lessThan", "greaterThanOrEqual"]
        ),
        values=tuples_of(
            st.integers(NOW_MS - 5, NOW_MS + 5)
            | st.floats(NOW_MS - 5, NOW_MS + 5)
            | st.sampled_from(["2026-06-15T12:00:00.002Z", "2026-06-16"]),
            2,
        ),
        attribute=st.sampled_from(["now", "/now"]),
        kind=st.just("time"),
    )
    | st.builds(
        Leaf,
        op=st.sampled_from(["equals", "lessThan", "greaterThan", "olderThan", "exists"]),
        values=tuples_of(st.integers(0, 59) | st.just("P1D"), 2),
        attribute=st.sampled_from(["hour", "minute", "weekday", "/minute"]),
        kind=st.just("time"),
        zone=st.sampled_from([None, "Europe/Berlin", "Asia/Kathmandu"]),
    )
    | st.builds(
        Leaf,
        op=st.sampled_from(["olderThan", "newerThan"]),
        values=tuples_of(st.sampled_from(["P1D", "P1M", "PT1H", "P1M2D", "P1Y", "PT0S"]), 2),
        attribute=st.sampled_from(["joined", "moments"]),
    )
    | st.builds(
        Leaf, op=st.just("segment"), values=tuples_of(st.sampled_from(SEGMENTS), 2).map(tuple)
    )
)
timed_conditions = st.recursive(
    timed_leaves | st.just(Leaf("equals", ("alice",), "key")),
    lambda inner: tuples_of(inner, 3).map(All) | tuples_of(inner, 3).map(AnyOf) | inner.map(Not),
    max_leaves=4,
)
timed_serves = st.sampled_from([ON, OFF]) | st.builds(
    Serve,
    rollout=st.builds(Rollout, ramp=ramps)
    | st.builds(
        Rollout,
        kind=st.just("time"),
        by=st.sampled_from(["now", "minute", "date", "key"]),
        buckets=st.just((Bucket("on", 50_000), Bucket("off", 50_000))),
    ),
)
timed_rules = st.builds(
    Rule,
    st.just("r"),
    when=timed_conditions,
    serve=timed_serves,
    enabled=st.sampled_from([True, True, False]),
)
timed_flags = st.builds(
    lambda plain, rules, fallthrough: msgspec.structs.replace(
        plain, enabled=True, rules=rules, fallthrough=fallthrough
    ),
    st.sampled_from(FLAGS).flatmap(flags),
    tuples_of(timed_rules, 3),
    timed_serves,
)
timed_segments = st.builds(
    lambda plain, rules: msgspec.structs.replace(plain, rules=rules),
    st.sampled_from(SEGMENTS).flatmap(segments),
    tuples_of(
        st.builds(
            SegmentRule,
            id=st.just("r"),
            when=timed_conditions,
            kind=st.sampled_from(["user", "user", "time"]),
            by=st.sampled_from(["key", "minute"]),
            weight=st.none() | st.integers(0, TOTAL_WEIGHT),
        ),
        2,
    ),
)
timed_rulesets = st.builds(
    lambda held, named: ruleset_of(*held, segments=tuple(named)),
    st.lists(timed_flags, min_size=1, max_size=4),
    st.lists(timed_segments, max_size=3),
)
joined = st.builds(
    lambda a, b: Context.of({"key": "alice", "joined": a, "moments": [a, b, "no"]}),
    st.integers(NOW_MS - 40 * DAY_MS, NOW_MS + DAY_MS),
    st.floats(NOW_MS - 40 * DAY_MS, NOW_MS + DAY_MS),
)


def assert_steady(ruleset: Ruleset, context: Context, now_ms: int, data: st.DataObject) -> None:
    for key in ruleset.flags:
        end = next_instant(ruleset, key, context, now_ms)
        assert end is None or end > now_ms
        present = evaluate(ruleset, key, context, None, now_ms)
        latest = now_ms + 10**12 if end is None else end - 1
        near = st.integers(max(now_ms, latest - 3), latest) | st.integers(
            now_ms, min(latest, now_ms + 3 * DAY_MS)
        )
        for later in (latest, data.draw(near), data.draw(st.integers(now_ms, latest))):
            assert evaluate(ruleset, key, context, None, later) == present
        if is_timeless(ruleset, key):
            assert end is None


@given(timed_rulesets, joined, st.integers(-40 * DAY_MS, DAY_MS), st.data())
@settings(max_examples=150)
def test_nothing_changes_before_the_next_instant(
    ruleset: Ruleset, context: Context, ms: int, data: st.DataObject
) -> None:
    assert_steady(ruleset, context, NOW_MS + ms, data)


@given(rulesets, contexts | strange_contexts, st.integers(-(10**18), 10**18), st.data())
@settings(max_examples=80)
def test_every_ruleset_has_an_answer_at_any_time(
    ruleset: Ruleset, context: Context, now_ms: int, data: st.DataObject
) -> None:
    assert_steady(ruleset, context, now_ms, data)


@given(
    st.sampled_from(["P1M", "P1Y", "P2M1D", "P400M", "P99999999Y"]),
    st.sampled_from(["olderThan", "newerThan"]),
    st.integers(-400, 400),
    st.sampled_from(
        [at("2026-03-31T12:00"), at("2028-02-29T23:59"), CALENDAR, CALENDAR_END - 40 * DAY_MS]
    ),
    st.integers(-DAY_MS, 41 * DAY_MS),
    st.data(),
)
@settings(max_examples=200)
def test_months_are_followed_through_short_and_long_ones(
    text: str, op: str, days: int, start_ms: int, ms: int, data: st.DataObject
) -> None:
    context = Context.of({"key": "alice", "joined": start_ms + days * DAY_MS})
    assert_steady(ruled(Leaf(op, (text,), "joined")), context, start_ms + ms, data)


@given(ramps, st.integers(-(10**9), 10**9), st.sampled_from(["alice", "bob", "carol"]))
def test_a_ramp_changes_exactly_then(ramp: Ramp, ms: int, key: str) -> None:
    rollout = Rollout(ramp=msgspec.structs.replace(ramp, variation="on", otherwise="off"))
    ruleset, context = ruleset_of(flag(fallthrough=Serve(rollout=rollout))), Context.of(key)
    end = following(ruleset, NOW_MS + ms, context)
    present = answer(ruleset, NOW_MS + ms, context)
    if end is None:
        assert answer(ruleset, max(NOW_MS + ms, instant_ms(ramp.to)), context) == present
    else:
        assert answer(ruleset, end - 1, context) == present
        assert answer(ruleset, end, context).variation != present.variation


# Each source by itself.

LATER = NOW_MS + 1_000


def test_a_flag_expires() -> None:
    ruleset = ruleset_of(flag(expires_at=moment(LATER)))
    assert following(ruleset) == LATER
    assert following(ruleset, LATER) is None
    assert not is_timeless(ruleset, "one")


@pytest.mark.parametrize("held", [flag(), flag(enabled=False, expires_at=moment(LATER))])
def test_a_flag_without_times_never_changes_nor_does_one_that_is_off(held: Flag) -> None:
    assert following(ruleset_of(held)) is None
    assert is_timeless(ruleset_of(held), "one")


def test_an_unknown_and_a_malformed_flag_never_change() -> None:
    ruleset = ruleset_of(MalformedFlag("one", 1, "broken"))
    for key in ("one", "gone"):
        assert next_instant(ruleset, key, ALICE, NOW_MS) is None
        assert is_timeless(ruleset, key)


def test_a_target_expires_for_those_it_lists() -> None:
    targets = (
        Target("on", keys=("alice",), expires_at=moment(LATER)),
        Target("off", keys=("bob",)),
    )
    ruleset = ruleset_of(flag(targets=targets))
    assert following(ruleset) == LATER
    assert following(ruleset, LATER) is None
    assert following(ruleset, context=Context.of("bob")) is None
    assert not is_timeless(ruleset, "one")


def test_rules_wait_behind_a_target() -> None:
    ruleset = ruleset_of(
        flag(
            targets=(Target("on", keys=("alice",)),),
            rules=(Rule("r", time_leaf("now", "after", LATER), ON),),
        )
    )
    assert following(ruleset) is None
    assert following(ruleset, context=Context.of("bob")) == LATER + 1


@pytest.mark.parametrize(
    ("op", "changes"),
    [
        ("before", [LATER]),
        ("lessThan", [LATER]),
        ("greaterThanOrEqual", [LATER]),
        ("after", [LATER + 1]),
        ("greaterThan", [LATER + 1]),
        ("lessThanOrEqual", [LATER + 1]),
        ("equals", [LATER, LATER + 1]),
        ("notIn", [LATER, LATER + 1]),
        ("exists", []),
        ("startsWith", []),
    ],
)
def test_now_is_compared_exactly(op: str, changes: list[int]) -> None:
    values = ("2",) if op == "startsWith" else () if op == "exists" else (LATER,)
    ruleset = ruled(time_leaf("now", op, *values))
    found, now_ms = [], following(ruleset)
    while now_ms is not None:
        assert answer(ruleset, now_ms) != answer(ruleset, now_ms - 1)
        found.append(now_ms)
        now_ms = following(ruleset, now_ms)
    assert found == changes


def test_the_first_of_several_instants_is_next() -> None:
    text = moment(LATER).isoformat()
    assert following(ruled(time_leaf("now", "before", LATER + 5, text))) == LATER


@pytest.mark.parametrize(
    ("attribute", "zone", "now", "changes"),
    [
        ("minute", None, "2026-06-15T12:00:30", "2026-06-15T12:01:00"),
        ("hour", None, "2026-06-15T12:50:00", "2026-06-15T13:00:00"),
        ("hour", "Asia/Kathmandu", "2026-06-15T12:10:00", "2026-06-15T12:15:00"),
        ("weekday", "Europe/Berlin", "2026-06-15T21:59:00", "2026-06-15T22:00:00"),
        ("date", "Africa/Monrovia", "1960-01-02T00:40:00", "1960-01-02T00:44:30"),
        ("hour", "America/St_Johns", "2010-11-07T02:30:30", "2010-11-07T02:31:00"),
    ],
)
def test_the_clock_is_local(attribute: str, zone: str | None, now: str, changes: str) -> None:
    value = {"date": "1960-01-01"}.get(attribute, 1)
    assert following(ruled(time_leaf(attribute, "equals", value, zone=zone)), at(now)) == at(
        changes
    )


@pytest.mark.parametrize("attribute", ["hour", "minute", "weekday", "date"])
@pytest.mark.parametrize(
    ("zone", "start"),
    [
        ("Europe/Berlin", "2026-03-29T00:00"),
        ("Australia/Lord_Howe", "2026-04-04T14:00"),
        ("America/St_Johns", "2010-11-07T01:00"),
        ("America/St_Johns", "2010-11-07T02:07"),
        ("Africa/Monrovia", "1972-01-06T23:00"),
        ("Pacific/Apia", "2011-12-30T09:00"),
        ("Nowhere", "2026-01-01T00:00"),
    ],
)
def test_the_clock_is_followed_where_it_is_set(attribute: str, zone: str, start: str) -> None:
    values = {"date": [f"2011-12-{day}" for day in (29, 31)]}.get(attribute, list(range(0, 60, 2)))
    ruleset = ruled(time_leaf(attribute, "in", *values, zone=zone))
    begin = at(start)
    promised, present = begin, answer(ruleset, begin)
    for now_ms in range(begin, begin + 4 * 60 * MINUTE_MS, 30_000):
        if now_ms >= promised:
            promised = following(ruleset, now_ms) or begin + DAY_MS
            present = answer(ruleset, now_ms)
        assert answer(ruleset, now_ms) == present


def test_years_beyond_the_calendar_end() -> None:
    ruleset = ruled(time_leaf("hour", "exists"))
    for now_ms in (-(10**18), at("0001-01-01T00:00") - 1, at("9999-12-31T23:59")):
        end = following(ruleset, now_ms)
        assert end is not None
        assert end > now_ms
    assert following(ruleset, 10**18) is None


def test_a_duration_passes() -> None:
    context = Context.of({"key": "alice", "joined": NOW_MS - DAY_MS + 1_000})
    older, newer = (ruled(Leaf(op, ("P1D",), "joined")) for op in ("olderThan", "newerThan"))
    assert following(older, context=context) == LATER + 1
    assert following(older, LATER + 1, context) is None
    assert following(newer, context=context) == LATER
    assert following(newer, LATER, context) is None
    assert not is_timeless(newer, "one")
    assert following(newer, context=Context.of({"joined": "soon"})) is None


def test_a_month_passes_within_a_day_or_is_looked_at_again_by_midnight() -> None:
    ruleset = ruled(Leaf("olderThan", ("P1M",), "joined"))
    context = Context.of({"joined": "2026-01-15T09:00:00Z"})
    for now, changes in {
        "2026-01-20T00:00": "2026-02-12T09:00",
        "2026-02-12T10:00": "2026-02-13T00:00",
        "2026-02-15T08:00": "2026-02-15T09:00:00.001",
    }.items():
        assert following(ruleset, at(now), context) == at(changes)
    long_ago = following(ruleset, at("2026-04-20T00:00"), context)
    assert long_ago == CALENDAR_END


@pytest.mark.parametrize("op", ["olderThan", "newerThan"])
@pytest.mark.parametrize("begin", [CALENDAR, CALENDAR_END])
def test_now_itself_is_a_month_old_at_no_time_but_at_the_ends_of_the_calendar(
    op: str, begin: int
) -> None:
    ruleset = ruled(time_leaf("now", op, "P1M"))
    for now_ms in range(begin - 3, begin + 3):
        changed = answer(ruleset, now_ms + 1) != answer(ruleset, now_ms)
        assert following(ruleset, now_ms) == now_ms + 1 or not changed
    assert following(ruleset) in (None, CALENDAR_END)


def test_what_cannot_matter_is_left_out() -> None:
    window, germans = time_leaf("hour", "lessThan", 9), Leaf("equals", ("DE",), "country")
    german = Context.of({"key": "alice", "country": "DE"})
    for condition in (All((window, germans)), Not(AnyOf((Not(germans), Not(window))))):
        assert following(ruled(condition)) is None
        assert following(ruled(condition), context=german) is not None
    assert following(ruled(AnyOf((germans, window))), context=german) is None
    assert following(ruled(germans, window), context=german) is None
    assert following(ruled(germans, window)) is not None


def test_rules_that_never_match_have_no_time() -> None:
    leaf = time_leaf("now", "before", LATER)
    assert following(ruled(All((leaf, Unknown("?"))))) is None
    assert is_timeless(ruled(All((leaf, Unknown("?")))), "one")
    disabled = ruleset_of(flag(rules=(Rule("r", leaf, ON, enabled=False),)))
    assert following(disabled) is None
    assert is_timeless(disabled, "one")


def ramp_of(start: int, end: int, **parts: Any) -> Rollout:
    ramp = Ramp("on", "off", from_=moment(NOW_MS), to=moment(NOW_MS + DAY_MS), start=start, end=end)
    return Rollout(**{"ramp": ramp, **parts})


@pytest.mark.parametrize(("start", "end"), [(0, TOTAL_WEIGHT), (TOTAL_WEIGHT, 0)])
def test_a_ramp_reaches_one_context_at_one_instant(start: int, end: int) -> None:
    ruleset = ruleset_of(flag(fallthrough=Serve(rollout=ramp_of(start, end))))
    share = bucket("one", "s", "alice")
    reached = share if start == 0 else 1 - share
    crossing = following(ruleset, NOW_MS - DAY_MS)
    assert crossing is not None
    assert abs(crossing - (NOW_MS + reached * DAY_MS)) <= DAY_MS / TOTAL_WEIGHT + 1
    assert answer(ruleset, crossing).variation != answer(ruleset, crossing - 1).variation
    assert following(ruleset, crossing) is None
    assert not is_timeless(ruleset, "one")


@pytest.mark.parametrize(
    "rollout",
    [
        ramp_of(50_000, 50_000),
        ramp_of(0, 1),
        ramp_of(0, TOTAL_WEIGHT, buckets=(Bucket("on", TOTAL_WEIGHT),)),
    ],
)
def test_a_ramp_that_never_reaches_a_context_changes_nothing(rollout: Rollout) -> None:
    assert following(ruleset_of(flag(fallthrough=Serve(rollout=rollout)))) is None


def test_a_share_of_the_minutes_changes_with_them() -> None:
    rollout = Rollout(kind="time", by="minute", buckets=(Bucket("on", 1), Bucket("off", 99_999)))
    held = flag(fallthrough=Serve(rollout=rollout))
    assert following(ruleset_of(held)) == NOW_MS + MINUTE_MS
    assert not is_timeless(ruleset_of(held), "one")
    by_now = msgspec.structs.replace(rollout, by="now")
    assert following(ruleset_of(flag(fallthrough=Serve(rollout=by_now)))) == NOW_MS + 1


def segment(key: str, *conditions: Condition, **parts: Any) -> Segment:
    rules = tuple(SegmentRule("r", when) for when in conditions)
    return Segment(key=key, **{"rules": rules, **parts})


def test_a_segment_of_a_segment_has_its_time() -> None:
    outer = segment("outer", Leaf("segment", ("inner", "gone")))
    inner = segment("inner", time_leaf("now", "before", LATER), Leaf("segment", ("outer",)))
    rule = Rule("r", Leaf("notSegment", ("outer",)), ON)
    ruleset = ruleset_of(flag(rules=(rule,)), segments=(outer, inner))
    assert following(ruleset) == LATER
    assert not is_timeless(ruleset, "one")
    listed = segment(
        "inner", *(r.when for r in inner.rules), excluded=(SegmentKeys(keys=("alice",)),)
    )
    ruleset = ruleset_of(flag(rules=(rule,)), segments=(outer, listed))
    assert following(ruleset) is None


def test_a_segment_that_takes_a_share_of_the_minutes_has_their_time() -> None:
    rules = (SegmentRule("r", All(()), kind="time", by="minute", weight=50_000),)
    ruleset = ruleset_of(
        flag(rules=(Rule("r", Leaf("segment", ("odd",)), ON),)),
        segments=(segment("odd", rules=rules),),
    )
    assert following(ruleset) == NOW_MS + MINUTE_MS
    assert not is_timeless(ruleset, "one")


def test_a_prerequisite_of_a_prerequisite_has_its_time_also_in_a_circle() -> None:
    def requiring(key: str, *names: str, **parts: Any) -> Flag:
        required = tuple(Prerequisite(name, ("off",)) for name in names)
        return flag(key, prerequisites=required, **parts)

    chain = (requiring("one", "two", "gone"), requiring("two", "three"))
    third = requiring("three", "one", expires_at=moment(LATER))
    assert following(ruleset_of(*chain, third)) == LATER
    assert not is_timeless(ruleset_of(*chain, third), "one")
    off = msgspec.structs.replace(third, enabled=False)
    assert following(ruleset_of(*chain, off)) is None
    assert is_timeless(ruleset_of(*chain, off), "one")


def test_a_thousand_flags_one_behind_the_other_are_no_danger() -> None:
    chain = [flag(f"f{nr}", prerequisites=(Prerequisite(f"f{nr + 1}"),)) for nr in range(1_000)]
    ruleset = ruleset_of(*chain, flag("f1000", expires_at=moment(LATER)))
    assert next_instant(ruleset, "f0", ALICE, NOW_MS) == LATER


def test_an_instant_that_no_calendar_has_is_cut_off() -> None:
    ruleset = ruled(Leaf("newerThan", ("P1D",), "joined"))
    end = following(ruleset, context=Context.of({"joined": 10**400}))
    assert end == CALENDAR_END


@given(instants)
def test_an_expiry_is_taken_in_any_offset(expires_at: datetime) -> None:
    end = following(ruleset_of(flag(expires_at=expires_at)))
    assert end == (instant_ms(expires_at) if instant_ms(expires_at) > NOW_MS else None)
