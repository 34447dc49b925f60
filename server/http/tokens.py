"""API tokens, by which programs act in an account's name, and the accounts that only programs have.

A token is shown once. It ends by itself, and opens at most what its account may do, cut to its
scope where it has one. Service accounts have no login: their tokens come from administrators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypeAlias, cast

import msgspec
from halyard_protocol.codec import encode
from halyard_protocol.limits import MAX_NAME_LENGTH
from halyard_protocol.problems import Problem
from msgspec import Meta

from domain.errors import UnknownEntity
from domain.facts import Entity
from domain.system.commands import CreateServiceAccount, IssueToken, RevokeToken
from domain.system.permissions import PERMISSIONS
from domain.system.state import Account, SystemState, Token
from domain.system.vocabulary import SYSTEM_LOG, Grant
from server.credentials import fingerprint, new_id, new_token
from server.http.bodies import read_as
from server.http.call import Call
from server.http.concurrency import etag, expected_revision
from server.http.faults import Malformed, NotFound
from server.http.paging import Page, page_of
from server.http.permissions import SELF
from server.http.queries import SearchQuery, WriteQuery
from server.http.reads import contains
from server.http.replies import JSON, Reply, ok
from server.http.routes import API, Route, reading
from server.http.writes import WriteAnswer, submit, write_answer, write_reply
from server.writing.submission import Answer

_TAG = "tokens"
_OWN = f"{API}/auth/tokens"
_ALL = f"{API}/tokens"
_SERVICES = f"{API}/auth/service-accounts"

DEFAULT_DAYS = 90
MAX_DAYS = 366

READ_ONLY = Grant(tuple(sorted(verb for verb in PERMISSIONS if verb.endswith(":read"))))
"""What ``readOnly`` stands for."""

Days: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_DAYS)]
Name: TypeAlias = Annotated[str, Meta(max_length=MAX_NAME_LENGTH)]


class _Body(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Bodies name every field that they have, and nothing else is taken."""


class TokenBody(_Body, frozen=True):
    """What a token is for, and how long it lives."""

    name: Name = ""
    scope: Grant | None = None
    """What it opens of what its account may do; null for all that whoever asks has of it."""
    read_only: bool = False
    """In place of a scope: whatever its account may read."""
    expires_in_days: Days = DEFAULT_DAYS


class TokenOfBody(TokenBody, frozen=True, kw_only=True):
    """The same, for a service account."""

    account: str


class ServiceAccountBody(_Body, frozen=True):
    """A program, and the role that it has everywhere, if any."""

    name: Annotated[str, Meta(min_length=1, max_length=MAX_NAME_LENGTH)]
    role: str = ""


class TokenView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A token; its secret is not known to anybody any more."""

    id: str
    account: str
    name: str
    scope: Grant | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    """To about a minute; null where it was never used."""
    state: Literal["open", "expired", "revoked"]
    revision: int


class IssuedToken(WriteAnswer, frozen=True, kw_only=True, rename="camel"):
    """A new token. ``secret`` is the whole token, and is never shown again."""

    id: str
    secret: str | None
    """Null where the answer repeats an earlier one: the token was shown then."""
    expires_at: datetime | None


class ServiceAccountView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An account of a program."""

    id: str
    name: str
    role: str
    """That it has everywhere; empty for none."""
    open_tokens: int
    created_at: datetime
    disabled_at: datetime | None
    revision: int


class CreatedServiceAccount(WriteAnswer, frozen=True, kw_only=True):
    """A new service account, without any token yet."""

    id: str


class TokenListQuery(SearchQuery, frozen=True):
    """Which tokens to list; ``search`` is for names."""

    state: Literal["open", "expired", "revoked", "any"] = "open"


class AllTokensQuery(TokenListQuery, frozen=True):
    """The same, of all accounts."""

    account: str | None = None


# -- reading -------------------------------------------------------------------------------------


async def list_own(call: Call) -> Reply:
    """A page of one's own tokens."""
    query, account = call.query_as(TokenListQuery), call.actor_id
    return await _list(call, query, lambda token: token.account_id == account)


async def list_all(call: Call) -> Reply:
    """A page of everybody's tokens."""
    query = call.query_as(AllTokensQuery)
    return await _list(call, query, lambda token: query.account in {None, token.account_id})


async def _list(call: Call, query: TokenListQuery, of: Callable[[Token], bool]) -> Reply:
    state, now = await _system(call), datetime.now(UTC)

    def wanted(token_id: str) -> Token | None:
        token = state.tokens[token_id]
        fits = of(token) and query.state in {"any", _standing(token, now)}
        return token if fits and contains(query.search, token.name) else None

    page = page_of(state.tokens, query.limit, query.cursor, wanted, lambda token: token)
    used = await _last_uses(call, page.items)
    items = tuple(_view(state, token, used.get(token.id), now) for token in page.items)
    return ok(Page(items, page.next_cursor))


async def _last_uses(call: Call, tokens: Sequence[Token]) -> dict[str, datetime]:
    notes = call.dependencies.authenticator.token_uses
    if notes is None or not tokens:
        return {}
    return await notes.stored.of([token.id for token in tokens])


def _standing(token: Token, now: datetime) -> Literal["open", "expired", "revoked"]:
    if token.revoked_at is not None:
        return "revoked"
    return "open" if token.is_open(now) else "expired"


def _view(state: SystemState, token: Token, used_at: datetime | None, now: datetime) -> TokenView:
    return TokenView(
        id=token.id,
        account=token.account_id,
        name=token.name,
        scope=token.scope,
        created_at=token.created_at,
        expires_at=token.expires_at,
        revoked_at=token.revoked_at,
        last_used_at=used_at,
        state=_standing(token, now),
        revision=state.revision(Entity("token", token.id)),
    )


async def list_services(call: Call) -> Reply:
    """A page of the accounts of programs."""
    query, state, now = call.query_as(SearchQuery), await _system(call), datetime.now(UTC)
    open_tokens: dict[str, int] = {}
    for token in state.tokens.values():
        if token.is_open(now):
            open_tokens[token.account_id] = open_tokens.get(token.account_id, 0) + 1

    def wanted(account_id: str) -> Account | None:
        account = state.accounts[account_id]
        return account if account.service and contains(query.search, account.name) else None

    def view(account: Account) -> ServiceAccountView:
        return ServiceAccountView(
            id=account.id,
            name=account.name,
            role=account.role,
            open_tokens=open_tokens.get(account.id, 0),
            created_at=account.created_at,
            disabled_at=account.disabled_at,
            revision=state.revision(Entity("account", account.id)),
        )

    return ok(page_of(state.accounts, query.limit, query.cursor, wanted, view))


async def _system(call: Call) -> SystemState:
    return (await call.dependencies.writers.system()).state


# -- writing -------------------------------------------------------------------------------------


async def issue_own(call: Call) -> Reply:
    """Draw a token of one's own."""
    return await _issue(call, call.actor_id, read_as(call.body, TokenBody))


async def issue_of(call: Call) -> Reply:
    """Draw a token of a service account; people issue their own."""
    body = read_as(call.body, TokenOfBody)
    account = (await _system(call)).accounts.get(body.account)
    if account is not None and not account.service:
        raise Malformed(Problem("/account", "is a person's, who issues tokens alone"))
    return await _issue(call, body.account, body)


async def _issue(call: Call, account: str, body: TokenBody) -> Reply:
    secret, token_id = new_token(), new_id()
    command = IssueToken(
        token=token_id,
        account=account,
        sha256=fingerprint(secret),
        name=body.name,
        scope=_scope(call, body),
        expires_at=await _end(call, body.expires_in_days),
        **_asked(call),
    )
    answer = await _submit(call, command)
    token_id = answer.events[0].entity_key
    issued = (await call.dependencies.writers.system(answer.seq)).state.tokens[token_id]
    shown = IssuedToken(
        **msgspec.structs.asdict(write_answer(answer)),
        id=token_id,
        secret=None if answer.replayed else secret,
        expires_at=issued.expires_at,
    )
    return Reply(201, encode(shown), JSON, (etag(answer.revision),))


def _scope(call: Call, body: TokenBody) -> Grant | None:
    """What was asked for; else that of the token that asks, if it has one."""
    if body.read_only and body.scope is not None:
        raise Malformed(Problem("/readOnly", "stands in place of a scope: give one of them"))
    if body.read_only:
        return READ_ONLY
    asking = None if call.credential is None else call.credential.scope
    return asking if body.scope is None else body.scope


async def _end(call: Call, days: int) -> datetime:
    """When a new token ends: not after the one that issues it, which may have been stolen."""
    end = datetime.now(UTC) + timedelta(days=days)
    credential = call.credential
    if credential is None or credential.kind != "token":
        return end
    issuing = (await _system(call)).tokens.get(credential.id)
    is_first = issuing is None or issuing.expires_at is None or end <= issuing.expires_at
    return end if is_first else cast("datetime", cast("Token", issuing).expires_at)


async def revoke_own(call: Call) -> Reply:
    """Let a token of one's own open nothing any more; everywhere, at once."""
    token = (await _system(call)).tokens.get(call.parameters["token"])
    if token is None or token.account_id != call.actor_id:
        raise NotFound("token", call.parameters["token"])
    return await revoke(call)


async def revoke(call: Call) -> Reply:
    """Let a token open nothing any more; everywhere, at once."""
    command = RevokeToken(token=call.parameters["token"], **_asked(call))
    return write_reply(await _submit(call, command))


async def create_service(call: Call) -> Reply:
    """Begin an account for a program."""
    body = read_as(call.body, ServiceAccountBody)
    command = CreateServiceAccount(account=new_id(), name=body.name, role=body.role, **_asked(call))
    answer = await _submit(call, command)
    account_id = answer.events[0].entity_key
    created = CreatedServiceAccount(**msgspec.structs.asdict(write_answer(answer)), id=account_id)
    return Reply(201, encode(created), JSON, (etag(answer.revision),))


async def _submit(call: Call, command: Any) -> Answer:
    return await submit(call, SYSTEM_LOG, command)


def _asked(call: Call) -> dict[str, Any]:
    comment = call.query_as(WriteQuery).comment
    return {"expected_revision": expected_revision(call), "comment": comment}


def _writing(
    method: str,
    path: str,
    summary: str,
    handler: Callable[[Call], Any],
    *,
    permission: str,
    request: Any = None,
    response: Any = WriteAnswer,
    status: int = 200,
) -> Route:
    return Route(
        method=method,
        path=path,
        summary=summary,
        handler=handler,
        permission=permission,
        tag=_TAG,
        query=WriteQuery,
        request=request,
        response=response,
        status=status,
        refuses=(UnknownEntity,),
    )


ROUTES: tuple[Route, ...] = (
    reading(
        _OWN,
        list_own,
        "List one's own tokens",
        permission=SELF,
        tag=_TAG,
        query=TokenListQuery,
        response=Page[TokenView],
    ),
    _writing(
        "POST",
        _OWN,
        "Issue a token of one's own; it is shown this once",
        issue_own,
        permission=SELF,
        request=TokenBody,
        response=IssuedToken,
        status=201,
    ),
    _writing(
        "DELETE",
        f"{_OWN}/{{token}}",
        "Revoke a token of one's own",
        revoke_own,
        permission=SELF,
    ),
    reading(
        _ALL,
        list_all,
        "List everybody's tokens",
        permission="token:read",
        tag=_TAG,
        query=AllTokensQuery,
        response=Page[TokenView],
    ),
    _writing(
        "POST",
        _ALL,
        "Issue a token of a service account; it is shown this once",
        issue_of,
        permission="token:write",
        request=TokenOfBody,
        response=IssuedToken,
        status=201,
    ),
    _writing("DELETE", f"{_ALL}/{{token}}", "Revoke a token", revoke, permission="token:write"),
    reading(
        _SERVICES,
        list_services,
        "List the accounts of programs",
        permission="account:read",
        tag=_TAG,
        query=SearchQuery,
        response=Page[ServiceAccountView],
    ),
    _writing(
        "POST",
        _SERVICES,
        "Begin an account for a program",
        create_service,
        permission="account:write",
        request=ServiceAccountBody,
        response=CreatedServiceAccount,
        status=201,
    ),
)
