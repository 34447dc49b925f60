"""Logs of a project, from commands that were really decided: chosen at random, or given.

Each command is decided on the state that those before it made, so every log is one that could have
come about. Choices come from a ``random.Random`` that the test owns, so that it can be repeated.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from halyard_protocol.conditions import Leaf
from halyard_protocol.ruleset import (
    Bucket,
    Prerequisite,
    Rollout,
    Rule,
    SegmentKeys,
    SegmentRule,
    Serve,
    Target,
    Variation,
)
from msgspec.structs import replace

from domain import commands as c
from domain.decide import decide
from domain.errors import Refusal
from domain.events import Event
from domain.evolve import evolve
from domain.facts import Entity, Fact, Issuer
from domain.state import ProjectState
from domain.upcast import decode_event, encode_event
from eventstore.log import GENESIS, NewCommand, NewEvent, StoredEvent

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
FLAGS = ("alpha", "beta", "gamma")
SEGMENTS = ("staff", "testers")
ENVIRONMENTS = ("development", "production", "sandbox")
SERVE = Serve(rollout=Rollout(buckets=(Bucket("on", 25_000), Bucket("off", 75_000))))
WHEN = Leaf("in", ("DE", "FR"), "country")


def _flag(draw: random.Random) -> str:
    return draw.choice(FLAGS)


def _place(draw: random.Random) -> tuple[str, str]:
    return draw.choice(FLAGS), draw.choice(ENVIRONMENTS)


def _rule(draw: random.Random) -> Rule:
    return Rule(draw.choice(("r1", "r2", "r3")), WHEN, draw.choice((SERVE, Serve("off"))))


def _create_flag(draw: random.Random) -> c.Command:
    return c.CreateFlag(_flag(draw), client_side=draw.random() < 0.5)


def _create_segment(draw: random.Random) -> c.Command:
    return c.CreateSegment(
        draw.choice(SEGMENTS), included=(SegmentKeys(keys=(f"user-{draw.randrange(9)}",)),)
    )


def _issue_key(draw: random.Random) -> c.Command:
    key = f"key-{draw.randrange(30)}"
    if draw.random() < 0.5:
        digest = hashlib.sha256(key.encode()).hexdigest()
        return c.IssueSdkKey(draw.choice(ENVIRONMENTS), key=key, sha256=digest)
    origins = _origins(draw)
    return c.IssueSdkKey(draw.choice(ENVIRONMENTS), key, "client", client_key=key, origins=origins)


def _origins(draw: random.Random) -> tuple[str, ...]:
    return tuple(f"https://{n}.example" for n in range(draw.randrange(3)))


def _set_origins(draw: random.Random) -> c.Command:
    key = f"key-{draw.randrange(30)}"
    return c.SetSdkKeyOrigins(draw.choice(ENVIRONMENTS), key, _origins(draw))


def _set_expiry(draw: random.Random) -> c.Command:
    end = datetime(2036, 1, draw.randrange(1, 28), tzinfo=UTC) if draw.random() < 0.7 else None
    return c.SetSdkKeyExpiry(draw.choice(ENVIRONMENTS), f"key-{draw.randrange(30)}", end)


def _attributes(draw: random.Random) -> c.Command:
    # Not in the order of their names: what is written must not depend on how it was read.
    attributes = {"region": draw.choice(("eu", "us")), "build": draw.randrange(99)}
    return c.SetEnvironmentAttributes(draw.choice(ENVIRONMENTS), attributes=attributes)


def _variations(draw: random.Random) -> c.Command:
    return c.ChangeVariations(
        _flag(draw),
        variations=(Variation("on", True, name=f"On {draw.randrange(9)}"), Variation("off", False)),
    )


def _expiry(draw: random.Random) -> c.Command:
    return c.SetExpiry(*_place(draw), expires_at=BEGIN + timedelta(days=draw.randrange(1, 99)))


def _prerequisites(draw: random.Random) -> c.Command:
    wanted = (Prerequisite(_flag(draw), ("on",)),) if draw.random() < 0.7 else ()
    return c.ChangePrerequisites(*_place(draw), prerequisites=wanted)


def _targets(draw: random.Random) -> c.Command:
    targets = (Target("on", keys=(f"user-{draw.randrange(9)}",)),)
    return c.ChangeTargets(*_place(draw), targets=targets)


def _segment_rules(draw: random.Random) -> c.Command:
    rules = (SegmentRule("s1", WHEN, weight=draw.randrange(100_000)),)
    return c.ChangeSegmentRules(draw.choice(SEGMENTS), rules=rules)


def _members(draw: random.Random) -> c.Command:
    kind = draw.choice((c.AddSegmentMembers, c.RemoveSegmentMembers))
    return kind(draw.choice(SEGMENTS), keys=(f"user-{draw.randrange(9)}",))


CHOICES: tuple[tuple[int, Callable[[random.Random], c.Command]], ...] = (
    (4, _create_flag),
    (2, lambda draw: c.RenameFlag(_flag(draw), name=f"Name {draw.randrange(99)}")),
    (1, lambda draw: c.DescribeFlag(_flag(draw), description=f"It is {draw.randrange(99)}.")),
    (1, lambda draw: c.TagFlag(_flag(draw), tags=(f"tag-{draw.randrange(9)}",))),
    (1, lambda draw: c.AssignMaintainer(_flag(draw), maintainer=f"acc-{draw.randrange(9)}")),
    (1, lambda draw: c.ExposeClientSide(_flag(draw))),
    (1, lambda draw: c.HideClientSide(_flag(draw))),
    (1, lambda draw: c.ArchiveFlag(_flag(draw))),
    (2, lambda draw: c.RestoreFlag(_flag(draw))),
    (1, lambda draw: c.DeleteFlag(_flag(draw))),
    (1, _variations),
    (3, lambda draw: c.EnableFlag(*_place(draw))),
    (3, lambda draw: c.DisableFlag(*_place(draw))),
    (
        1,
        lambda draw: c.ChangeOffVariation(
            *_place(draw), off_variation=draw.choice(("on", "off", None))
        ),
    ),
    (1, lambda draw: c.ChangeFallthrough(*_place(draw), fallthrough=_rule(draw).serve)),
    (1, _targets),
    (2, lambda draw: c.AddRule(*_place(draw), rule=_rule(draw))),
    (1, lambda draw: c.ChangeRule(*_place(draw), rule=_rule(draw))),
    (1, lambda draw: c.RemoveRule(*_place(draw), rule=_rule(draw).id)),
    (1, lambda draw: c.ReorderRules(*_place(draw), order=tuple(draw.sample(("r1", "r2"), 2)))),
    (1, _prerequisites),
    (1, _expiry),
    (1, lambda draw: c.ClearExpiry(*_place(draw))),
    (1, lambda draw: c.SetExposureTracking(*_place(draw), enabled=draw.random() < 0.5)),
    (2, _create_segment),
    (1, lambda draw: c.RenameSegment(draw.choice(SEGMENTS), name=f"S {draw.randrange(9)}")),
    (1, lambda draw: c.DescribeSegment(draw.choice(SEGMENTS), description=f"{draw.random()}")),
    (2, _members),
    (1, _segment_rules),
    (1, lambda draw: c.DeleteSegment(draw.choice(SEGMENTS))),
    (1, lambda draw: c.CreateEnvironment(draw.choice(ENVIRONMENTS))),
    (1, lambda draw: c.RenameEnvironment(draw.choice(ENVIRONMENTS), name=f"{draw.random()}")),
    (1, _attributes),
    (1, lambda draw: c.ProtectEnvironment(draw.choice(ENVIRONMENTS))),
    (1, lambda draw: c.UnprotectEnvironment(draw.choice(ENVIRONMENTS))),
    (1, lambda draw: c.DeleteEnvironment("sandbox")),
    (2, _issue_key),
    (1, _set_origins),
    (1, _set_expiry),
    (2, lambda draw: c.RevokeSdkKey(draw.choice(ENVIRONMENTS), key=f"key-{draw.randrange(30)}")),
)
"""Weights and commands; one that does not fit the state is refused, and another is drawn."""


class ProjectLog:
    """A project's log in memory, command by command, as an appender would write it."""

    def __init__(self, log_id: str = "demo") -> None:
        self.log_id = log_id
        self.state = ProjectState()
        self.events: list[StoredEvent] = []
        self._numbers = count(1)
        self.do(
            c.CreateProject(
                log_id,
                "Demo",
                environments=(
                    c.NewEnvironment("development", id=self._id()),
                    c.NewEnvironment("production", id=self._id()),
                ),
            )
        )

    def truncate(self, keep: int) -> None:
        """Forget every event after a seq, as a database that came back from a backup does."""
        del self.events[keep:]
        self.state = ProjectState()
        for stored in self.events:
            event = decode_event(stored.type, stored.schema_version, stored.body)
            entity = Entity(stored.entity_kind, stored.entity_key, stored.environment)  # type: ignore[arg-type]
            fact: Fact[Event] = Fact(event, entity, stored.revision)
            evolve(self.state, fact, stored.seq, stored.recorded_at)

    def _id(self) -> str:
        digest = hashlib.sha256(f"{self.log_id}{next(self._numbers)}".encode())
        return digest.hexdigest()[:12]

    @property
    def environments(self) -> dict[str, str]:
        """The ids of those that exist, by key."""
        return {row.key: row.id for row in self.state.environments.values()}

    def decide(self, command: c.Command) -> tuple[Fact[Event], ...]:
        """What would follow. Raises ``Refusal``."""
        return decide(self.state, c.complete(command, self._id), Issuer("ann", BEGIN))

    def do(self, *commands: c.Command) -> list[StoredEvent]:
        """Accept commands as one atomic batch: one delta. Raises ``Refusal``, half done."""
        begin = len(self.events)
        for command in commands:
            for fact in self.decide(command):
                self._store(fact, ends_delta=False)
        return self._end_delta(begin)

    def do_any(self, draw: random.Random, commands: int = 1) -> list[StoredEvent]:
        """Accept so many commands drawn at random as one atomic batch."""
        begin = len(self.events)
        while commands:
            commands -= self._try(draw)
        return self._end_delta(begin)

    def _try(self, draw: random.Random) -> bool:
        weights = [weight for weight, _ in CHOICES]
        command = draw.choices(CHOICES, weights)[0][1](draw)
        if isinstance(command, c.IssueSdkKey) and command.client_key is not None:
            place = self.environments.get(command.environment, "")
            command = replace(command, client_key=f"{place}-c-{command.key}")
        try:
            facts = self.decide(command)
        except Refusal:
            return False
        for fact in facts:
            self._store(fact, ends_delta=False)
        return bool(facts)

    def _store(self, fact: Fact[Event], *, ends_delta: bool) -> None:
        seq = len(self.events) + 1
        kind, version, critical, body = encode_event(fact.event)
        before = self.events[-1].hash if self.events else GENESIS
        at = BEGIN + timedelta(seconds=seq)
        stored = StoredEvent(
            self.log_id, seq, f"evt-{seq}", fact.entity.environment, fact.entity.kind,
            fact.entity.key, fact.revision, kind, version, critical, body, "ann", f"cmd-{seq}",
            None, None, ends_delta, at, hashlib.sha256(before + body + b"%d" % seq).digest(),
        )  # fmt: skip
        evolve(self.state, fact, seq, at)
        self.events.append(stored)

    def _end_delta(self, begin: int) -> list[StoredEvent]:
        if len(self.events) > begin:
            last = self.events[-1]
            self.events[-1] = _ending(last)
        return self.events[begin:]


def _ending(stored: StoredEvent) -> StoredEvent:
    fields = {name: getattr(stored, name) for name in StoredEvent.__struct_fields__}
    return StoredEvent(**{**fields, "ends_delta": True})


def random_log(draw: random.Random, deltas: int, log_id: str = "demo") -> ProjectLog:
    """A log of so many deltas after the project's creation, of one to three commands each."""
    log = ProjectLog(log_id)
    for _ in range(deltas):
        log.do_any(draw, draw.choice((1, 1, 1, 2, 3)))
    return log


def deltas_of(events: Sequence[StoredEvent]) -> Iterator[list[StoredEvent]]:
    """The events, cut where deltas end."""
    held: list[StoredEvent] = []
    for stored in events:
        held.append(stored)
        if stored.ends_delta:
            yield held
            held = []


def as_command(delta: Sequence[StoredEvent], **changes: Any) -> NewCommand:
    """A delta as what an appender gives to the store."""
    first = delta[0]
    events = tuple(
        NewEvent(
            f"{stored.log_id}-{stored.seq}", stored.entity_kind, stored.entity_key,
            stored.environment, stored.revision, stored.type, stored.schema_version,
            stored.critical, stored.body,
        )
        for stored in delta
    )  # fmt: skip
    fields: dict[str, Any] = {
        "actor_id": first.actor_id,
        "idempotency_key": f"{first.log_id}-{first.seq}",
        "request_hash": b"",
        "outcome": b"",
        "command_id": first.command_id,
        "events": events,
    }
    return NewCommand(**{**fields, **changes})
