"""JSON in the one form that all languages write alike: RFC 8785, JSON Canonicalization Scheme.

For digests that two parties take of the same value. Numbers are doubles there, written as
ECMAScript writes them; members stand in the order of their names' UTF-16 code units.
"""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec

_SAFE: Final = 2**53
_POINT_AT_MOST: Final = 21
"""ECMAScript writes a number with more digits before the point than these with an exponent."""
_ZEROS_AT_MOST: Final = 6
"""And one with as many zeros behind the point."""

_text = msgspec.json.Encoder().encode


def canonical(value: Any) -> bytes:
    """The canonical JSON of what msgspec reads JSON into."""
    match value:
        case str():
            return _text(value)
        case True:
            return b"true"
        case False:
            return b"false"
        case None:
            return b"null"
        case int() | float():
            return _number(value).encode()
        case dict():
            return canonical_object({key: canonical(item) for key, item in value.items()})
        case list() | tuple():
            return b"[%b]" % b",".join(map(canonical, value))
    raise TypeError(f"no JSON: {type(value).__name__}")


def canonical_object(members: dict[str, bytes]) -> bytes:
    """An object of members whose values are canonical already."""
    names = sorted(members, key=code_units)
    return b"{%b}" % b",".join([b"%b:%b" % (_text(name), members[name]) for name in names])


def code_units(text: str) -> bytes:
    """What texts are put in order by."""
    return text.encode("utf-16-be", "surrogatepass")


def _number(number: float) -> str:
    """ECMA-262, Number::toString, of the nearest double."""
    if isinstance(number, int) and -_SAFE <= number <= _SAFE:
        return str(number)
    try:
        double = float(number)
    except OverflowError:
        double = math.inf
    if not math.isfinite(double):
        return "null"  # as ECMAScript writes what JSON cannot
    if double == 0:
        return "0"
    sign = "-" if double < 0 else ""
    digits, point = _decimal(abs(double))
    return sign + _placed(digits, point)


def _decimal(double: float) -> tuple[str, int]:
    """The shortest digits that mean a double, and where the point stands, from their beginning."""
    mantissa, _, exponent = repr(double).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    point = len(whole) + int(exponent or 0)
    point -= len(digits) - len(digits.lstrip("0"))
    return digits.strip("0"), point


def _placed(digits: str, point: int) -> str:
    if len(digits) <= point <= _POINT_AT_MOST:
        return digits + "0" * (point - len(digits))
    if 0 < point <= _POINT_AT_MOST:
        return f"{digits[:point]}.{digits[point:]}"
    if -_ZEROS_AT_MOST < point <= 0:
        return f"0.{'0' * -point}{digits}"
    more = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{more}e{point - 1:+d}"
