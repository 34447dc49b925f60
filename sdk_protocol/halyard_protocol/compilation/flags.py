"""One flag as the lines of a function ``(kinds, now, default) -> Detail``.

The order is that of :mod:`halyard_protocol.evaluation`. What can be known beforehand is: disabled
flags, rules that are not understood, prerequisites that are never met.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from halyard_protocol.compilation.attributes import Attributes
from halyard_protocol.compilation.conditions import ALWAYS, NEVER, Conditions
from halyard_protocol.compilation.rollouts import Hashing, limit, prefix, write_number
from halyard_protocol.compilation.source import Source
from halyard_protocol.evaluation import MALFORMED_FLAG, Detail, Reason
from halyard_protocol.instants import instant_ms
from halyard_protocol.matching import is_understood
from halyard_protocol.ruleset import (
    Flag,
    Prerequisite,
    Ramp,
    Rollout,
    Serve,
)


class Parent(NamedTuple):
    """A flag that another requires, enabled."""

    flag: Flag
    decide: Callable[..., Detail]


def write_flag(
    flag: Flag,
    source: Source,
    attributes: Attributes,
    conditions: Conditions,
    parent: Callable[[str], Parent | None],
) -> None:
    """Write the body of the function of ``flag``.

    ``parent`` answers a flag that is required, or None where it is not there, cannot be read or is
    not enabled.
    """
    _FlagLines(flag, source, attributes, conditions).write(parent)


class _FlagLines:
    def __init__(
        self, flag: Flag, source: Source, attributes: Attributes, conditions: Conditions
    ) -> None:
        self.flag = flag
        self.source = source
        self.attributes = attributes
        self.conditions = conditions
        self.values = {variation.key: variation.value for variation in reversed(flag.variations)}

    def write(self, parent: Callable[[str], Parent | None]) -> None:
        flag = self.flag
        if not flag.enabled:
            self.serve_off(Reason("DISABLED"))
            return
        if flag.expires_at is not None:
            self.source.line(f"if now >= {self.source.bind(instant_ms(flag.expires_at))}:")
            self.serve_off(Reason("EXPIRED"), 1)
        for prerequisite in flag.prerequisites:
            if not self.require(prerequisite, parent(prerequisite.flag)):
                return
        self.targets()
        self.rules_and_fallthrough()

    def require(self, prerequisite: Prerequisite, parent: Parent | None) -> bool:
        """Write the test of a prerequisite; False where it can never be met."""
        failed = Reason("PREREQUISITE_FAILED", prerequisite=prerequisite.flag)
        if parent is None:
            self.serve_off(failed)
            return False
        bind = self.source.bind
        wanted = bind(frozenset(prerequisite.variations))
        unmet = f"{bind(parent.decide)}(kinds, now, None).variation not in {wanted}"
        if parent.flag.expires_at is not None:
            unmet = f"now >= {bind(instant_ms(parent.flag.expires_at))} or {unmet}"
        self.source.line(f"if {unmet}:")
        self.serve_off(failed, 1)
        return True

    def targets(self) -> None:
        for target in self.flag.targets:
            test = self.attributes.is_listed(target.kind, target.keys)
            if target.expires_at is not None:
                test = f"now < {self.source.bind(instant_ms(target.expires_at))} and ({test})"
            self.source.line(f"if {test}:")
            self.serve_variation(target.variation, Reason("TARGET_MATCH"), 1)

    def rules_and_fallthrough(self) -> None:
        for index, rule in enumerate(self.flag.rules):
            if not rule.enabled or not is_understood(rule.when):
                continue
            holds = self.conditions.expression(rule.when)
            reason = Reason("RULE_MATCH", rule_id=rule.id, rule_index=index)
            if holds == ALWAYS:
                self.serve(rule.serve, reason)
                return
            if holds != NEVER:
                self.source.line(f"if {holds}:")
                self.serve(rule.serve, reason, 1)
        self.serve(self.flag.fallthrough, Reason("FALLTHROUGH"))

    # --- answers

    def serve_off(self, reason: Reason, depth: int = 0) -> None:
        self.serve_variation(self.flag.off_variation, reason, depth)

    def serve_variation(self, key: str | None, reason: Reason, depth: int = 0) -> None:
        """Answer with a variation, the same object each time."""
        if key is None:
            self.default(reason, depth)
        elif key not in self.values:
            self.malformed(f"flag '{self.flag.key}' has no variation '{key}'", depth)
        else:
            answer = Detail(self.values[key], key, reason)
            self.source.line(f"return {self.source.bind_aside(answer)}", depth)

    def malformed(self, message: str, depth: int) -> None:
        self.default(Reason("ERROR", error_code=MALFORMED_FLAG, message=message), depth)

    def default(self, reason: Reason, depth: int) -> None:
        """Answer with the caller's default."""
        self.source.line(f"return Detail(default, None, {self.source.bind_aside(reason)})", depth)

    def serve(self, serve: Serve, reason: Reason, depth: int = 0) -> None:
        match serve:
            case Serve(variation=str(variation), rollout=None):
                self.serve_variation(variation, reason, depth)
            case Serve(variation=None, rollout=Rollout() as rollout):
                self.roll_out(rollout, reason, depth)
            case _:
                key = self.flag.key
                self.malformed(f"flag '{key}' serves neither one variation nor one rollout", depth)

    # --- rollouts

    def roll_out(self, rollout: Rollout, reason: Reason, depth: int) -> None:
        flag = self.flag
        if (rollout.ramp is None) is not bool(rollout.buckets):
            message = f"flag '{flag.key}' has a rollout without either buckets or a ramp"
            self.malformed(message, depth)
            return
        by = "key" if rollout.experiment is not None else rollout.by
        hashing = Hashing(prefix(flag.key, flag.salt, rollout.seed), rollout.kind, by)
        write_number(self.source, self.attributes, hashing, depth)
        if rollout.ramp is not None:
            self.ramp(rollout, rollout.ramp, reason, depth)
        else:
            self.buckets(rollout, reason, depth)

    def buckets(self, rollout: Rollout, reason: Reason, depth: int) -> None:
        cumulative = 0
        experiment = rollout.experiment is not None
        for share in rollout.buckets[:-1]:
            cumulative += share.weight
            self.source.line(f"if n < {self.source.bind_aside(limit(cumulative))}:", depth)
            tracked = experiment and not share.untracked
            self.bucketed(share.variation, reason, depth + 1, tracked=tracked)
        last = rollout.buckets[-1]
        self.bucketed(last.variation, reason, depth, tracked=experiment and not last.untracked)

    def ramp(self, rollout: Rollout, ramp: Ramp, reason: Reason, depth: int) -> None:
        tracked = rollout.experiment is not None
        self.source.line(f"if is_within(n, share_at({self.source.bind_aside(ramp)}, now)):", depth)
        self.bucketed(ramp.variation, reason, depth + 1, tracked=tracked)
        self.bucketed(ramp.otherwise, reason, depth, tracked=tracked)

    def bucketed(self, key: str, reason: Reason, depth: int, *, tracked: bool) -> None:
        """Answer with a variation and the bucketing number ``n``."""
        if key not in self.values:
            self.malformed(f"flag '{self.flag.key}' has no variation '{key}'", depth)
            return
        bind = self.source.bind_aside
        rule = "None, None"
        if reason.rule_id is not None:
            rule = f"{bind(reason.rule_id)}, {bind(reason.rule_index)}"
        inside = ", t is not None" if tracked else ""
        self.source.line(
            f"return Detail({bind(self.values[key])}, {bind(key)},"
            f" Reason({reason.kind}, None, {rule}, None, n{inside}))",
            depth,
        )
