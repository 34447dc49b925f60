"""Chains of dependence: flags through prerequisites, segments through their rules.

Commands keep both free of circles, and short enough to be evaluated to their end.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from domain.errors import LimitReached, WouldCycle

K = TypeVar("K", bound=Hashable)

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


class Reached(NamedTuple, Generic[K]):
    """What a way leads to; ``through`` is what stands before it on a shortest way."""

    key: K
    depth: int
    """Links from the start."""
    through: K


def reached(start: K, onward: Callable[[K], Iterable[K]]) -> Iterator[Reached[K]]:
    """All to which a way leads from ``start``, nearest first, each once; without itself."""
    seen, ring, depth = {start}, [start], 0
    while ring:
        depth += 1
        farther: list[K] = []
        for here in ring:
            for there in onward(here):
                if there not in seen:
                    seen.add(there)
                    farther.append(there)
                    yield Reached(there, depth, here)
        ring = farther


def closed(keys: Iterable[K], onward: Callable[[K], Iterable[K]]) -> set[K]:
    """The keys, and all to which a way leads from any of them."""
    found = set(keys)
    ahead = list(found)
    while ahead:
        for there in onward(ahead.pop()):
            if there not in found:
                found.add(there)
                ahead.append(there)
    return found


def dependencies_first(keys: Iterable[K], onward: Callable[[K], Iterable[K]]) -> Iterator[K]:
    """The keys, each after those to which a way leads from it, be it through others.

    Where a way leads round, one of the keys on it is the first. However long a way is, it costs
    no stack.
    """
    wanted = dict.fromkeys(keys)
    seen: set[K] = set()
    for start in wanted:
        ahead = [] if start in seen else [(start, iter(onward(start)))]
        seen.add(start)
        while ahead:
            here, links = ahead[-1]
            there = next((link for link in links if link not in seen), None)
            if there is not None:
                seen.add(there)
                ahead.append((there, iter(onward(there))))
                continue
            ahead.pop()
            if here in wanted:
                yield here


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
