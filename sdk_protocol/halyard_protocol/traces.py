"""What an evaluation tested, step by step, as data: the types that an explanation is made of.

Parts stand in the order in which they were tested, and what was not reached is not there. Nothing
in a trace decides anything: it is for people, who ask why somebody got what they got. ``matched``
is None where a test was begun and never decided, because segments or prerequisites led in a circle.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from halyard_protocol.evaluation import PrerequisiteOutcome, Reason
from halyard_protocol.matching import SegmentProblem, Through


class _Trace(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A part of a trace; fields at their default are left out."""


class Shown(_Trace, frozen=True):
    """The value of an attribute, made small and turned into JSON."""

    value: Any
    cut: bool = False
    """Something was left out: of a long text or list, of what nests deeply, of a huge number."""
    foreign: bool = False
    """Something in it is no JSON; the name of its type stands in its place, as in ``<set>``."""


class TargetTrace(_Trace, frozen=True):
    """One target list. ``key`` is the one that was listed, ``through`` is where it came from."""

    index: int
    kind: str
    variation: str
    matched: bool
    expired: bool = False
    key: str | None = None
    through: Through | None = None


class ListTrace(_Trace, frozen=True):
    """The entry of a segment's ``included`` or ``excluded`` that lists the context."""

    index: int
    kind: str
    key: str
    through: Through


class GroupTrace(_Trace, frozen=True, tag_field="tests", tag="group"):
    """``all``, ``any`` or ``not`` of the children that were reached."""

    group: Literal["all", "any", "not"]
    matched: bool | None
    children: tuple[NodeTrace, ...] = ()


class LeafTrace(_Trace, frozen=True, tag_field="tests", tag="attribute"):
    """One attribute beside the values it was compared with."""

    kind: str
    attribute: str
    op: str
    matched: bool | None
    values: tuple[Any, ...] = ()
    more_values: int = 0
    """How many further values are not in ``values``."""
    zone: str | None = None
    actual: Shown | None = None
    """What the context has; None where the attribute is missing or null."""


class SegmentTest(_Trace, frozen=True):
    """Whether the context is in one segment; how that was found stands in the table."""

    key: str
    matched: bool
    problem: SegmentProblem | None = None


class MembershipTrace(_Trace, frozen=True, tag_field="tests", tag="segments"):
    """A leaf about segments: those of them that were asked about, until one matched."""

    op: str
    matched: bool | None
    segments: tuple[SegmentTest, ...] = ()


NodeTrace: TypeAlias = GroupTrace | LeafTrace | MembershipTrace
"""One node of a condition."""


class _Hashed(_Trace, frozen=True, kw_only=True):
    """What was hashed, and the number that came out of it."""

    kind: str
    by: str
    bucket: float
    value: Shown | None = None
    """The attribute; None where it is missing or null."""
    hashed: str | None = None
    """The text that was hashed; None where there was none, and the number is therefore 0."""


class WeightTrace(_Hashed, frozen=True, kw_only=True):
    """Whether the context is in the share that a segment's rule includes."""

    weight: int
    matched: bool


class ShareTrace(_Trace, frozen=True):
    """One share of a rollout. ``up_to`` is the sum of the weights so far, in 1/100,000."""

    variation: str
    weight: int
    up_to: int
    untracked: bool = False


class RampTrace(_Trace, frozen=True):
    """A ramp: ``share`` is what its variation has at the instant of evaluation."""

    start: int
    end: int
    share: int


class RolloutTrace(_Hashed, frozen=True, kw_only=True):
    """A rollout, and which of its shares was ``chosen``, by position."""

    shares: tuple[ShareTrace, ...]
    chosen: int
    variation: str
    seed: int | None = None
    experiment: str | None = None
    ramp: RampTrace | None = None


class _RuleTrace(_Trace, frozen=True, kw_only=True):
    """A rule. One that is not understood, or disabled, has no condition here."""

    index: int
    id: str
    matched: bool | None
    name: str = ""
    understood: bool = True
    problem: str = ""
    """What is not understood, for people."""
    condition: NodeTrace | None = None


class RuleTrace(_RuleTrace, frozen=True, kw_only=True):
    """One rule of a flag."""

    enabled: bool = True


class SegmentRuleTrace(_RuleTrace, frozen=True, kw_only=True):
    """One rule of a segment: it matches where its condition holds and its share, if any, does."""

    share: WeightTrace | None = None


class SegmentTrace(_Trace, frozen=True):
    """How it was found whether the context is in one segment."""

    key: str
    version: int
    matched: bool
    cycle: bool = False
    """It depends on itself, so that nobody is in it."""
    included: ListTrace | None = None
    excluded: ListTrace | None = None
    rules: tuple[SegmentRuleTrace, ...] = ()


class PrerequisiteTrace(_Trace, frozen=True):
    """One prerequisite. ``trace`` is there where its flag was decided for the first time."""

    flag: str
    wanted: tuple[str, ...]
    met: bool
    outcome: PrerequisiteOutcome
    got: str | None = None
    """The key of the variation that the flag yields, where it yields one."""
    trace: FlagTrace | None = None


class FlagTrace(_Trace, frozen=True):
    """One flag. ``enabled`` is False too where the flag cannot be read."""

    key: str
    version: int
    enabled: bool
    variation: str | None
    reason: Reason
    expired: bool = False
    prerequisites: tuple[PrerequisiteTrace, ...] = ()
    targets: tuple[TargetTrace, ...] = ()
    rules: tuple[RuleTrace, ...] = ()
    rollout: RolloutTrace | None = None
