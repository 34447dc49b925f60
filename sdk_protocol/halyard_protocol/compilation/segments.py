"""One segment as the lines of a function ``(kinds, now) -> bool``, or as an expression.

A small segment is an expression within whatever names it: a call would take longer than to look
through it. That of segments which bucket, or name others, would have to be written anew each time.
"""

from __future__ import annotations

from halyard_protocol.compilation.attributes import Attributes
from halyard_protocol.compilation.conditions import ALWAYS, NEVER, Conditions
from halyard_protocol.compilation.rollouts import Hashing, limit, prefix, write_number
from halyard_protocol.compilation.source import Source
from halyard_protocol.conditions import SEGMENT_OPERATORS, Leaf
from halyard_protocol.matching import is_understood
from halyard_protocol.ruleset import Segment, SegmentRule

_SMALL = 8
"""Lists and rules."""


def membership(segment: Segment, attributes: Attributes, conditions: Conditions) -> str | None:
    """The expression of being in a small segment; None for any other."""
    rules = [rule for rule in segment.rules if is_understood(rule.when)]
    size = len(segment.included) + len(segment.excluded) + len(rules)
    if size > _SMALL or not all(_is_plain(rule) for rule in rules):
        return None
    included, excluded = (
        [f"({attributes.is_listed(entry.kind, entry.keys)})" for entry in entries]
        for entries in (segment.included, segment.excluded)
    )
    holds = [conditions.expression(rule.when) for rule in rules]
    ruled = ALWAYS if ALWAYS in holds else " or ".join(each for each in holds if each != NEVER)
    if ruled and excluded:
        ruled = f"not ({' or '.join(excluded)}) and ({ruled})"
    if ruled == ALWAYS:
        return ALWAYS
    parts = [*included, f"({ruled})"] if ruled else included
    return f"({' or '.join(parts)})" if parts else NEVER


def _is_plain(rule: SegmentRule) -> bool:
    """Whether it includes all whose attributes fit, without a look at other segments."""
    when = rule.when
    return rule.weight is None and isinstance(when, Leaf) and when.op not in SEGMENT_OPERATORS


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
    source.line(f"if n < {source.bind_aside(limit(rule.weight))}: return True", depth)
