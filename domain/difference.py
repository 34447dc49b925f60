"""What differs between two rows, or two states, told so that people can read it.

A list whose items have names is compared by them: variations by key, rules by id, prerequisites by
flag, tags by themselves, targets by kind and variation. So an item is added, removed, changed in
some of its fields, or moved; of those that changed places as few as possible are called moved.
A path names items, never positions: ``/rules/r1/serve``.

There are no changes exactly where the rows are the same as JSON; of a segment's keys, which are
sets, the order does not count.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

import msgspec
from halyard_protocol.ruleset import SegmentKeys

from domain.decide.standing import same
from domain.facts import Entity, environment_entity
from domain.state import ProjectState
from domain.stored import HASHES
from domain.transitions import members_by_kind

ChangeKind: TypeAlias = Literal["added", "removed", "changed", "moved"]
Row: TypeAlias = msgspec.Struct | None
"""A row of a state; None for one that is not there."""


class Change(msgspec.Struct, frozen=True):
    """One difference. ``before`` and ``after`` are what stood and stands there; of a move, where.

    Of an item of a list that was added, ``position`` is its place in the list afterwards.
    """

    entity: Entity
    path: str
    """A JSON pointer into the row; empty for the whole of it."""
    kind: ChangeKind
    before: Any = None
    after: Any = None
    position: int | None = None

    @property
    def sentence(self) -> str:
        """The change in words, without its values."""
        what = (
            f"{self.entity}: {self.path[1:].replace('/', ' ')}" if self.path else f"{self.entity}"
        )
        if self.kind == "moved":
            return f"{what} moved from place {self.before + 1} to {self.after + 1}"
        return f"{what} {self.kind}"


def row_changes(entity: Entity, before: Row, after: Row) -> tuple[Change, ...]:
    """What differs between two rows of one kind."""
    return tuple(_row_changes(entity, before, after))


def _row_changes(entity: Entity, before: Row, after: Row) -> Iterator[Change]:
    if before is None or after is None:
        if after is not None:
            yield Change(entity, "", "added", after=told(after))
        elif before is not None:
            yield Change(entity, "", "removed", before=told(before))
        return
    for field in msgspec.structs.fields(before):
        path, name = f"/{_camel(field.name)}", field.name
        if name in HASHES:
            continue
        old, new = getattr(before, name), getattr(after, name)
        if name in _MEMBERS:
            yield from _member_changes(entity, path, old, new)
        elif name in NAMED_LISTS:
            yield from _list_changes(entity, path, named_items(old, name), named_items(new, name))
        elif not same(old, new):
            yield Change(entity, path, "changed", old, new)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.title, rest))


def told(row: msgspec.Struct) -> dict[str, Any]:
    """A row's fields by their names in JSON, without what is for nobody to read."""
    fields = msgspec.structs.asdict(row).items()
    return {_camel(name): value for name, value in fields if name not in HASHES}


# -- fields, and lists of named items ------------------------------------------------------------

_MEMBERS = ("included", "excluded")
NAMED_LISTS: dict[str, Callable[[Any], str]] = {
    "variations": lambda variation: variation.key,
    "rules": lambda rule: rule.id,
    "prerequisites": lambda prerequisite: prerequisite.flag,
    "targets": lambda target: f"{target.kind}:{target.variation}",
    "tags": lambda tag: tag,
}
"""The fields that are lists of items with names, and what an item is called."""


def named_items(items: tuple[Any, ...], field: str) -> dict[str, Any]:
    """Items by what they are called in a path; a second one of a name has a number."""
    seen: Counter[str] = Counter()
    named = {}
    for item in items:
        name = NAMED_LISTS[field](item).replace("~", "~0").replace("/", "~1")
        seen[name] += 1
        named[name if seen[name] == 1 else f"{name}:{seen[name]}"] = item
    return named


def _list_changes(
    entity: Entity, path: str, before: dict[str, Any], after: dict[str, Any]
) -> Iterator[Change]:
    was_at = {name: place for place, name in enumerate(before)}
    for name, old in before.items():
        if name not in after:
            yield Change(entity, f"{path}/{name}", "removed", before=old)
    kept = [name for name in after if name in before]
    in_order = _rising([was_at[name] for name in kept])
    for place, (name, new) in enumerate(after.items()):
        if name not in before:
            yield Change(entity, f"{path}/{name}", "added", after=new, position=place)
            continue
        yield from _item_changes(entity, f"{path}/{name}", before[name], new)
        if was_at[name] not in in_order:
            yield Change(entity, f"{path}/{name}", "moved", was_at[name], place)


def _item_changes(entity: Entity, path: str, old: Any, new: Any) -> Iterator[Change]:
    if not isinstance(old, msgspec.Struct):
        return
    for field in msgspec.structs.fields(old):
        was, now = getattr(old, field.name), getattr(new, field.name)
        if not same(was, now):
            yield Change(entity, f"{path}/{field.encode_name}", "changed", was, now)


def _rising(places: list[int]) -> frozenset[int]:
    """A longest rising part of different numbers: patience sorting, with the way back."""
    tops: list[int] = []
    below: dict[int, int | None] = {}
    for place in places:
        pile = bisect_left(tops, place)
        below[place] = tops[pile - 1] if pile else None
        tops[pile : pile + 1] = [place]
    rising, last = [], tops[-1] if tops else None
    while last is not None:
        rising.append(last)
        last = below[last]
    return frozenset(rising)


def _member_changes(
    entity: Entity, path: str, before: tuple[SegmentKeys, ...], after: tuple[SegmentKeys, ...]
) -> Iterator[Change]:
    held, wanted = members_by_kind(before), members_by_kind(after)
    for kind in sorted({*held, *wanted}):
        old, new = held.get(kind, {}), wanted.get(kind, {})
        gone = tuple(key for key in old if key not in new)
        come = tuple(key for key in new if key not in old)
        if gone:
            yield Change(entity, f"{path}/{kind}", "removed", before=gone)
        if come:
            yield Change(entity, f"{path}/{kind}", "added", after=come)


# -- states --------------------------------------------------------------------------------------

Place: TypeAlias = tuple[str, str, str]
"""Where an entity stands in the order in which a project's differences are told."""


def place_of(entity: Entity) -> Place:
    """By kind, then by key, a flag before how it is set in each environment."""
    return (entity.kind, entity.key, entity.environment or "")


def flag_changes(before: ProjectState, after: ProjectState, flag: str) -> tuple[Change, ...]:
    """What differs of a flag, and of how it is set in each environment."""
    environments = sorted({*before.environments, *after.environments})
    entities = (Entity("flag", flag), *(Entity("flag", flag, each) for each in environments))
    return tuple(change for entity in entities for change in _changes_of(before, after, entity))


def segment_changes(before: ProjectState, after: ProjectState, segment: str) -> tuple[Change, ...]:
    """What differs of a segment."""
    return _changes_of(before, after, Entity("segment", segment))


def state_changes(
    before: ProjectState, after: ProjectState, beyond: Place | None = None
) -> Iterator[tuple[Entity, tuple[Change, ...]]]:
    """Each entity that differs, with its changes, in the order of :func:`place_of`.

    ``before`` and ``after`` are of one log; an entity is compared only where something happened
    to it, or to what it belongs to, in between. ``beyond`` is the place after which to begin.
    """
    for entity in sorted(_touched(before, after), key=place_of):
        if beyond is None or place_of(entity) > beyond:
            changes = _changes_of(before, after, entity)
            if changes:
                yield entity, changes


def _touched(before: ProjectState, after: ProjectState) -> set[Entity]:
    """What may differ; looks closely only at what something happened to."""
    began = [state.project and state.project.created_at for state in (before, after)]
    if began[0] != began[1]:
        return {*_entities(before), *_entities(after)}
    environments = {*before.environments, *after.environments}
    touched: set[Entity] = set()
    for entity in {*before.marks, *after.marks}:
        if before.marks.get(entity) == after.marks.get(entity):
            continue
        touched.add(entity)
        if entity.kind == "flag" and entity.environment is None:
            touched |= {Entity("flag", entity.key, each) for each in environments}
    for key in environments:
        was, became = before.environments.get(key), after.environments.get(key)
        if (was and was.id) != (became and became.id):
            touched |= {Entity("flag", flag, key) for flag in (*before.flags, *after.flags)}
            touched |= {Entity("key", *at) for at in (*before.keys, *after.keys) if at[1] == key}
    return touched


def _entities(state: ProjectState) -> Iterator[Entity]:
    if state.project is not None:
        yield Entity("project", state.project.key)
    yield from map(environment_entity, state.environments)
    yield from (Entity("flag", key) for key in state.flags)
    yield from (Entity("flag", *place) for place in state.settings)
    yield from (Entity("key", *place) for place in state.keys)
    yield from (Entity("segment", key) for key in state.segments)


def _changes_of(before: ProjectState, after: ProjectState, entity: Entity) -> tuple[Change, ...]:
    return row_changes(entity, row_of(before, entity), row_of(after, entity))


def row_of(state: ProjectState, entity: Entity) -> Row:
    """The row of an entity; None where it is not there."""
    place = (entity.key, entity.environment or "")
    match entity.kind:
        case "project":
            return state.project
        case "environment":
            return state.environments.get(entity.key)
        case "segment":
            return state.segments.get(entity.key)
        case "key":
            return state.keys.get(place)
        case "flag" if entity.environment is None:
            return state.flags.get(entity.key)
        case "flag":
            return state.settings.get(place)
        case _:
            return None
