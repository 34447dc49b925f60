"""The members of a segment as a list of many lines: CSV in, CSV out.

A line is a key, and where they differ its context kind and the list that it stands in::

    key,kind,members
    alice,user,included
    acme,organization,excluded
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import islice
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from halyard_protocol.limits import MAX_SEGMENT_KEYS
from halyard_protocol.problems import Problem, context_keys_problems, kind_problems
from msgspec.structs import replace

from domain import commands as c
from domain.commands import Command
from domain.events import MemberList
from domain.limits import MEMBERS_AT_ONCE
from domain.state import SegmentDefinition
from domain.transitions import members_by_kind, pinned
from server.http.call import Call
from server.http.concurrency import expected_revision
from server.http.faults import Malformed
from server.http.planned import carry_out
from server.http.project_keys import project_key
from server.http.queries import WriteQuery
from server.http.reads import present
from server.http.replies import Reply
from server.http.writes import write_reply

CSV = b"text/csv; charset=utf-8"
COLUMNS = ("key", "kind", "members")
MAX_TOLD = 20
"""Lines at fault that an answer names."""

Mode: TypeAlias = Literal["add", "remove", "replace"]
Lists: TypeAlias = dict[MemberList, dict[str, dict[str, None]]]
"""Keys by list and context kind, in their order."""

_LISTS: tuple[MemberList, ...] = ("included", "excluded")


class MembersQuery(WriteQuery, frozen=True):
    """How the lines of a CSV are meant."""

    mode: Mode = "add"
    """What becomes of them; ``replace``: they are the only members then."""
    kind: str = "user"
    """Of lines that name none."""
    members: MemberList = "included"
    """The list of lines that name none."""


class Line(NamedTuple):
    """One line that names a member."""

    number: int
    key: str
    kind: str
    members: MemberList


def is_csv(call: Call) -> bool:
    """Whether the body says that it is CSV."""
    return (call.header(b"content-type") or "").split(";")[0].strip().lower() == "text/csv"


def write_csv(segment: SegmentDefinition) -> bytes:
    """All members, one on each line, below a line that names the columns."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for members in _LISTS:
        for kind, keys in members_by_kind(getattr(segment, members)).items():
            writer.writerows((key, kind, members) for key in keys)
    return out.getvalue().encode()


def read_csv(body: bytes, query: MembersQuery) -> tuple[Line, ...]:
    """The lines that name members, at least one. Raises :class:`Malformed`, naming lines."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(Problem("", f"is not UTF-8 (byte {error.start})")) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[Line] = []
    problems: list[Problem] = []
    try:
        for cells in reader:
            if any(cells) and not (not lines and _is_header(cells)):
                line = _line(reader.line_num, cells, query)
                problems += _line_problems(line, len(cells))
                lines.append(line)
            if len(lines) > MAX_SEGMENT_KEYS or len(problems) >= MAX_TOLD:
                break
    except csv.Error as error:
        problems.append(Problem(f"/lines/{reader.line_num}", f"is not CSV: {error}"))
    if len(lines) > MAX_SEGMENT_KEYS:
        problems.append(Problem("", f"holds more than {MAX_SEGMENT_KEYS} keys"))
    elif not lines and not problems:
        problems.append(Problem("", "holds no keys"))
    if problems:
        raise Malformed(*problems)
    return tuple(lines)


def _is_header(cells: list[str]) -> bool:
    return tuple(cell.strip().lower() for cell in cells) == COLUMNS[: len(cells)]


def _line(number: int, cells: list[str], query: MembersQuery) -> Line:
    key, kind, members, *_ = (*cells, "", "")
    listed = members.strip() or query.members
    return Line(number, key, kind.strip() or query.kind, cast("MemberList", listed))


def _line_problems(line: Line, cells: int) -> Iterator[Problem]:
    path = f"/lines/{line.number}"
    if cells > len(COLUMNS):
        yield Problem(path, f"has {cells} columns; there are {', '.join(COLUMNS)}")
    if line.members not in _LISTS:
        yield Problem(path, f"'{line.members}' is no list: included or excluded")
    for problem in (*context_keys_problems("", (line.key,)), *kind_problems("", line.kind)):
        yield Problem(path, problem.reason)


async def take_csv(call: Call) -> Reply:
    """Add, remove or replace members, in one atomic batch."""
    query = call.query_as(MembersQuery)
    lines = read_csv(call.body, query)

    async def plan() -> tuple[Command, ...]:
        now = await present(call)
        segment = now.segment(call)
        commands = [
            replace(each, comment=query.comment) for each in _commands(segment, lines, query)
        ]
        wanted = expected_revision(call)
        if wanted is not None:
            commands[0] = replace(commands[0], expected_revision=wanted)
        return tuple(pinned(now.state, project_key(call), commands))

    return write_reply(await carry_out(call, plan))


def _commands(
    segment: SegmentDefinition, lines: tuple[Line, ...], query: MembersQuery
) -> Iterator[Command]:
    """At least one; of long lists as many as bound the size of each event."""
    wanted = _by_list(lines)
    held: Lists = {members: members_by_kind(getattr(segment, members)) for members in _LISTS}
    gone, come = wanted, wanted
    if query.mode == "replace":
        gone, come = _less(held, wanted), _less(wanted, held)
    if query.mode != "add":
        yield from _in_parts(c.RemoveSegmentMembers, segment.key, gone)
    if query.mode == "add":
        _refuse_other_list(held, lines)
    if query.mode != "remove":
        yield from _in_parts(c.AddSegmentMembers, segment.key, come)
    if query.mode == "replace":
        yield c.AddSegmentMembers(segment.key, ())  # where nothing differs, that is recorded


def _by_list(lines: tuple[Line, ...]) -> Lists:
    lists: Lists = {members: {} for members in _LISTS}
    first: dict[tuple[str, str], Line] = {}
    problems = []
    for line in lines:
        before = first.setdefault((line.kind, line.key), line)
        if before.members != line.members:
            reason = f"'{line.key}' is in the other list on line {before.number}"
            problems.append(Problem(f"/lines/{line.number}", reason))
        lists[line.members].setdefault(line.kind, {})[line.key] = None
    if problems:
        raise Malformed(*problems[:MAX_TOLD])
    return lists


def _less(some: Lists, others: Lists) -> Lists:
    return {
        members: {
            kind: {key: None for key in keys if key not in others[members].get(kind, {})}
            for kind, keys in by_kind.items()
        }
        for members, by_kind in some.items()
    }


def _refuse_other_list(held: Lists, lines: tuple[Line, ...]) -> None:
    other: dict[MemberList, MemberList] = {"included": "excluded", "excluded": "included"}
    problems = (
        Problem(f"/lines/{line.number}", f"'{line.key}' is in the other list: remove it there")
        for line in lines
        if line.key in held[other[line.members]].get(line.kind, {})
    )
    found = tuple(islice(problems, MAX_TOLD))
    if found:
        raise Malformed(*found)


def _in_parts(of: Any, segment: str, lists: Lists) -> Iterator[Command]:
    for members, by_kind in lists.items():
        for kind, keys in by_kind.items():
            left = iter(keys)
            while part := tuple(islice(left, MEMBERS_AT_ONCE)):
                yield of(segment, part, members, kind)
