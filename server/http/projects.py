"""Projects."""

from __future__ import annotations

from typing import cast

import msgspec

from domain import commands as c
from domain.errors import InvalidCommand
from domain.facts import Entity
from domain.names import place_key_problems, refuse
from server.credentials import new_id
from server.http.authorisation import access_to
from server.http.bodies import Shape, read_object
from server.http.call import Call
from server.http.edits import Editing, ProjectEdit, field_step
from server.http.paging import Page, page_of
from server.http.queries import ReadQuery, SearchQuery
from server.http.reads import contains, seen
from server.http.replies import Reply, ok
from server.http.routes import API, PROJECT, Route, command_route, editing_route, reading
from server.http.views import ProjectView, project_view
from server.http.writes import Writing, location, submit, write_reply
from server.writing.errors import LogPoisoned, LogUnknown

_TAG = "projects"


class ProjectSummary(msgspec.Struct, frozen=True):
    """A project in the list; ``problem`` says why one cannot be read, and is empty otherwise."""

    key: str
    name: str = ""
    problem: str = ""


async def list_projects(call: Call) -> Reply:
    """A page of the projects that exist now, of those that the caller may see."""
    query = call.query_as(SearchQuery)
    access = access_to(call)
    keys = [key for key in await call.dependencies.writers.projects() if access.sees(key)]
    rows = [await _summary(call, key) for key in keys]
    found = {
        row.key: row
        for row in rows
        if row is not None and (not query.search or contains(query.search, row.key, row.name))
    }
    return ok(page_of(found, query.limit, query.cursor, found.get, lambda row: row))


async def _summary(call: Call, key: str) -> ProjectSummary | None:
    """None for a project that was deleted. A poisoned log must not hide the other projects."""
    try:
        project = (await call.dependencies.writers.state(key)).state.project
    except LogUnknown:
        return None
    except LogPoisoned as poisoned:
        return ProjectSummary(key, problem=str(poisoned))
    return None if project is None else ProjectSummary(key, project.name)


_CREATION = Shape(
    command=c.CreateProject, renamed={"key": "project"}, listed={"environments": "environment"}
)


async def _creation(call: Call) -> c.CreateProject:
    """The command; without environments it begins with those that the settings name."""
    asked = cast("c.CreateProject", _CREATION.read(call))
    if "environments" not in read_object(call.body):
        chosen = (await call.dependencies.writers.system()).state.settings.project_environments
        named = tuple(
            c.NewEnvironment(
                environment=each.environment,
                name=each.name or each.environment,
                protected=each.protected,
            )
            for each in chosen
        )
        asked = msgspec.structs.replace(asked, environments=named)
    return cast("c.CreateProject", c.complete(asked, new_id))


async def create_project(call: Call) -> Reply:
    """Begin a project under its own key."""
    try:
        command = await _creation(call)
        # Before a writer is chosen by it: `$system` is no project's.
        refuse(place_key_problems("/project", command.project))
        answer = await submit(call, command.project, command)
    except InvalidCommand as refusal:
        raise _CREATION.in_terms_of_body(refusal) from refusal
    return write_reply(answer, location(f"{call.path}/{command.project}"), status=201)


async def read_project(call: Call) -> Reply:
    """One project."""
    now = await seen(call)
    view = project_view(now.state, now.seq)
    return now.reply(view, Entity("project", view.key))


ROUTES: tuple[Route, ...] = (
    reading(
        f"{API}/projects",
        list_projects,
        "List projects",
        permission="project:read",
        tag=_TAG,
        query=SearchQuery,
        response=Page[ProjectSummary],
    ),
    command_route(
        "POST",
        f"{API}/projects",
        "Create a project, with development, staging and production unless told otherwise",
        create_project,
        shape=_CREATION,
        status=201,
        tag=_TAG,
    ),
    reading(
        PROJECT,
        read_project,
        "Read a project",
        permission="project:read",
        tag=_TAG,
        query=ReadQuery,
        response=ProjectView,
    ),
    editing_route(
        PROJECT,
        "Rename a project",
        Editing(body=ProjectEdit, steps=(field_step("RenameProject", "name"),)),
        permission="project:write",
        tag=_TAG,
    ),
    command_route(
        "DELETE",
        PROJECT,
        "Delete a project; its log remains",
        Writing(shape=Shape(command=c.DeleteProject)),
        tag=_TAG,
    ),
)
