"""The installation's settings: what administrators choose for everybody."""

from __future__ import annotations

from typing import Any

import msgspec
from halyard_protocol.problems import Problem

from domain.system.commands import ChangeSettings, decode_system_command
from domain.system.vocabulary import SETTINGS, InstallationSettings
from server.http.bodies import Shape, read_object, with_precondition
from server.http.body_types import body_type
from server.http.call import Call
from server.http.concurrency import etag
from server.http.faults import Malformed
from server.http.people import system_of
from server.http.queries import WriteQuery
from server.http.replies import Reply, ok
from server.http.routes import API, Route, reading
from server.http.system_writes import submit_system
from server.http.writes import WriteAnswer, write_reply

_TAG = "settings"
_PATH = f"{API}/settings"

SettingsView = msgspec.defstruct(
    "SettingsView",
    [(field.name, field.type) for field in msgspec.structs.fields(InstallationSettings)],
    rename="camel",
    frozen=True,
    kw_only=True,
)
"""Each of them named; in the log, those that are as they were at first are left out."""


async def read_settings(call: Call) -> Reply:
    """All of them."""
    state = await system_of(call)
    view = SettingsView(**msgspec.structs.asdict(state.settings))
    return ok(view, etag(state.revision(SETTINGS)))


async def change_settings(call: Call) -> Reply:
    """Those that are named; the others stay."""
    content: dict[str, Any] = read_object(call.body)
    if "type" in content:
        raise Malformed(Problem("/type", "is not a field here"))
    content = with_precondition(call, {**content, "type": ChangeSettings.__name__})
    return write_reply(await submit_system(call, decode_system_command(content)))


ROUTES: tuple[Route, ...] = (
    reading(
        _PATH,
        read_settings,
        "Read the installation's settings",
        permission="settings:read",
        tag=_TAG,
        response=SettingsView,
    ),
    Route(
        method="PATCH",
        path=_PATH,
        summary="Change some of the installation's settings",
        handler=change_settings,
        permission="settings:write",
        tag=_TAG,
        query=WriteQuery,
        request=body_type(Shape(command=ChangeSettings)),
        response=WriteAnswer,
    ),
)
