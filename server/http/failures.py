"""Which kinds of failure a route can answer with, told by what the route is.

Nothing is listed by hand where a property of the route says it: whoever reads a body can be sent
too much of it, whoever needs an account can be asked without one. What only a handler knows stands
in :attr:`~server.http.routes.Route.refuses`.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from redis.exceptions import RedisError

from domain.errors import NotPermitted, Refusal, UnknownEntity
from eventstore.errors import SchemaOutdated, StoreBusy, StoreUnavailable
from server.http import faults
from server.http.problems import INTERNAL, KINDS, Kind, kind_of_type
from server.http.queries import MinSeqQuery, TolerantQuery, parameter_names
from server.http.routes import Route
from server.writing import errors as writing

_PARTS_AWAY = (StoreUnavailable, StoreBusy, SchemaOutdated, RedisError)
_OF_ACCOUNTS = (faults.Unauthenticated, faults.ForgedRequest, NotPermitted, *_PARTS_AWAY)
_OF_KEYS = (
    faults.Unauthenticated,
    faults.WrongKindOfKey,
    faults.ForeignOrigin,
    faults.RulesetUnavailable,
    faults.NotServedHere,
)
_OF_BODIES = (
    faults.NotJson,
    faults.Malformed,
    faults.EncodedBody,
    faults.BodyTooLarge,
    faults.BodyTooSlow,
)
OF_WRITES = (
    *(of for of in KINDS if issubclass(of, Refusal)),
    writing.IdempotencyMismatch,
    writing.Overloaded,
)
"""What a write may come to, once it was let in."""
_OF_LOGS = (writing.LogUnknown, writing.LogPoisoned)
_OF_PLACES = (faults.NotFound, faults.NoSuchRoute, UnknownEntity)
_NAMING = ("project", "environment")
"""Parameters of a query that name what may not be there."""


def failures_of(route: Route) -> tuple[Kind, ...]:
    """Every kind that it may answer with, by status and name; the server's own fault is one."""
    kinds = {kind_of_type(of) for of in _types(route)} | {INTERNAL}
    return tuple(sorted(kinds, key=lambda kind: (kind.status, kind.slug)))


def _types(route: Route) -> Iterator[type[BaseException]]:
    yield from route.refuses
    if route.permission is not None:
        yield from _OF_ACCOUNTS
    if route.sdk_keys:
        yield from _OF_KEYS
    if not route.public and not _takes_any_query(route):
        yield faults.Malformed
    if route.reads_body:
        yield from _OF_BODIES
    if route.writes:
        yield from (*OF_WRITES, *_OF_LOGS)
    if _names_a_place(route):
        yield from (*_OF_PLACES, *_OF_LOGS)
    if issubclass(route.query, MinSeqQuery):
        yield writing.NotReached


def _takes_any_query(route: Route) -> bool:
    return issubclass(route.query, TolerantQuery) and not msgspec.structs.fields(route.query)


def _names_a_place(route: Route) -> bool:
    return "{" in route.path or any(name in _NAMING for name in parameter_names(route.query))
