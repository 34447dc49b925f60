"""The types of a ruleset, as an SDK receives them.

Frozen, with tuples inside: a ruleset is a value. Reading is lenient (unknown fields are ignored,
absent ones have defaults); the strict reading, for commands, is :mod:`halyard_protocol.validation`.

The garbage collector does not look at these types (``gc=False``): they hold no circles, and going
through those of a large ruleset would stop a process for longer than anything else does.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NewType, TypeAlias

import msgspec

from halyard_protocol.conditions import Condition

Seq = NewType("Seq", int)
"""A position in a project's log: 1, 2, 3 and so on, without gaps."""

EntityVersion = NewType("EntityVersion", int)
"""The seq of the last change of one document of a ruleset."""

FlagType: TypeAlias = Literal["boolean", "string", "integer", "number", "json"]

TOTAL_WEIGHT = 100_000
"""Weights are in 1/100,000 and add up to this."""


class _Wire(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A type whose every field is written."""


class _Sparse(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """A type whose fields at their default are left out."""


_USER = "user"
_KEY = "key"


def _as_default(of: msgspec.Struct, field: str, default: str) -> None:
    """Put the default itself where a field only equals it.

    msgspec leaves a field out where it *is* the default, and a string that was read never is.
    Without this, equal values would be written in two ways, and so have two digests.
    """
    value = getattr(of, field)
    if value == default and value is not default:
        msgspec.structs.force_setattr(of, field, default)


class _OfKind(_Sparse, frozen=True):
    """A sparse type about contexts of one kind."""

    def __post_init__(self) -> None:
        _as_default(self, "kind", _USER)


class _ByAttribute(_OfKind, frozen=True):
    """A sparse type about one attribute of the contexts of one kind."""

    def __post_init__(self) -> None:
        _as_default(self, "kind", _USER)
        _as_default(self, "by", _KEY)


class Variation(_Sparse, frozen=True):
    """One of the values a flag can have."""

    key: str
    value: Any
    """JSON of the flag's type, as msgspec reads it into builtins."""
    name: str = ""
    description: str = ""


class Prerequisite(_Wire, frozen=True):
    """A flag that must be enabled, unexpired and yield one of ``variations``."""

    flag: str
    variations: tuple[str, ...] = ()


class Target(_OfKind, frozen=True):
    """Keys of one context kind that get one variation, until ``expires_at``."""

    variation: str
    kind: str = _USER
    keys: tuple[str, ...] = ()
    expires_at: datetime | None = None


class Bucket(_Sparse, frozen=True):
    """A share of a rollout, in 1/100,000."""

    variation: str
    weight: int
    untracked: bool = False
    """True where this share is outside of the experiment."""


class Ramp(_Wire, frozen=True, rename={"from_": "from"}):
    """A linear rise of ``variation`` from ``start`` to ``end`` (1/100,000) between two instants."""

    variation: str
    otherwise: str
    from_: datetime
    to: datetime
    start: int = 0
    end: int = TOTAL_WEIGHT


class Rollout(_ByAttribute, frozen=True):
    """A split of contexts by a hash of one attribute: into ``buckets``, or by a ``ramp``."""

    kind: str = _USER
    by: str = _KEY
    buckets: tuple[Bucket, ...] = ()
    seed: int | None = None
    experiment: str | None = None
    ramp: Ramp | None = None


class Serve(_Sparse, frozen=True):
    """What a rule or the fallthrough yields: one variation, or a rollout."""

    variation: str | None = None
    rollout: Rollout | None = None


class Rule(_Sparse, frozen=True):
    """Serves ``serve`` to the contexts for which ``when`` holds."""

    id: str
    when: Condition
    serve: Serve
    name: str = ""
    description: str = ""
    enabled: bool = True


class Flag(_Wire, frozen=True, kw_only=True):
    """One flag as it stands in one environment."""

    key: str
    version: int = 0
    type: FlagType = "boolean"
    enabled: bool = False
    variations: tuple[Variation, ...] = ()
    off_variation: str | None = None
    prerequisites: tuple[Prerequisite, ...] = ()
    targets: tuple[Target, ...] = ()
    rules: tuple[Rule, ...] = ()
    fallthrough: Serve = Serve()
    salt: str = ""
    expires_at: datetime | None = None
    client_side: bool = False
    track_exposures: bool = False


class MalformedFlag(msgspec.Struct, frozen=True):
    """A flag that could not be read. Evaluating it answers ``ERROR/MALFORMED_FLAG``."""

    key: str
    version: int
    problem: str
    client_side: bool = False
    """As far as that can be read."""


class SegmentKeys(_OfKind, frozen=True):
    """Keys of one context kind."""

    kind: str = _USER
    keys: tuple[str, ...] = ()


class SegmentRule(_ByAttribute, frozen=True):
    """Includes the contexts for which ``when`` holds, or the ``weight`` share of them."""

    id: str
    when: Condition
    kind: str = _USER
    by: str = _KEY
    weight: int | None = None
    """In 1/100,000; None includes every match."""
    name: str = ""


class Segment(_Wire, frozen=True, kw_only=True):
    """A named set of contexts, for use in rules of any flag of the project."""

    key: str
    version: int = 0
    included: tuple[SegmentKeys, ...] = ()
    excluded: tuple[SegmentKeys, ...] = ()
    rules: tuple[SegmentRule, ...] = ()
    salt: str = ""


class Environment(_Wire, frozen=True):
    """The environment itself: its attributes are the context kind ``environment``."""

    key: str
    attributes: dict[str, Any] = {}
    version: int = 0


class Ruleset(msgspec.Struct, frozen=True):
    """Everything one environment's evaluation needs, as of one seq.

    The dictionaries are never changed after construction; a new ruleset is made instead.
    """

    environment: Environment
    flags: dict[str, Flag | MalformedFlag]
    segments: dict[str, Segment]
