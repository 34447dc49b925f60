"""Flags as they are defined for the whole project."""

from __future__ import annotations

from halyard_protocol.problems import Problem, hint

from domain import commands as c
from domain.facts import Entity
from domain.state import ProjectState
from server.http.bodies import Shape
from server.http.call import Call
from server.http.edits import Editing, FlagEdit, field_step, switch_step
from server.http.faults import Malformed
from server.http.histories import EventPage, HistoryQuery, entity_history
from server.http.paging import Page, page_in_order, read_place
from server.http.queries import FlagListQuery, ReadQuery
from server.http.reads import indexed, instant_of, seen
from server.http.replies import Reply
from server.http.routes import FLAG, PROJECT, Route, command_route, editing_route, reading
from server.http.views import FlagView, flag_view
from server.http.writes import Writing
from server.searching.criteria import Criteria
from server.searching.entries import flag_entry
from server.searching.orders import entry_place, sort_by

_PATH = ("flag",)


async def list_flags(call: Call) -> Reply:
    """A page of the flags that the query asks for."""
    query = call.query_as(FlagListQuery)
    after = read_place(query.cursor, query.sort)
    now, index = await indexed(call)
    criteria, at = query.criteria(), instant_of(call, now)
    refuse_unknown(now.state, criteria, "?")
    by, descending = sort_by(query.sort), query.sort.startswith("-")
    found = index.find(criteria, at, by, after, descending=descending)
    page = page_in_order(
        ((entry_place(by, entry), entry) for entry in found),
        query.limit,
        query.sort,
        lambda entry: flag_view(now.state, entry, at),
    )
    return now.reply(page)


def refuse_unknown(state: ProjectState, criteria: Criteria, before: str) -> None:
    """Refuse to look where nothing can be. ``before`` is what stands before a criterion's name.

    Raises :class:`~server.http.faults.Malformed`.
    """
    named = (
        ("environment", criteria.environment, state.environments),
        ("segment", criteria.segment, state.segments),
    )
    problems = [
        Problem(before + kind, f"there is no {kind} '{key}'{hint(key, known)}")
        for kind, key, known in named
        if key is not None and key not in known
    ]
    if problems:
        raise Malformed(*problems)


async def read_flag(call: Call) -> Reply:
    """One flag."""
    now = await seen(call)
    flag = now.flag(call)
    view = flag_view(now.state, flag_entry(now.state, flag.key), instant_of(call, now))
    return now.reply(view, Entity("flag", flag.key))


async def flag_history(call: Call) -> Reply:
    """Everything that happened to a flag, in all environments; also of one that was deleted."""
    return await entity_history(call, "flag", call.parameters["flag"])


def _address(call: Call, command: c.CreateFlag) -> str:
    return f"{call.path}/{command.flag}"


ROUTES: tuple[Route, ...] = (
    reading(
        f"{PROJECT}/flags",
        list_flags,
        "List flags",
        permission="flag:read",
        tag="flags",
        query=FlagListQuery,
        response=Page[FlagView],
    ),
    command_route(
        "POST",
        f"{PROJECT}/flags",
        "Create a flag",
        Writing(
            shape=Shape(command=c.CreateFlag, renamed={"key": "flag", "type": "flagType"}),
            status=201,
            located=_address,
        ),
        tag="flags",
    ),
    reading(
        FLAG,
        read_flag,
        "Read a flag",
        permission="flag:read",
        tag="flags",
        query=ReadQuery,
        response=FlagView,
    ),
    editing_route(
        FLAG,
        "Edit a flag: all that the body names, or nothing",
        Editing(
            body=FlagEdit,
            path=_PATH,
            steps=(
                field_step("RenameFlag", "name"),
                field_step("DescribeFlag", "description"),
                field_step("TagFlag", "tags"),
                field_step("AssignMaintainer", "maintainer"),
                switch_step("ExposeClientSide", "HideClientSide", "clientSide"),
                field_step("ChangeVariations", "variations", "offVariation", "fallthrough"),
            ),
            requires={"offVariation": "variations", "fallthrough": "variations"},
        ),
        permission="flag:write",
        tag="flags",
    ),
    command_route(
        "DELETE",
        FLAG,
        "Delete a flag",
        Writing(shape=Shape(command=c.DeleteFlag, path=_PATH)),
        tag="flags",
    ),
    command_route(
        "POST",
        f"{FLAG}/archive",
        "Take a flag out of every ruleset, keeping its settings",
        Writing(shape=Shape(command=c.ArchiveFlag, path=_PATH)),
        tag="flags",
    ),
    command_route(
        "POST",
        f"{FLAG}/restore",
        "Bring an archived flag back as it was",
        Writing(shape=Shape(command=c.RestoreFlag, path=_PATH)),
        tag="flags",
    ),
    reading(
        f"{FLAG}/history",
        flag_history,
        "Everything that happened to a flag",
        permission="event:read",
        tag="flags",
        query=HistoryQuery,
        response=EventPage,
    ),
)
