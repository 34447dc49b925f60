"""What a client has already, and which encoding it can read."""

from __future__ import annotations

import re

_ENTITY_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_NAMED_ENCODING = ("gzip", "x-gzip")


def has_already(if_none_match: str | None, *tags: str) -> bool:
    """Whether ``If-None-Match`` names any of these entity tags, which are given without quotes.

    Weak comparison, as RFC 9110, section 13.1.2 has it: a list, ``W/`` before any of it, or ``*``.
    What cannot be read names nothing.
    """
    if if_none_match is None:
        return False
    return if_none_match == "*" or not set(tags).isdisjoint(_ENTITY_TAG.findall(if_none_match))


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether ``Accept-Encoding`` allows gzip; RFC 9110, section 12.5.3."""
    anything = False
    for coding in (accept_encoding or "").lower().split(","):
        name, *parameters = (part.strip() for part in coding.split(";"))
        wanted = not any(_is_zero(parameter) for parameter in parameters)
        if name in _NAMED_ENCODING:
            return wanted
        if name == "*":
            anything = wanted
    return anything


def _is_zero(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and value.strip().rstrip("0") in ("", "0.", ".")
