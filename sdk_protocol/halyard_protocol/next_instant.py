"""When the passing of time alone can next change an answer.

Whoever keeps answers (the gateway for the values of client keys, a provider that tells of changes)
asks here how long they are good for, instead of evaluating everything again and again.

The answer may be too early, never too late. What is looked at: expiries of flags and targets, the
context kind ``time``, durations before now, and ramps, in the flag itself and in all that it
reaches through prerequisites and segments. Where rules name no segments, what cannot matter is left
out: a window of time beside a country that does not match, rules behind one that matches. Segments
are taken whole, since circles and depth make what is seen of them depend on what was seen before.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from halyard_protocol.bucketing import bucket, bucketing_value, is_within, share_at
from halyard_protocol.conditions import SEGMENT_OPERATORS, All, AnyOf, Condition, Json, Leaf, Not
from halyard_protocol.context import TIME, Context, path_steps
from halyard_protocol.instants import (
    Duration,
    before_now,
    instant_ms,
    read_duration,
    read_instant,
    time_attributes,
)
from halyard_protocol.matching import Inquiry, is_listed, is_understood, matches
from halyard_protocol.ruleset import Flag, Ramp, Ruleset, Segment, Serve

Until: TypeAlias = float
"""An instant in epoch ms, as a whole number of any size, or infinity."""

_NEVER: Final[Until] = math.inf
_MINUTE_MS: Final = 60_000
_DAY_MS: Final = 24 * 60 * _MINUTE_MS
_CALENDAR: Final = instant_ms(datetime.min.replace(tzinfo=UTC))
_CALENDAR_END: Final = instant_ms(datetime.max.replace(tzinfo=UTC)) + 1
_CALENDAR_EDGES: Final = (_CALENDAR, _CALENDAR + 1, _CALENDAR_END)
"""Where months begin and end to be taken off; and a moment after, for strict comparisons."""

_WINDOWS_MS: Final = {
    "minute": _MINUTE_MS,
    "hour": 15 * _MINUTE_MS,
    "weekday": 15 * _MINUTE_MS,
    "date": 15 * _MINUTE_MS,
}
"""Within windows of this length, counted in UTC, an attribute of ``time`` changes once at most.

A quarter of an hour, not a whole one: offsets are multiples of it, and where clocks were set back
from 00:01 to 23:01 an hour had come twice within sixty minutes.
"""

_CHANGES_AT: Final = frozenset({"before", "lessThan", "greaterThanOrEqual", "newerThan"})
_CHANGES_BEHIND: Final = frozenset({"after", "greaterThan", "lessThanOrEqual", "olderThan"})
_DURATIONS: Final = frozenset({"olderThan", "newerThan"})


def next_instant(ruleset: Ruleset, flag_key: str, context: Context, now_ms: int) -> int | None:
    """The next instant at which time alone can change what a flag answers for a context.

    In epoch ms and after ``now_ms``, at the latest the end of the calendar; None where it never
    can. From ``now_ms`` until then, the evaluation gives the same value, variation and reason.
    Total, as the evaluation is.
    """
    until = _Outlook(Inquiry(ruleset, context, now_ms)).of(flag_key)
    if until == _NEVER:
        return None
    return int(min(until, max(_CALENDAR_END, now_ms + 1)))


def is_timeless(ruleset: Ruleset, flag_key: str) -> bool:
    """Tell whether no context can ever see a change of this flag by time; worth keeping."""
    flags = _with_prerequisites(ruleset, flag_key)
    conditions = [rule.when for flag in flags for rule in flag.rules if rule.enabled]
    segments = _with_nested(ruleset, conditions)
    conditions += [rule.when for segment in segments for rule in segment.rules]
    return not (
        any(_has_times(flag) for flag in flags)
        or any(rule.kind == TIME for segment in segments for rule in segment.rules)
        or any(_is_timed(leaf) for condition in conditions for leaf in _leaves(condition))
    )


def _with_prerequisites(ruleset: Ruleset, flag_key: str) -> list[Flag]:
    """The flags that take part in deciding one, each once; those that are off have no part."""

    def enabled(key: str) -> Flag | None:
        flag = ruleset.flags.get(key)
        return flag if isinstance(flag, Flag) and flag.enabled else None

    def named(flag: Flag) -> Iterator[str]:
        return (prerequisite.flag for prerequisite in flag.prerequisites)

    return _closure([flag_key], enabled, named)


def _with_nested(ruleset: Ruleset, conditions: Iterable[Condition]) -> list[Segment]:
    """The segments that conditions name, and those that these name, each once."""

    def named(segment: Segment) -> Iterator[str]:
        return _segments_of(rule.when for rule in segment.rules)

    return _closure(_segments_of(conditions), ruleset.segments.get, named)


def _segments_of(conditions: Iterable[Condition]) -> Iterator[str]:
    for condition in conditions:
        for leaf in _leaves(condition):
            if leaf.op in SEGMENT_OPERATORS:
                yield from map(str, leaf.values)


def _closure(
    keys: Iterable[str], get: Callable[[str], Any], named: Callable[[Any], Iterable[str]]
) -> list[Any]:
    found: dict[str, Any] = {}
    waiting = list(keys)
    while waiting:
        key = waiting.pop()
        held = None if key in found else get(key)
        if held is not None:
            found[key] = held
            waiting += named(held)
    return list(found.values())


def _leaves(condition: Condition) -> Iterator[Leaf]:
    """The leaves of a rule's condition; none where it is not understood, and so never matches."""
    waiting = [condition] if is_understood(condition) else []
    while waiting:
        match waiting.pop():
            case All(children) | AnyOf(children):
                waiting += children
            case Not(child):
                waiting.append(child)
            case Leaf() as leaf:
                yield leaf


def _is_timed(leaf: Leaf) -> bool:
    return leaf.op in _DURATIONS or (leaf.kind == TIME and leaf.op not in SEGMENT_OPERATORS)


def _has_times(flag: Flag) -> bool:
    """Tell whether a flag has expiries, or serves what goes by time."""
    serves = [flag.fallthrough, *(rule.serve for rule in flag.rules if rule.enabled)]
    rollouts = [serve.rollout for serve in serves if serve.rollout is not None]
    return (
        flag.expires_at is not None
        or any(target.expires_at is not None for target in flag.targets)
        or any(rollout.ramp is not None or rollout.kind == TIME for rollout in rollouts)
    )


class _Outlook:
    """How long what one inquiry finds stays true."""

    __slots__ = ("inquiry", "now_ms", "segments")

    def __init__(self, inquiry: Inquiry) -> None:
        self.inquiry = inquiry
        self.now_ms = inquiry.now_ms
        self.segments: set[str] = set()
        """Those whose time was told already."""

    def of(self, flag_key: str) -> Until:
        """The earliest among a flag and all that it requires.

        As long as each of them decides as it does now, so does the whole, in whatever order.
        """
        flags = _closure([flag_key], self._undecided, lambda f: (p.flag for p in f.prerequisites))
        return min((self._flag(flag) for flag in flags), default=_NEVER)

    def _undecided(self, key: str) -> Flag | None:
        """A flag, unless it is off or expired: then it is that forever."""
        flag = self.inquiry.ruleset.flags.get(key)
        if not isinstance(flag, Flag) or not flag.enabled or self._is_past(flag.expires_at):
            return None
        return flag

    def _is_past(self, expires_at: datetime | None) -> bool:
        return expires_at is not None and instant_ms(expires_at) <= self.now_ms

    def _flag(self, flag: Flag) -> Until:
        until = _NEVER if flag.expires_at is None else instant_ms(flag.expires_at)
        for target in flag.targets:
            if self._is_past(target.expires_at) or not is_listed(target, self.inquiry):
                continue
            if target.expires_at is None:
                return until
            # Later targets wait for this one's end, and are asked then.
            return min(until, instant_ms(target.expires_at))
        return min(until, self._rules(flag))

    def _rules(self, flag: Flag) -> Until:
        until = _NEVER
        for rule in flag.rules:
            if not rule.enabled or not is_understood(rule.when):
                continue
            if any(leaf.op in SEGMENT_OPERATORS for leaf in _leaves(rule.when)):
                until = min(until, self._every(rule.when), self._serve(flag, rule.serve))
                continue
            holds, lasting = self._condition(rule.when)
            until = min(until, lasting)
            if holds:
                return min(until, self._serve(flag, rule.serve))
        return min(until, self._serve(flag, flag.fallthrough))

    def _every(self, condition: Condition) -> Until:
        """The earliest of all leaves, and of the segments that they name."""
        return min((self._leaf(leaf) for leaf in _leaves(condition)), default=_NEVER)

    def _condition(self, condition: Condition) -> tuple[bool, Until]:
        """Whether a condition without segments holds, and how long that lasts.

        One child that fails is enough for ``all`` to fail: so the last of them to change tells.
        """
        match condition:
            case All(children):
                return self._group(children, deciding=False)
            case AnyOf(children):
                return self._group(children, deciding=True)
            case Not(child):
                holds, until = self._condition(child)
                return not holds, until
            case Leaf():
                return matches(condition, self.inquiry), self._leaf(condition)
        return False, _NEVER

    def _group(self, children: tuple[Condition, ...], *, deciding: bool) -> tuple[bool, Until]:
        told = [self._condition(child) for child in children]
        decided = [until for holds, until in told if holds is deciding]
        if decided:
            return deciding, max(decided)
        return not deciding, min((until for _, until in told), default=_NEVER)

    def _leaf(self, leaf: Leaf) -> Until:
        if leaf.op in SEGMENT_OPERATORS:
            return min((self._segment(str(key)) for key in leaf.values), default=_NEVER)
        if leaf.kind != TIME:
            return self._durations(leaf) if leaf.op in _DURATIONS else _NEVER
        if _name(leaf.attribute) != "now":
            return min(self._time(leaf.attribute, leaf.zone), self._durations(leaf))
        if leaf.op in _DURATIONS:
            return self._soonest(_CALENDAR_EDGES)
        return self._soonest(
            at for value in leaf.values for at in _crossings(leaf.op, read_instant(value))
        )

    def _soonest(self, instants: Iterable[Until]) -> Until:
        return min((at for at in instants if at > self.now_ms), default=_NEVER)

    def _time(self, attribute: str, zone: str | None) -> Until:
        """When an attribute of the kind ``time`` changes; too early, rather than far ahead."""
        name, now_ms = _name(attribute), self.now_ms
        if name == "now":
            return now_ms + 1
        window_ms = _WINDOWS_MS.get(name)
        if window_ms is None or now_ms >= _CALENDAR_END + _DAY_MS:
            return _NEVER
        if now_ms < _CALENDAR - _DAY_MS:
            return _CALENDAR - _DAY_MS
        present = time_attributes(now_ms, zone).get(name)

        def differs(at: int) -> bool:
            return time_attributes(at, zone).get(name) != present

        end = (now_ms // window_ms + 1) * window_ms
        if not differs(end - 1):
            return end
        return now_ms + 1 + bisect_left(range(now_ms + 1, end), True, key=differs)

    def _durations(self, leaf: Leaf) -> Until:
        """When one of a leaf's durations before now passes one of the attribute's instants."""
        if leaf.op not in _DURATIONS:
            return _NEVER
        attribute = self.inquiry.attribute(leaf.kind, leaf.attribute, leaf.zone)
        elements = attribute if isinstance(attribute, list | tuple) else (attribute,)
        instants = [at for at in map(read_instant, elements) if at is not None]
        durations = [each for each in map(_duration, leaf.values) if each is not None]
        return min(
            (self._passing(leaf.op, at, each) for at in instants for each in durations),
            default=_NEVER,
        )

    def _passing(self, op: str, instant: float, duration: Duration) -> Until:
        """When now less a duration passes an instant.

        With months, time before now is even within a day of UTC, and steps back where a month is
        shorter than the next; but from 28 to 31 days a month bound where it can pass at all.
        """
        now_ms, (months, ms) = self.now_ms, duration
        if not months or not _CALENDAR <= now_ms < _CALENDAR_END:
            return self._soonest(_crossings(op, instant, ms))
        first, last = (math.floor(instant) + ms + months * days * _DAY_MS for days in (28, 31))
        if now_ms < first:
            return self._soonest((first, *_CALENDAR_EDGES))
        if now_ms > last + 1:
            return self._soonest(_CALENDAR_EDGES)
        passed_ms = now_ms - before_now(duration, now_ms)
        midnight = (now_ms // _DAY_MS + 1) * _DAY_MS
        return self._soonest((*_crossings(op, instant, passed_ms), midnight))

    def _segment(self, key: str) -> Until:
        """The earliest of all that a segment and those that it names go by, told once."""
        segment = self.inquiry.ruleset.segments.get(key)
        if segment is None or key in self.segments:
            return _NEVER
        self.segments.add(key)
        if any(is_listed(e, self.inquiry) for e in (*segment.included, *segment.excluded)):
            return _NEVER
        return min(
            (
                min(self._every(rule.when), self._bucketing(rule.kind, rule.by))
                for rule in segment.rules
            ),
            default=_NEVER,
        )

    def _bucketing(self, kind: str, by: str) -> Until:
        return self._time(by, None) if kind == TIME else _NEVER

    def _serve(self, flag: Flag, serve: Serve) -> Until:
        rollout = serve.rollout
        if rollout is None:
            return _NEVER
        by = "key" if rollout.experiment is not None else rollout.by
        until = self._bucketing(rollout.kind, by)
        if rollout.ramp is None or rollout.buckets:
            return until
        value = bucketing_value(self.inquiry.attribute(rollout.kind, by))
        number = 0.0 if value is None else bucket(flag.key, flag.salt, value, rollout.seed)
        return min(until, self._ramp(rollout.ramp, number))

    def _ramp(self, ramp: Ramp, number: float) -> Until:
        """When the share of a ramp, which only rises or only falls, passes a number."""
        begin, end = sorted((instant_ms(ramp.from_), instant_ms(ramp.to)))
        if ramp.variation == ramp.otherwise or self.now_ms >= end:
            return _NEVER
        inside = is_within(number, share_at(ramp, self.now_ms))
        following = range(max(self.now_ms + 1, begin), end + 1)
        step = bisect_left(
            following, True, key=lambda at: is_within(number, share_at(ramp, at)) is not inside
        )
        return following[step] if step < len(following) else _NEVER


def _name(attribute: str) -> str:
    """The attribute of ``time`` that a name or a path leads to; empty where it leads nowhere."""
    if not attribute.startswith("/"):
        return attribute
    steps = path_steps(attribute)
    return steps[0] if len(steps) == 1 else ""


def _duration(value: Json) -> Duration | None:
    return read_duration(value) if isinstance(value, str) else None


def _crossings(op: str, instant: float | None, later_ms: int = 0) -> tuple[Until, ...]:
    """The whole milliseconds at which comparing with an instant can give something else.

    ``op`` compares what lies ``later_ms`` before now. None and what is not finite never pass.
    """
    if instant is None:
        return ()
    reached, left = math.ceil(instant) + later_ms, math.floor(instant) + later_ms + 1
    if op in _CHANGES_AT:
        return (reached,)
    return (left,) if op in _CHANGES_BEHIND else (reached, left)
