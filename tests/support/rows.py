"""Rows of states, reached by commands and compared by what commands can change of them."""

from __future__ import annotations

from collections.abc import Iterable

from halyard_protocol.ruleset import SegmentKeys
from msgspec.structs import replace

from domain import commands as c
from domain.decide import decide
from domain.errors import Refusal
from domain.evolve import evolve
from domain.state import FlagDefinition, ProjectState, SegmentDefinition
from domain.transitions import members_by_kind
from tests.support.commands import BEGINNING
from tests.support.decider import ANN, NOW, new_ids


def folded(commands: Iterable[c.Command]) -> ProjectState:
    """What commands come to; those that are refused are passed over."""
    state, ids = ProjectState(), new_ids()
    for command in (*BEGINNING, *commands):
        try:
            apply(state, (c.complete(command, ids.__next__),))
        except Refusal:
            continue
    return state


def apply(state: ProjectState, commands: Iterable[c.Command]) -> int:
    """Do commands, and answer how many events there were."""
    events = 0
    for command in commands:
        for fact in decide(state, command, ANN):
            evolve(state, fact, 1, NOW)
            events += 1
    return events


def flag_told(row: FlagDefinition | None) -> FlagDefinition | None:
    """A flag's definition without what no command changes."""
    if row is None:
        return None
    archived = NOW if row.archived else None
    return replace(row, salt="", created_at=NOW, archived_at=archived)


def segment_told(row: SegmentDefinition | None) -> SegmentDefinition | None:
    """A segment without what no command changes, and with its keys in one order."""
    if row is None:
        return None

    def told(lists: tuple[SegmentKeys, ...]) -> tuple[SegmentKeys, ...]:
        by_kind = sorted(members_by_kind(lists).items())
        return tuple(SegmentKeys(kind, tuple(sorted(keys))) for kind, keys in by_kind if keys)

    included, excluded = told(row.included), told(row.excluded)
    return replace(row, salt="", created_at=NOW, included=included, excluded=excluded)
