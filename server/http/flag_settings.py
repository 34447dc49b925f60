"""Flags as they are set in one environment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, cast

import msgspec
from halyard_protocol.codec import encode
from halyard_protocol.problems import Problem
from halyard_protocol.ruleset import Prerequisite, Rule, Serve, Target
from msgspec import UNSET, Meta, UnsetType

from domain import commands as c
from domain.asked import Asked
from domain.commands import Command, decode_command
from domain.errors import InvalidCommand
from domain.events import RuleAdded
from domain.facts import Entity
from domain.state import FlagSettings
from domain.transitions import pinned
from domain.upcast import decode_event
from server.http.bodies import SHARED_FIELDS, Shape, read_object, with_precondition
from server.http.call import Call
from server.http.edits import RuleEdit, check_names
from server.http.faults import Malformed, NotFound
from server.http.paging import Page
from server.http.planned import carry_out
from server.http.project_keys import project_key
from server.http.queries import ReadQuery, WriteQuery
from server.http.reads import Seen, present, seen
from server.http.replies import Reply
from server.http.routes import SETTINGS, Handler, Route, command_route, reading
from server.http.views import FlagSettingsView, settings_view
from server.http.writes import WriteAnswer, Writing, location, submit, write_reply
from server.writing.submission import Answer

_PATH = ("flag", "environment")
_TAG = "flags in an environment"


class Targets(msgspec.Struct, frozen=True):
    """All targets, in order."""

    targets: tuple[Target, ...]


class Prerequisites(msgspec.Struct, frozen=True):
    """All prerequisites, in order."""

    prerequisites: tuple[Prerequisite, ...]


class Expiry(msgspec.Struct, frozen=True, rename="camel"):
    """The instant from which the off variation is served; null for never."""

    expires_at: datetime | None


class OffVariation(msgspec.Struct, frozen=True, rename="camel"):
    """What is served while the flag is off; null for the caller's default."""

    off_variation: str | None


class ExposureTracking(msgspec.Struct, frozen=True):
    """Whether SDKs report who saw which variation."""

    enabled: bool


def _entity(call: Call) -> Entity:
    return Entity("flag", call.parameters["flag"], call.parameters["environment"])


class _ReadingPart(msgspec.Struct, frozen=True):
    """A handler that answers one part of the settings."""

    part: Callable[[FlagSettings], object]

    async def __call__(self, call: Call) -> Reply:
        now = await seen(call)
        return now.reply(self.part(now.settings(call)), _entity(call))


async def read_settings(call: Call) -> Reply:
    """The whole of how a flag is set in an environment."""
    now = await seen(call)
    settings = now.settings(call)
    view = settings_view(
        now.state, call.parameters["flag"], call.parameters["environment"], settings
    )
    return now.reply(view, _entity(call))


async def read_rule(call: Call) -> Reply:
    """One rule."""
    now = await seen(call)
    return now.reply(_rule(call, now), _entity(call))


def _rule(call: Call, now: Seen) -> Rule:
    wanted = call.parameters["rule"]
    for rule in now.settings(call).rules:
        if rule.id == wanted:
            return rule
    raise NotFound("rule", wanted)


_RULE_SHAPE = Shape(
    command=c.AddRule, path=_PATH, nested="rule", nested_type=Rule, beside=("position",)
)


_ADDING_RULE = Writing(shape=_RULE_SHAPE)


async def add_rule(call: Call) -> Reply:
    """Add a rule, and say where it is: its id may be the server's."""
    command, answer = await _ADDING_RULE.submitted(call)
    rule_id = cast("c.AddRule", command).rule.id
    if answer.replayed:
        rule_id = await _recorded_rule_id(call, answer)
    return write_reply(answer, location(f"{call.path}/{rule_id}"), status=201)


async def _recorded_rule_id(call: Call, answer: Answer) -> str:
    """The id that was drawn when the command was first accepted."""
    seq = answer.events[0].seq
    (event,) = await call.dependencies.store.read(project_key(call), seq - 1, 1, seq)
    added: RuleAdded = decode_event(event.type, event.schema_version, event.body)
    return added.rule.id


_EDITED_RULE = Shape(command=c.ChangeRule, path=_PATH, nested="rule", nested_type=Rule)


async def edit_rule(call: Call) -> Reply:
    """Some fields of a rule; the others stay, also where somebody changes them meanwhile."""
    body = with_precondition(call, read_object(call.body))
    check_names(body, RuleEdit, {})
    fields = {name: value for name, value in body.items() if name not in SHARED_FIELDS}
    shared = {name: value for name, value in body.items() if name in SHARED_FIELDS}
    if not fields:
        raise Malformed(Problem("", "names nothing to change"))

    async def plan() -> tuple[Command, ...]:
        now = await present(call)
        held = msgspec.json.decode(encode(_rule(call, now)))
        address = {name: call.parameters[name] for name in _PATH}
        content = {"type": "ChangeRule", "rule": held | fields, **address, **shared}
        return tuple(pinned(now.state, project_key(call), (decode_command(content),)))

    try:
        return write_reply(await carry_out(call, plan))
    except InvalidCommand as refusal:
        raise _EDITED_RULE.in_terms_of_body(refusal) from refusal


class ExpiryBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """From when on the off variation is served; null, as it is read, for never."""

    expires_at: datetime | None
    expected_revision: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    comment: str | UnsetType = UNSET


async def set_expiry(call: Call) -> Reply:
    """An instant, or none."""
    body = read_object(call.body)
    clears = "expiresAt" in body and body["expiresAt"] is None
    if clears:
        del body["expiresAt"]
    check_names(body, ExpiryBody, {})
    kind = "ClearExpiry" if clears else "SetExpiry"
    address = {name: call.parameters[name] for name in _PATH}
    command = decode_command(with_precondition(call, {"type": kind, **body, **address}))
    return write_reply(await submit(call, project_key(call), command))


async def list_rules(call: Call) -> Reply:
    """All rules, in the order in which they are tried: there are few enough for one page."""
    now = await seen(call)
    return now.reply(Page(now.settings(call).rules), _entity(call))


def _write(
    method: str,
    suffix: str,
    summary: str,
    command: type[Asked],
    *,
    path: tuple[str, ...] = _PATH,
    nested: str = "",
    nested_type: type[Rule] | type[Serve] | None = None,
    id_in_path: str = "",
) -> Route:
    shape = Shape(
        command=command, path=path, nested=nested, nested_type=nested_type, id_in_path=id_in_path
    )
    return command_route(method, SETTINGS + suffix, summary, Writing(shape=shape), tag=_TAG)


def _read(suffix: str, summary: str, handler: Handler, response: Any) -> Route:
    return reading(
        SETTINGS + suffix,
        handler,
        summary,
        permission="flag:read",
        tag=_TAG,
        query=ReadQuery,
        response=response,
    )


ROUTES: tuple[Route, ...] = (
    _read("", "Read how a flag is set in an environment", read_settings, FlagSettingsView),
    _write("POST", "/enable", "Let targets, rules and fallthrough decide", c.EnableFlag),
    _write("POST", "/disable", "Give everybody the off variation", c.DisableFlag),
    _read("/rules", "List the rules in order", list_rules, Page[Rule]),
    command_route(
        "POST",
        f"{SETTINGS}/rules",
        "Add a rule, at a position or at the end",
        add_rule,
        shape=_RULE_SHAPE,
        status=201,
        tag=_TAG,
    ),
    _write("PUT", "/rules", "Put all rules into another order, by their ids", c.ReorderRules),
    _read("/rules/{rule}", "Read a rule", read_rule, Rule),
    _write(
        "PUT",
        "/rules/{rule}",
        "Change a rule, at its place",
        c.ChangeRule,
        nested="rule",
        nested_type=Rule,
        id_in_path="rule",
    ),
    Route(
        method="PATCH",
        path=f"{SETTINGS}/rules/{{rule}}",
        summary="Edit a rule: the fields that the body names",
        handler=edit_rule,
        permission="flag:write",
        tag=_TAG,
        query=WriteQuery,
        request=RuleEdit,
        response=WriteAnswer,
    ),
    _write("DELETE", "/rules/{rule}", "Remove a rule", c.RemoveRule, path=(*_PATH, "rule")),
    _read(
        "/targets",
        "Read the targets",
        _ReadingPart(lambda settings: Targets(settings.targets)),
        Targets,
    ),
    _write("PUT", "/targets", "Set all targets", c.ChangeTargets),
    _read(
        "/fallthrough",
        "Read what is served where nothing matched",
        _ReadingPart(lambda settings: settings.fallthrough),
        Serve,
    ),
    _write(
        "PUT",
        "/fallthrough",
        "Set what is served where nothing matched",
        c.ChangeFallthrough,
        nested="fallthrough",
        nested_type=Serve,
    ),
    _read(
        "/off-variation",
        "Read what is served while the flag is off",
        _ReadingPart(lambda settings: OffVariation(settings.off_variation)),
        OffVariation,
    ),
    _write(
        "PUT", "/off-variation", "Set what is served while the flag is off", c.ChangeOffVariation
    ),
    _read(
        "/prerequisites",
        "Read the prerequisites",
        _ReadingPart(lambda settings: Prerequisites(settings.prerequisites)),
        Prerequisites,
    ),
    _write("PUT", "/prerequisites", "Set all prerequisites", c.ChangePrerequisites),
    _read(
        "/expiry",
        "Read when the flag expires",
        _ReadingPart(lambda settings: Expiry(settings.expires_at)),
        Expiry,
    ),
    Route(
        method="PUT",
        path=f"{SETTINGS}/expiry",
        summary="Have the flag expire; null for never",
        handler=set_expiry,
        permission="flag:write",
        tag=_TAG,
        query=WriteQuery,
        request=ExpiryBody,
        response=WriteAnswer,
    ),
    _write("DELETE", "/expiry", "Let the flag not expire", c.ClearExpiry),
    _read(
        "/exposure-tracking",
        "Read whether SDKs report exposures",
        _ReadingPart(lambda settings: ExposureTracking(settings.track_exposures)),
        ExposureTracking,
    ),
    _write(
        "PUT",
        "/exposure-tracking",
        "Have SDKs report exposures, or not",
        c.SetExposureTracking,
    ),
)
