"""Given commands, when a command, then events: how the domain's tests read.

The history is given in commands rather than in facts, so that no test rests on a state that the
domain itself would never have reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TypeVar

import pytest

from domain.commands import Command, CreateFlag, CreateProject, CreateSegment, complete
from domain.decide import decide
from domain.errors import Refusal
from domain.events import Event
from domain.evolve import evolve
from domain.facts import Entity, Fact, Issuer
from domain.state import ProjectState, digest

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANN = Issuer("ann", NOW)
PROJECT = CreateProject("demo", "Demo")

R = TypeVar("R", bound=Refusal)


def flag(key: str) -> CreateFlag:
    """A boolean flag with all defaults."""
    return CreateFlag(key)


def segment(key: str) -> CreateSegment:
    """An empty segment."""
    return CreateSegment(key)


def new_ids() -> Iterator[str]:
    """Twelve characters each, the same in every run."""
    return (f"{number:012d}" for number in count(1))


class History:
    """A project that goes from command to command, one fact at a time."""

    def __init__(self) -> None:
        self.state = ProjectState()
        self.facts: list[Fact[Event]] = []
        self.by = ANN
        """Who asks, and when."""
        self._ids = new_ids()

    def decide(self, command: Command) -> tuple[Fact[Event], ...]:
        """What would follow; nothing changes."""
        return decide(self.state, complete(command, self._ids.__next__), self.by)

    def do(self, *commands: Command) -> History:
        """Accept commands and fold what follows."""
        for command in commands:
            self.fold(*self.decide(command))
        return self

    def fold(self, *facts: Fact[Event]) -> None:
        """Go on by facts."""
        for fact in facts:
            self.facts.append(fact)
            seq = len(self.facts)
            evolve(self.state, fact, seq, NOW + timedelta(seconds=seq))

    def when(self, command: Command) -> tuple[Event, ...]:
        """The events that follow from a command, which is then done."""
        facts = self.decide(command)
        self.fold(*facts)
        return tuple(fact.event for fact in facts)

    def refusal(self, command: Command, of: type[R]) -> R:
        """The refusal of a command, which must change nothing."""
        before = digest(self.state)
        with pytest.raises(of) as caught:
            self.decide(command)
        assert digest(self.state) == before
        assert type(caught.value) is of
        return caught.value

    def revision(self, kind: str, key: str, environment: str | None = None) -> int:
        """The revision of an entity."""
        return self.state.revision(Entity(kind, key, environment))  # type: ignore[arg-type]


def given(*commands: Command) -> History:
    """A new project in which these commands were accepted."""
    return History().do(PROJECT, *commands)
