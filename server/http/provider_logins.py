"""Logging in by an identity provider, in a browser; and by which of them somebody can.

The browser is sent away with a state that is kept here, for a secret that only this browser has in
a cookie; whatever comes back ends that login, so nothing is good twice. A link is asked for by
``POST``, with all that protects a change, and finished in the same way.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec
import structlog
from halyard_protocol.problems import Problem
from msgspec import Meta

from eventstore.login_flows import LoginFlow
from server.credentials import fingerprint
from server.http import cookies
from server.http.call import Call
from server.http.failures import OF_WRITES
from server.http.faults import (
    LastWayIn,
    LoginUnproven,
    Malformed,
    NotFound,
    NotServedHere,
    ProviderAway,
)
from server.http.logins import begin_in_browser
from server.http.queries import Query, TolerantQuery
from server.http.replies import NO_CONTENT, Header, Reply, ok
from server.http.routes import API, Route, reading
from server.http.system_writes import by_secret, desk_of
from server.logins.errors import TooManyAttempts
from server.logins.throttle import OF_PROVIDERS, address_subject
from server.oidc.desk import OidcDesk
from server.oidc.entering import Entrance
from server.oidc.errors import NotAdmitted, NotRecognised, ProviderUnavailable
from server.oidc.linking import Person
from server.oidc.relying import Flow, RelyingParty

log = structlog.get_logger(__name__)

FOUND: Final = 302
FLOW_VALID = timedelta(minutes=10)
_TAG = "accounts"
_AUTH = f"{API}/auth"
_PROVIDERS = f"{_AUTH}/oidc"
_PROVIDER = f"{_PROVIDERS}/{{provider}}"
_PATH = re.compile(r"/(?:[!-.0-\[\]-~][!-\[\]-~]*)?")
"""Of this origin: neither ``//`` nor a backslash, which browsers read as one; no control."""
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")


class ReturnQuery(Query, frozen=True):
    """Where to go once somebody is logged in."""

    return_to: Annotated[str, Meta(max_length=1024)] = "/"
    """A path of this server, such as ``/flags?page=2``."""


class CallbackQuery(TolerantQuery, frozen=True):
    """What a provider sends back, by the browser."""

    state: Annotated[str, Meta(max_length=512)] = ""
    code: Annotated[str, Meta(max_length=4096)] = ""
    iss: Annotated[str, Meta(max_length=2048)] = ""
    error: Annotated[str, Meta(max_length=512)] = ""


class ProviderView(msgspec.Struct, frozen=True, rename="camel"):
    """A button of a login page."""

    key: str
    name: str
    login_path: str
    """To go to; ``?returnTo=`` says where from there."""


class ProviderList(msgspec.Struct, frozen=True):
    """The identity providers, by key."""

    items: tuple[ProviderView, ...]


class GoTo(msgspec.Struct, frozen=True):
    """Where the page has to go now."""

    location: str


class IdentityView(msgspec.Struct, frozen=True, rename="camel"):
    """A way to log in. What the provider calls the person is not told."""

    id: str
    provider: str
    linked_at: datetime


class IdentityList(msgspec.Struct, frozen=True):
    """The identities of an account, the oldest first."""

    items: tuple[IdentityView, ...]


async def list_providers(call: Call) -> Reply:
    """The identity providers."""
    parties = _oidc_of(call).parties.values()
    return ok(ProviderList(tuple(_provider_view(party) for party in parties)))


def _provider_view(party: RelyingParty) -> ProviderView:
    key = party.provider.key
    return ProviderView(key, party.provider.name, f"{_PROVIDERS}/{key}/login")


async def log_in(call: Call) -> Reply:
    """Send the browser to the provider."""
    where, cookie = await _begin(call)
    return Reply(FOUND, headers=(_to(where), cookie))


async def link(call: Call) -> Reply:
    """Say where the browser has to go to link an identity of a provider to one's own account."""
    _party_of(call)
    _refuse_tokens(call)
    where, cookie = await _begin(call, asked_by=call.actor_id)
    return ok(GoTo(where), cookie)


async def _begin(call: Call, asked_by: str | None = None) -> tuple[str, Header]:
    party, desk = _party_of(call), desk_of(call)
    return_to = call.query_as(ReturnQuery).return_to
    if not _PATH.fullmatch(return_to):
        raise Malformed(Problem("?returnTo", "is a path of this server, such as /flags"))
    wait_s = await desk.throttle.take(OF_PROVIDERS, address_subject(call.address))
    if wait_s > 0:
        raise TooManyAttempts(wait_s)
    redirect_uri = _callback_of(call, party)
    try:
        url, drawn = await party.begin(redirect_uri)
    except ProviderUnavailable as error:
        raise _away(party, error) from error
    flow = LoginFlow(
        *(drawn.provider, drawn.state, drawn.nonce, drawn.verifier),
        redirect_uri,
        return_to,
        asked_by,
    )
    secret = secrets.token_urlsafe(32)
    await _oidc_of(call).flows.keep(fingerprint(secret), flow, FLOW_VALID)
    return url, cookies.flow_cookie(call, secret, int(FLOW_VALID.total_seconds()))


def _callback_of(call: Call, party: RelyingParty) -> str:
    """As the operator has told it to the provider, which sends browsers nowhere else."""
    path = f"{_PROVIDERS}/{party.provider.key}/callback"
    public_url = call.dependencies.settings.public_url
    if public_url:
        return public_url + path
    host = call.header(b"host") or ""
    if not _HOST.fullmatch(host):
        raise Malformed(Problem("Host", "is the name of this server"))
    scheme = "https" if call.secure else "http"
    return f"{scheme}://{host}{path}"


async def come_back(call: Call) -> Reply:
    """Let somebody in, for whom the provider has vouched."""
    party, flow = _party_of(call), await _taken_flow(call)
    person = await _person(call, party, flow)
    desk = desk_of(call)
    try:
        account_id = await _entrance(call).enter(party.provider, person, flow.account_id)
    except NotAdmitted as error:
        desk.counters.logins["refused"] += 1
        log.warning("not_admitted", provider=party.provider.key, why=str(error))
        raise
    back = (_to(flow.return_to), cookies.no_flow_cookie(call))
    if flow.account_id is not None:
        return Reply(FOUND, headers=back)  # whose login goes on
    desk.counters.logins["accepted"] += 1
    # Not "Strict": the page that leads here is the provider's, and the next one needs the login.
    _, cookie = await begin_in_browser(call, account_id, party.provider.key, "Lax")
    return Reply(FOUND, headers=(*back, cookie))


def _entrance(call: Call) -> Entrance:
    return Entrance(
        desk_of(call).people,
        _oidc_of(call).identities,
        lambda account_id: by_secret(call, account_id),
    )


async def _taken_flow(call: Call) -> LoginFlow:
    secret = cookies.presented_cookie(call, cookies.OF_FLOW)
    flow = None if secret is None else await _oidc_of(call).flows.take(fingerprint(secret))
    if flow is None or flow.provider != call.parameters["provider"]:
        raise LoginUnproven
    return flow


async def _person(call: Call, party: RelyingParty, flow: LoginFlow) -> Person:
    answer = {name: value for name, value in _answer(call).items() if value}
    drawn = Flow(flow.provider, flow.state, flow.nonce, flow.verifier)
    try:
        return await party.finish(drawn, answer, flow.redirect_uri)
    except ProviderUnavailable as error:
        raise _away(party, error) from error
    except NotRecognised as error:
        desk_of(call).counters.logins["refused"] += 1
        log.warning("login_unproven", provider=party.provider.key, why=error.why)
        raise LoginUnproven from error


def _answer(call: Call) -> dict[str, str]:
    query = call.query_as(CallbackQuery)
    return {"state": query.state, "code": query.code, "iss": query.iss, "error": query.error}


def _away(party: RelyingParty, error: ProviderUnavailable) -> ProviderAway:
    log.warning("identity_provider_away", provider=party.provider.key, why=str(error))
    return ProviderAway(party.provider.name)


def _to(where: str) -> Header:
    return (b"location", where.encode("ascii"))


def _oidc_of(call: Call) -> OidcDesk:
    oidc = call.dependencies.oidc
    if oidc is None:
        raise NotServedHere("logins by identity providers")
    return oidc


def _party_of(call: Call) -> RelyingParty:
    key = call.parameters["provider"]
    party = _oidc_of(call).parties.get(key)
    if party is None:
        raise NotFound("identity provider", key)
    return party


def _refuse_tokens(call: Call) -> None:
    """A token that was copied must not become a login that outlives it."""
    if call.credential is None or call.credential.kind != "session":
        raise Malformed(Problem("Authorization", "is an API token's: log in to do this"))


async def list_identities(call: Call) -> Reply:
    """The identities that are linked to who asks."""
    found = await _oidc_of(call).identities.of(call.actor_id)
    return ok(
        IdentityList(
            tuple(
                IdentityView(each.identity_id, each.provider, each.linked_at.astimezone(UTC))
                for each in found
            )
        )
    )


async def unlink(call: Call) -> Reply:
    """Take an identity away from one's own account, with the roles that it gave."""
    oidc, desk, wanted = _oidc_of(call), desk_of(call), call.parameters["identity"]
    _refuse_tokens(call)
    identities = await oidc.identities.of(call.actor_id)
    identity = next((each for each in identities if each.identity_id == wanted), None)
    if identity is None:
        raise NotFound("identity", wanted)
    row = await desk.people.accounts.by_id(call.actor_id)
    if len(identities) == 1 and (row is None or row.password_hash is None):
        raise LastWayIn
    if not await _entrance(call).unlink(call.actor_id, identity):
        raise NotFound("identity", wanted)
    return Reply(NO_CONTENT)


ROUTES: tuple[Route, ...] = (
    reading(
        _PROVIDERS,
        list_providers,
        "List the identity providers, for a login page",
        permission=None,
        tag=_TAG,
        response=ProviderList,
        refuses=(NotServedHere,),
    ),
    Route(
        method="GET",
        path=f"{_PROVIDER}/login",
        summary="Send a browser to an identity provider, to log in",
        handler=log_in,
        permission=None,
        tag=_TAG,
        query=ReturnQuery,
        status=FOUND,
        refuses=(Malformed, TooManyAttempts, ProviderAway, NotServedHere),
    ),
    Route(
        method="GET",
        path=f"{_PROVIDER}/callback",
        summary="Come back from an identity provider, logged in",
        handler=come_back,
        permission=None,
        tag=_TAG,
        query=CallbackQuery,
        status=FOUND,
        refuses=(Malformed, LoginUnproven, NotAdmitted, ProviderAway, NotServedHere, *OF_WRITES),
    ),
    Route(
        method="POST",
        path=f"{_PROVIDER}/link",
        summary="Begin to link an identity of a provider to one's own account",
        handler=link,
        permission="self",
        tag=_TAG,
        query=ReturnQuery,
        response=GoTo,
        refuses=(TooManyAttempts, ProviderAway, NotServedHere),
    ),
    reading(
        f"{_AUTH}/identities",
        list_identities,
        "List the identities by which one can log in",
        permission="self",
        tag=_TAG,
        response=IdentityList,
        refuses=(NotServedHere,),
    ),
    Route(
        method="DELETE",
        path=f"{_AUTH}/identities/{{identity}}",
        summary="Take an identity away from one's own account",
        handler=unlink,
        permission="self",
        tag=_TAG,
        status=NO_CONTENT,
        refuses=(LastWayIn, NotServedHere, *OF_WRITES),
    ),
)
