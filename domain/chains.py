"""Chains of dependence: flags through prerequisites, segments through their rules.

Commands keep both free of circles, and short enough to be evaluated to their end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from domain.errors import LimitReached, WouldCycle

Links: TypeAlias = Callable[[str], Iterable[str]]
"""What a key names directly; repeats are allowed."""


def refuse_circle(kind: str, start: str, links: Iterable[str], onward: Links) -> None:
    """Refuse that ``start`` names ``links`` where a way leads from them back to it.

    Only ways through ``start`` are sought: all others were refused when they were about to close.
    """
    way = _way_round(start, links, onward)
    if way is not None:
        raise WouldCycle(kind, way)


def refuse_depth(
    what: str, limit: int, start: str, *, links: Iterable[str], onward: Links, back: Links
) -> None:
    """Refuse that ``start`` names ``links`` where a chain would have over ``limit`` links.

    ``back`` says what names a key. There must be no circle.
    """
    below = max((1 + _height(link, onward, {}) for link in set(links)), default=0)
    if below and below + _height(start, back, {}) > limit:
        raise LimitReached(what, limit)


def reversed_links(keys: Iterable[str], onward: Links) -> Links:
    """What names a key, from what each of ``keys`` names."""
    namers: dict[str, list[str]] = {}
    for key in keys:
        for named in onward(key):
            namers.setdefault(named, []).append(key)
    return lambda key: namers.get(key, ())


def _height(key: str, onward: Links, known: dict[str, int]) -> int:
    """Links to the farthest end. The recursion is as deep as the limit that is kept."""
    if key not in known:
        known[key] = max((1 + _height(there, onward, known) for there in onward(key)), default=0)
    return known[key]


def _way_round(start: str, first: Iterable[str], onward: Links) -> tuple[str, ...] | None:
    came_from = dict.fromkeys(first, start)
    ahead = list(came_from)
    while ahead:
        here = ahead.pop()
        if here == start:
            return _trace(start, came_from)
        for there in onward(here):
            if there not in came_from:
                came_from[there] = here
                ahead.append(there)
    return None


def _trace(start: str, came_from: dict[str, str]) -> tuple[str, ...]:
    way = [start]
    while came_from[way[-1]] != start:
        way.append(came_from[way[-1]])
    return (start, *reversed(way))
