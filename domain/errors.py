"""Why a command was refused. Each refusal builds its sentence from its attributes.

A refusal changes nothing. The tree, with the HTTP status that each branch becomes::

    Refusal
    ├── InvalidCommand          422  the command itself is wrong, whatever the state
    ├── UnknownEntity           404  it addresses what is not there
    │   └── UnknownRule              a rule of a flag that is there
    ├── NotPermitted            403  who asks may not, at least not there
    │   └── BeyondOwn                nor give, or touch who has, what they have not
    ├── StaleRevision           412  the entity changed since the caller saw it
    └── Conflict                409  the command and the state do not go together
        ├── KeyTaken                 something of that kind has the key already
        ├── LargerCondition          a segment is one part of what rules test; lists them
    ├── StillInUse               others rest on it; lists where
        ├── WouldCycle               prerequisites or segments would go round
        ├── Archived                 an archived flag is not changed, and nothing may rest on it
        ├── Revoked                  an SDK key that was revoked or has ended is not changed
        ├── OtherType                a flag's type never changes
        ├── AccountClosed            a disabled or erased account does and gets nothing
        ├── LastAdministrator        somebody has to be one
        ├── ApprovalRequired         an environment asks that others approve first
        ├── OwnRequest               nobody approves of what they wrote
        ├── RequestClosed            a change request is not open
        └── LimitReached             the bound on how many there may be
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

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


class NotPermitted(Refusal):
    """Whoever asks lacks a permission, where it would be needed."""

    def __init__(
        self, permission: str, project: str | None = None, environment: str | None = None
    ) -> None:
        self.permission = permission
        self.project = project
        """Its key; None for what is of the installation."""
        self.environment = environment
        """The first one in which it is missing; ``*`` where it is needed in all of them; None for
        what is of none."""
        super().__init__(permission, project, environment)

    def __str__(self) -> str:
        place = "" if self.project is None else f" in project '{self.project}'"
        if self.environment == "*":
            place = f" in every environment of project '{self.project}'"
        elif self.environment is not None:
            place = f" in environment '{self.environment}' of project '{self.project}'"
        return f"this needs the permission {self.permission}{place}"


class BeyondOwn(NotPermitted):
    """Nobody gives away, or acts on who has, what they may not do themselves."""

    def __str__(self) -> str:
        return (
            f"this gives, or is about who has, the permission {self.permission}, which you do not "
            "have there yourself: ask somebody who has it"
        )


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


class LargerCondition(Conflict):
    """To take a segment out of these rules would change what they mean."""

    def __init__(self, segment: str, uses: tuple[Use, ...]) -> None:
        self.segment = segment
        self.uses = uses
        """Every such rule; at least one."""
        super().__init__(segment, uses)

    def __str__(self) -> str:
        return (
            f"segment '{self.segment}' is one part of a larger condition of "
            f"{', '.join(map(str, self.uses))}: change the rule itself, or remove it by force"
        )


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
    """An SDK key that was revoked, or whose end has come, cannot be changed."""

    def __init__(self, key: str, ended_at: datetime | None = None) -> None:
        self.key = key
        """Its id."""
        self.ended_at = ended_at
        """Where it was not revoked, but has ended by itself."""
        super().__init__(key, ended_at)

    def __str__(self) -> str:
        if self.ended_at is not None:
            return f"key '{self.key}' ended at {self.ended_at.isoformat()}: issue another one"
        return f"key '{self.key}' is revoked: issue another one"


class OtherType(Conflict):
    """What is wanted of a flag is of a type that it does not have, and can never get."""

    def __init__(self, flag: str, held: str, wanted: str) -> None:
        self.flag = flag
        self.held = held
        self.wanted = wanted
        super().__init__(flag, held, wanted)

    def __str__(self) -> str:
        return (
            f"flag '{self.flag}' is of type {self.held}, not {self.wanted}, and a type never "
            "changes: take another key, or delete the flag first"
        )


class AccountClosed(Conflict):
    """The account is disabled, or was erased."""

    def __init__(self, account: str, *, erased: bool) -> None:
        self.account = account
        self.erased = erased
        super().__init__(account, erased)

    def __str__(self) -> str:
        if self.erased:
            return f"account '{self.account}' was erased: make another one"
        return f"account '{self.account}' is disabled: enable it first"


class LastAdministrator(Conflict):
    """No other account would be an administrator everywhere."""

    def __init__(self, account: str) -> None:
        self.account = account
        super().__init__(account)

    def __str__(self) -> str:
        return f"account '{self.account}' is the last administrator: make somebody else one first"


class ApprovalRequired(Conflict):
    """An environment asks for more approvals than there are."""

    def __init__(self, environments: tuple[str, ...], required: int, given: int) -> None:
        self.environments = environments
        """Their keys, sorted."""
        self.required = required
        self.given = given
        super().__init__(environments, required, given)

    def __str__(self) -> str:
        where = " and ".join(f"'{key}'" for key in self.environments)
        approvals = "approval" if self.required == 1 else "approvals"
        has = f"has {self.given}" if self.given else "has none"
        return (
            f"a change in {where} needs {self.required} {approvals} and {has}: "
            "open a change request, or have it approved"
        )


class OwnRequest(Conflict):
    """Nobody approves of a change request that they wrote or edited."""

    def __init__(self, request: str) -> None:
        self.request = request
        super().__init__(request)

    def __str__(self) -> str:
        return f"change request '{self.request}' is your own: somebody else approves of it"


class RequestClosed(Conflict):
    """A change request that is not open takes no approval, and one that is over takes nothing."""

    def __init__(self, request: str, status: str) -> None:
        self.request = request
        self.status = status
        super().__init__(request, status)

    def __str__(self) -> str:
        way = "edit it first" if self.status == "rejected" else "open another one"
        return f"change request '{self.request}' was {self.status}: {way}"


class LimitReached(Conflict):
    """There are as many as there may be."""

    def __init__(self, what: str, limit: int) -> None:
        self.what = what
        """What there are too many of, in the plural."""
        self.limit = limit
        super().__init__(what, limit)

    def __str__(self) -> str:
        return f"there may be at most {self.limit} {self.what}: remove some first"
