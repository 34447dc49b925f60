"""What SDKs have counted, as it is asked for: by flag, and by environment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from halyard_protocol.problems import Problem
from msgspec import Meta

from eventstore.analytics import Analytics, LossTotal, Point, Span, Total
from eventstore.counts import SLOT_S, LossReason
from server.http.call import Call
from server.http.faults import Malformed, NotServedHere
from server.http.queries import MinSeqQuery
from server.http.reads import seen
from server.http.replies import Reply
from server.http.routes import ENVIRONMENT, SETTINGS, Route, reading

Interval: TypeAlias = Literal["10m", "1h", "6h", "1d"]

MAX_POINTS: Final = 1_000
MAX_LISTED: Final = 1_000
"""Flags, or names of events, in one answer."""

_TAG = "analytics"
_USUAL = timedelta(days=7)
_SLOT = timedelta(seconds=SLOT_S)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEPS: dict[Interval, timedelta] = {
    "10m": _SLOT,
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "1d": timedelta(days=1),
}
_RENAMED = {
    "from_": "from",
    "min_seq": "minSeq",
    "last_exposed_at": "lastExposedAt",
    "dropped_exposures": "droppedExposures",
    "dropped_events": "droppedEvents",
}

Instant: TypeAlias = Annotated[datetime, Meta(tz=True)]


class SpanQuery(MinSeqQuery, frozen=True, rename=_RENAMED):
    """Which time is asked for."""

    from_: Instant | None = None
    """Without it: a week before ``to``."""
    to: Instant | None = None
    """Without it: now."""


class SeriesQuery(SpanQuery, frozen=True, rename=_RENAMED):
    """Which time is asked for, and in which steps."""

    interval: Interval = "1h"


class VariationCount(msgspec.Struct, frozen=True):
    """The evaluations that were answered with one variation; null for the caller's default."""

    variation: str | None
    count: int


class ReasonCount(msgspec.Struct, frozen=True):
    """Those that were answered for one reason."""

    reason: str
    count: int


class VersionCount(msgspec.Struct, frozen=True):
    """Those that were answered by one version of the flag."""

    version: int
    count: int


class SeriesPoint(msgspec.Struct, frozen=True):
    """One step of a series; those in which nothing was counted are left out."""

    at: datetime
    """Where the step begins."""
    variations: tuple[VariationCount, ...]


class LossCounts(msgspec.Struct, frozen=True):
    """What was lost, of the whole environment, and why."""

    reason: LossReason
    count: int


class FlagAnalytics(msgspec.Struct, frozen=True, rename=_RENAMED):
    """Who was served what."""

    from_: datetime
    to: datetime
    interval: Interval
    total: int
    variations: tuple[VariationCount, ...]
    """The largest first, as in all of these."""
    reasons: tuple[ReasonCount, ...]
    versions: tuple[VersionCount, ...]
    last_exposed_at: datetime | None
    """Within the time that was asked for."""
    series: tuple[SeriesPoint, ...]
    dropped: tuple[LossCounts, ...]
    """Evaluations of any flag of the environment that were not counted."""


class ExposedFlag(msgspec.Struct, frozen=True, rename="camel"):
    """A flag, and how often it was evaluated."""

    flag: str
    count: int
    last_exposed_at: datetime


class TrackedEvent(msgspec.Struct, frozen=True, rename="camel"):
    """An event, and how often it was tracked."""

    name: str
    count: int
    values: int
    """How many had a value; ``sum``, ``min`` and ``max`` are of those."""
    sum: float
    min: float | None
    max: float | None
    last_at: datetime


class EnvironmentAnalytics(msgspec.Struct, frozen=True, rename=_RENAMED):
    """What was exposed and what was tracked."""

    from_: datetime
    to: datetime
    flags: tuple[ExposedFlag, ...]
    """The most evaluated first, 1,000 at most."""
    events: tuple[TrackedEvent, ...]
    """The most frequent first, 1,000 at most."""
    dropped_exposures: tuple[LossCounts, ...]
    dropped_events: tuple[LossCounts, ...]


async def read_flag_analytics(call: Call) -> Reply:
    """How often one flag was answered with what."""
    query, analytics = call.query_as(SeriesQuery), _analytics(call)
    now = await seen(call)
    flag, environment = now.flag(call), now.environment(call)
    step = _STEPS[query.interval]
    span = _span(query, call.dependencies.settings.analytics_days, step)
    if (span.end - span.start) / step > MAX_POINTS:
        reason = (
            f"makes more than {MAX_POINTS} points of the time that is asked for: "
            "take a longer interval, or less time"
        )
        raise Malformed(Problem("?interval", reason))
    totals = await analytics.exposure_totals(environment.id, flag.key, span)
    series = await analytics.exposure_series(environment.id, flag.key, span, step)
    losses = await analytics.losses(environment.id, span)
    return now.reply(_flag_analytics(query.interval, span, totals, series, losses))


async def read_environment_analytics(call: Call) -> Reply:
    """What was evaluated and tracked in one environment."""
    query, analytics = call.query_as(SpanQuery), _analytics(call)
    now = await seen(call)
    environment = now.environment(call)
    span = _span(query, call.dependencies.settings.analytics_days, _SLOT)
    flags = await analytics.exposures_by_flag(environment.id, span, MAX_LISTED)
    events = await analytics.events_by_name(environment.id, span, MAX_LISTED)
    losses = await analytics.losses(environment.id, span)
    return now.reply(
        EnvironmentAnalytics(
            from_=span.start,
            to=span.end,
            flags=tuple(ExposedFlag(each.flag, each.count, each.last_at) for each in flags),
            events=tuple(
                TrackedEvent(
                    each.name, each.count, each.valued, each.total, each.least, each.most,
                    each.last_at,
                )
                for each in events
            ),
            dropped_exposures=_losses(losses, "exposures"),
            dropped_events=_losses(losses, "events"),
        )
    )  # fmt: skip


def _analytics(call: Call) -> Analytics:
    analytics = call.dependencies.analytics
    if analytics is None:
        raise NotServedHere("analytics")
    return analytics


def _span(query: SpanQuery, kept_days: int, step: timedelta) -> Span:
    """Whole steps from the one in which the time begins, to the end of the last slot."""
    now = datetime.now(UTC)
    oldest = _floor(now, _STEPS["1d"]) - timedelta(days=kept_days)
    kept = f"counts are kept for {kept_days} days: ask for {oldest:%Y-%m-%dT%H:%M:%SZ} and later"
    to = now if query.to is None else query.to
    if to <= oldest:
        raise Malformed(Problem("?to", kept))
    if to > now + _STEPS["1d"]:
        raise Malformed(Problem("?to", "lies in the future"))
    start = max(oldest, to - _USUAL) if query.from_ is None else query.from_
    if start >= to:
        raise Malformed(Problem("?from", "does not lie before the end of the time asked for"))
    if start < oldest:
        raise Malformed(Problem("?from", kept))
    return Span(_floor(start, step), _floor(to - timedelta(microseconds=1), _SLOT) + _SLOT)


def _floor(at: datetime, step: timedelta) -> datetime:
    return at.astimezone(UTC) - (at - _EPOCH) % step


def _flag_analytics(
    interval: Interval,
    span: Span,
    totals: list[Total],
    series: list[Point],
    losses: list[LossTotal],
) -> FlagAnalytics:
    points: dict[datetime, list[VariationCount]] = {}
    for point in series:
        counted = VariationCount(point.variation or None, point.count)
        points.setdefault(point.at, []).append(counted)
    whole = [t for t in totals if t.variation is None and t.reason is None and t.version is None]
    return FlagAnalytics(
        from_=span.start,
        to=span.end,
        interval=interval,
        total=sum(total.count for total in whole),
        variations=tuple(
            VariationCount(total.variation or None, total.count)
            for total in totals
            if total.variation is not None
        ),
        reasons=tuple(ReasonCount(t.reason, t.count) for t in totals if t.reason is not None),
        versions=tuple(VersionCount(t.version, t.count) for t in totals if t.version is not None),
        last_exposed_at=next((total.last_at for total in whole), None),
        series=tuple(SeriesPoint(at, tuple(counted)) for at, counted in points.items()),
        dropped=_losses(losses, "exposures"),
    )


def _losses(losses: list[LossTotal], what: str) -> tuple[LossCounts, ...]:
    return tuple(LossCounts(each.reason, each.count) for each in losses if each.what == what)


ROUTES: tuple[Route, ...] = (
    reading(
        f"{SETTINGS}/analytics",
        read_flag_analytics,
        "Who was served what: by variation, reason, version and time",
        refuses=(NotServedHere,),
        permission="analytics:read",
        tag=_TAG,
        query=SeriesQuery,
        response=FlagAnalytics,
    ),
    reading(
        f"{ENVIRONMENT}/analytics",
        read_environment_analytics,
        "Which flags were evaluated, and what was tracked",
        refuses=(NotServedHere,),
        permission="analytics:read",
        tag=_TAG,
        query=SpanQuery,
        response=EnvironmentAnalytics,
    ),
)
