"""The plainest questions, as people of other systems ask them: what is on for a user, and a switch.

Nothing here is said only here: evaluation answers more, and a flag's settings take more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from halyard_protocol.problems import Problem
from halyard_protocol.ruleset import Flag
from msgspec import Meta

from domain import commands as c
from server.evaluating.questions import AnswersTooLong, Evaluation, Question, answers
from server.http.authorisation import require
from server.http.bodies import read_as
from server.http.call import Call
from server.http.concurrency import expected_revision
from server.http.evaluation import (
    EvaluateBody,
    UserQuery,
    context_of,
    is_for_clients,
    place_of,
    present_ms,
    question_of,
    refuse_parameters_of_accounts,
)
from server.http.faults import Malformed
from server.http.project_keys import no_system_log
from server.http.queries import WriteQuery
from server.http.reads import SEQ_HEADER, read_whole
from server.http.replies import JSON, Reply
from server.http.routes import ALL_KEYS, API, Route
from server.http.writes import WriteAnswer, submit, write_reply

_TAG = "evaluation"
_PATH = f"{API}/feature-flags"
_DECIDED = ("TARGET_MATCH", "RULE_MATCH", "FALLTHROUGH")
"""Reasons of a flag that is on."""


class EnabledFlags(msgspec.Struct, frozen=True, rename="camel"):
    """All flags that are enabled for a user, by key."""

    seq: int
    items: Sequence[Evaluation]
    next_cursor: str | None = None
    """Always null: all of them are here."""


class SwitchQuery(WriteQuery, frozen=True):
    """Where to switch; the body may say it instead."""

    project: str | None = None
    environment: str | None = None


class SwitchBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On or off."""

    enabled: bool
    project: str | None = None
    environment: str | None = None
    comment: Annotated[str, Meta(max_length=2000)] = ""


async def list_enabled(call: Call) -> Reply:
    """The flags that are enabled for whom the query names."""
    query = call.query_as(UserQuery)
    context = context_of(query)
    question, seq = await _question(call, query)

    def is_enabled(evaluation: Evaluation) -> bool:
        flag = question.evaluator.ruleset.flags[evaluation.flag]
        is_on = evaluation.reason.kind in _DECIDED
        is_boolean = isinstance(flag, Flag) and flag.type == "boolean"
        return is_on and (evaluation.value is True if is_boolean else True)

    try:
        found = await answers(question, context, is_enabled)
    except AnswersTooLong as error:
        raise Malformed(Problem("", str(error))) from error
    body = b'{"seq":%d,"items":[%s],"nextCursor":null}' % (seq, b",".join(found))
    return Reply(200, body, JSON, ((SEQ_HEADER, b"%d" % seq),))


async def _question(call: Call, query: UserQuery) -> tuple[Question, int]:
    served = call.served
    if served is None:
        state, environment = await place_of(call, query)
        await read_whole(state.state)
        return question_of(call, state, environment, EvaluateBody(), None), state.seq
    refuse_parameters_of_accounts(query)
    evaluator, is_public = served.evaluator, served.kind == "client"
    flags = evaluator.ruleset.flags
    seen = [key for key in flags if not is_public or is_for_clients(flags[key])]
    question = Question(
        evaluator=evaluator,
        flags=sorted(seen),
        now_ms=present_ms(),
        hides_rules=is_public,
    )
    return question, served.seq


async def switch_flag(call: Call) -> Reply:
    """On or off in one environment."""
    body, query = read_as(call.body, SwitchBody), call.query_as(SwitchQuery)
    project = no_system_log(_said("project", query.project, body.project))
    environment = _said("environment", query.environment, body.environment)
    require(call, "flag:write", project)
    switch = c.EnableFlag if body.enabled else c.DisableFlag
    command = switch(
        call.parameters["flag"],
        environment,
        expected_revision=expected_revision(call),
        comment=body.comment or query.comment,
    )
    return write_reply(await submit(call, project, command))


def _said(name: str, in_query: str | None, in_body: str | None) -> str:
    """What the query or the body says; both may, if it is the same."""
    said = in_query if in_query is not None else in_body
    if said is None:
        raise Malformed(Problem(f"?{name}", "is needed, here or in the body"))
    if in_body not in (None, said):
        raise Malformed(Problem(f"/{name}", "differs from what stands in the query"))
    return said


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path=_PATH,
        summary="List the flags that are enabled for a user",
        handler=list_enabled,
        permission="flag:read",
        sdk_keys=ALL_KEYS,
        tag=_TAG,
        query=UserQuery,
        response=EnabledFlags,
    ),
    Route(
        method="PATCH",
        path=f"{_PATH}/{{flag}}",
        summary="Enable or disable a flag in an environment",
        handler=switch_flag,
        permission="flag:write",
        tag=_TAG,
        query=SwitchQuery,
        request=SwitchBody,
        response=WriteAnswer,
    ),
)
