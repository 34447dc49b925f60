"""How flags and segments shall be for something in their past to be undone.

To undo one change is a merge of three rows: as the part was before the change, as it was after it,
and as it is now. A part that is still as the change left it goes back; one that was edited since
clashes, and goes back only where the caller says so; all others stay as they are. A part is a
field, or an item of a list by its name (a rule by its id), and the order of a list is one more.

To go back to a moment is simpler: the rows of then are wanted.

What was before and after comes as states that may hold nothing but the project's environments and
the flags and segments concerned.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from halyard_protocol.ruleset import SegmentKeys
from msgspec.structs import replace

from domain.assembly import Wanted
from domain.decide.standing import same
from domain.difference import NAMED_LISTS, Change, flag_changes, named_items, segment_changes
from domain.facts import Entity, environment_entity
from domain.state import FlagDefinition, FlagSettings, ProjectState, SegmentDefinition
from domain.transitions import members_by_kind


class Clash(msgspec.Struct, frozen=True):
    """A part that the change made, and that was edited since."""

    entity: Entity
    path: str
    """As in :class:`~domain.difference.Change`."""
    before: Any
    after: Any
    now: Any


class Remark(msgspec.Struct, frozen=True):
    """Something that is not, or cannot be, put back, and why."""

    entity: Entity
    reason: str


class Undoing:
    """What undoing comes to; filled by the functions below."""

    def __init__(self, now: ProjectState, *, overwrite: bool = False) -> None:
        self.now = now
        self.overwrite = overwrite
        """Whether what was edited since goes back all the same."""
        self.clashes: list[Clash] = []
        self.left: list[Remark] = []
        """What stays as it is, though it was otherwise then."""
        self.obstacles: list[Remark] = []
        """Why it cannot be done at all."""
        self._segments: list[SegmentDefinition] = []
        self._flags: list[FlagDefinition] = []
        self._settings: dict[tuple[str, str], FlagSettings] = {}
        self._gone_flags: set[str] = set()
        self._gone_segments: set[str] = set()

    @property
    def wanted(self) -> Wanted:
        """The rows to bring about."""
        return Wanted(
            tuple(self._segments),
            tuple(self._flags),
            self._settings,
            frozenset(self._gone_flags),
            frozenset(self._gone_segments),
        )

    # -- back to a moment ------------------------------------------------------------------------

    def return_flag(self, then: ProjectState, key: str, environment: str | None = None) -> None:
        """A flag as it was ``then``: all of it, or as it was set in one environment."""
        flag = then.flags.get(key)
        if flag is None:
            self._impossible(Entity("flag", key), "it did not exist then")
            return
        if environment is None:
            self._flags.append(flag)
            self._return_settings(then, key)
        elif self._is_lasting(then, environment):
            self._settings[key, environment] = then.settings[key, environment]
        else:
            self._impossible(environment_entity(environment), "it is not the one that it was then")

    def return_segment(self, then: ProjectState, key: str) -> None:
        """A segment as it was ``then``."""
        segment = then.segments.get(key)
        if segment is None:
            self._impossible(Entity("segment", key), "it did not exist then")
        else:
            self._segments.append(segment)

    def _return_settings(self, then: ProjectState, key: str) -> None:
        for environment in then.environments:
            if self._is_lasting(then, environment):
                self._settings[key, environment] = then.settings[key, environment]
            else:
                self._leave(environment_entity(environment), "it has ended since")
        for environment in self.now.environments:
            if environment not in then.environments and (key, environment) in self.now.settings:
                self._leave(Entity("flag", key, environment), "the environment did not exist then")

    def _is_lasting(self, then: ProjectState, environment: str) -> bool:
        """Whether it is there, and the same: a key may have been taken anew."""
        was, is_now = then.environments.get(environment), self.now.environments.get(environment)
        return was is not None and is_now is not None and was.id == is_now.id

    # -- one change ------------------------------------------------------------------------------

    def undo_flag(self, before: ProjectState, after: ProjectState, key: str) -> None:
        """What happened to a flag between two states."""
        entity = Entity("flag", key)
        was, became, is_now = (state.flags.get(key) for state in (before, after, self.now))
        if was is None and became is not None:
            self._end(entity, flag_changes(after, self.now, key), self._gone_flags)
        elif was is not None and became is None:
            if is_now is None or self._clashes(entity, "", was, None, is_now):
                self._flags.append(was)
                self._return_settings(before, key)
        elif was is not None and became is not None:
            if is_now is None:
                self._impossible(entity, "it has been deleted since: undo that first")
                return
            merged = self._merged(entity, _FLAG, was, became, is_now)
            if was.archived != became.archived and is_now.archived == became.archived:
                merged = replace(merged, archived_at=was.archived_at)
            self._flags.append(merged)
            self._undo_settings(before, after, key)

    def _undo_settings(self, before: ProjectState, after: ProjectState, key: str) -> None:
        for environment in sorted(after.environments):
            place = key, environment
            was, became = before.settings.get(place), after.settings.get(place)
            if was is None or became is None or same(was, became):
                continue
            if not self._is_lasting(after, environment):
                self._leave(environment_entity(environment), "it has ended since")
                continue
            entity, is_now = Entity("flag", *place), self.now.settings[place]
            self._settings[place] = self._merged(entity, _SETTINGS, was, became, is_now)

    def undo_segment(self, before: ProjectState, after: ProjectState, key: str) -> None:
        """What happened to a segment between two states."""
        entity = Entity("segment", key)
        was, became, is_now = (state.segments.get(key) for state in (before, after, self.now))
        if was is None and became is not None:
            self._end(entity, segment_changes(after, self.now, key), self._gone_segments)
        elif was is not None and became is None:
            if is_now is None or self._clashes(entity, "", was, None, is_now):
                self._segments.append(was)
        elif was is not None and became is not None:
            if is_now is None:
                self._impossible(entity, "it has been deleted since: undo that first")
                return
            merged: SegmentDefinition = self._merged(entity, _SEGMENT, was, became, is_now)
            self._segments.append(self._members(entity, was, became, merged))

    def _end(self, entity: Entity, later: Iterable[Change], gone: set[str]) -> None:
        """Undo a beginning, unless what began was changed since, or has gone by itself."""
        rows = self.now.flags if entity.kind == "flag" else self.now.segments
        if entity.key not in rows:
            return
        edits = [each for each in later if each.entity.environment is None or each.path]
        for edit in edits:
            self.clashes.append(Clash(edit.entity, edit.path, None, edit.before, edit.after))
        if self.overwrite or not edits:
            gone.add(entity.key)

    # -- parts -----------------------------------------------------------------------------------

    def _clashes(self, entity: Entity, path: str, was: Any, became: Any, is_now: Any) -> bool:
        """Note a clash; whether what was goes back all the same."""
        self.clashes.append(Clash(entity, path, was, became, is_now))
        return self.overwrite

    def _merged(
        self, entity: Entity, fields: tuple[str, ...], was: Any, became: Any, is_now: Any
    ) -> Any:
        """A row as it is now, in whose fields what was changed is as it was."""
        changed = {}
        for field in fields:
            rows = (getattr(row, field) for row in (was, became, is_now))
            merge = self._list if field in NAMED_LISTS else self._value
            changed[field] = merge(entity, field, *rows)
        return replace(is_now, **changed)

    def _value(self, entity: Entity, field: str, was: Any, became: Any, is_now: Any) -> Any:
        if same(was, became) or same(is_now, was):
            return is_now
        if same(is_now, became) or self._clashes(entity, _path(field), was, became, is_now):
            return was
        return is_now

    def _list(
        self, entity: Entity, field: str, was: Any, became: Any, is_now: Any
    ) -> tuple[Any, ...]:
        before, after, now = (named_items(items, field) for items in (was, became, is_now))
        result = dict(now)
        for name in {**before, **after}:
            item = self._value(
                entity, f"{field}/{name}", before.get(name), after.get(name), now.get(name)
            )
            if item is None:
                result.pop(name, None)
            elif name in result:
                result[name] = item
            else:
                result = _put_back(result, name, item, list(before))
        order = self._order(entity, field, list(before), list(after), list(result))
        return tuple(result[name] for name in order)

    def _order(
        self, entity: Entity, field: str, before: list[str], after: list[str], now: list[str]
    ) -> list[str]:
        """The order of ``now``, in which those that changed places go back to theirs."""
        there = {*before} & {*after} & {*now}
        was, became, is_now = (
            [each for each in all_ if each in there] for all_ in (before, after, now)
        )
        if was in (became, is_now):
            return now
        if is_now != became and not self._clashes(entity, _path(field), was, became, is_now):
            return now
        back = iter(was)
        return [next(back) if name in there else name for name in now]

    def _members(
        self,
        entity: Entity,
        was: SegmentDefinition,
        became: SegmentDefinition,
        merged: SegmentDefinition,
    ) -> SegmentDefinition:
        """The segment with those keys where they were that the change put elsewhere."""
        before, after, now = (_list_of(row) for row in (was, became, merged))
        result = dict(now)
        for member in {**before, **after}:
            if before.get(member) != after.get(member):
                kind, key = member
                rows = (members.get(member) for members in (before, after, now))
                result[member] = self._value(entity, f"members/{kind}:{key}", *rows)
        return replace(
            merged, included=_listed(result, "included"), excluded=_listed(result, "excluded")
        )

    def _leave(self, entity: Entity, reason: str) -> None:
        self.left.append(Remark(entity, reason))

    def _impossible(self, entity: Entity, reason: str) -> None:
        self.obstacles.append(Remark(entity, reason))


_FLAG = (
    "name",
    "variations",
    "off_variation",
    "fallthrough",
    "description",
    "tags",
    "maintainer",
    "client_side",
)
_SETTINGS = tuple(field.name for field in msgspec.structs.fields(FlagSettings))
_SEGMENT = ("name", "description", "rules")


def _path(field: str) -> str:
    first, _, name = field.partition("/")
    words = first.split("_")
    camel = words[0] + "".join(map(str.title, words[1:]))
    return f"/{camel}/{name}" if name else f"/{camel}"


def _put_back(items: dict[str, Any], name: str, item: Any, order: list[str]) -> dict[str, Any]:
    """The items with one more, behind the nearest of those that stood before it and are there."""
    ahead = [each for each in order[: order.index(name)] if each in items]
    names = list(items)
    names.insert(names.index(ahead[-1]) + 1 if ahead else 0, name)
    return {each: item if each == name else items[each] for each in names}


def _list_of(segment: SegmentDefinition) -> dict[tuple[str, str], str]:
    """By kind and key, which list it is in."""
    return {
        (kind, key): name
        for name in ("included", "excluded")
        for kind, keys in members_by_kind(getattr(segment, name)).items()
        for key in keys
    }


def _listed(lists: dict[tuple[str, str], str], name: str) -> tuple[SegmentKeys, ...]:
    by_kind: dict[str, list[str]] = {}
    for (kind, key), held_in in lists.items():
        if held_in == name:
            by_kind.setdefault(kind, []).append(key)
    return tuple(SegmentKeys(kind, tuple(keys)) for kind, keys in by_kind.items())
