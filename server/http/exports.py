"""A project as a document, to keep, to compare and to take in elsewhere."""

from __future__ import annotations

import asyncio
from typing import Literal, TypeAlias

import msgspec
from halyard_protocol.codec import encode, to_builtins

from domain.exported import ProjectExport, export
from domain.state import ProjectState
from server.http.authorisation import require
from server.http.call import Call
from server.http.project_keys import project_key
from server.http.queries import ReadQuery
from server.http.reads import SEQ_HEADER, Seen, seen
from server.http.replies import JSON, Reply
from server.http.routes import PROJECT, Route
from server.http.yaml_documents import write_yaml

Format: TypeAlias = Literal["json", "yaml"]

YAML = b"application/yaml"


class ExportQuery(ReadQuery, frozen=True):
    """As of when, and in which form."""

    format: Format = "json"


async def export_project(call: Call) -> Reply:
    """The document. Ten thousand flags take a second: a thread writes them, from a copy."""
    query, now = call.query_as(ExportQuery), await seen(call)
    _permit(call, now)
    body = await asyncio.to_thread(_written, now.state.copy(), query.format)
    name = f'attachment; filename="{call.parameters["project"]}.{query.format}"'
    headers = ((SEQ_HEADER, b"%d" % now.seq), (b"content-disposition", name.encode("ascii")))
    return Reply(200, body, JSON if query.format == "json" else YAML, headers)


def _permit(call: Call, now: Seen) -> None:
    """The document is complete or is not given: it may be imported with ``prune``."""
    project = project_key(call)
    require(call, "segment:read", project)
    require(call, "flag:read", project)
    for environment in now.state.environments:
        require(call, "flag:read", project, environment)


def _written(state: ProjectState, form: Format) -> bytes:
    document = export(state)
    if form == "yaml":
        return write_yaml(msgspec.json.decode(encode(to_builtins(document))))
    return msgspec.json.format(encode(document), indent=2) + b"\n"


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path=f"{PROJECT}/export",
        summary="Read a project as one document, without keys and secrets",
        handler=export_project,
        permission="project:read",
        tag="projects",
        query=ExportQuery,
        response=ProjectExport,
        also_as=((YAML.decode(), ProjectExport),),
    ),
)
