"""Random contexts and rulesets: sound ones, and such as no server should ever send."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import msgspec
from halyard_protocol.codec import decode_flag, decode_segment
from halyard_protocol.conditions import (
    MAX_DEPTH,
    OPERATORS,
    SEGMENT_OPERATORS,
    VALUELESS_OPERATORS,
    All,
    AnyOf,
    Condition,
    Leaf,
    Not,
    Unknown,
    condition_from_json,
)
from halyard_protocol.context import Context
from halyard_protocol.ruleset import (
    TOTAL_WEIGHT,
    Bucket,
    Environment,
    Flag,
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
from hypothesis import strategies as st

T = TypeVar("T")

NOW_MS = 1_781_524_800_000
"""2026-06-15T12:00:00Z."""

FLAGS = ("one", "two", "three", "four")
SEGMENTS = ("staff", "beta", "trial")
VARIATIONS = ("on", "off", "other")
KINDS = ("user", "organization", "group", "environment", "device")
LISTED_KINDS = ("user", "organization", "group", "role", "device")
ATTRIBUTES = ("key", "country", "version", "joined", "address", "/plan/tier", "groups", "n")
WORDS = (
    "alice", "DE", "US", "2.1.0", "2.1", "1.0.0-rc.1", "2026-01-01T00:00:00Z", "2026-06-15",
    "10.0.0.1", "10.0.0.0/8", "::1", "P7D", "PT1H", "^a", "(", "beta", "staff", "", "zo\u00eb",
)  # fmt: skip

texts = st.sampled_from(WORDS) | st.text(max_size=5)
numbers = st.integers(-3, 3) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
scalars: st.SearchStrategy[Any] = st.none() | st.booleans() | numbers | texts
json_values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


class Stranger:
    """An attribute's value that is no JSON, and resents being looked at."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __bool__(self) -> bool:
        raise RuntimeError

    def __hash__(self) -> int:
        raise RuntimeError


class Word(str):
    """A string of a class of its own, which writes itself in another way."""

    __slots__ = ()

    def __str__(self) -> str:
        return "another"

    def __format__(self, form: str) -> str:
        return "another"


strange_values: st.SearchStrategy[Any] = (
    json_values
    | st.sampled_from(WORDS).map(Word)
    | st.lists(st.sampled_from(WORDS).map(Word), max_size=2)
    | st.just(MappingProxyType({"tier": "DE"}))
    | st.lists(scalars, max_size=3).map(tuple)
    | st.floats()
    | st.text(st.characters(), max_size=3)
    | st.just("\ud800")
    | st.just(10**4000)
    | st.builds(Stranger)
    | st.just([Stranger(), "DE"])
    | st.just({"tier": Stranger()})
    | st.just((1, b"bytes", object))
)


def tuples_of(items: st.SearchStrategy[T], size: int) -> st.SearchStrategy[tuple[T, ...]]:
    """Tuples of up to ``size``."""
    return st.lists(items, max_size=size).map(tuple)


class Near(NamedTuple):
    """Operators, and values and attributes so near to each other that each operator tells."""

    operators: tuple[str, ...]
    values: tuple[Any, ...]
    """All understood by each of the operators."""
    attributes: tuple[Any, ...] = ()
    """Beside the values."""


_WEEK_AGO_MS = NOW_MS - 7 * 86_400_000
_MONTH_AGO_MS = NOW_MS - 31 * 86_400_000

NEAR = {
    "n": Near(
        ("greaterThan", "greaterThanOrEqual", "lessThan", "lessThanOrEqual"),
        (-1, 0, 1, 1.5, 2, 2**53, 2**53 + 1),
        (-0.0, 1.0, 2.0, True, False, "1"),
    ),
    "country": Near(
        ("startsWith", "notStartsWith", "endsWith", "notEndsWith", "matches", "notMatches"),
        ("", "a", "ab", "b", "ba", "^a", "b$"),
        ("aba", "B", 1),
    ),
    "plan": Near(
        ("equals", "notEquals", "in", "notIn", "contains", "notContains"),
        ("a", "ab", "", 0, 1, 1.0, 1.5, 2**53, True, False),
        ("b", -0.0, 2.0**53, 2**53 + 1),
    ),
    "version": Near(
        ("semverEquals", "semverGreaterThan", "semverLessThan"),
        ("1", "1.0.0-rc.1", "1.0.0+b", "1.0.1", "1.1", "1.10", "2.0.0-a"),
        ("1.0.0-rc.2", "1.0.0", "1.2.0", "v1", 1),
    ),
    "joined": Near(
        ("before", "after"),
        ("2026-06-15", "2026-06-15T02:00:00.001+02:00", NOW_MS, NOW_MS + 0.5, "2026-06-16"),
        ("2026-06-15T00:00:00.001Z", NOW_MS + 1, "2026-06-15T12:00:00Z", "soon"),
    ),
    "since": Near(
        ("olderThan", "newerThan"),
        ("P7D", "P1M", "PT168H0.001S"),
        (
            *(at + more for at in (_WEEK_AGO_MS, _MONTH_AGO_MS) for more in (-1, 0, 1)),
            "2026-06-08T12:00:00Z",
            "2026-05-15T12:00:00Z",
        ),
    ),
    "address": Near(
        ("ipInRange",),
        ("10.0.0.0/8", "10.0.0.1/32", "::/0", "10.0.0.1"),
        ("10.0.0.2", "11.0.0.1", "::1", "10"),
    ),
}
"""By the attribute that is compared."""


def near_leaves(name: str) -> st.SearchStrategy[Leaf]:
    """Leaves whose values are near to each other."""
    near = NEAR[name]
    return st.builds(
        Leaf,
        op=st.sampled_from(near.operators),
        values=tuples_of(st.sampled_from(near.values), 3),
        attribute=st.just(name),
    )


def _near_attributes(name: str) -> st.SearchStrategy[Any]:
    single = st.sampled_from((*NEAR[name].values, *NEAR[name].attributes))
    return single | st.lists(single, max_size=3)


listed_keys = st.sampled_from(WORDS[:3])
_memberships = {
    "organization": listed_keys,
    "groups": st.lists(listed_keys, max_size=2),
    "roles": st.lists(listed_keys, max_size=2),
}


def _contexts(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Context]:
    names = st.sampled_from([*ATTRIBUTES[1:5], "plan", "groups", "roles", "organization", "n"])
    attributes = st.builds(
        lambda near, listed, rest, key: {**near, **listed, **rest, **key},
        st.fixed_dictionaries({}, optional={name: _near_attributes(name) for name in NEAR}),
        st.fixed_dictionaries({}, optional=_memberships),
        st.dictionaries(names, values, max_size=5),
        st.fixed_dictionaries({}, optional={"key": listed_keys}),
    )
    several = st.dictionaries(st.sampled_from((*KINDS, "role")), attributes, min_size=1, max_size=3)
    several |= st.fixed_dictionaries({"user": attributes})
    return several.map(lambda kinds: Context.of({"kind": "multi", **kinds}))


contexts = _contexts(json_values)
"""Contexts as they come over the wire."""
strange_contexts = _contexts(strange_values)
"""Contexts as careless callers build them."""


def leaves() -> st.SearchStrategy[Condition]:
    """Leaves of any operator; their values suit it only sometimes."""
    operators = sorted(OPERATORS - SEGMENT_OPERATORS - VALUELESS_OPERATORS)
    values = st.lists(scalars, max_size=3).map(tuple)
    return (
        st.builds(
            Leaf,
            op=st.sampled_from(operators),
            values=values,
            attribute=st.sampled_from(ATTRIBUTES),
            kind=st.sampled_from(KINDS),
        )
        | st.builds(
            Leaf,
            op=st.sampled_from(sorted(VALUELESS_OPERATORS)),
            attribute=st.sampled_from(ATTRIBUTES),
        )
        | st.builds(
            Leaf,
            op=st.sampled_from(sorted(SEGMENT_OPERATORS)),
            values=st.lists(st.sampled_from([*SEGMENTS, "gone"]), max_size=2).map(tuple),
        )
        | st.builds(
            Leaf,
            op=st.sampled_from(["lessThan", "equals", "after"]),
            values=values,
            attribute=st.sampled_from(["hour", "weekday", "now", "date"]),
            kind=st.just("time"),
            zone=st.sampled_from([None, "Europe/Berlin", "Nowhere"]),
        )
        | st.sampled_from(sorted(NEAR)).flatmap(near_leaves)
    )


unknown_conditions: st.SearchStrategy[Condition] = json_values.map(condition_from_json).filter(
    lambda condition: isinstance(condition, Unknown)
)

conditions: st.SearchStrategy[Condition] = st.recursive(
    leaves() | unknown_conditions,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple).map(All)
        | st.lists(inner, max_size=3).map(tuple).map(AnyOf)
        | inner.map(Not)
    ),
    max_leaves=5,
)

instants = st.builds(
    lambda ms, hours: (
        datetime(2026, 6, 15, 12, tzinfo=UTC) + timedelta(milliseconds=ms)
    ).astimezone(timezone(timedelta(hours=hours))),
    st.integers(-3, 3) | st.integers(-(10**10), 10**10),
    st.integers(-12, 12),
)

weights = st.sampled_from([0, 1, 50_000, TOTAL_WEIGHT]) | st.integers(0, TOTAL_WEIGHT)
variation_keys = st.sampled_from([*VARIATIONS[:2], *VARIATIONS])


def splits() -> st.SearchStrategy[tuple[Bucket, ...]]:
    """Buckets that add up."""
    return st.lists(st.tuples(variation_keys, weights), min_size=1, max_size=4).map(_summed)


def _summed(parts: list[tuple[str, int]]) -> tuple[Bucket, ...]:
    left, buckets = TOTAL_WEIGHT, []
    for variation, weight in parts[:-1]:
        buckets.append(Bucket(variation, min(weight, left)))
        left -= buckets[-1].weight
    return (*buckets, Bucket(parts[-1][0], left))


ramps = st.builds(
    Ramp, variation_keys, variation_keys, from_=instants, to=instants, start=weights, end=weights
)

rollouts = st.builds(
    Rollout,
    kind=st.sampled_from(KINDS),
    by=st.sampled_from(ATTRIBUTES),
    buckets=splits() | tuples_of(st.builds(Bucket, variation_keys, st.integers()), 3),
    seed=st.none() | st.integers(0, 100),
    experiment=st.none() | st.just("exp"),
) | st.builds(Rollout, ramp=ramps)

serves = st.builds(Serve, variation=variation_keys) | st.builds(Serve, rollout=rollouts)
rules = st.builds(Rule, id=st.text("ab", min_size=1), when=conditions, serve=serves)
targets = st.builds(
    Target,
    variation_keys,
    kind=st.sampled_from(LISTED_KINDS),
    keys=tuples_of(listed_keys | st.sampled_from(WORDS), 3),
    expires_at=st.none() | instants,
)
prerequisites = st.builds(
    Prerequisite, st.sampled_from([*FLAGS, "gone"]), tuples_of(variation_keys, 2)
)


def flags(key: str) -> st.SearchStrategy[Flag]:
    """Flags that can be read, of up to three variations; they may name a fourth."""
    return st.builds(
        Flag,
        key=st.just(key),
        version=st.integers(0, 9),
        type=st.just("json"),
        enabled=st.sampled_from([True] * 9 + [False]),
        variations=st.sampled_from([2, 3]).map(
            lambda count: tuple(Variation(name, name.upper()) for name in VARIATIONS[:count])
        ),
        off_variation=st.none() | variation_keys,
        prerequisites=st.just(()) | tuples_of(prerequisites, 2),
        targets=tuples_of(targets, 3),
        rules=tuples_of(rules, 3),
        fallthrough=serves,
        salt=st.sampled_from(["", "a", "b"]),
        expires_at=st.none() | instants,
        client_side=st.booleans(),
        track_exposures=st.booleans(),
    )


def segments(key: str) -> st.SearchStrategy[Segment]:
    """Segments, which may name each other in any way."""
    listed = st.builds(
        SegmentKeys,
        kind=st.sampled_from(LISTED_KINDS),
        keys=tuples_of(listed_keys | st.sampled_from(WORDS), 2),
    )
    by_rule = st.builds(
        SegmentRule,
        id=st.just("r"),
        when=conditions,
        kind=st.sampled_from(KINDS),
        by=st.sampled_from(ATTRIBUTES),
        weight=st.none() | st.integers(),
    )
    return st.builds(
        Segment,
        key=st.just(key),
        included=tuples_of(listed, 1),
        excluded=tuples_of(listed, 1),
        rules=tuples_of(by_rule, 2),
        salt=st.sampled_from(["", "a"]),
    )


environments = st.builds(
    Environment, st.just("test"), st.dictionaries(st.sampled_from(ATTRIBUTES), json_values)
)

rulesets = st.builds(
    Ruleset,
    environments,
    st.fixed_dictionaries({}, optional={key: flags(key) for key in FLAGS}),
    st.fixed_dictionaries({}, optional={key: segments(key) for key in SEGMENTS}),
)


def _spoilt(source: Any, path: list[int], new: Any) -> Any:
    """The document with one part, found by following ``path``, replaced."""
    if not path or not isinstance(source, dict | list) or not source:
        return new
    step, *rest = path
    if isinstance(source, dict):
        name = sorted(source)[step % len(source)]
        return {**source, name: _spoilt(source[name], rest, new)}
    index = step % len(source)
    return [*source[:index], _spoilt(source[index], rest, new), *source[index + 1 :]]


def spoilt(documents: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Documents with one part replaced by any JSON; the key stays."""
    return st.builds(
        lambda document, path, new: {**_object(_spoilt(document, path, new)), "key": "one"},
        documents,
        st.lists(st.integers(0, 20), min_size=1, max_size=8),
        json_values,
    )


def _object(source: Any) -> dict[str, Any]:
    return source if isinstance(source, dict) else {}


def read_flag(document: Any) -> Any:
    """Read a flag's document as an SDK would."""
    return decode_flag(msgspec.json.encode(document))


def read_segment(document: Any) -> Segment:
    """Read a segment's document as an SDK would."""
    return decode_segment(msgspec.json.encode(document))


def nested(depth: int, condition: Condition) -> Condition:
    """A condition under ``depth`` groups."""
    for _ in range(depth):
        condition = All((condition,))
    return condition


DEEPEST = MAX_DEPTH
