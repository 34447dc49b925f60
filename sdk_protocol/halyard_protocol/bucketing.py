"""Which share of a rollout a context falls into: a hash, and the walk over the shares.

The formula is the most widely deployed one of the field, so that a team that moves its flags here
moves no user: SHA-1 of ``prefix.value``, its first 15 hexadecimal digits over 0xFFFFFFFFFFFFFFF.
Both are taken as doubles, so that every language with IEEE arithmetic agrees to the last bit.
"""

from __future__ import annotations

from hashlib import sha1

from halyard_protocol.instants import instant_ms
from halyard_protocol.ruleset import TOTAL_WEIGHT, Bucket, Ramp, Rollout

_DIGITS = 15
_SCALE = float(0xFFFFFFFFFFFFFFF)
_INTEGER_BOUND = 2**64


def bucket(key: str, salt: str, value: str, seed: int | None = None) -> float:
    """The number in [0, 1] of ``value`` under a flag's or segment's key and salt, or a seed."""
    prefix = f"{key}.{salt}" if seed is None else str(seed)
    text = f"{prefix}.{value}".encode("utf-8", "surrogatepass")
    digest = sha1(text, usedforsecurity=False).hexdigest()
    return float(int(digest[:_DIGITS], 16)) / _SCALE


def bucketing_value(attribute: object) -> str | None:
    """The text that is hashed: a string, or a whole number in decimal digits; else None."""
    if isinstance(attribute, str):
        # An enumeration of strings is formatted as its name, and encoded as its value.
        return attribute if attribute.__class__ is str else str.__str__(attribute)
    if isinstance(attribute, bool) or not isinstance(attribute, int | float):
        return None
    if not -_INTEGER_BOUND < attribute < _INTEGER_BOUND or attribute != int(attribute):
        return None
    return str(int(attribute))


def is_within(number: float, weight: int) -> bool:
    """Tell whether a bucketing number lies below a weight (or a sum of weights) in 1/100,000."""
    return number < min(max(weight, 0), TOTAL_WEIGHT) / TOTAL_WEIGHT


def share_at(ramp: Ramp, now_ms: int) -> int:
    """The weight of a ramp's variation at an instant, cut off to a whole 1/100,000."""
    start_ms, end_ms = instant_ms(ramp.from_), instant_ms(ramp.to)
    if now_ms >= end_ms:
        return ramp.end
    if now_ms <= start_ms:
        return ramp.start
    return ramp.start + (ramp.end - ramp.start) * (now_ms - start_ms) // (end_ms - start_ms)


def shares(rollout: Rollout, now_ms: int) -> tuple[Bucket, ...]:
    """The buckets of a rollout at an instant: its own, or the two of its ramp.

    Empty where the rollout is malformed: it has both, or neither.
    """
    if rollout.ramp is None:
        return rollout.buckets
    if rollout.buckets:
        return ()
    ramp, share = rollout.ramp, share_at(rollout.ramp, now_ms)
    return (Bucket(ramp.variation, share), Bucket(ramp.otherwise, TOTAL_WEIGHT - share))


def choose(buckets: tuple[Bucket, ...], number: float) -> Bucket:
    """The first of the buckets whose cumulative weight is above the number; else the last.

    ``buckets`` holds at least one.
    """
    cumulative = 0
    for candidate in buckets:
        cumulative += candidate.weight
        if is_within(number, cumulative):
            return candidate
    return buckets[-1]
