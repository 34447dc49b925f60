"""Decisions on segments."""

from __future__ import annotations

from collections.abc import Iterable

from halyard_protocol.limits import MAX_DESCRIPTION_LENGTH, MAX_SEGMENT_DEPTH, MAX_SEGMENT_KEYS
from halyard_protocol.problems import (
    Problem,
    Problems,
    context_keys_problems,
    key_problems,
    kind_problems,
    text_problems,
)
from halyard_protocol.ruleset import SegmentKeys, SegmentRule
from halyard_protocol.segment_validation import (
    member_problems,
    segment_rules_problems,
    segment_size_problems,
)

from domain import limits
from domain.chains import refuse_circle, refuse_depth, reversed_links
from domain.commands import (
    AddSegmentMembers,
    ChangeSegmentRules,
    CreateSegment,
    DeleteSegment,
    DescribeSegment,
    RemoveSegmentMembers,
    RenameSegment,
)
from domain.decide.standing import require_room, same
from domain.errors import KeyTaken, LimitReached, StillInUse
from domain.events import (
    MemberList,
    SegmentCreated,
    SegmentDeleted,
    SegmentDescribed,
    SegmentMembersAdded,
    SegmentMembersRemoved,
    SegmentRenamed,
    SegmentRulesChanged,
)
from domain.facts import Entity
from domain.names import id_problems, name_problems, refuse
from domain.references import segment_uses, segments_of_rules
from domain.state import ProjectState, SegmentDefinition


def create(state: ProjectState, command: CreateSegment) -> SegmentCreated:
    """One more segment."""
    refuse(_description_problems(command), _content_problems(state, command))
    if command.segment in state.segments:
        raise KeyTaken(Entity("segment", command.segment))
    _refuse_chain(state, command.segment, command.rules)
    require_room(state.segments, limits.SEGMENTS, "segments")
    return SegmentCreated(
        command.name or command.segment,
        command.salt,
        command.description,
        command.included,
        command.excluded,
        command.rules,
        comment=command.comment,
    )


def _description_problems(command: CreateSegment) -> Problems:
    yield from key_problems("/segment", command.segment)
    yield from name_problems("/name", command.name or command.segment)
    yield from text_problems("/description", command.description, MAX_DESCRIPTION_LENGTH)
    yield from id_problems("/salt", command.salt)


def _content_problems(state: ProjectState, command: CreateSegment) -> Problems:
    yield from member_problems("/included", command.included)
    yield from member_problems("/excluded", command.excluded)
    yield from segment_size_problems("/included", command.included, command.excluded)
    yield from segment_rules_problems("/rules", command.rules, state.segments)


def rename(state: ProjectState, command: RenameSegment) -> SegmentRenamed | None:
    """Another name."""
    refuse(name_problems("/name", command.name))
    if state.segments[command.segment].name == command.name:
        return None
    return SegmentRenamed(command.name, comment=command.comment)


def describe(state: ProjectState, command: DescribeSegment) -> SegmentDescribed | None:
    """Another description."""
    refuse(text_problems("/description", command.description, MAX_DESCRIPTION_LENGTH))
    if state.segments[command.segment].description == command.description:
        return None
    return SegmentDescribed(command.description, comment=command.comment)


def add_members(state: ProjectState, command: AddSegmentMembers) -> SegmentMembersAdded | None:
    """More keys; those that are there already are passed over."""
    segment = state.segments[command.segment]
    held = _held(segment, command.members, command.kind)
    fresh = tuple(member for member in dict.fromkeys(command.keys) if member not in held)
    other = _held(segment, _OTHER[command.members], command.kind)
    refuse(_member_problems(command), _both_problems(command.keys, other))
    if not fresh:
        return None
    if _count(segment.included) + _count(segment.excluded) + len(fresh) > MAX_SEGMENT_KEYS:
        raise LimitReached(f"keys in segment '{command.segment}'", MAX_SEGMENT_KEYS)
    return SegmentMembersAdded(command.members, command.kind, fresh, comment=command.comment)


def remove_members(
    state: ProjectState, command: RemoveSegmentMembers
) -> SegmentMembersRemoved | None:
    """Fewer keys; those that are not there are passed over."""
    refuse(_member_problems(command))
    held = _held(state.segments[command.segment], command.members, command.kind)
    gone = tuple(member for member in dict.fromkeys(command.keys) if member in held)
    if not gone:
        return None
    return SegmentMembersRemoved(command.members, command.kind, gone, comment=command.comment)


_OTHER: dict[MemberList, MemberList] = {"included": "excluded", "excluded": "included"}


def _held(segment: SegmentDefinition, members: MemberList, kind: str) -> frozenset[str]:
    lists = segment.included if members == "included" else segment.excluded
    return frozenset(member for held in lists if held.kind == kind for member in held.keys)


def _count(lists: tuple[SegmentKeys, ...]) -> int:
    return sum(len(held.keys) for held in lists)


def _member_problems(command: AddSegmentMembers | RemoveSegmentMembers) -> Problems:
    yield from kind_problems("/kind", command.kind)
    yield from context_keys_problems("/keys", dict.fromkeys(command.keys))


def _both_problems(keys: tuple[str, ...], other: frozenset[str]) -> Problems:
    for index, key in enumerate(keys):
        if key in other:
            yield Problem(f"/keys/{index}", f"'{key}' is in the other list: remove it there first")


def change_rules(state: ProjectState, command: ChangeSegmentRules) -> SegmentRulesChanged | None:
    """Other rules; they may name other segments, but not in a circle."""
    refuse(segment_rules_problems("/rules", command.rules, state.segments))
    _refuse_chain(state, command.segment, command.rules)
    if same(state.segments[command.segment].rules, command.rules):
        return None
    return SegmentRulesChanged(command.rules, comment=command.comment)


def _refuse_chain(state: ProjectState, segment: str, rules: tuple[SegmentRule, ...]) -> None:
    def onward(there: str) -> Iterable[str]:
        return segments_of_rules(state.segments[there].rules)

    links = tuple(segments_of_rules(rules))
    refuse_circle("segment", segment, links, onward)
    if links:
        back = reversed_links(state.segments, onward)
        what = "links in a chain of segments"
        refuse_depth(what, MAX_SEGMENT_DEPTH - 1, segment, links=links, onward=onward, back=back)


def delete(state: ProjectState, command: DeleteSegment) -> SegmentDeleted:
    """The end of it; nothing may name it."""
    uses = segment_uses(state, command.segment)
    if uses:
        raise StillInUse(f"segment '{command.segment}'", uses)
    return SegmentDeleted(comment=command.comment)
