"""What flags answer, over HTTP: for accounts from the folded state, for SDK keys from the gateway.

An account sees the state that any read would show it: at least ``minSeq``, or as it was ``at``. An
SDK key sees what its SDKs see; a client key, of that, the flags that are marked for clients, and
of their reasons no rules.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from halyard_protocol.codec import UNREADABLE, encode
from halyard_protocol.context import MULTI, USER, Context, InvalidContext
from halyard_protocol.evaluator import Evaluator
from halyard_protocol.instants import instant_ms, read_instant
from halyard_protocol.problems import Problem
from halyard_protocol.ruleset import Environment as RulesetEnvironment
from halyard_protocol.ruleset import Flag, MalformedFlag, Ruleset
from halyard_protocol.strict import unknown_fields
from msgspec import UNSET, Meta, UnsetType

from domain.decoding import problem_of
from domain.state import Environment
from server.evaluating.questions import (
    AnswersTooLong,
    Evaluation,
    Question,
    answers,
    answers_in_turn,
)
from server.evaluating.state_evaluator import StateEvaluator, evaluator_of
from server.http.authorisation import require
from server.http.bodies import read_object
from server.http.call import Call
from server.http.concurrency import moment
from server.http.faults import Malformed
from server.http.project_keys import no_system_log
from server.http.queries import ReadQuery
from server.http.reads import SEQ_HEADER, Seen, read_whole, seen, seen_of
from server.http.replies import JSON, Header, Reply
from server.http.routes import ALL_KEYS, API, ENVIRONMENT, Route

MAX_CONTEXTS = 1_000
MAX_EVALUATIONS = 100_000
"""Contexts times flags, in one request: some seconds of one core, in slices."""
MAX_EXPLANATIONS = 5_000
"""The same, where each comes with its trace."""


_LATEST_MS = 253_402_300_799_999
"""The end of the year 9999; the beginning of the year 1 is not as far the other way."""

_NOTHING = Evaluator(Ruleset(RulesetEnvironment(""), {}, {}))
"""Decides what a key may not see, as if it did not exist."""


class EvaluateQuery(ReadQuery, frozen=True):
    """The parameters of an evaluation from a body."""

    explain: bool = False
    """Tell what was tested, step by step."""


class UserQuery(EvaluateQuery, frozen=True):
    """The parameters of an evaluation without a body."""

    project: str | None = None
    """Left out with an SDK key."""
    environment: str | None = None
    """Left out with an SDK key."""
    user: str | None = None
    """The key of the user."""
    context: str | None = None
    """A context as JSON, for more than the user's key."""


class EvaluateBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whom to evaluate for: one context, or several."""

    context: Any = UNSET
    contexts: Annotated[tuple[Any, ...], Meta(max_length=MAX_CONTEXTS)] | UnsetType = UNSET
    default: Any = None
    """Answered where no variation is."""
    now: str | int | None = None
    """The instant of evaluation, RFC 3339 or epoch milliseconds; else the present, or ``at``."""


class EvaluateFlagsBody(EvaluateBody, frozen=True):
    """Of which flags, too; all of them where that is left out."""

    flags: tuple[str, ...] | None = None


class SeenEvaluation(Evaluation, frozen=True):
    """An evaluation, and as of which seq."""

    seq: int


class EvaluationsOfContext(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one context gets, or what is wrong with it."""

    evaluations: tuple[Evaluation, ...] = ()
    error: Problem | None = None


class SeenEvaluations(msgspec.Struct, frozen=True, omit_defaults=True):
    """``evaluations`` by flag for one context; for several, ``items`` in their order."""

    seq: int
    evaluations: tuple[Evaluation, ...] = ()
    items: tuple[EvaluationsOfContext, ...] = ()


async def evaluate_flag(call: Call) -> Reply:
    """One flag, for one context or several."""
    body = _body(call, EvaluateBody)
    state = await seen(call)
    flag = state.flag(call).key
    question = question_of(call, state, state.environment(call), body, (flag,))
    if body.contexts is UNSET:
        return _one(question, flag, _context(body.context, "/context"), state.seq)
    return await _several(question, body.contexts, state.seq)


async def evaluate_flags(call: Call) -> Reply:
    """All flags, or those that the body names, for one context or several."""
    body = _body(call, EvaluateFlagsBody)
    state = await seen(call)
    if body.flags is None:
        await read_whole(state.state)
    question = question_of(call, state, state.environment(call), body, body.flags)
    if body.contexts is not UNSET:
        return await _several(question, body.contexts, state.seq)
    context = _context(body.context, "/context")
    try:
        found = await answers(question, context)
    except AnswersTooLong as error:
        raise Malformed(Problem("/flags", str(error))) from error
    return _reply(b'{"seq":%d,"evaluations":[%s]}' % (state.seq, b",".join(found)), state.seq)


async def evaluate_for_user(call: Call) -> Reply:
    """One flag, for whom the query names."""
    query = call.query_as(UserQuery)
    context = context_of(query)
    if call.served is None:
        return await _for_account(call, query, context)
    refuse_parameters_of_accounts(query)
    served, flag = call.served, call.parameters["flag"]
    evaluator = served.evaluator
    is_public = served.kind == "client"
    if is_public and not is_for_clients(evaluator.ruleset.flags.get(flag)):
        evaluator = _NOTHING
    question = Question(
        evaluator=evaluator,
        flags=(flag,),
        now_ms=present_ms(),
        hides_rules=is_public,
    )
    return _one(question, flag, context, served.seq)


async def _for_account(call: Call, query: UserQuery, context: Context) -> Reply:
    state, environment = await place_of(call, query)
    flag = state.flag(call).key
    question = question_of(call, state, environment, EvaluateBody(), (flag,))
    return _one(question, flag, context, state.seq)


async def place_of(call: Call, query: UserQuery) -> tuple[Seen, Environment]:
    """The project and the environment that an account names in the query, where it may read them.

    Raises :class:`Malformed`, :class:`Forbidden`, or what :func:`seen_of` raises.
    """
    if query.project is None or query.environment is None:
        named = {"?project": query.project, "?environment": query.environment}
        reason = "is needed with an account's token; an SDK key would say it"
        raise Malformed(*(Problem(name, reason) for name, value in named.items() if value is None))
    state = await seen_of(call, no_system_log(query.project))
    require(call, _READ, query.project, query.environment)
    return state, state.environment_called(query.environment)


# --- what is asked


def _body(call: Call, of: type[EvaluateBody]) -> Any:
    """The body, of which at least the form is right. Raises :class:`Malformed`."""
    content = read_object(call.body)
    problems = [Problem(path, "unknown field") for path in unknown_fields(content, of)]
    try:
        body = msgspec.convert(content, of)
    except msgspec.ValidationError as error:
        raise Malformed(*problems, problem_of(str(error))) from error
    if (body.context is UNSET) == (body.contexts is UNSET):
        problems.append(Problem("/context", "is needed, or 'contexts', and not both"))
    if problems:
        raise Malformed(*problems)
    return body


def question_of(
    call: Call,
    state: Seen,
    environment: Environment,
    body: EvaluateBody,
    flags: Sequence[str] | None,
) -> Question:
    """What is asked of the state, within bounds. Raises :class:`Malformed`."""
    query = call.query_as(EvaluateQuery)
    evaluator = _evaluator(call, state, environment.key, flags)
    if flags is None:
        flags = tuple(sorted(evaluator.ruleset.flags))
    _refuse_too_much(len(flags), body, explain=query.explain)
    return Question(
        evaluator=evaluator,
        flags=flags,
        default=body.default,
        now_ms=_now_ms(query, body, state),
        explain=query.explain,
    )


def _evaluator(call: Call, state: Seen, environment: str, flags: Sequence[str] | None) -> Evaluator:
    if call.query_as(ReadQuery).at is not None:
        if flags is not None:
            return evaluator_of(state.state, environment, flags)
        return StateEvaluator().of(state.state, environment)
    evaluators = call.dependencies.evaluators
    return evaluators.of(state.state, state.seq, environment)


def _refuse_too_much(flags: int, body: EvaluateBody, *, explain: bool) -> None:
    asked = flags * (1 if body.contexts is UNSET else len(body.contexts))
    bound = MAX_EXPLANATIONS if explain else MAX_EVALUATIONS
    if asked > bound:
        what = "explanations" if explain else "evaluations"
        reason = f"{asked} {what} (contexts times flags); at most {bound} in one request"
        raise Malformed(Problem("/contexts" if body.contexts is not UNSET else "/flags", reason))


def _now_ms(query: EvaluateQuery, body: EvaluateBody, state: Seen) -> int:
    """What the body says; else when the state that is asked for was the present one."""
    if body.now is not None:
        instant = read_instant(body.now)
        if instant is None or abs(instant) > _LATEST_MS:
            raise Malformed(Problem("/now", "is an RFC 3339 time, or milliseconds since 1970"))
        return int(instant)
    if query.at is None:
        return present_ms()
    at = moment(query.at)
    return instant_ms(at if isinstance(at, datetime) else state.last_at)


def present_ms() -> int:
    """Now, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _context(source: Any, path: str) -> Context:
    try:
        return Context.of(source)
    except InvalidContext as error:
        raise Malformed(Problem(path + error.field, error.reason)) from error


def context_of(query: UserQuery) -> Context:
    """The context of a query: ``context`` with the key of ``user`` in it."""
    if query.user is None and query.context is None:
        raise Malformed(Problem("?user", "is needed, or 'context' as JSON"))
    source: Any = {}
    if query.context is not None:
        try:
            source = msgspec.json.decode(query.context)
        except UNREADABLE as error:
            raise Malformed(Problem("?context", f"is not JSON: {error}")) from error
    if query.user is not None:
        source = _with_user(source, query.user)
    return _context(source, "?context")


def _with_user(source: Any, user: str) -> dict[str, Any]:
    if not isinstance(source, dict):
        raise Malformed(Problem("?context", "is a JSON object beside 'user'"))
    match source.get("kind", USER):
        case "user":
            return {**source, "key": user}
        case "multi":
            own = source.get(USER, {})
            return {**source, USER: {**own, "key": user} if isinstance(own, dict) else own}
        case str(kind):
            own = {name: value for name, value in source.items() if name != "kind"}
            return {"kind": MULTI, kind: own, USER: {"key": user}}
        case _:
            return source


def refuse_parameters_of_accounts(query: UserQuery) -> None:
    """Raises :class:`Malformed` where an SDK key asks for more than its SDKs see."""
    given = {
        "?project": query.project is not None,
        "?environment": query.environment is not None,
        "?at": query.at is not None,
        "?minSeq": query.min_seq > 0,
        "?explain": query.explain,
    }
    reason = "is for accounts: an SDK key says where, and sees the present alone"
    problems = [Problem(name, reason) for name, is_given in given.items() if is_given]
    if problems:
        raise Malformed(*problems)


def is_for_clients(flag: Flag | MalformedFlag | None) -> bool:
    """Whether client keys may see a flag."""
    return isinstance(flag, Flag) and flag.client_side


# --- what is answered


def _one(question: Question, flag: str, context: Context, seq: int) -> Reply:
    evaluation = question.answer(flag, context)
    answer = SeenEvaluation(**msgspec.structs.asdict(evaluation), seq=seq)
    return _reply(encode(answer), seq)


async def _several(question: Question, contexts: Sequence[Any], seq: int) -> Reply:
    try:
        of_each = await answers_in_turn(question, contexts)
    except AnswersTooLong as error:
        raise Malformed(Problem("/contexts", str(error))) from error
    items = [
        b'{"error":%s}' % found
        if isinstance(found, bytes)
        else b'{"evaluations":[%s]}' % b",".join(found)
        for found in of_each
    ]
    return _reply(b'{"seq":%d,"items":[%s]}' % (seq, b",".join(items)), seq)


def _reply(body: bytes, seq: int) -> Reply:
    headers: tuple[Header, ...] = ((SEQ_HEADER, b"%d" % seq),)
    return Reply(200, body, JSON, headers)


_ONE_OR_SEVERAL = Annotated[
    Any,
    Meta(
        extra_json_schema={
            "anyOf": [
                {"$ref": "#/components/schemas/SeenEvaluation"},
                {"$ref": "#/components/schemas/SeenEvaluations"},
            ]
        }
    ),
]

_TAG = "evaluation"
_READ = "flag:read"

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path=f"{ENVIRONMENT}/evaluate",
        summary="Evaluate all flags, or some, for one context or several",
        handler=evaluate_flags,
        permission=_READ,
        tag=_TAG,
        query=EvaluateQuery,
        request=EvaluateFlagsBody,
        response=SeenEvaluations,
    ),
    Route(
        method="POST",
        path=f"{ENVIRONMENT}/evaluate/{{flag}}",
        summary="Evaluate a flag for one context or several",
        handler=evaluate_flag,
        permission=_READ,
        tag=_TAG,
        query=EvaluateQuery,
        request=EvaluateBody,
        response=_ONE_OR_SEVERAL,
    ),
    Route(
        method="GET",
        path=f"{API}/evaluate/{{flag}}",
        summary="Evaluate a flag for a user",
        handler=evaluate_for_user,
        permission=_READ,
        sdk_keys=ALL_KEYS,
        tag=_TAG,
        query=UserQuery,
        response=SeenEvaluation,
    ),
)
