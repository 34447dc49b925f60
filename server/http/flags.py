"""Flags as they are defined for the whole project."""

from __future__ import annotations

from domain import commands as c
from domain.facts import Entity
from domain.state import FlagDefinition, ProjectState
from server.http.bodies import Shape
from server.http.call import Call
from server.http.edits import Editing, FlagEdit, field_step, switch_step
from server.http.histories import EventPage, HistoryQuery, entity_history
from server.http.paging import Page, page_of
from server.http.queries import FlagListQuery, ReadQuery
from server.http.reads import contains, seen
from server.http.replies import Reply
from server.http.routes import FLAG, PROJECT, Route, command_route, editing_route, reading
from server.http.views import FlagView, flag_view
from server.http.writes import Writing

_PATH = ("flag",)


async def list_flags(call: Call) -> Reply:
    """A page of the flags that the query asks for."""
    query = call.query_as(FlagListQuery)
    now = await seen(call)
    if query.environment is not None and query.environment not in now.state.environments:
        return now.reply(Page[FlagView](()))

    def wanted(key: str) -> FlagDefinition | None:
        flag = now.state.flags[key]
        return flag if _matches(query, now.state, flag) else None

    page = page_of(
        now.state.flags, query.limit, query.cursor, wanted, lambda flag: flag_view(now.state, flag)
    )
    return now.reply(page)


def _matches(query: FlagListQuery, state: ProjectState, flag: FlagDefinition) -> bool:
    return (
        (query.archived == "any" or flag.archived == (query.archived == "true"))
        and set(query.tag) <= set(flag.tags)
        and (query.maintainer is None or flag.maintainer == query.maintainer)
        and (not query.search or contains(query.search, flag.key, flag.name, flag.description))
        and (query.state is None or _is_enabled(query, state, flag) == (query.state == "enabled"))
    )


def _is_enabled(query: FlagListQuery, state: ProjectState, flag: FlagDefinition) -> bool:
    environments = state.environments if query.environment is None else (query.environment,)
    return any(state.settings[flag.key, environment].enabled for environment in environments)


async def read_flag(call: Call) -> Reply:
    """One flag."""
    now = await seen(call)
    flag = now.flag(call)
    return now.reply(flag_view(now.state, flag), Entity("flag", flag.key))


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
