"""Segments: named sets of contexts."""

from __future__ import annotations

from typing import Literal

import msgspec
from halyard_protocol.problems import Problem
from halyard_protocol.ruleset import SegmentKeys, SegmentRule

from domain import commands as c
from domain.asked import Asked
from domain.facts import Entity
from domain.references import segments_of_rules
from domain.state import ProjectState, SegmentDefinition
from server.http.bodies import Shape
from server.http.body_types import body_type
from server.http.call import Call
from server.http.edits import Editing, SegmentEdit, field_step
from server.http.faults import Malformed
from server.http.member_lists import CSV, MembersQuery, is_csv, take_csv, write_csv
from server.http.paging import Page, sorted_page
from server.http.queries import ReadQuery, SegmentListQuery, Sort
from server.http.reads import contains, indexed, seen
from server.http.replies import Reply
from server.http.routes import (
    BATCH_LIMIT_BYTES,
    PROJECT,
    SEGMENT,
    Route,
    command_route,
    editing_route,
    reading,
)
from server.http.views import SegmentSummary, SegmentView, segment_summary, segment_view
from server.http.writes import WriteAnswer, Writing
from server.searching.orders import Place, row_place, sort_by

_PATH = ("segment",)
_TAG = "segments"


class Members(msgspec.Struct, frozen=True):
    """The keys that are always in a segment, and those that never are, by context kind."""

    included: tuple[SegmentKeys, ...]
    excluded: tuple[SegmentKeys, ...]


async def list_segments(call: Call) -> Reply:
    """A page of segments, with their members counted."""
    query = call.query_as(SegmentListQuery)
    now, index = await indexed(call)
    named = named_in_segments(now.state)

    def meets(row: SegmentDefinition) -> bool:
        if query.search and not contains(query.search, row.key, row.name, row.description):
            return False
        is_used = row.key in named or index.count_users(row.key) > 0
        return query.used is None or query.used == is_used

    rows = ((_place(now.state, row, query.sort), row) for row in now.state.segments.values())
    page = sorted_page(
        ((place, row) for place, row in rows if meets(row)),
        query.limit,
        query.cursor,
        query.sort,
        lambda row: segment_summary(now.state, row, index.count_users(row.key)),
    )
    return now.reply(page)


def named_in_segments(state: ProjectState) -> frozenset[str]:
    """The segments that rules of segments name."""
    return frozenset(key for row in state.segments.values() for key in segments_of_rules(row.rules))


def _place(state: ProjectState, row: SegmentDefinition, sort: Sort) -> Place:
    return row_place(
        sort_by(sort), row.key, row.name, row.created_at, state.mark(_entity(row.key)).seq
    )


def _entity(key: str) -> Entity:
    return Entity("segment", key)


async def read_segment(call: Call) -> Reply:
    """One segment with all of its members."""
    now = await seen(call)
    row = now.segment(call)
    return now.reply(segment_view(now.state, row), Entity("segment", row.key))


class MembersReadQuery(ReadQuery, frozen=True):
    """In which form to read the members."""

    format: Literal["json", "csv"] | None = None
    """Left out: what ``Accept`` asks for."""


async def read_members(call: Call) -> Reply:
    """The members of a segment."""
    query = call.query_as(MembersReadQuery)
    now = await seen(call)
    row = now.segment(call)
    reply = now.reply(Members(row.included, row.excluded), Entity("segment", row.key))
    accepts_csv = "text/csv" in (call.header(b"accept") or "")
    if query.format == "json" or not (query.format == "csv" or accepts_csv):
        return reply
    name = b'attachment; filename="%s.csv"' % row.key.encode()
    headers = (*reply.headers, (b"content-disposition", name))
    return Reply(200, write_csv(row), CSV, headers)


_ADDING = Writing(shape=Shape(command=c.AddSegmentMembers, path=_PATH))


async def add_members(call: Call) -> Reply:
    """A few keys as JSON, or many lines of CSV."""
    if is_csv(call):
        return await take_csv(call)
    query = call.query_as(MembersQuery)
    given = {"?mode": query.mode != "add", "?kind": query.kind != "user"}
    given["?members"] = query.members != "included"
    problems = [Problem(name, "is of CSV: say it in the body") for name in given if given[name]]
    if problems:
        raise Malformed(*problems)
    return await _ADDING(call)


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
        query=SegmentListQuery,
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
        "Read the members of a segment, as JSON or as CSV",
        permission="segment:read",
        tag=_TAG,
        query=MembersReadQuery,
        response=Members,
        also_as=(("text/csv", str),),
    ),
    Route(
        method="POST",
        path=f"{SEGMENT}/members",
        summary="Add members to a segment; as CSV also remove or replace them",
        handler=add_members,
        permission="segment:write",
        tag=_TAG,
        query=MembersQuery,
        request=body_type(_ADDING.shape),
        response=WriteAnswer,
        body_content_types=("application/json", "text/csv"),
        body_limit_bytes=BATCH_LIMIT_BYTES,
    ),
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
