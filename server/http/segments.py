"""Segments: named sets of contexts."""

from __future__ import annotations

import msgspec
from halyard_protocol.ruleset import SegmentKeys, SegmentRule

from domain import commands as c
from domain.asked import Asked
from domain.facts import Entity
from domain.state import SegmentDefinition
from server.http.bodies import Shape
from server.http.call import Call
from server.http.edits import Editing, SegmentEdit, field_step
from server.http.paging import Page, page_of
from server.http.queries import ListQuery, ReadQuery
from server.http.reads import contains, seen
from server.http.replies import Reply
from server.http.routes import PROJECT, SEGMENT, Route, command_route, editing_route, reading
from server.http.views import SegmentSummary, SegmentView, segment_summary, segment_view
from server.http.writes import Writing

_PATH = ("segment",)
_TAG = "segments"


class Members(msgspec.Struct, frozen=True):
    """The keys that are always in a segment, and those that never are, by context kind."""

    included: tuple[SegmentKeys, ...]
    excluded: tuple[SegmentKeys, ...]


async def list_segments(call: Call) -> Reply:
    """A page of segments, with their members counted."""
    query = call.query_as(ListQuery)
    now = await seen(call)

    def wanted(key: str) -> SegmentDefinition | None:
        row = now.state.segments[key]
        found = not query.search or contains(query.search, row.key, row.name, row.description)
        return row if found else None

    page = page_of(
        now.state.segments,
        query.limit,
        query.cursor,
        wanted,
        lambda row: segment_summary(now.state, row),
    )
    return now.reply(page)


async def read_segment(call: Call) -> Reply:
    """One segment with all of its members."""
    now = await seen(call)
    row = now.segment(call)
    return now.reply(segment_view(now.state, row), Entity("segment", row.key))


async def read_members(call: Call) -> Reply:
    """The members of a segment."""
    now = await seen(call)
    row = now.segment(call)
    return now.reply(Members(row.included, row.excluded), Entity("segment", row.key))


async def list_rules(call: Call) -> Reply:
    """The rules of a segment, in order."""
    now = await seen(call)
    row = now.segment(call)
    return now.reply(Page(row.rules), Entity("segment", row.key))


def _address(call: Call, command: c.CreateSegment) -> str:
    return f"{call.path}/{command.segment}"


def _write(method: str, suffix: str, summary: str, command: type[Asked]) -> Route:
    writing = Writing(shape=Shape(command=command, path=_PATH))
    return command_route(method, SEGMENT + suffix, summary, writing, tag=_TAG)


ROUTES: tuple[Route, ...] = (
    reading(
        f"{PROJECT}/segments",
        list_segments,
        "List segments",
        permission="segment:read",
        tag=_TAG,
        query=ListQuery,
        response=Page[SegmentSummary],
    ),
    command_route(
        "POST",
        f"{PROJECT}/segments",
        "Create a segment",
        Writing(
            shape=Shape(command=c.CreateSegment, renamed={"key": "segment"}),
            status=201,
            located=_address,
        ),
        tag=_TAG,
    ),
    reading(
        SEGMENT,
        read_segment,
        "Read a segment",
        permission="segment:read",
        tag=_TAG,
        query=ReadQuery,
        response=SegmentView,
    ),
    editing_route(
        SEGMENT,
        "Edit a segment: all that the body names, or nothing",
        Editing(
            body=SegmentEdit,
            path=_PATH,
            steps=(
                field_step("RenameSegment", "name"),
                field_step("DescribeSegment", "description"),
                field_step("ChangeSegmentRules", "rules"),
            ),
        ),
        permission="segment:write",
        tag=_TAG,
    ),
    _write("DELETE", "", "Delete a segment", c.DeleteSegment),
    reading(
        f"{SEGMENT}/members",
        read_members,
        "Read the members of a segment",
        permission="segment:read",
        tag=_TAG,
        query=ReadQuery,
        response=Members,
    ),
    _write("POST", "/members", "Add members to a segment", c.AddSegmentMembers),
    _write("POST", "/members/remove", "Remove members from a segment", c.RemoveSegmentMembers),
    reading(
        f"{SEGMENT}/rules",
        list_rules,
        "List the rules of a segment",
        permission="segment:read",
        tag=_TAG,
        query=ReadQuery,
        response=Page[SegmentRule],
    ),
    _write("PUT", "/rules", "Set all rules of a segment", c.ChangeSegmentRules),
)
