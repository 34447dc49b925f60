"""People and their accounts: for administrators, and for those who come in for the first time.

No mail is sent from here. Whoever invites somebody, or resets a password, is given a secret that
is good once, and hands it over.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal, assert_never

import msgspec
from halyard_protocol.codec import encode
from halyard_protocol.problems import Problem

from domain.system import commands as c
from domain.system.state import Account, SystemState
from domain.system.vocabulary import EVERYWHERE
from eventstore.accounts import AccountPlace, EmailTaken, OrderBy
from server.http.authorisation import require_over
from server.http.bodies import read_as
from server.http.call import Call
from server.http.concurrency import etag
from server.http.failures import OF_WRITES
from server.http.faults import Malformed, NotFound, NotServedHere
from server.http.logins import LoginList, Password, Secret, end_login, login_list
from server.http.paging import Page, read_cursor, write_cursor
from server.http.people import (
    Email,
    PersonName,
    PersonView,
    chosen_password,
    person_view,
    system_of,
    view_of,
)
from server.http.queries import SearchQuery, WriteQuery
from server.http.replies import JSON, NO_CONTENT, Reply, ok
from server.http.routes import API, Handler, Route, reading
from server.http.system_writes import (
    by_caller,
    by_secret,
    desk_of,
    precondition,
    submit_system,
)
from server.http.writes import WriteAnswer, location, write_reply
from server.logins.errors import RegistrationClosed, SecretSpent, TooManyAttempts, TooManyLogins
from server.logins.one_time import Giver
from server.logins.people import OneTimeSecret, pseudonym
from server.logins.throttle import OF_ADDRESS, OF_REGISTRATION, Limit, address_subject

_TAG = "accounts"
_AUTH = f"{API}/auth"
_USERS = f"{_AUTH}/users"
_USER = f"{_USERS}/{{account}}"


class _Body(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Bodies name every field that they have, and nothing else is taken."""


class UserListQuery(SearchQuery, frozen=True):
    """Which people to list; ``search`` is for names and addresses."""

    role: str | None = None
    """Only those who have it, anywhere, of their own."""
    state: Literal["active", "disabled", "erased", "any"] = "any"
    sort: OrderBy = "name"


class InviteBody(_Body, frozen=True):
    """Whom to make an account for, with which role."""

    email: Email
    name: PersonName | None = None
    role: str = ""
    project: str = EVERYWHERE


class UserEdit(_Body, frozen=True):
    """What to change; what is left out stays."""

    name: PersonName | None = None
    email: Email | None = None


class RoleBody(_Body, frozen=True):
    """The role to have in a project, or everywhere (``*``); empty for none."""

    role: str
    project: str = EVERYWHERE


class RegisterBody(_Body, frozen=True):
    """Who wants an account."""

    email: Email
    name: PersonName
    password: Password


class AcceptBody(_Body, frozen=True):
    """The secret that was handed over, and the password from now on."""

    secret: Secret
    password: Password
    name: PersonName | None = None


class Registered(msgspec.Struct, frozen=True):
    """The same whether there is an account of that address already or not."""

    detail: str = "If this address had no account, it has one now: log in."


class SecretAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """What to hand over: it is shown this once, and sets the password of the account, once."""

    account: str
    secret: str
    expires_at: datetime


async def list_users(call: Call) -> Reply:
    """A page of the people that there are."""
    query = call.query_as(UserListQuery)
    state = await system_of(call)
    found = await desk_of(call).people.accounts.page(
        [account.id for account in state.accounts.values() if _wanted(query, account)],
        query.limit + 1,
        text=query.search,
        by=query.sort,
        after=_place_in(query),
        erased_name=pseudonym(""),
    )
    shown = found[: query.limit]
    views = tuple(view_of(state, state.accounts[row.account_id], row) for _, row in shown)
    more = len(found) > query.limit
    return ok(Page(views, write_cursor("\0".join((query.sort, *shown[-1][0]))) if more else None))


def _place_in(query: UserListQuery) -> AccountPlace | None:
    written = read_cursor(query.cursor)
    if written is None:
        return None
    match written.split("\0"):
        case [sort, value, account_id] if sort == query.sort:
            return AccountPlace(value, account_id)
        case _:
            raise Malformed(Problem("?cursor", "is not one that was given out for this order"))


def _wanted(query: UserListQuery, account: Account) -> bool:
    if query.role is not None and all(each.role != query.role for each in account.assignments):
        return False
    match query.state:
        case "active":
            return account.active
        case "disabled":
            return account.disabled_at is not None and account.erased_at is None
        case "erased":
            return account.erased_at is not None
        case "any":
            return True
        case _:
            assert_never(query.state)


async def read_user(call: Call) -> Reply:
    """One person."""
    state = await system_of(call)
    view = await person_view(call, state, call.parameters["account"])
    return ok(view, etag(view.revision))


async def invite(call: Call) -> Reply:
    """Make an account, and the secret by which its owner chooses a password."""
    body, people = read_as(call.body, InviteBody), desk_of(call).people
    everywhere = body.project == EVERYWHERE
    row, _ = await people.create(
        by_caller(call),
        body.email,
        body.name or body.email.partition("@")[0],
        role=body.role if everywhere else "",
        then=() if everywhere or not body.role else _assigning(body),
        comment=call.query_as(WriteQuery).comment,
    )
    # Of an invitation that is repeated, the account may have become more than it was.
    require_over(call, row.account_id)
    secret = await people.give_secret(row.account_id, _giver(call))
    answer = encode(_secret_answer(row.account_id, secret))
    where = location(f"{_USERS}/{row.account_id}")
    return Reply(201, answer, JSON, (where,))


def _assigning(body: InviteBody) -> tuple[Callable[[str], c.AssignRole], ...]:
    return (
        lambda account: c.AssignRole(
            subject="account", id=account, role=body.role, project=body.project
        ),
    )


def _secret_answer(account_id: str, given: OneTimeSecret) -> SecretAnswer:
    return SecretAnswer(account_id, given.secret, given.expires_at)


async def reset_password(call: Call) -> Reply:
    """End every login of an account, and make the secret by which its owner comes in again."""
    account, people = _person(call, await system_of(call)), desk_of(call).people
    require_over(call, account)
    await submit_system(call, c.EndAccountSessions(account=account, **precondition(call)))
    return ok(_secret_answer(account, await people.give_secret(account, _giver(call))))


def _giver(call: Call) -> Giver:
    """By what the caller hands a secret over."""
    credential = call.credential
    if credential is not None and credential.kind == "token":
        return Giver("token", credential.id)
    return Giver("account", call.actor_id)


async def accept(call: Call) -> Reply:
    """Choose a password, by a secret that was handed over."""
    body, desk = read_as(call.body, AcceptBody), desk_of(call)
    await _take(call, OF_ADDRESS)
    row = await desk.people.owner_of_secret(body.secret)
    chosen_password("/password", body.password, await system_of(call), row.email, row.name)
    hashed = await desk.passwords.hashed(body.password)
    row = await desk.people.spend_secret(body.secret)
    await desk.throttle.give_back(OF_ADDRESS, address_subject(call.address))
    await desk.people.set_password(by_secret(call), row.account_id, hashed)
    if body.name is not None:
        command = c.NoteProfileChanged(account=row.account_id)
        await desk.people.change_profile(by_secret(call), command, body.name, None)
    return Reply(NO_CONTENT)


async def register(call: Call) -> Reply:
    """Make an account for oneself, where the installation's settings allow it.

    It is not told whether there was one already: the answer and the time are the same.
    """
    body, desk = read_as(call.body, RegisterBody), desk_of(call)
    state = await system_of(call)
    settings = state.settings
    domain = body.email.rpartition("@")[2].lower()
    domains = settings.registration_domains
    if settings.registration != "open" or (domains and domain not in domains):
        raise RegistrationClosed
    await _take(call, OF_REGISTRATION)
    chosen_password("/password", body.password, state, body.email, body.name)
    hashed = await desk.passwords.hashed(body.password)
    with suppress(EmailTaken):
        await desk.people.create(
            by_secret(call),
            body.email,
            body.name,
            role=settings.registration_role,
            password_hash=hashed,
        )
    return Reply(202, encode(Registered()), JSON)


async def edit_user(call: Call) -> Reply:
    """Correct a name or an address."""
    body = read_as(call.body, UserEdit)
    if body.name is None and body.email is None:
        raise Malformed(Problem("", "names nothing to change"))
    account = _person(call, await system_of(call))
    require_over(call, account)
    command = c.NoteProfileChanged(account=account, **precondition(call))
    people = desk_of(call).people
    return write_reply(await people.change_profile(by_caller(call), command, body.name, body.email))


async def set_role(call: Call) -> Reply:
    """Give a role in a project or everywhere, in place of the one that was there."""
    body, account = read_as(call.body, RoleBody), _person(call, await system_of(call))
    asked = precondition(call)
    command: c.AssignRole | c.UnassignRole
    if body.role:
        command = c.AssignRole(
            subject="account", id=account, role=body.role, project=body.project, **asked
        )
    else:
        command = c.UnassignRole(subject="account", id=account, project=body.project, **asked)
    return write_reply(await submit_system(call, command))


def _on_account(command: type[c.DisableAccount | c.EnableAccount]) -> Handler:
    async def handle(call: Call) -> Reply:
        asked = command(account=call.parameters["account"], **precondition(call))
        return write_reply(await submit_system(call, asked))

    return handle


async def erase_user(call: Call) -> Reply:
    """Forget the person for good; history goes on naming the account by a pseudonym."""
    command = c.EraseAccount(account=call.parameters["account"], **precondition(call))
    return write_reply(await desk_of(call).people.erase(by_caller(call), command))


async def list_logins(call: Call) -> Reply:
    """The logins of a person."""
    return ok(await login_list(call, _person(call, await system_of(call))))


async def end_one_login(call: Call) -> Reply:
    """End one login of a person."""
    account = _person(call, await system_of(call))
    require_over(call, account)
    return await end_login(call, account)


async def end_every_login(call: Call) -> Reply:
    """End every login of a person."""
    account = _person(call, await system_of(call))
    require_over(call, account)
    command = c.EndAccountSessions(account=account, **precondition(call))
    answer = await submit_system(call, command)
    await desk_of(call).sessions.end_all(account)
    return write_reply(answer)


def _person(call: Call, state: SystemState) -> str:
    """The account in the path, which is no program's. Raises :class:`NotFound`."""
    account = state.accounts.get(call.parameters["account"])
    if account is None or account.service:
        raise NotFound("person", call.parameters["account"])
    return account.id


async def _take(call: Call, limit: Limit) -> None:
    wait_s = await desk_of(call).throttle.take(limit, address_subject(call.address))
    if wait_s > 0:
        raise TooManyAttempts(wait_s)


def _writing(
    method: str,
    path: str,
    summary: str,
    handler: Handler,
    *,
    request: Any = None,
    response: Any = WriteAnswer,
    status: int = 200,
    refuses: tuple[type[BaseException], ...] = (),
) -> Route:
    return Route(
        method=method,
        path=path,
        summary=summary,
        handler=handler,
        permission="account:write",
        tag=_TAG,
        query=WriteQuery,
        request=request,
        response=response,
        status=status,
        refuses=(NotServedHere, *refuses),
    )


_TRYING = (TooManyAttempts, TooManyLogins, NotServedHere, *OF_WRITES)

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path=f"{_AUTH}/register",
        summary="Make an account for oneself, where the settings allow it",
        handler=register,
        permission=None,
        tag=_TAG,
        request=RegisterBody,
        response=Registered,
        status=202,
        refuses=(RegistrationClosed, *_TRYING),
    ),
    Route(
        method="POST",
        path=f"{_AUTH}/accept",
        summary="Choose a password by a secret that was handed over",
        handler=accept,
        permission=None,
        tag=_TAG,
        request=AcceptBody,
        status=NO_CONTENT,
        refuses=(SecretSpent, *_TRYING),
    ),
    reading(
        _USERS,
        list_users,
        "List people, with search and filters",
        permission="account:read",
        tag=_TAG,
        query=UserListQuery,
        response=Page[PersonView],
        refuses=(NotServedHere,),
    ),
    _writing(
        "POST",
        _USERS,
        "Invite a person: an account, and a secret to hand over",
        invite,
        request=InviteBody,
        response=SecretAnswer,
        status=201,
        refuses=(EmailTaken,),
    ),
    reading(
        _USER,
        read_user,
        "Read an account",
        permission="account:read",
        tag=_TAG,
        response=PersonView,
        refuses=(NotServedHere,),
    ),
    _writing(
        "PATCH",
        _USER,
        "Correct a name or an address",
        edit_user,
        request=UserEdit,
        refuses=(EmailTaken,),
    ),
    _writing(
        "PUT",
        f"{_USER}/role",
        "Give a role in a project, or everywhere; an empty one takes it away",
        set_role,
        request=RoleBody,
    ),
    _writing(
        "POST", f"{_USER}/disable", "Let an account do nothing", _on_account(c.DisableAccount)
    ),
    _writing("POST", f"{_USER}/enable", "Let an account act again", _on_account(c.EnableAccount)),
    _writing("POST", f"{_USER}/erase", "Forget a person for good", erase_user),
    _writing(
        "POST",
        f"{_USER}/password-reset",
        "End every login of a person, and make a secret to hand over",
        reset_password,
        response=SecretAnswer,
    ),
    reading(
        f"{_USER}/sessions",
        list_logins,
        "List the logins of a person",
        permission="account:read",
        tag=_TAG,
        response=LoginList,
        refuses=(NotServedHere,),
    ),
    _writing("DELETE", f"{_USER}/sessions", "End every login of a person", end_every_login),
    Route(
        method="DELETE",
        path=f"{_USER}/sessions/{{session}}",
        summary="End one login of a person",
        handler=end_one_login,
        permission="account:write",
        tag=_TAG,
        status=NO_CONTENT,
        refuses=(NotServedHere,),
    ),
)
