"""Flags from the side of the segment that they serve: which they are, and attaching and detaching.

The rules are the flags', and stay so: whoever attaches a flag to a segment adds a rule to the flag
in one environment, and needs the right to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
from halyard_protocol.problems import Problem
from halyard_protocol.ruleset import Rule, Serve
from halyard_protocol.validation import serve_problems
from msgspec import Meta
from msgspec.structs import replace

from domain.attachment import attach_commands, attaches, attaching_rule, detach_commands
from domain.chains import reached, reversed_links
from domain.commands import Command
from domain.errors import UnknownEntity
from domain.facts import Entity, environment_entity
from domain.names import refuse
from domain.references import segments_in, segments_of_rules
from domain.state import FlagSettings, ProjectState
from domain.transitions import pinned
from server.http.bodies import read_as
from server.http.call import Call
from server.http.command_schema import MAX_BATCH
from server.http.faults import Malformed
from server.http.paging import Page, sorted_page
from server.http.planned import carry_out, refuse_if_match, unchanged
from server.http.project_keys import project_key
from server.http.queries import PlaceQuery, WriteQuery
from server.http.reads import indexed, present
from server.http.replies import Reply
from server.http.routes import SEGMENT, Route, reading
from server.http.writes import ChangesAnswer, changes_reply
from server.searching.entries import FlagEntry
from server.searching.orders import Place

_TAG = "segments"
_ORDER = "flag, environment"
_Bounded = Meta(max_length=MAX_BATCH)


class UsingRule(msgspec.Struct, frozen=True):
    """A rule that names the segment, or one through which it is meant."""

    id: str
    name: str
    position: int
    enabled: bool
    segments: tuple[str, ...]
    """The segment itself, or those that name it in their rules, at last."""
    attached: bool
    """Whether it asks for the segment, and for nothing else."""


class UsingFlag(msgspec.Struct, frozen=True):
    """A flag that asks in an environment who is in the segment."""

    flag: str
    name: str
    archived: bool
    environment: str
    enabled: bool
    direct: bool
    """Whether a rule names the segment itself; false where others do so for it."""
    rules: tuple[UsingRule, ...]


class Attached(msgspec.Struct, frozen=True, kw_only=True):
    """A flag that shall serve the segment's members in an environment."""

    flag: str
    environment: str
    variation: str | None = None
    """What they get; or ``serve``."""
    serve: Serve | None = None
    """A rollout among them."""
    position: int | None = None
    """Of a new rule; left out, it is the last."""
    name: str = ""
    """Of a new rule."""


class Detached(msgspec.Struct, frozen=True, kw_only=True):
    """A flag that shall not ask for the segment any more in an environment."""

    flag: str
    environment: str
    force: bool = False
    """Remove even rules of which the segment is only one part."""


class AttachBody(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """All of it together, or nothing."""

    attach: Annotated[tuple[Attached, ...], _Bounded] = ()
    detach: Annotated[tuple[Detached, ...], _Bounded] = ()
    comment: str = ""


async def list_flags(call: Call) -> Reply:
    """The flags that ask for a segment, in each environment, also by way of other segments."""
    query = call.query_as(PlaceQuery)
    now, index = await indexed(call)
    meant = _meant(now.state, now.segment(call).key)
    if query.environment is not None:
        now.environment_called(query.environment)
    flags = {flag for segment in meant for flag in index.users(segment)}
    rows = (
        (Place(row.flag, row.environment), row)
        for flag in flags
        for row in _uses(index[flag], query.environment, meant)
    )
    return now.reply(sorted_page(rows, query.limit, query.cursor, _ORDER, lambda row: row))


def _meant(state: ProjectState, segment: str) -> dict[str, int]:
    """The segments through which one is meant, and itself, with how far they are from it."""

    def onward(key: str) -> Iterator[str]:
        return segments_of_rules(state.segments[key].rules)

    back = reversed_links(state.segments, onward)
    return {segment: 0, **{found.key: found.depth for found in reached(segment, back)}}


def _uses(entry: FlagEntry, environment: str | None, meant: dict[str, int]) -> Iterator[UsingFlag]:
    for place, settings in entry.settings.items():
        if environment in (None, place) and not settings.segments.isdisjoint(meant):
            rules = tuple(_rules(settings.row, meant))
            yield UsingFlag(
                flag=entry.flag.key,
                name=entry.flag.name,
                archived=entry.flag.archived,
                environment=place,
                enabled=settings.row.enabled,
                direct=any(meant[key] == 0 for rule in rules for key in rule.segments),
                rules=rules,
            )


def _rules(settings: FlagSettings, meant: dict[str, int]) -> Iterator[UsingRule]:
    (itself, *_) = meant
    for position, rule in enumerate(settings.rules):
        named = sorted({key for key in segments_in(rule.when) if key in meant})
        if named:
            yield UsingRule(
                rule.id, rule.name, position, rule.enabled, tuple(named), attaches(rule, itself)
            )


async def attach_flags(call: Call) -> Reply:
    """Flags attached and detached, in one atomic batch."""
    refuse_if_match(call)
    body = read_as(call.body, AttachBody)
    _refuse_twice(body)
    comment = body.comment or call.query_as(WriteQuery).comment

    async def plan() -> tuple[Command, ...]:
        now = await present(call)
        commands = tuple(_commands(now.state, now.segment(call).key, body))
        commented = (replace(command, comment=comment) for command in commands)
        return tuple(pinned(now.state, project_key(call), commented))

    return changes_reply(await carry_out(call, plan))


def _refuse_twice(body: AttachBody) -> None:
    seen: set[tuple[str, str]] = set()
    problems = []
    named = [(f"/attach/{n}", item.flag, item.environment) for n, item in enumerate(body.attach)]
    named += [(f"/detach/{n}", item.flag, item.environment) for n, item in enumerate(body.detach)]
    for path, flag, environment in named:
        if (flag, environment) in seen:
            reason = f"flag '{flag}' in environment '{environment}' is there twice"
            problems.append(Problem(path, reason))
        seen.add((flag, environment))
    if not seen:
        problems.append(Problem("/attach", "name a flag to attach, or in 'detach' one to detach"))
    if problems:
        raise Malformed(*problems)


def _commands(state: ProjectState, segment: str, body: AttachBody) -> Iterator[Command]:
    for item in body.detach:
        place, settings = _settings(state, item)
        found = tuple(detach_commands(place, settings, segment, force=item.force))
        yield from found or (unchanged(state, *place),)
    for number, attached in enumerate(body.attach):
        place, settings = _settings(state, attached)
        rule = _rule(state, segment, attached, f"/attach/{number}")
        found = tuple(attach_commands(place, settings, segment, rule, attached.position))
        yield from found or (unchanged(state, *place),)


def _settings(
    state: ProjectState, item: Attached | Detached
) -> tuple[tuple[str, str], FlagSettings]:
    if item.flag not in state.flags:
        raise UnknownEntity(Entity("flag", item.flag), state.flags)
    if item.environment not in state.environments:
        raise UnknownEntity(environment_entity(item.environment), state.environments)
    place = (item.flag, item.environment)
    return place, state.settings[place]


def _rule(state: ProjectState, segment: str, item: Attached, path: str) -> Rule:
    if (item.variation is None) == (item.serve is None):
        raise Malformed(Problem(f"{path}/variation", "is needed, or 'serve', and not both"))
    serve = item.serve if item.serve is not None else Serve(item.variation)
    field = "serve" if item.serve is not None else "variation"
    keys = tuple(variation.key for variation in state.flags[item.flag].variations)
    refuse(serve_problems(f"{path}/{field}", serve, keys))
    return attaching_rule(segment, serve, item.name)


ROUTES: tuple[Route, ...] = (
    reading(
        f"{SEGMENT}/flags",
        list_flags,
        "List the flags that use a segment, in each environment and rule",
        permission="flag:read",
        tag=_TAG,
        query=PlaceQuery,
        response=Page[UsingFlag],
    ),
    Route(
        method="PUT",
        path=f"{SEGMENT}/flags",
        summary="Attach flags to a segment, and detach others, in environments",
        handler=attach_flags,
        permission="flag:write",
        tag=_TAG,
        query=WriteQuery,
        request=AttachBody,
        response=ChangesAnswer,
    ),
)
