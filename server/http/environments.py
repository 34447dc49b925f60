"""Environments."""

from __future__ import annotations

from domain import commands as c
from domain.asked import Asked
from domain.facts import environment_entity
from domain.state import Environment, ProjectState
from server.http.bodies import Shape
from server.http.call import Call
from server.http.edits import Editing, EnvironmentEdit, field_step, switch_step
from server.http.paging import Page, sorted_page
from server.http.queries import ReadQuery, Sort, SortedListQuery
from server.http.reads import contains, seen
from server.http.replies import Reply
from server.http.routes import ENVIRONMENT, PROJECT, Route, command_route, editing_route, reading
from server.http.views import EnvironmentView, environment_view
from server.http.writes import Writing
from server.searching.orders import Place, row_place, sort_by

_PATH = ("environment",)
_TAG = "environments"


async def list_environments(call: Call) -> Reply:
    """A page of the project's environments."""
    query = call.query_as(SortedListQuery)
    now = await seen(call)
    page = sorted_page(
        (
            (_place(now.state, row, query.sort), row)
            for row in now.state.environments.values()
            if not query.search or contains(query.search, row.key, row.name)
        ),
        query.limit,
        query.cursor,
        query.sort,
        lambda row: environment_view(now.state, row),
    )
    return now.reply(page)


def _place(state: ProjectState, row: Environment, sort: Sort) -> Place:
    changed_seq = state.mark(environment_entity(row.key)).seq
    return row_place(sort_by(sort), row.key, row.name, row.created_at, changed_seq)


async def read_environment(call: Call) -> Reply:
    """One environment."""
    now = await seen(call)
    row = now.environment(call)
    return now.reply(environment_view(now.state, row), environment_entity(row.key))


def _address(call: Call, command: c.CreateEnvironment) -> str:
    return f"{call.path}/{command.environment}"


def _write(method: str, suffix: str, summary: str, command: type[Asked]) -> Route:
    writing = Writing(shape=Shape(command=command, path=_PATH))
    return command_route(method, ENVIRONMENT + suffix, summary, writing, tag=_TAG)


ROUTES: tuple[Route, ...] = (
    reading(
        f"{PROJECT}/environments",
        list_environments,
        "List environments",
        permission="environment:read",
        tag=_TAG,
        query=SortedListQuery,
        response=Page[EnvironmentView],
    ),
    command_route(
        "POST",
        f"{PROJECT}/environments",
        "Create an environment; every flag is in it with its defaults",
        Writing(
            shape=Shape(command=c.CreateEnvironment, renamed={"key": "environment"}),
            status=201,
            located=_address,
        ),
        tag=_TAG,
    ),
    reading(
        ENVIRONMENT,
        read_environment,
        "Read an environment",
        permission="environment:read",
        tag=_TAG,
        query=ReadQuery,
        response=EnvironmentView,
    ),
    editing_route(
        ENVIRONMENT,
        "Edit an environment: all that the body names, or nothing",
        Editing(
            body=EnvironmentEdit,
            path=_PATH,
            steps=(
                field_step("RenameEnvironment", "name"),
                field_step("SetEnvironmentAttributes", "attributes"),
                switch_step("ProtectEnvironment", "UnprotectEnvironment", "protected"),
                field_step("SetRequiredApprovals", "requiredApprovals"),
            ),
        ),
        permission="environment:write",
        tag=_TAG,
    ),
    _write("POST", "/protect", "Protect an environment", c.ProtectEnvironment),
    _write("POST", "/unprotect", "No longer protect an environment", c.UnprotectEnvironment),
    _write("DELETE", "", "Delete an environment with its SDK keys", c.DeleteEnvironment),
)
