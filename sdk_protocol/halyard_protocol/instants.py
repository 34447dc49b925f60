"""Instants (RFC 3339 or epoch milliseconds), ISO 8601 durations, and the context kind ``time``.

Everything is in milliseconds since 1970-01-01T00:00:00Z, as whole numbers; digits below the
millisecond are cut off. The clock is the caller's: nothing here asks for the time.
"""

from __future__ import annotations

import calendar
import math
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_SECOND_MS = 1_000
_MINUTE_MS = 60 * _SECOND_MS
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS
_MONTHS = 12
_MAX_LENGTH = 64
"""Characters of an instant, a duration or a zone. Asked before a cache is, which would otherwise
keep whatever strangers send."""

_RFC_3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2})))?"
)
_DURATION = re.compile(
    r"P(?=[0-9T])(?:([0-9]{1,9})Y)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})W)?(?:([0-9]{1,9})D)?"
    r"(?:T(?=[0-9])(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})(?:\.([0-9]+))?S)?)?"
)


class Duration(NamedTuple):
    """Calendar months (a year is twelve), and milliseconds."""

    months: int
    ms: int


def instant_ms(instant: datetime) -> int:
    """Milliseconds since the epoch; an instant without an offset is taken as UTC."""
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return (instant - _EPOCH) // _MILLISECOND


def read_instant(source: object) -> int | float | None:
    """Read epoch milliseconds or an RFC 3339 text; None for anything else.

    A date alone is its midnight in UTC. There is no second 60, and no year 0000.
    """
    if isinstance(source, str):
        return _read_text(source) if len(source) <= _MAX_LENGTH else None
    if isinstance(source, int):
        return None if isinstance(source, bool) else source
    return source if isinstance(source, float) and math.isfinite(source) else None


@lru_cache(maxsize=4096)
def _read_text(text: str) -> int | None:
    match = _RFC_3339.fullmatch(text)
    if match is None:
        return None
    *clock, fraction, sign, hours, minutes = match.groups()
    year, month, day, hour, minute, second = (int(part or 0) for part in clock)
    try:
        offset = _offset(sign, hours, minutes)
        whole = datetime(year, month, day, hour, minute, second, tzinfo=offset)
    except ValueError:
        return None
    return instant_ms(whole) + _fraction_ms(fraction)


def _offset(sign: str | None, hours: str | None, minutes: str | None) -> tzinfo:
    if sign is None or hours is None or minutes is None:
        return UTC
    if int(minutes) > 59:
        raise ValueError("an offset has at most 59 minutes")
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-offset if sign == "-" else offset)


def _fraction_ms(digits: str | None) -> int:
    return int((digits or "")[:3].ljust(3, "0"))


def read_duration(text: str) -> Duration | None:
    """Read ``P7D``, ``P1Y6M``, ``P2W`` or ``PT1H30M``; None where the text is not a duration.

    Only seconds may have a fraction, written with a point.
    """
    return _read_duration(text) if len(text) <= _MAX_LENGTH else None


@lru_cache(maxsize=4096)
def _read_duration(text: str) -> Duration | None:
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    *numbers, fraction = match.groups()
    years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in numbers)
    ms = (
        (weeks * 7 + days) * _DAY_MS
        + hours * _HOUR_MS
        + minutes * _MINUTE_MS
        + seconds * _SECOND_MS
        + _fraction_ms(fraction)
    )
    return Duration(years * _MONTHS + months, ms)


def before_now(duration: Duration, now_ms: int) -> int:
    """The instant that lies ``duration`` before ``now_ms``.

    Months are taken off first, on the UTC calendar (31 March less one month is the last day of
    February), then the milliseconds. Where the calendar ends, in year 1, so do the months.
    """
    moment = _moment(now_ms, UTC) if duration.months else None
    if moment is None:
        return now_ms - duration.ms
    months = moment.year * _MONTHS + moment.month - 1 - duration.months
    year, month = months // _MONTHS, months % _MONTHS + 1
    if year < 1:
        return instant_ms(datetime.min.replace(tzinfo=UTC)) - duration.ms
    day = min(moment.day, calendar.monthrange(year, month)[1])
    return instant_ms(moment.replace(year=year, month=month, day=day)) - duration.ms


def _moment(now_ms: int, zone: tzinfo) -> datetime | None:
    try:
        return (_EPOCH + timedelta(milliseconds=now_ms)).astimezone(zone)
    except OverflowError:
        return None


def read_zone(name: str) -> tzinfo | None:
    """The IANA time zone of that name; None where this machine has none."""
    return _known_zone(name) if len(name) <= _MAX_LENGTH else None


@lru_cache(maxsize=1024)
def _known_zone(name: str) -> tzinfo | None:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        return None


def time_attributes(now_ms: int, zone: str | None) -> dict[str, Any]:
    """The attributes of the context kind ``time``, in ``zone`` or UTC.

    ``now`` (epoch ms), ``hour`` (0-23), ``minute`` (0-59), ``weekday`` (1 is Monday, 7 Sunday) and
    ``date`` (``2026-12-01``); only ``now`` where the zone is unknown or the year beyond 9999.
    """
    known = read_zone(zone or "UTC")
    moment = None if known is None else _moment(now_ms, known)
    if moment is None:
        return {"now": now_ms}
    return {
        "now": now_ms,
        "hour": moment.hour,
        "minute": moment.minute,
        "weekday": moment.isoweekday(),
        "date": moment.date().isoformat(),
    }
