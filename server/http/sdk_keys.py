"""SDK keys: drawn here, shown once, kept as a hash; client keys are public, and kept in clear."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar, cast

import msgspec
from halyard_protocol.codec import encode
from msgspec.structs import replace

from domain import commands as c
from domain.events import SdkKeyKind
from domain.facts import Entity
from domain.state import SdkKey
from server.credentials import fingerprint, new_id, new_sdk_key
from server.http.bodies import Shape
from server.http.call import Call
from server.http.concurrency import etag
from server.http.faults import NotFound
from server.http.paging import Page, page_of
from server.http.project_keys import project_key
from server.http.queries import KeyListQuery, ReadQuery
from server.http.reads import contains, seen
from server.http.replies import JSON, Reply
from server.http.routes import ENVIRONMENT, Route, command_route, reading
from server.http.views import SdkKeyView, sdk_key_view
from server.http.writes import WriteAnswer, Writing, location, submit, write_answer

_PATH = ("environment",)
_TAG = "SDK keys"

K = TypeVar("K", c.IssueSdkKey, c.RotateSdkKey)


class IssuedKey(WriteAnswer, frozen=True, kw_only=True):
    """A new SDK key. ``secret`` is the whole key, and is never shown again."""

    id: str
    kind: SdkKeyKind
    secret: str | None
    """Null where the answer repeats an earlier one: a server key was shown then."""


class RotatedKey(IssuedKey, frozen=True, kw_only=True, rename="camel"):
    """The successor of an SDK key; ``revision`` is that of the key that it replaces."""

    replaced: str
    """The old key's id."""
    replaced_expires_at: datetime | None
    """From when on the old key opens nothing."""


async def list_keys(call: Call) -> Reply:
    """A page of an environment's keys, revoked ones included unless told otherwise."""
    query = call.query_as(KeyListQuery)
    now = await seen(call)
    environment = now.environment(call).key
    ids = [key_id for key_id, place in now.state.keys if place == environment]

    def wanted(key_id: str) -> SdkKey | None:
        row = now.state.keys[key_id, environment]
        fits = query.kind in {None, row.kind} and query.revoked in {"any", _revoked(row)}
        return row if fits and (not query.search or contains(query.search, row.name)) else None

    page = page_of(ids, query.limit, query.cursor, wanted, lambda row: sdk_key_view(now.state, row))
    return now.reply(page)


def _revoked(row: SdkKey) -> str:
    return "false" if row.revoked_at is None else "true"


async def read_key(call: Call) -> Reply:
    """One key, without its secret."""
    now = await seen(call)
    row = now.sdk_key(call)
    return now.reply(sdk_key_view(now.state, row), Entity("key", row.id, row.environment))


_ISSUING = Shape(command=c.IssueSdkKey, path=_PATH, withheld=("key", "sha256", "clientKey"))


async def issue_key(call: Call) -> Reply:
    """Draw a key and let SDKs in with it."""
    wish = cast("c.IssueSdkKey", c.complete(_ISSUING.read(call), new_id))
    environment_id = await _environment_id(call)
    secret = new_sdk_key(environment_id, wish.kind)
    answer = await submit(call, project_key(call), _with_secret(wish, wish.kind, secret))
    key_id = answer.events[0].entity_key
    issued = IssuedKey(
        **msgspec.structs.asdict(write_answer(answer)),
        id=key_id,
        kind=wish.kind,
        secret=None if answer.replayed else secret,
    )
    headers = (etag(answer.revision), location(f"{call.path}/{key_id}"))
    return Reply(201, encode(issued), JSON, headers)


async def _environment_id(call: Call) -> str:
    """What the key begins with. Raises :class:`NotFound` only as of the log's head.

    The decision cannot check it, because it sees a server key's hash only.
    """
    project, environment = project_key(call), call.parameters["environment"]
    writers = call.dependencies.writers
    known = (await writers.state(project)).state.environments.get(environment)
    if known is None:
        head = await call.dependencies.store.head(project)
        newest = await writers.state(project, head.last_seq)
        known = newest.state.environments.get(environment)
    if known is None:
        raise NotFound("environment", environment)
    return known.id


def _with_secret(wish: K, kind: SdkKeyKind, secret: str) -> K:
    if kind == "client":
        return replace(wish, client_key=secret)
    return replace(wish, sha256=fingerprint(secret))


_ROTATING = Shape(
    command=c.RotateSdkKey,
    path=(*_PATH, "key"),
    withheld=("successor", "sha256", "clientKey"),
)


async def rotate_key(call: Call) -> Reply:
    """Draw a successor, and let the key itself live on for a while."""
    wish = cast("c.RotateSdkKey", c.complete(_ROTATING.read(call), new_id))
    environment_id = await _environment_id(call)
    kind = await _kind_of(call, wish.key)
    secret = new_sdk_key(environment_id, kind)
    answer = await submit(call, project_key(call), _with_secret(wish, kind, secret))
    successor = answer.events[0].entity_key
    state = (await call.dependencies.writers.state(project_key(call), answer.seq)).state
    old = state.keys.get((wish.key, wish.environment))  # gone where this repeats an old answer
    rotated = RotatedKey(
        **msgspec.structs.asdict(write_answer(answer)),
        id=successor,
        kind=kind,
        secret=None if answer.replayed else secret,
        replaced=wish.key,
        replaced_expires_at=None if old is None else old.expires_at,
    )
    place = call.path.removesuffix(f"{wish.key}/rotate") + successor
    return Reply(201, encode(rotated), JSON, (etag(answer.revision), location(place)))


async def _kind_of(call: Call, key_id: str) -> SdkKeyKind:
    """Of a key, which never changes. Raises :class:`NotFound` only as of the log's head."""
    place = key_id, call.parameters["environment"]
    project, writers = project_key(call), call.dependencies.writers
    known = (await writers.state(project)).state.keys.get(place)
    if known is None:
        head = await call.dependencies.store.head(project)
        known = (await writers.state(project, head.last_seq)).state.keys.get(place)
    if known is None:
        raise NotFound("SDK key", key_id)
    return known.kind


_KEYS = f"{ENVIRONMENT}/keys"

ROUTES: tuple[Route, ...] = (
    reading(
        _KEYS,
        list_keys,
        "List the SDK keys of an environment",
        permission="key:read",
        tag=_TAG,
        query=KeyListQuery,
        response=Page[SdkKeyView],
    ),
    command_route(
        "POST",
        _KEYS,
        "Issue an SDK key; it is shown this once",
        issue_key,
        shape=_ISSUING,
        status=201,
        response=IssuedKey,
        tag=_TAG,
    ),
    reading(
        f"{_KEYS}/{{key}}",
        read_key,
        "Read an SDK key, without its secret",
        permission="key:read",
        tag=_TAG,
        query=ReadQuery,
        response=SdkKeyView,
    ),
    command_route(
        "POST",
        f"{_KEYS}/{{key}}/rotate",
        "Issue a key's successor, and let the key itself end after an overlap",
        rotate_key,
        shape=_ROTATING,
        status=201,
        response=RotatedKey,
        tag=_TAG,
    ),
    command_route(
        "PUT",
        f"{_KEYS}/{{key}}/expiry",
        "Say until when an SDK key opens anything; null for no end",
        Writing(shape=Shape(command=c.SetSdkKeyExpiry, path=(*_PATH, "key"))),
        tag=_TAG,
    ),
    command_route(
        "PUT",
        f"{_KEYS}/{{key}}/origins",
        "Say whose pages may use a client key; none for anybody's",
        Writing(shape=Shape(command=c.SetSdkKeyOrigins, path=(*_PATH, "key"))),
        tag=_TAG,
    ),
    command_route(
        "DELETE",
        f"{_KEYS}/{{key}}",
        "Revoke an SDK key; its connections are closed",
        Writing(shape=Shape(command=c.RevokeSdkKey, path=(*_PATH, "key"))),
        tag=_TAG,
    ),
)
