"""Every failure as an RFC 9457 problem: one table from exception types to what they are called.

``type`` is ``urn:halyard:problem:<slug>``; ``instance`` names the request, as the header
``X-Request-Id`` and the log line do. ``errors`` names each field at fault. A problem of some kinds
says more: what came between, where something is used.

The most specific class in the table counts: a subclass is what its nearest ancestor is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
from halyard_protocol.codec import encode
from halyard_protocol.problems import Problem
from redis.exceptions import RedisError

from domain import errors as refusals
from domain.errors import Use
from domain.facts import Entity
from domain.undoing import Clash
from eventstore.accounts import EmailTaken
from eventstore.errors import SchemaOutdated, StoreBusy, StoreUnavailable
from server.http import faults
from server.http.replies import PROBLEM, Header, Reply
from server.logins import errors as login
from server.oidc.errors import NotAdmitted
from server.reverting.plans import NotRevertible
from server.writing import errors as writing

URN = "urn:halyard:problem:"
RETRY_AFTER_S = 1
CHALLENGE: Header = (b"www-authenticate", b'Bearer realm="halyard"')


class Kind(msgspec.Struct, frozen=True):
    """What problems of one kind have in common; ``slug`` ends their ``type``."""

    status: int
    slug: str
    title: str

    @property
    def urn(self) -> str:
        """What problems of this kind have as ``type``."""
        return URN + self.slug


class ProblemDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of an answer that refuses. Some kinds have further members."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: tuple[Problem, ...] = ()


class ShownProblem(ProblemDetails, frozen=True, kw_only=True, omit_defaults=True):
    """The same with the members that only some kinds have: for the API's own description."""

    permission: str | None = None
    """The one that is missing; ``project`` and ``environment`` say where."""
    project: str | None = None
    environment: str | None = None
    entity: Entity | None = None
    """What has changed; ``expected`` and ``actual`` are its revisions."""
    expected: int | None = None
    actual: int | None = None
    between: tuple[dict[str, Any], ...] = ()
    """The entity's events since the revision that was expected."""
    uses: tuple[Use, ...] = ()
    """Where it is used."""
    keys: tuple[str, ...] = ()
    """Those that would go round."""
    limit: int | None = None
    """How many there may be."""
    environments: tuple[str, ...] = ()
    """Those that ask for approval."""
    required: int | None = None
    """How many approvals they ask for; ``given`` is how many there are."""
    given: int | None = None
    clashes: tuple[Clash, ...] = ()
    """Parts that were edited since."""


INTERNAL = Kind(500, "internal", "The server failed")
REDIS = Kind(503, "redis-unavailable", "Redis cannot be reached")
UNAVAILABLE = Kind(503, "store-unavailable", "The database cannot be reached")
BUSY = Kind(503, "store-busy", "The database could not do it just now")
OUTDATED = Kind(503, "schema-outdated", "The database was not migrated to this version")
_STALE = Kind(412, "stale-revision", "It has changed since you read it")
_FORBIDDEN = Kind(403, "forbidden", "The account may not do that")
_CONFLICT = Kind(409, "conflict", "The project's state stands against it")

KINDS: dict[type[Exception], Kind] = {
    faults.NoSuchRoute: Kind(404, "no-such-path", "Nothing is at this path"),
    faults.MethodNotAllowed: Kind(405, "method-not-allowed", "The path takes other methods"),
    faults.NotFound: Kind(404, "not-found", "It does not exist"),
    faults.Unauthenticated: Kind(401, "unauthenticated", "A valid token is needed"),
    refusals.NotPermitted: _FORBIDDEN,
    faults.ForgedRequest: Kind(
        403, "forged-request", "The request may come from another site's page"
    ),
    login.WrongCredentials: Kind(401, "wrong-credentials", "The address or the password is wrong"),
    login.SecretSpent: Kind(401, "secret-spent", "The secret opens nothing any more"),
    login.RegistrationClosed: Kind(403, "registration-closed", "An account needs an invitation"),
    login.TooManyAttempts: Kind(429, "too-many-logins-tried", "There were too many attempts"),
    login.TooManyLogins: Kind(503, "too-many-logins", "Too many passwords are being checked"),
    faults.ProviderAway: Kind(
        503, "identity-provider-unavailable", "The identity provider does not answer"
    ),
    faults.LoginUnproven: Kind(400, "login-unproven", "Nobody is vouched for"),
    NotAdmitted: Kind(403, "not-admitted", "Who the provider vouched for may not come in"),
    faults.LastWayIn: Kind(409, "last-way-in", "The account would have no login any more"),
    EmailTaken: Kind(409, "email-taken", "Another account has the address"),
    faults.WrongKindOfKey: Kind(403, "wrong-kind-of-key", "The SDK key is of another kind"),
    faults.ForeignOrigin: Kind(
        403, "foreign-origin", "The client key is not for pages of this origin"
    ),
    faults.RulesetUnavailable: Kind(
        503, "ruleset-unavailable", "The SDK key's environment cannot be read"
    ),
    faults.TooManyStreams: Kind(503, "too-many-streams", "No further stream can be opened"),
    faults.TooManyImports: Kind(503, "too-many-imports", "Too many imports are being made"),
    faults.TooManyAttempts: Kind(503, "too-many-attempts", "Too many deliveries are being tried"),
    faults.Malformed: Kind(422, "malformed", "Something in the request is not as it must be"),
    faults.NotJson: Kind(400, "not-json", "The body is not JSON"),
    faults.NotYaml: Kind(400, "not-yaml", "The body is not YAML that is read here"),
    faults.EncodedBody: Kind(415, "encoded-body", "The body is compressed"),
    faults.BodyTooLarge: Kind(413, "body-too-large", "The body is too large"),
    faults.BodyTooSlow: Kind(408, "body-too-slow", "The body did not arrive in time"),
    faults.Overtaken: _STALE,
    faults.PlanOutdated: Kind(412, "plan-outdated", "What the plan rests on has moved"),
    faults.RevertClash: Kind(409, "revert-clash", "What is to be undone was edited since"),
    NotRevertible: Kind(409, "not-revertible", "It cannot be put back"),
    faults.OtherCount: Kind(409, "other-count", "Other things meet the filter by now"),
    faults.ImportRefused: Kind(409, "import-refused", "The project's state stands against it"),
    faults.NotServedHere: Kind(501, "not-served-here", "This process does not have it"),
    refusals.InvalidCommand: Kind(422, "invalid-command", "The command is not well-formed"),
    refusals.UnknownEntity: Kind(404, "not-found", "It does not exist"),
    refusals.StaleRevision: _STALE,
    refusals.Conflict: _CONFLICT,
    refusals.KeyTaken: Kind(409, "key-taken", "The key is taken"),
    refusals.StillInUse: Kind(409, "still-in-use", "It is used elsewhere"),
    refusals.LargerCondition: Kind(409, "larger-condition", "It is one part of a condition"),
    refusals.WouldCycle: Kind(409, "would-cycle", "It would depend on itself"),
    refusals.Archived: Kind(409, "archived", "The flag is archived"),
    refusals.Revoked: Kind(409, "revoked", "The SDK key is revoked, or has ended"),
    refusals.OtherType: Kind(409, "other-type", "A flag's type never changes"),
    refusals.AccountClosed: Kind(409, "account-closed", "The account is disabled or erased"),
    refusals.LastAdministrator: Kind(
        409, "last-administrator", "Somebody has to be an administrator"
    ),
    refusals.ApprovalRequired: Kind(409, "approval-required", "Others must approve of it first"),
    refusals.OwnRequest: Kind(409, "own-request", "Nobody approves of their own change request"),
    refusals.RequestClosed: Kind(409, "request-closed", "The change request is not open"),
    refusals.LimitReached: Kind(409, "limit-reached", "There may be no more of them"),
    writing.IdempotencyMismatch: Kind(
        422, "idempotency-mismatch", "The idempotency key belongs to another request"
    ),
    writing.Overloaded: Kind(503, "overloaded", "Too many commands are waiting"),
    writing.LogUnknown: Kind(404, "not-found", "It does not exist"),
    writing.LogPoisoned: Kind(503, "log-poisoned", "The project's log cannot be read to its end"),
    writing.NotReached: Kind(504, "not-reached", "The seq was not reached in time"),
    StoreUnavailable: UNAVAILABLE,
    StoreBusy: BUSY,
    SchemaOutdated: OUTDATED,
    RedisError: REDIS,
}
"""Every kind of failure that is not a fault of the program."""


def kind_of(error: BaseException) -> Kind:
    """What an exception is called; :data:`INTERNAL` for any that the table does not know."""
    return kind_of_type(type(error))


def kind_of_type(of: type[BaseException]) -> Kind:
    """The same for exceptions of a class."""
    for ancestor in of.__mro__:
        kind = KINDS.get(ancestor)
        if kind is not None:
            return kind
    return INTERNAL


def problem_reply(error: BaseException, request_id: str) -> Reply:
    """The answer that an exception becomes. What failed inside is not told to strangers."""
    kind = kind_of(error)
    problem = ProblemDetails(
        kind.urn,
        kind.title,
        kind.status,
        _detail(error, kind, request_id),
        f"urn:halyard:request:{request_id}",
        _errors(error),
    )
    more = _members(error)
    body = encode(problem if not more else {**msgspec.structs.asdict(problem), **more})
    return Reply(kind.status, body, PROBLEM, _headers(error))


def _detail(error: BaseException, kind: Kind, request_id: str) -> str:
    if kind is INTERNAL:
        return f"an unforeseen fault; the server's log has it under request {request_id}"
    if kind in (UNAVAILABLE, BUSY, OUTDATED, REDIS):
        return f"{kind.title.lower()}; try again shortly"
    return str(error)


def _errors(error: BaseException) -> tuple[Problem, ...]:
    match error:
        case faults.Fault():
            return error.errors
        case refusals.Refusal(command_number=int(number)):
            return _in_batch(error, f"/commands/{number}")
        case refusals.InvalidCommand():
            return error.problems
        case _:
            return ()


def _in_batch(refusal: refusals.Refusal, place: str) -> tuple[Problem, ...]:
    """Which command of a batch it was, and within it which field."""
    if isinstance(refusal, refusals.InvalidCommand):
        return tuple(Problem(place + each.path, each.reason) for each in refusal.problems)
    return (Problem(place, str(refusal)),)


def _headers(error: BaseException) -> tuple[Header, ...]:
    match error:
        case faults.Fault():
            return error.headers
        case writing.Overloaded() | login.TooManyAttempts() | login.TooManyLogins():
            return (_retry_after(error.retry_after_s),)
        case login.WrongCredentials() | login.SecretSpent():
            return (CHALLENGE,)
        case StoreUnavailable() | StoreBusy() | RedisError() | writing.NotReached():
            return (_retry_after(RETRY_AFTER_S),)
        case _:
            return ()


def _retry_after(seconds: float) -> Header:
    return (b"retry-after", b"%d" % max(1, math.ceil(seconds)))


def _members(error: BaseException) -> dict[str, Any]:
    for of, members in _MEMBERS:
        if isinstance(error, of):
            return members(error)
    return {}


def _overtaken(error: faults.Overtaken) -> dict[str, Any]:
    return {**_stale(error.refusal), "between": error.between}


def _stale(error: refusals.StaleRevision) -> dict[str, Any]:
    return {"entity": error.entity, "expected": error.expected, "actual": error.actual}


def _missing(error: refusals.NotPermitted) -> dict[str, Any]:
    place = {"project": error.project, "environment": error.environment}
    named = {name: key for name, key in place.items() if key is not None}
    return {"permission": error.permission, **named}


def _approvals(error: refusals.ApprovalRequired) -> dict[str, Any]:
    return {
        "environments": error.environments,
        "required": error.required,
        "given": error.given,
    }


_MEMBERS: tuple[tuple[type[Exception], Callable[[Any], dict[str, Any]]], ...] = (
    (refusals.NotPermitted, _missing),
    (faults.Overtaken, _overtaken),
    (faults.PlanOutdated, lambda error: {"between": error.between}),
    (faults.RevertClash, lambda error: {"clashes": error.clashes}),
    (refusals.StaleRevision, _stale),
    (refusals.StillInUse, lambda error: {"uses": error.uses}),
    (refusals.LargerCondition, lambda error: {"uses": error.uses}),
    (refusals.WouldCycle, lambda error: {"keys": error.keys}),
    (refusals.ApprovalRequired, _approvals),
    (refusals.LimitReached, lambda error: {"limit": error.limit}),
)
