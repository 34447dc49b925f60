"""One change to many flags, as one atomic batch: all of them, or none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias

import msgspec
from halyard_protocol.codec import encode
from halyard_protocol.problems import Problem
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from domain import commands as c
from domain.chains import dependencies_first
from domain.commands import Command
from domain.errors import UnknownEntity
from domain.facts import Entity
from domain.state import ProjectState
from domain.transitions import pinned
from server.http.authorisation import visible
from server.http.bodies import read_as
from server.http.call import Call
from server.http.command_schema import MAX_BATCH
from server.http.faults import Malformed, OtherCount
from server.http.flags import refuse_unknown
from server.http.planned import carry_out, refuse_if_match, rehearsed
from server.http.project_keys import project_key
from server.http.queries import WriteQuery
from server.http.reads import indexed, present
from server.http.replies import JSON, Reply
from server.http.routes import PROJECT, Route
from server.http.views import FlagView, flag_view
from server.searching.criteria import Criteria
from server.searching.entries import flag_entry
from server.writing.submission import Answer, Result

Action: TypeAlias = Literal["enable", "disable", "tag", "untag", "archive", "restore", "delete"]
_IN_ENVIRONMENTS: tuple[Action, ...] = ("enable", "disable")
_WITH_TAGS: tuple[Action, ...] = ("tag", "untag")


class BulkBody(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """What shall happen to which flags: those that are named, or those that meet ``where``."""

    action: Action
    flags: Annotated[tuple[str, ...], Meta(min_length=1, max_length=MAX_BATCH)] | UnsetType = UNSET
    where: Criteria | UnsetType = UNSET
    expected: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    """How many flags ``where`` is to find; any other number is refused."""
    environments: tuple[str, ...] = ()
    """Of ``enable`` and ``disable``: where."""
    tags: tuple[str, ...] = ()
    """Of ``tag`` and ``untag``: which."""
    dry_run: bool = False
    """Only tell what would become of them."""
    comment: str = ""


class BulkItem(msgspec.Struct, frozen=True):
    """What one flag became."""

    flag: str
    events: tuple[str, ...]
    """The types of those that it took; none where it was so already."""
    became: FlagView | None
    """Null for one that is gone."""


class BulkAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """What became of all of them, in the order in which it was done."""

    seq: int
    """The end of the project's log after it; of a dry run, before it."""
    dry_run: bool
    replayed: bool
    changed: int
    """How many flags were changed."""
    items: tuple[BulkItem, ...]


async def change_flags(call: Call) -> Reply:
    """Many flags, one change."""
    refuse_if_match(call)
    body = _body(call)
    chosen: list[str] = []

    async def plan() -> tuple[Command, ...]:
        state, chosen[:] = await _chosen(call, body)
        return tuple(_commands(call, state, body, chosen))

    if body.dry_run:
        before = (await present(call)).seq
        rehearsal = await rehearsed(call, plan)
        state = visible(call, project_key(call), rehearsal.state, before)
        return _reply(body, chosen, rehearsal.answer, state, before)
    answer = await carry_out(call, plan)
    if answer.replayed:
        chosen = _flags_of(answer)
    now = await present(call)
    return _reply(body, chosen, answer, now.state, answer.seq)


def _body(call: Call) -> BulkBody:
    body = read_as(call.body, BulkBody)
    problems = list(_problems(body))
    if problems:
        raise Malformed(*problems)
    comment = body.comment or call.query_as(WriteQuery).comment
    return replace(body, comment=comment)


def _problems(body: BulkBody) -> Iterator[Problem]:
    if (body.flags is UNSET) == (body.where is UNSET):
        yield Problem("/flags", "is needed, or 'where', and not both")
    if body.where is not UNSET and body.expected is UNSET and not body.dry_run:
        reason = "say how many flags that is: a dry run tells"
        yield Problem("/expected", reason)
    if body.flags is not UNSET and len(set(body.flags)) != len(body.flags):
        yield Problem("/flags", "names a flag twice")
    yield from _belongs(body, "environments", body.environments, _IN_ENVIRONMENTS)
    yield from _belongs(body, "tags", body.tags, _WITH_TAGS)


def _belongs(
    body: BulkBody, name: str, values: tuple[str, ...], actions: tuple[Action, ...]
) -> Iterator[Problem]:
    if body.action in actions and not values:
        yield Problem(f"/{name}", f"is needed to {body.action}")
    elif values and body.action not in actions:
        yield Problem(f"/{name}", f"is only to {' or '.join(actions)}")
    elif len(set(values)) != len(values):
        yield Problem(f"/{name}", "names one twice")


async def _chosen(call: Call, body: BulkBody) -> tuple[ProjectState, list[str]]:
    """The newest state, and which of its flags are meant, in the order to go through them."""
    if body.flags is not UNSET:
        state, keys = (await present(call)).state, list(body.flags)
        for key in keys:
            if key not in state.flags:
                raise UnknownEntity(Entity("flag", key), state.flags)
    else:
        state, keys = await _found(call, body)
    each = max(1, len(body.environments))
    if len(keys) * each > MAX_BATCH:
        reason = f"that is {len(keys) * each} changes; at most {MAX_BATCH} in one request"
        raise Malformed(Problem("/flags" if body.where is UNSET else "/where", reason))
    return state, _in_order(state, keys, body.action)


async def _found(call: Call, body: BulkBody) -> tuple[ProjectState, list[str]]:
    now, index = await indexed(call)
    where = Criteria() if body.where is UNSET else body.where
    refuse_unknown(now.state, where, "/where/")
    keys = [entry.flag.key for entry in index.find(where, datetime.now(UTC))]
    if body.expected is not UNSET and body.expected != len(keys):
        raise OtherCount("/expected", body.expected, len(keys))
    if not keys:
        raise Malformed(Problem("/where", "no flag meets this"))
    return now.state, keys


def _in_order(state: ProjectState, keys: list[str], action: Action) -> list[str]:
    """Flags that rest on others go before them, and come back after them."""
    if action not in ("archive", "restore", "delete"):
        return keys

    def onward(flag: str) -> Iterator[str]:
        for environment in state.environments:
            for prerequisite in state.settings[flag, environment].prerequisites:
                yield prerequisite.flag

    ordered = list(dependencies_first(keys, onward))
    return ordered if action == "restore" else ordered[::-1]


def _commands(
    call: Call, state: ProjectState, body: BulkBody, keys: Iterable[str]
) -> Iterator[Command]:
    commands = (command for key in keys for command in _of_flag(state, body, key))
    commented = (replace(command, comment=body.comment) for command in commands)
    # Only what rests on what was seen: two who enable the same flag are not in each other's way.
    if body.action in _WITH_TAGS or body.where is not UNSET:
        return pinned(state, project_key(call), commented)
    return commented


def _of_flag(state: ProjectState, body: BulkBody, key: str) -> Iterator[Command]:
    match body.action:
        case "enable":
            yield from (c.EnableFlag(key, environment) for environment in body.environments)
        case "disable":
            yield from (c.DisableFlag(key, environment) for environment in body.environments)
        case "tag":
            yield c.TagFlag(key, tuple(dict.fromkeys((*state.flags[key].tags, *body.tags))))
        case "untag":
            held = state.flags[key].tags
            yield c.TagFlag(key, tuple(tag for tag in held if tag not in body.tags))
        case "archive":
            yield c.ArchiveFlag(key)
        case "restore":
            yield c.RestoreFlag(key)
        case "delete":
            yield c.DeleteFlag(key)


def _flags_of(answer: Answer) -> list[str]:
    """The flags that a recorded answer tells of: those that were changed."""
    return list(dict.fromkeys(event.entity_key for event in answer.events))


def _reply(body: BulkBody, keys: list[str], answer: Answer, state: ProjectState, seq: int) -> Reply:
    now = datetime.now(UTC)
    taken: dict[str, list[str]] = {}
    for result in answer.results:
        _take(taken, result)
    items = tuple(
        BulkItem(key, tuple(taken.get(key, ())), _became(state, key, now)) for key in keys
    )
    content = BulkAnswer(seq, body.dry_run, answer.replayed, len(taken), items)
    return Reply(200, encode(content), JSON)


def _take(taken: dict[str, list[str]], result: Result) -> None:
    for event in result.events:
        taken.setdefault(event.entity_key, []).append(event.type)


def _became(state: ProjectState, key: str, now: datetime) -> FlagView | None:
    if key not in state.flags:
        return None
    return flag_view(state, flag_entry(state, key), now)


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path=f"{PROJECT}/flags:bulk",
        summary="Enable, disable, tag, untag, archive, restore or delete many flags together",
        handler=change_flags,
        permission="flag:write",
        tag="flags",
        query=WriteQuery,
        request=BulkBody,
        response=BulkAnswer,
        refuses=(OtherCount,),
    ),
)
