"""Why a command was refused. Each refusal builds its sentence from its attributes.

A refusal changes nothing. The tree, with the HTTP status that each branch becomes::

    Refusal
    ├── InvalidCommand          422  the command itself is wrong, whatever the state
    ├── UnknownEntity           404  it addresses what is not there
    │   └── UnknownRule              a rule of a flag that is there
    ├── StaleRevision           412  the entity changed since the caller saw it
    └── Conflict                409  the command and the state do not go together
        ├── KeyTaken                 something of that kind has the key already
        ├── StillInUse               others rest on it; lists where
        ├── WouldCycle               prerequisites or segments would go round
        ├── Archived                 an archived flag is not changed, and nothing may rest on it
        ├── Revoked                  a revoked SDK key is not changed
        └── LimitReached             the bound on how many there may be
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from halyard_protocol.problems import Problem, hint

from domain.facts import Entity


class Use(msgspec.Struct, frozen=True):
    """A place that rests on something: ``by``, and which part of it."""

    by: Entity
    part: str

    def __str__(self) -> str:
        return f"{self.by} ({self.part})"


class Refusal(Exception):
    """A command that was not accepted. ``str()`` is a sentence for people."""

    command_number: int | None = None
    """Which command of a batch it was, the first being 0; None where there was only one."""


class InvalidCommand(Refusal):
    """The command is not well-formed, or names values that cannot be."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        """At least one, in the order of reading."""
        super().__init__(problems)

    def __str__(self) -> str:
        return "; ".join(
            f"{problem.path}: {problem.reason}" if problem.path else problem.reason
            for problem in self.problems
        )


class UnknownEntity(Refusal):
    """Nothing of that kind has that key here."""

    def __init__(self, entity: Entity, known: Iterable[str] = ()) -> None:
        self.entity = entity
        self.known = tuple(known)
        """The keys that there are, for a hint."""
        super().__init__(entity)

    def __str__(self) -> str:
        if not self.entity.key:
            return f"there is no such {self.entity.kind}"
        return f"there is no {self.entity}{hint(self.entity.key, self.known)}"


class UnknownRule(UnknownEntity):
    """The flag is there, but has no rule of that id in that environment."""

    def __init__(self, entity: Entity, rule: str, known: Iterable[str]) -> None:
        super().__init__(entity, known)
        self.rule = rule

    def __str__(self) -> str:
        return f"{self.entity} has no rule '{self.rule}'{hint(self.rule, self.known)}"


class StaleRevision(Refusal):
    """The entity is at another revision than the caller expected."""

    def __init__(self, entity: Entity, expected: int, actual: int) -> None:
        self.entity = entity
        self.expected = expected
        self.actual = actual
        super().__init__(entity, expected, actual)

    def __str__(self) -> str:
        return (
            f"{self.entity} is at revision {self.actual}, not {self.expected}: "
            "read it again and repeat the command against what it is now"
        )


class Conflict(Refusal):
    """The command is sound, but the project's state stands against it."""


class KeyTaken(Conflict):
    """Something of that kind has the key already."""

    def __init__(self, entity: Entity) -> None:
        self.entity = entity
        super().__init__(entity)

    def __str__(self) -> str:
        return f"{self.entity} exists already: choose another key"


class StillInUse(Conflict):
    """Something that would go is used elsewhere."""

    def __init__(self, what: str, uses: tuple[Use, ...]) -> None:
        self.what = what
        """What would go, in words: ``segment 'beta'``."""
        self.uses = uses
        """Every place that uses it; at least one."""
        super().__init__(what, uses)

    def __str__(self) -> str:
        return f"{self.what} is still used by {', '.join(map(str, self.uses))}"


class WouldCycle(Conflict):
    """Something would come to depend on itself."""

    def __init__(self, kind: str, keys: tuple[str, ...]) -> None:
        self.kind = kind
        """``flag`` or ``segment``."""
        self.keys = keys
        """The way round: the last is the first again."""
        super().__init__(kind, keys)

    def __str__(self) -> str:
        return f"{self.kind}s would depend on each other in a circle: {' -> '.join(self.keys)}"


class Archived(Conflict):
    """An archived flag cannot be changed, nor can anything rest on it."""

    def __init__(self, flag: str) -> None:
        self.flag = flag
        super().__init__(flag)

    def __str__(self) -> str:
        return f"flag '{self.flag}' is archived: restore it first"


class Revoked(Conflict):
    """A revoked SDK key cannot be changed."""

    def __init__(self, key: str) -> None:
        self.key = key
        """Its id."""
        super().__init__(key)

    def __str__(self) -> str:
        return f"key '{self.key}' is revoked: issue another one"


class LimitReached(Conflict):
    """There are as many as there may be."""

    def __init__(self, what: str, limit: int) -> None:
        self.what = what
        """What there are too many of, in the plural."""
        self.limit = limit
        super().__init__(what, limit)

    def __str__(self) -> str:
        return f"there may be at most {self.limit} {self.what}: remove some first"
