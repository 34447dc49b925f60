"""Listens to one evaluation, and makes its trace.

The evaluation says what it enters and leaves, and what it finds in between. A part is made when it
is left, out of what was recorded inside of it. A part that is never left, since a circle ended the
evaluation of everything around it, is made when something that holds it is left.

A trace has a bound, :data:`MAX_TRACE_PARTS`, since the shape of a flag is a stranger's. What is
entered or found beyond that is left out, and the parts that were already there are completed.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec

from halyard_protocol.conditions import (
    SEGMENT_OPERATORS,
    VALUELESS_OPERATORS,
    All,
    AnyOf,
    Condition,
    Leaf,
)
from halyard_protocol.evaluation import PrerequisiteOutcome, Reason
from halyard_protocol.limits import MAX_BUCKETS
from halyard_protocol.matching import Hashed, Listing, SegmentProblem
from halyard_protocol.ruleset import (
    TOTAL_WEIGHT,
    Bucket,
    Flag,
    Prerequisite,
    Ramp,
    Rollout,
    Rule,
    Segment,
    SegmentKeys,
    SegmentRule,
    Target,
)
from halyard_protocol.showing import MAX_ITEMS, Showing, text, whole
from halyard_protocol.traces import (
    FlagTrace,
    GroupTrace,
    LeafTrace,
    ListTrace,
    MembershipTrace,
    NodeTrace,
    PrerequisiteTrace,
    RampTrace,
    RolloutTrace,
    RuleTrace,
    SegmentRuleTrace,
    SegmentTest,
    SegmentTrace,
    ShareTrace,
    Shown,
    TargetTrace,
    WeightTrace,
)

T = TypeVar("T")

MAX_TRACE_PARTS: Final = 5_000
"""Tested things, values and shares in one trace; a flag of a thousand leaves stays below."""

Subject: TypeAlias = Flag | Prerequisite | Rule | SegmentRule | Segment | Condition
"""What an evaluation enters and leaves."""


class _NotUnderstood(NamedTuple):
    problem: str


class _Decided(NamedTuple):
    variation: str | None
    reason: Reason


class _Required(NamedTuple):
    outcome: PrerequisiteOutcome
    got: str | None


class _Listed(NamedTuple):
    which: Literal["included", "excluded"]
    trace: ListTrace


class _Open:
    """A subject that was entered. ``kept`` is False where there was no room for it any more."""

    __slots__ = ("index", "kept", "parts", "subject")

    def __init__(self, subject: Subject, index: int, kept: bool) -> None:
        self.subject = subject
        self.index = index
        self.kept = kept
        self.parts: list[Any] = []
        """What was recorded inside, in order; :meth:`all` and :meth:`last` sort it by type."""

    def all(self, of: type[T]) -> tuple[T, ...]:
        return tuple(part for part in self.parts if isinstance(part, of))

    def nodes(self) -> tuple[NodeTrace, ...]:
        nodes = GroupTrace | LeafTrace | MembershipTrace
        return tuple(part for part in self.parts if isinstance(part, nodes))

    def last(self, of: type[T]) -> T | None:
        found = self.all(of)
        return found[-1] if found else None


class Recorder:
    """Records one evaluation.

    Attributes:
        flag: the trace of the flag that was asked for, once that has been decided.
        segments: the trace of each segment that was decided, by its key.
        truncated: whether there was more than a trace holds.
    """

    __slots__ = ("_opened", "_room", "flag", "segments", "truncated")

    def __init__(self) -> None:
        self.flag: FlagTrace | None = None
        self.segments: dict[str, SegmentTrace] = {}
        self.truncated = False
        self._room = MAX_TRACE_PARTS
        self._opened: list[_Open] = []
        """What was entered and not left, outermost first."""

    def enter(self, subject: Subject, index: int = 0) -> None:
        """Something is about to be tested; ``index`` is its position, where it has one."""
        self._opened.append(_Open(subject, index, kept=self._takes(1)))

    def leave(self, subject: Subject, matched: bool | None = None) -> None:
        """It has been tested; None says that it was given up."""
        self._return_to(subject)
        self._close(matched)

    def decided(self, flag: Flag, variation: str | None, reason: Reason) -> None:
        """A flag that was entered yields this."""
        self._return_to(flag)
        self._add(_Decided(variation, reason))
        self._close(None)

    def required(
        self, prerequisite: Prerequisite, outcome: PrerequisiteOutcome, got: str | None
    ) -> None:
        """A prerequisite that was entered came out like this."""
        self._add(_Required(outcome, got))
        self.leave(prerequisite)

    def target(self, index: int, target: Target, expired: bool, found: Listing | None) -> None:
        """A target was tested."""
        if self._takes(1):
            key, through = (None, None) if found is None else (text(found.key), found.through)
            kind, variation = text(target.kind), text(target.variation)
            matched = found is not None
            self._add(TargetTrace(index, kind, variation, matched, expired, key, through))

    def not_understood(self, problem: str) -> None:
        """The rule that was entered is not understood."""
        self._add(_NotUnderstood(text(problem)))

    def found(self, attribute: Any) -> None:
        """The leaf that was entered compares this."""
        if attribute is not None:
            self._add(self._shown(attribute))

    def segment(self, key: str, matched: bool, problem: SegmentProblem | None = None) -> None:
        """A segment was asked about, and there was nothing to decide."""
        if self._takes(1):
            self._add(SegmentTest(text(key), matched, problem))

    def listed(
        self,
        which: Literal["included", "excluded"],
        index: int,
        entry: SegmentKeys,
        found: Listing,
    ) -> None:
        """The segment that was entered lists the context."""
        trace = ListTrace(index, text(entry.kind), text(found.key), found.through)
        self._add(_Listed(which, trace))

    def weighed(self, rule: SegmentRule, weight: int, hashed: Hashed, within: bool) -> None:
        """The segment's rule that was entered holds, and includes a share."""
        self._add(
            WeightTrace(
                kind=text(rule.kind),
                by=text(rule.by),
                bucket=hashed.number,
                value=self._shown(hashed.attribute),
                hashed=_text_or_none(hashed.text),
                weight=whole(weight),
                matched=within,
            )
        )

    def rolled_out(
        self, rollout: Rollout, by: str, hashed: Hashed, buckets: tuple[Bucket, ...], chosen: Bucket
    ) -> None:
        """The flag that was entered is decided by a rollout."""
        position = next(i for i, candidate in enumerate(buckets) if candidate is chosen)
        self._add(
            RolloutTrace(
                kind=text(rollout.kind),
                by=text(by),
                bucket=hashed.number,
                value=self._shown(hashed.attribute),
                hashed=_text_or_none(hashed.text),
                shares=self._shares(buckets),
                chosen=position,
                variation=text(chosen.variation),
                seed=None if rollout.seed is None else whole(rollout.seed),
                experiment=_text_or_none(rollout.experiment),
                ramp=_ramp(rollout.ramp, buckets),
            )
        )

    def _takes(self, parts: int) -> bool:
        """Take room for some parts; False where there is none."""
        if self._room < parts:
            self._room = 0
            self.truncated = True
            return False
        self._room -= parts
        return True

    def _add(self, part: Any) -> None:
        if self._opened and self._opened[-1].kept:
            self._opened[-1].parts.append(part)

    def _return_to(self, subject: Subject) -> None:
        """Close whatever was entered inside of the subject, and given up."""
        while self._opened[-1].subject is not subject:
            self._close(None)

    def _close(self, matched: bool | None) -> None:
        opened = self._opened.pop()
        if not opened.kept:
            return
        part = self._made(opened, matched)
        if isinstance(part, SegmentTrace):
            self.segments[part.key] = part
            part = SegmentTest(part.key, part.matched, "cycle" if part.cycle else None)
        self._add(part)
        if isinstance(part, FlagTrace) and not self._opened:
            self.flag = part

    def _made(self, opened: _Open, matched: bool | None) -> Any:
        match opened.subject:
            case Flag() as flag:
                return _flag(flag, opened)
            case Prerequisite() as prerequisite:
                return _prerequisite(prerequisite, opened)
            case Rule() as rule:
                return RuleTrace(enabled=rule.enabled, **_rule(rule, opened, matched))
            case SegmentRule() as rule:
                share = opened.last(WeightTrace)
                return SegmentRuleTrace(share=share, **_rule(rule, opened, matched))
            case Segment() as segment:
                return _segment(segment, opened, matched)
            case Leaf() as leaf:
                return self._leaf(leaf, opened, matched)
        return _group(opened, matched)

    def _leaf(self, leaf: Leaf, opened: _Open, matched: bool | None) -> NodeTrace:
        if leaf.op in SEGMENT_OPERATORS:
            return MembershipTrace(leaf.op, matched, opened.all(SegmentTest))
        values = () if leaf.op in VALUELESS_OPERATORS else leaf.values
        seen = values[:MAX_ITEMS] if self._takes(len(values[:MAX_ITEMS])) else ()
        return LeafTrace(
            text(leaf.kind),
            text(leaf.attribute),
            leaf.op,
            matched,
            values=tuple(Showing().json(value) for value in seen),
            more_values=len(values) - len(seen),
            zone=_text_or_none(leaf.zone),
            actual=opened.last(Shown),
        )

    def _shown(self, attribute: Any) -> Shown | None:
        if attribute is None:
            return None
        showing = Showing()
        value = showing.json(attribute)
        if not self._takes(1 + showing.items):
            return Shown(None, cut=True)
        return Shown(value, showing.cut, showing.foreign)

    def _shares(self, buckets: tuple[Bucket, ...]) -> tuple[ShareTrace, ...]:
        shares, total = [], 0
        for bucket in buckets[:MAX_BUCKETS]:
            total += bucket.weight
            if not self._takes(1):
                break
            up_to = max(0, min(total, TOTAL_WEIGHT))
            share = ShareTrace(text(bucket.variation), whole(bucket.weight), up_to)
            shares.append(msgspec.structs.replace(share, untracked=bucket.untracked))
        return tuple(shares)


def _text_or_none(value: str | None) -> str | None:
    return None if value is None else text(value)


def _ramp(ramp: Ramp | None, buckets: tuple[Bucket, ...]) -> RampTrace | None:
    """A ramp, whose share at the instant of evaluation is the first of the two buckets."""
    if ramp is None:
        return None
    return RampTrace(whole(ramp.start), whole(ramp.end), whole(buckets[0].weight))


def _flag(flag: Flag, opened: _Open) -> FlagTrace:
    (decided,) = opened.all(_Decided)
    return FlagTrace(
        text(flag.key),
        whole(flag.version),
        flag.enabled,
        _text_or_none(decided.variation),
        _shown_reason(decided.reason),
        expired=decided.reason.kind == "EXPIRED",
        prerequisites=opened.all(PrerequisiteTrace),
        targets=opened.all(TargetTrace),
        rules=opened.all(RuleTrace),
        rollout=opened.last(RolloutTrace),
    )


def _shown_reason(reason: Reason) -> Reason:
    return msgspec.structs.replace(
        reason,
        rule_id=_text_or_none(reason.rule_id),
        prerequisite=_text_or_none(reason.prerequisite),
        message=text(reason.message) if reason.message else "",
    )


def _prerequisite(prerequisite: Prerequisite, opened: _Open) -> PrerequisiteTrace:
    required = opened.last(_Required) or _Required("cycle", None)
    return PrerequisiteTrace(
        text(prerequisite.flag),
        tuple(text(key) for key in prerequisite.variations[:MAX_ITEMS]),
        required.outcome == "met",
        required.outcome,
        got=_text_or_none(required.got),
        trace=opened.last(FlagTrace),
    )


def _rule(rule: Rule | SegmentRule, opened: _Open, matched: bool | None) -> dict[str, Any]:
    unknown = opened.last(_NotUnderstood)
    return {
        "index": opened.index,
        "id": text(rule.id),
        "matched": matched,
        "name": text(rule.name) if rule.name else "",
        "understood": unknown is None,
        "problem": "" if unknown is None else unknown.problem,
        "condition": next(iter(opened.nodes()), None),
    }


def _segment(segment: Segment, opened: _Open, matched: bool | None) -> SegmentTrace:
    lists = {listed.which: listed.trace for listed in opened.all(_Listed)}
    return SegmentTrace(
        text(segment.key),
        whole(segment.version),
        matched is True,
        cycle=matched is None,
        included=lists.get("included"),
        excluded=lists.get("excluded"),
        rules=opened.all(SegmentRuleTrace),
    )


def _group(opened: _Open, matched: bool | None) -> GroupTrace:
    match opened.subject:
        case All():
            return GroupTrace("all", matched, opened.nodes())
        case AnyOf():
            return GroupTrace("any", matched, opened.nodes())
    return GroupTrace("not", matched, opened.nodes())
