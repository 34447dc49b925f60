"""Logging in and out, and what an account does about itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec
from halyard_protocol.problems import Problem
from msgspec import Meta

from domain.facts import Entity
from domain.system.commands import EndAccountSessions, NoteProfileChanged
from domain.system.state import SystemState
from eventstore.accounts import EmailTaken
from eventstore.logins import Login
from server.http import cookies
from server.http.authorisation import access_to, require, require_over
from server.http.bodies import read_as
from server.http.call import Call
from server.http.concurrency import etag
from server.http.faults import ForgedRequest, Malformed, NotFound, NotServedHere
from server.http.people import (
    PersonName,
    PersonView,
    chosen_password,
    person_view,
    system_of,
)
from server.http.queries import WriteQuery
from server.http.replies import NO_CONTENT, Header, Reply, ok
from server.http.routes import API, Route, reading
from server.http.system_writes import (
    by_caller,
    confidentially,
    desk_of,
    precondition,
    submit_system,
)
from server.http.writes import WriteAnswer, write_reply
from server.logins.errors import SecretSpent, TooManyAttempts, TooManyLogins, WrongCredentials
from server.logins.sessions import Opened

_TAG = "accounts"
_AUTH = f"{API}/auth"

Password = Annotated[str, Meta(max_length=256)]
Secret = Annotated[str, Meta(max_length=256)]


class _Body(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Bodies name every field that they have, and nothing else is taken."""


class LoginBody(_Body, frozen=True):
    """By which address and password; ``cookie`` for pages, which then see no token."""

    email: Annotated[str, Meta(max_length=320)]
    password: Password
    cookie: bool = False


class RefreshBody(_Body, frozen=True):
    """The refresh token that was given last."""

    refresh_token: Secret


class PasswordBody(_Body, frozen=True):
    """The password as it is, and as it shall be."""

    current_password: Password
    new_password: Password


class ProfileBody(_Body, frozen=True):
    """What somebody may change of themselves; what is left out stays."""

    name: PersonName | None = None


class LoggedIn(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A login. Its secrets are told this once."""

    account: str
    session: str
    access_token: str = ""
    """Short-lived: ``Authorization: Bearer``."""
    expires_in_seconds: int = 0
    """Of the access token."""
    refresh_token: str = ""
    """For ``auth/refresh``, once."""
    csrf_token: str = ""
    """Of a login by cookie: for ``X-CSRF-Token`` of everything that changes something."""


class LoginView(msgspec.Struct, frozen=True, rename="camel"):
    """A login, as its owner sees it."""

    id: str
    provider: str
    """Empty for a login by password."""
    address: str
    user_agent: str
    browser: bool
    created_at: datetime
    used_at: datetime
    ends_at: datetime
    """At the latest; earlier where it is not used."""
    current: bool
    """Whether this request came with it."""


class LoginList(msgspec.Struct, frozen=True):
    """The logins that are good, the latest first."""

    items: tuple[LoginView, ...]


class Me(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Who asks, and by what."""

    account: PersonView
    credential: str
    """``token`` or ``session``."""
    credential_id: str
    csrf_token: str = ""
    """Where a cookie was sent."""


async def log_in(call: Call) -> Reply:
    """Begin a login by address and password."""
    body, desk = read_as(call.body, LoginBody), desk_of(call)
    if body.cookie:
        cookies.refuse_foreign_page(call)
    state = await system_of(call)
    account = await desk.by_password.recognise(state, body.email, body.password, call.address)
    return await begin_login(call, account.account_id, browser=body.cookie)


async def begin_login(
    call: Call, account_id: str, *, browser: bool = False, provider: str = ""
) -> Reply:
    """The answer to somebody who has been recognised: a new login, and what opens it."""
    if not browser:
        return ok(_logged_in(await _begun(call, account_id, provider, browser=False)))
    opened, cookie = await begin_in_browser(call, account_id, provider)
    token = cookies.csrf_token(opened.cookie)
    answer = LoggedIn(account=account_id, session=opened.login.session_id, csrf_token=token)
    return ok(answer, cookie)


async def begin_in_browser(
    call: Call,
    account_id: str,
    provider: str = "",
    same_site: Literal["Strict", "Lax"] = "Strict",
) -> tuple[Opened, Header]:
    """A new login, and the cookie that opens it."""
    opened = await _begun(call, account_id, provider, browser=True)
    max_age_s = (await system_of(call)).settings.session_days * 24 * 60 * 60
    return opened, cookies.session_cookie(call, opened.cookie, max_age_s, same_site)


async def _begun(call: Call, account_id: str, provider: str, *, browser: bool) -> Opened:
    return await desk_of(call).sessions.begin(
        await system_of(call),
        account_id,
        address=call.address,
        user_agent=call.header(b"user-agent") or "",
        provider=provider,
        browser=browser,
    )


def _logged_in(opened: Opened) -> LoggedIn:
    return LoggedIn(
        account=opened.login.account_id,
        session=opened.login.session_id,
        access_token=opened.access_token,
        expires_in_seconds=opened.expires_in_s,
        refresh_token=opened.refresh_token,
    )


async def refresh(call: Call) -> Reply:
    """The next tokens, for a refresh token."""
    body = read_as(call.body, RefreshBody)
    state = await system_of(call)
    opened = await desk_of(call).sessions.refresh(state, body.refresh_token, call.address)
    return ok(_logged_in(opened))


def _session(call: Call) -> str:
    """The login that the request came with. Raises :class:`Malformed` where a token did."""
    credential = call.credential
    if credential is None or credential.kind != "session":
        raise Malformed(Problem("Authorization", "is an API token's: it is no login"))
    return credential.id


async def log_out(call: Call) -> Reply:
    """End this login."""
    await desk_of(call).sessions.end(_session(call), call.actor_id)
    return Reply(NO_CONTENT, headers=_without_cookie(call))


async def log_out_everywhere(call: Call) -> Reply:
    """End every login of the account, this one included."""
    answer = await submit_system(
        call, EndAccountSessions(account=call.actor_id, **precondition(call))
    )
    await desk_of(call).sessions.end_all(call.actor_id)
    return write_reply(answer, *_without_cookie(call))


def _without_cookie(call: Call) -> tuple[Header, ...]:
    by_cookie = _by_cookie(call) and cookies.presented_cookie(call)
    return (cookies.no_cookie(call),) if by_cookie else ()


async def me(call: Call) -> Reply:
    """Who asks."""
    state = await system_of(call)
    credential = call.credential
    cookie = cookies.presented_cookie(call) if _by_cookie(call) else None
    view = Me(
        account=await person_view(call, state, call.actor_id),
        credential="" if credential is None else credential.kind,
        credential_id="" if credential is None else credential.id,
        csrf_token="" if cookie is None else cookies.csrf_token(cookie),
    )
    return ok(view, etag(state.revision(Entity("account", call.actor_id))))


def _by_cookie(call: Call) -> bool:
    return b"authorization" not in call.headers


async def change_profile(call: Call) -> Reply:
    """Another name for oneself. Another address only an administrator gives."""
    body = read_as(call.body, ProfileBody)
    if body.name is None:
        raise Malformed(Problem("", "names nothing to change"))
    command = NoteProfileChanged(account=call.actor_id, **precondition(call))
    answer = await desk_of(call).people.change_profile(by_caller(call), command, body.name, None)
    return write_reply(answer)


async def change_password(call: Call) -> Reply:
    """Another password for oneself; every other login ends."""
    body, desk = read_as(call.body, PasswordBody), desk_of(call)
    state = await system_of(call)
    row = await desk.people.accounts.by_id(call.actor_id)
    if row is None or row.email is None:
        raise Malformed(Problem("", "the account is a program's: it has no password"))
    await desk.by_password.recognise(state, row.email, body.current_password, call.address)
    chosen_password("/newPassword", body.new_password, state, row.email, row.name)
    hashed = await desk.passwords.hashed(body.new_password)
    session = call.credential.id if call.credential and call.credential.kind == "session" else ""
    answer = await desk.people.set_password(
        confidentially(call), row.account_id, hashed, keeping=session
    )
    return write_reply(answer)


async def list_own_logins(call: Call) -> Reply:
    """The logins of who asks."""
    return ok(await login_list(call, call.actor_id))


async def login_list(call: Call, account_id: str) -> LoginList:
    """The logins of an account that are good."""
    state = await system_of(call)
    found = await desk_of(call).sessions.of(state, account_id)
    return LoginList(tuple(_login_view(call, state, login) for login in found))


def _login_view(call: Call, state: SystemState, login: Login) -> LoginView:
    settings = state.settings
    ends_at = min(
        login.created_at + timedelta(days=settings.session_days),
        login.used_at + timedelta(hours=settings.session_idle_hours),
    )
    current = call.credential is not None and call.credential.id == login.session_id
    return LoginView(
        id=login.session_id,
        provider=login.provider,
        address=login.address,
        user_agent=login.user_agent,
        browser=login.browser,
        created_at=login.created_at.astimezone(UTC),
        used_at=login.used_at.astimezone(UTC),
        ends_at=ends_at.astimezone(UTC),
        current=current,
    )


async def end_own_login(call: Call) -> Reply:
    """End one login of who asks."""
    if not access_to(call).whole:  # a limited token is less than a login: as for another's
        require(call, "account:write")
        require_over(call, call.actor_id)
    return await end_login(call, call.actor_id)


async def end_login(call: Call, account_id: str) -> Reply:
    """End the login in the path, if it is this account's. Raises :class:`NotFound`."""
    session = call.parameters["session"]
    if not await desk_of(call).sessions.end(session, account_id):
        raise NotFound("login", session)
    return Reply(NO_CONTENT)


_TRYING = (TooManyAttempts, TooManyLogins)

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path=f"{_AUTH}/login",
        summary="Log in by address and password",
        handler=log_in,
        permission=None,
        tag=_TAG,
        request=LoginBody,
        response=LoggedIn,
        refuses=(WrongCredentials, *_TRYING, ForgedRequest, NotServedHere),
    ),
    Route(
        method="POST",
        path=f"{_AUTH}/refresh",
        summary="Get the next access token, and the next refresh token",
        handler=refresh,
        permission=None,
        tag=_TAG,
        request=RefreshBody,
        response=LoggedIn,
        refuses=(SecretSpent, NotServedHere),
    ),
    Route(
        method="POST",
        path=f"{_AUTH}/logout",
        summary="End this login",
        handler=log_out,
        permission="self",
        tag=_TAG,
        status=NO_CONTENT,
        refuses=(NotServedHere,),
    ),
    Route(
        method="POST",
        path=f"{_AUTH}/logout-everywhere",
        summary="End every login of one's own",
        handler=log_out_everywhere,
        permission="self",
        tag=_TAG,
        query=WriteQuery,
        response=WriteAnswer,
        refuses=(NotServedHere,),
    ),
    reading(
        f"{_AUTH}/me",
        me,
        "Say who asks",
        permission="self",
        tag=_TAG,
        response=Me,
        refuses=(NotServedHere,),
    ),
    Route(
        method="PATCH",
        path=f"{_AUTH}/me",
        summary="Change one's own name",
        handler=change_profile,
        permission="self",
        tag=_TAG,
        query=WriteQuery,
        request=ProfileBody,
        response=WriteAnswer,
        refuses=(NotServedHere, EmailTaken),
    ),
    Route(
        method="POST",
        path=f"{_AUTH}/password",
        summary="Change one's own password; every other login ends",
        handler=change_password,
        permission="self",
        tag=_TAG,
        query=WriteQuery,
        request=PasswordBody,
        response=WriteAnswer,
        refuses=(WrongCredentials, *_TRYING, NotServedHere),
    ),
    reading(
        f"{_AUTH}/sessions",
        list_own_logins,
        "List one's own logins",
        permission="self",
        tag=_TAG,
        response=LoginList,
        refuses=(NotServedHere,),
    ),
    Route(
        method="DELETE",
        path=f"{_AUTH}/sessions/{{session}}",
        summary="End one of one's own logins",
        handler=end_own_login,
        permission="self",
        tag=_TAG,
        status=NO_CONTENT,
        refuses=(NotServedHere,),
    ),
)
