"""The decision: ``(ruleset, flag, context, now) -> (value, variation, reason)``.

This is the reference: it walks the tree of a flag as the specification tells it, and whatever is
quicker must give the same answers. It is pure and total: it reads no clock, logs nothing, and
always answers, with the caller's default where there is nothing better. What is malformed in one
flag never shows in another, except that a prerequisite without a variation is not met.

Where the inquiry has a recorder, it is told of each step; it is the same walk with and without.

The order: unknown, disabled, expired, prerequisites, targets, rules, fallthrough.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from halyard_protocol.bucketing import bucket, bucketing_value, choose, shares
from halyard_protocol.context import Context
from halyard_protocol.instants import instant_ms
from halyard_protocol.limits import MAX_PREREQUISITE_DEPTH
from halyard_protocol.matching import Hashed, Inquiry, listing, matches
from halyard_protocol.ruleset import (
    Flag,
    MalformedFlag,
    Prerequisite,
    Rollout,
    Ruleset,
    Serve,
    Variation,
)

ReasonKind: TypeAlias = Literal[
    "ERROR",
    "DISABLED",
    "EXPIRED",
    "PREREQUISITE_FAILED",
    "TARGET_MATCH",
    "RULE_MATCH",
    "FALLTHROUGH",
]

PrerequisiteOutcome: TypeAlias = Literal[
    "met", "otherVariation", "unknown", "malformed", "disabled", "expired", "cycle"
]
"""What became of a prerequisite; all but ``met`` fail the flag that has it."""

FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
MALFORMED_FLAG = "MALFORMED_FLAG"


class Reason(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """Why a context got what it got."""

    kind: ReasonKind
    error_code: str | None = None
    """With ``ERROR`` only."""
    rule_id: str | None = None
    rule_index: int | None = None
    """The position among all rules of the flag, from 0; with ``RULE_MATCH`` only, like the id."""
    prerequisite: str | None = None
    """The first flag that was not as required."""
    bucket: float | None = None
    """The context's bucketing number, where a rollout decided."""
    in_experiment: bool = False
    message: str = ""
    """For people, with ``ERROR`` only."""


class Detail(msgspec.Struct, frozen=True, rename="camel"):
    """An answer. ``variation`` is None where ``value`` is the caller's default."""

    value: Any
    variation: str | None
    reason: Reason


class _Malformed(Exception):
    """The flag cannot be decided; ``str()`` says why."""


class _Cycle(_Malformed):
    """Prerequisites lead back to a flag, or too far: nothing above can be decided either."""


class _Decision(msgspec.Struct, frozen=True):
    """The key of a variation, or None where the flag is off and has no off variation."""

    variation: str | None
    reason: Reason


_DISABLED = Reason("DISABLED")
_EXPIRED = Reason("EXPIRED")
_TARGET_MATCH = Reason("TARGET_MATCH")
_FALLTHROUGH = Reason("FALLTHROUGH")


def evaluate(
    ruleset: Ruleset, flag_key: str, context: Context, default: Any, now_ms: int
) -> Detail:
    """Decide one flag for one context at one instant (``now_ms``, since the epoch)."""
    return answer(Inquiry(ruleset, context, now_ms), flag_key, default)


def answer(inquiry: Inquiry, flag_key: str, default: Any) -> Detail:
    """Decide one flag for a new inquiry."""
    flag = inquiry.ruleset.flags.get(flag_key)
    if flag is None:
        message = f"the environment has no flag '{flag_key}'"
        return Detail(default, None, _error(FLAG_NOT_FOUND, message))
    try:
        variation, reason = _Evaluation(inquiry).decide(flag)
    except _Malformed as malformed:
        return Detail(default, None, _error(MALFORMED_FLAG, str(malformed)))
    if variation is None:
        return Detail(default, None, reason)
    return Detail(variation.value, variation.key, reason)


def _error(code: str, message: str) -> Reason:
    return Reason("ERROR", error_code=code, message=message)


class _Evaluation:
    """Decides flags for one inquiry; each prerequisite once, however often it is named."""

    __slots__ = ("inquiry", "malformed", "underway", "yielded")

    def __init__(self, inquiry: Inquiry) -> None:
        self.inquiry = inquiry
        self.underway: list[str] = []
        """The flags being decided: the one asked for, then prerequisites."""
        self.yielded: dict[str, str | None] = {}
        """The variations of the prerequisites so far."""
        self.malformed: set[str] = set()
        """Those of them that could not be decided, and yield nothing."""

    def decide(self, flag: Flag | MalformedFlag) -> tuple[Variation | None, Reason]:
        """Go through the order of evaluation. Raises :class:`_Malformed`."""
        if isinstance(flag, MalformedFlag):
            raise _Malformed(f"flag '{flag.key}' cannot be read: {flag.problem}")
        if flag.key in self.underway:
            raise _Cycle(f"flag '{flag.key}' is among its own prerequisites")
        if len(self.underway) > MAX_PREREQUISITE_DEPTH:
            raise _Cycle(f"prerequisites nest deeper than {MAX_PREREQUISITE_DEPTH}")
        recorder = self.inquiry.recorder
        if recorder is not None:
            recorder.enter(flag)
        try:
            decision = self._decide(flag)
            variation = _variation(flag, decision.variation)
        except _Malformed as malformed:
            if recorder is not None:
                recorder.decided(flag, None, _error(MALFORMED_FLAG, str(malformed)))
            raise
        if recorder is not None:
            recorder.decided(flag, decision.variation, decision.reason)
        return variation, decision.reason

    def _decide(self, flag: Flag) -> _Decision:
        if not flag.enabled:
            return _Decision(flag.off_variation, _DISABLED)
        if self._is_past(flag.expires_at):
            return _Decision(flag.off_variation, _EXPIRED)
        unmet = self._unmet_prerequisite(flag)
        if unmet is not None:
            return _Decision(flag.off_variation, Reason("PREREQUISITE_FAILED", prerequisite=unmet))
        return self._targeted(flag) or self._by_rule(flag) or self._fallen_through(flag)

    def _is_past(self, expires_at: datetime | None) -> bool:
        return expires_at is not None and instant_ms(expires_at) <= self.inquiry.now_ms

    def _unmet_prerequisite(self, flag: Flag) -> str | None:
        recorder, unmet = self.inquiry.recorder, None
        self.underway.append(flag.key)
        for prerequisite in flag.prerequisites:
            if recorder is not None:
                recorder.enter(prerequisite)
            outcome = self._outcome(prerequisite)
            if recorder is not None:
                recorder.required(prerequisite, outcome, self.yielded.get(prerequisite.flag))
            if outcome != "met":
                unmet = prerequisite.flag
                break
        self.underway.pop()
        return unmet

    def _outcome(self, prerequisite: Prerequisite) -> PrerequisiteOutcome:
        flag = self.inquiry.ruleset.flags.get(prerequisite.flag)
        if flag is None:
            return "unknown"
        if isinstance(flag, MalformedFlag):
            return "malformed"
        if not flag.enabled:
            return "disabled"
        if self._is_past(flag.expires_at):
            return "expired"
        if flag.key not in self.yielded:
            self.yielded[flag.key] = self._yield_of(flag)
        if flag.key in self.malformed:
            return "malformed"
        return "met" if self.yielded[flag.key] in prerequisite.variations else "otherVariation"

    def _yield_of(self, flag: Flag) -> str | None:
        try:
            variation, _ = self.decide(flag)
        except _Cycle:
            raise
        except _Malformed:
            self.malformed.add(flag.key)
            return None
        return None if variation is None else variation.key

    def _targeted(self, flag: Flag) -> _Decision | None:
        recorder = self.inquiry.recorder
        for index, target in enumerate(flag.targets):
            expired = self._is_past(target.expires_at)
            found = None if expired else listing(target, self.inquiry)
            if recorder is not None:
                recorder.target(index, target, expired, found)
            if found is not None:
                return _Decision(target.variation, _TARGET_MATCH)
        return None

    def _by_rule(self, flag: Flag) -> _Decision | None:
        recorder = self.inquiry.recorder
        for index, rule in enumerate(flag.rules):
            if recorder is not None:
                recorder.enter(rule, index)
            matched = rule.enabled and matches(rule.when, self.inquiry)
            if recorder is not None:
                recorder.leave(rule, matched)
            if matched:
                reason = Reason("RULE_MATCH", rule_id=rule.id, rule_index=index)
                return self._served(flag, rule.serve, reason)
        return None

    def _fallen_through(self, flag: Flag) -> _Decision:
        return self._served(flag, flag.fallthrough, _FALLTHROUGH)

    def _served(self, flag: Flag, serve: Serve, reason: Reason) -> _Decision:
        match serve:
            case Serve(variation=str(variation), rollout=None):
                return _Decision(variation, reason)
            case Serve(variation=None, rollout=Rollout() as rollout):
                return self._rolled_out(flag, rollout, reason)
        raise _Malformed(f"flag '{flag.key}' serves neither one variation nor one rollout")

    def _rolled_out(self, flag: Flag, rollout: Rollout, reason: Reason) -> _Decision:
        buckets = shares(rollout, self.inquiry.now_ms)
        if not buckets:
            raise _Malformed(f"flag '{flag.key}' has a rollout without either buckets or a ramp")
        by = "key" if rollout.experiment is not None else rollout.by
        attribute = self.inquiry.attribute(rollout.kind, by)
        value = bucketing_value(attribute)
        number = 0.0 if value is None else bucket(flag.key, flag.salt, value, rollout.seed)
        chosen = choose(buckets, number)
        if self.inquiry.recorder is not None:
            hashed = Hashed(attribute, value, number)
            self.inquiry.recorder.rolled_out(rollout, by, hashed, buckets, chosen)
        tracked = rollout.experiment is not None and value is not None and not chosen.untracked
        reason = msgspec.structs.replace(reason, bucket=number, in_experiment=tracked)
        return _Decision(chosen.variation, reason)


def _variation(flag: Flag, key: str | None) -> Variation | None:
    if key is None:
        return None
    for variation in flag.variations:
        if variation.key == key:
            return variation
    raise _Malformed(f"flag '{flag.key}' has no variation '{key}'")
