"""Flags attached to a segment: rules that say no more than "who is in it gets this".

A rule is a flag's, but which flags serve a segment is often asked, and changed, from the segment's
side. The functions here answer the commands for that; they decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from halyard_protocol.conditions import All, AnyOf, Condition, Leaf
from halyard_protocol.ruleset import Rule, Serve
from msgspec.structs import replace

from domain import commands as c
from domain.decide.standing import same
from domain.errors import LargerCondition, Use
from domain.facts import Entity
from domain.references import segments_in
from domain.state import FlagSettings


def members_alone(condition: Condition) -> tuple[str, ...]:
    """The segments of which any suffices, where the condition asks for nothing else."""
    match condition:
        case All((only,)) | AnyOf((only,)):
            return members_alone(only)
        case Leaf(op="segment", values=values):
            return tuple(value for value in values if isinstance(value, str))
        case _:
            return ()


def attaches(rule: Rule, segment: str) -> bool:
    """Whether a rule asks for this segment, and for nothing else."""
    return set(members_alone(rule.when)) == {segment}


def attach_commands(
    place: tuple[str, str], settings: FlagSettings, segment: str, new: Rule, position: int | None
) -> Iterator[c.Command]:
    """Have those in a segment get what ``new`` serves, in one environment of one flag.

    A rule that attaches it already is kept, and serves that from then on; ``new`` is added at
    ``position`` where there is none.
    """
    held = [rule for rule in settings.rules if attaches(rule, segment)]
    if not held:
        yield c.AddRule(*place, new, position)
    elif not any(rule.enabled and same(rule.serve, new.serve) for rule in held):
        yield c.ChangeRule(*place, replace(held[0], serve=new.serve, enabled=True))


def attaching_rule(segment: str, serve: Serve, name: str) -> Rule:
    """A rule that attaches, without an id."""
    return Rule("", Leaf("segment", (segment,)), serve, name)


def detach_commands(
    place: tuple[str, str], settings: FlagSettings, segment: str, *, force: bool
) -> Iterator[c.Command]:
    """Take a segment out of a flag's rules in one environment.

    A rule for it alone goes; one for any of several segments stays for the others. What else
    names it goes as a whole with ``force``; without, :class:`~domain.errors.LargerCondition` is
    raised.
    """
    larger = []
    for rule in settings.rules:
        if segment not in segments_in(rule.when):
            continue
        others = tuple(key for key in members_alone(rule.when) if key != segment)
        if others:
            yield c.ChangeRule(*place, replace(rule, when=Leaf("segment", others)))
        elif force or attaches(rule, segment):
            yield c.RemoveRule(*place, rule.id)
        else:
            larger.append(Use(Entity("flag", *place), f"rule '{rule.id}'"))
    if larger:
        raise LargerCondition(segment, tuple(larger))
