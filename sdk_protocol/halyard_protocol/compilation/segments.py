"""One segment as the lines of a function ``(kinds, now) -> bool``."""

from __future__ import annotations

from halyard_protocol.compilation.attributes import Attributes
from halyard_protocol.compilation.conditions import ALWAYS, NEVER, Conditions
from halyard_protocol.compilation.rollouts import Hashing, limit, prefix, write_number
from halyard_protocol.compilation.source import Source
from halyard_protocol.matching import is_understood
from halyard_protocol.ruleset import Segment, SegmentRule


def write_segment(
    segment: Segment, source: Source, attributes: Attributes, conditions: Conditions
) -> None:
    """Write the body of the function of ``segment``."""
    for entries, answer in ((segment.included, True), (segment.excluded, False)):
        for entry in entries:
            source.line(f"if {attributes.is_listed(entry.kind, entry.keys)}:")
            source.line(f"return {answer}", 1)
    for rule in segment.rules:
        if is_understood(rule.when):
            holds = conditions.expression(rule.when)
            if holds != NEVER:
                _write_rule(segment, rule, holds, source, attributes)
    source.line("return False")


def _write_rule(
    segment: Segment, rule: SegmentRule, holds: str, source: Source, attributes: Attributes
) -> None:
    depth = 0
    if holds != ALWAYS:
        source.line(f"if {holds}:")
        depth = 1
    if rule.weight is None:
        source.line("return True", depth)
        return
    hashing = Hashing(prefix(segment.key, segment.salt), rule.kind, rule.by)
    write_number(source, attributes, hashing, depth)
    source.line(f"if n < {source.bind(limit(rule.weight))}: return True", depth)
