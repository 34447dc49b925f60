"""What a revert would do: its commands, what they change and overwrite, and what hinders them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from domain.assembly import assembly_commands
from domain.commands import Command
from domain.decide import decide
from domain.difference import Change, flag_changes, segment_changes
from domain.errors import Refusal
from domain.evolve import evolve
from domain.facts import Entity, Issuer
from domain.state import ProjectState
from domain.transitions import pinned
from domain.undoing import Clash, Remark, Undoing
from eventstore.log import StoredEvent
from eventstore.searching import Search
from eventstore.store import EventStore
from server.reverting.causes import undoing_command, undoing_event
from server.reverting.pasts import Unit, all_events, pasts
from server.writing.deciders import PROJECT
from server.writing.folded_log import FoldedLog, fold_stored
from server.writing.history import LogHistory

MAX_EVENTS = 1_000
"""Of one command, for it to be reverted as a whole."""
SHOWN = 100
"""Later edits that a plan names, the newest; and obstacles."""


class NotRevertible(Exception):
    """What was asked for is of a kind that cannot be put back. Its text says which and why."""


class RevertPlan(msgspec.Struct, frozen=True):
    """A revert, worked out on a project's state; nothing of it has happened."""

    reverts: str
    """What its events will carry as their cause."""
    commands: tuple[Command, ...]
    """The first on each entity expects the revision that the plan was made at."""
    changes: tuple[Change, ...]
    clashes: tuple[Clash, ...]
    left: tuple[Remark, ...]
    obstacles: tuple[Remark, ...]
    revisions: dict[Entity, int]
    """Of all that the plan rests on."""
    overwritten: tuple[StoredEvent, ...] = ()
    """Later edits that would be lost, newest first."""
    more_overwritten: bool = False
    """Whether there are further ones."""


def _with(plan: RevertPlan, later: Sequence[StoredEvent]) -> RevertPlan:
    return replace(plan, overwritten=tuple(later[:SHOWN]), more_overwritten=len(later) > SHOWN)


class Planner:
    """Makes plans on a project as it is; each is worked out on one state."""

    def __init__(self, store: EventStore, folded: FoldedLog[ProjectState], by: Issuer) -> None:
        self._store = store
        self._log_id = folded.log_id
        self._folded = folded
        self._state = folded.state
        self._by = by

    async def returning(self, unit: Unit, to: int, environment: str | None = None) -> RevertPlan:
        """A flag, all of it or in one environment, or a segment, back to what it was at ``to``."""
        [then] = await pasts(self._store, self._log_id, (unit,), (to,))
        kind, key = unit
        search = Search(
            entity_kind=kind,
            entity_key=key,
            environment=environment,
            after=to,
            newest_first=True,
            limit=SHOWN + 1,
        )
        later = await self._store.search(self._log_id, search)
        undoing = Undoing(self._state)
        if kind == "flag":
            undoing.return_flag(then, key, environment)
        else:
            undoing.return_segment(then, key)
        return _with(self._plan(f"revert-to:{to}", undoing, (unit,)), later)

    async def undoing(self, seq: int, *, whole: bool, overwrite: bool) -> RevertPlan:
        """What the event at ``seq`` did, or the ``whole`` command that it belongs to, undone.

        Raises :class:`NotRevertible`.
        """
        events = await (self._command_of(seq) if whole else self._event_at(seq))
        units = tuple(dict.fromkeys(_unit(event) for event in events))
        cuts = (events[0].seq - 1, events[-1].seq)
        before, after = await pasts(self._store, self._log_id, units, cuts)
        undoing = Undoing(self._state, overwrite=overwrite)
        for kind, key in units:
            if kind == "flag":
                undoing.undo_flag(before, after, key)
            else:
                undoing.undo_segment(before, after, key)
        cause = undoing_command(events[0].command_id) if whole else undoing_event(seq)
        # The state may move while later edits are read: all that rests on it comes before that.
        plan = self._plan(cause, undoing, units)
        return _with(plan, await self._later(units, after, undoing.clashes, cuts[1]))

    async def _event_at(self, seq: int) -> list[StoredEvent]:
        return await self._store.read(self._log_id, seq - 1, 1)

    async def _command_of(self, seq: int) -> list[StoredEvent]:
        """All events of the command that the one at ``seq`` belongs to."""
        first = max(seq - MAX_EVENTS - 1, 0)
        around = await self._store.read(self._log_id, first, 2 * MAX_EVENTS + 1)
        [command] = {event.command_id for event in around if event.seq == seq}
        events = [event for event in around if event.command_id == command]
        if len(events) > MAX_EVENTS:
            reason = f"a command of over {MAX_EVENTS} events is not reverted as a whole"
            raise NotRevertible(reason)
        return events

    async def _later(
        self, units: Iterable[Unit], after: ProjectState, clashes: Sequence[Clash], seq: int
    ) -> list[StoredEvent]:
        """The events that edited a part which clashes, newest first."""
        if not clashes:
            return []
        voided = frozenset(await LogHistory(self._store, PROJECT).voids(self._log_id))
        clashing = {(clash.entity.kind, clash.entity.key) for clash in clashes}
        found: list[StoredEvent] = []
        for unit in units:
            if unit not in clashing:
                continue
            search = Search(entity_kind=unit[0], entity_key=unit[1], after=seq)
            state = after.overlay()
            for event in await all_events(self._store, self._log_id, search, self._folded.seq):
                follower = state.overlay()
                fold_stored(PROJECT, follower, event, voided)
                if _edits(_changes(unit, state, follower), clashes):
                    found.append(event)
                state.absorb(follower)
        return sorted(found, key=lambda event: -event.seq)

    def _plan(self, reverts: str, undoing: Undoing, units: Iterable[Unit]) -> RevertPlan:
        state = self._state
        obstacles = list(undoing.obstacles)
        commands: tuple[Command, ...] = ()
        if not obstacles:
            try:
                commands = assembly_commands(state, undoing.wanted)
            except Refusal as refusal:
                obstacles.append(Remark(Entity(*next(iter(units))), str(refusal)))
        outcome = state.overlay()
        obstacles += _rehearse(outcome, commands, self._by)
        return RevertPlan(
            reverts,
            tuple(pinned(state, self._log_id, commands)),
            tuple(change for unit in units for change in _changes(unit, state, outcome)),
            tuple(undoing.clashes),
            tuple(undoing.left),
            tuple(obstacles[:SHOWN]),
            {entity: state.revision(entity) for entity in _rests_on(state, units, commands)},
        )


def _unit(event: StoredEvent) -> Unit:
    match event.entity_kind:
        case "flag":
            return "flag", event.entity_key
        case "segment":
            return "segment", event.entity_key
        case kind:
            raise NotRevertible(
                f"event {event.seq} ({event.type}) is of {kind} '{event.entity_key}': "
                "only changes to flags and segments can be reverted"
            )


def _edits(changes: Iterable[Change], clashes: Iterable[Clash]) -> bool:
    return any(
        change.entity == clash.entity and _overlap(change.path, clash.path)
        for change in changes
        for clash in clashes
    )


def _overlap(one: str, other: str) -> bool:
    """Whether one path leads to the other; the keys of a segment count as one part."""
    one, other = (path.replace("/included", "/members") for path in (one, other))
    one, other = (path.replace("/excluded", "/members") for path in (one, other))
    if one.startswith("/members") and other.startswith("/members"):
        return True
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _changes(unit: Unit, before: ProjectState, after: ProjectState) -> tuple[Change, ...]:
    kind, key = unit
    if kind == "flag":
        return flag_changes(before, after, key)
    return segment_changes(before, after, key)


def _rehearse(outcome: ProjectState, commands: Iterable[Command], by: Issuer) -> list[Remark]:
    """Do what can be done of the commands; the rest with the reason why not."""
    refused = []
    project = "" if outcome.project is None else outcome.project.key
    for command in commands:
        try:
            for fact in decide(outcome, command, by):
                evolve(outcome, fact, 0, by.now)
        except Refusal as refusal:
            refused.append(Remark(command.addressed(project), str(refusal)))
    return refused


def _rests_on(
    state: ProjectState, units: Iterable[Unit], commands: Iterable[Command]
) -> Iterable[Entity]:
    project = "" if state.project is None else state.project.key
    for kind, key in units:
        yield Entity(kind, key)
        if kind == "flag":
            yield from (Entity(kind, key, environment) for environment in state.environments)
    for command in commands:
        yield command.addressed(project)
