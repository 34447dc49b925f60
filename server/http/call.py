"""One request, as a handler sees it: routed, authenticated, authorised, its query and body read."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, TypeVar

from starlette.types import Receive, Scope

from domain.system.state import Account
from server.http.credential import Credential
from server.http.faults import Unauthenticated
from server.http.peers import address_of, is_secure
from server.http.queries import Query

if TYPE_CHECKING:
    from server.http.dependencies import Dependencies
    from streaming.serving import ServedEnvironment

Q = TypeVar("Q", bound=Query)


_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class Call:
    """Made by the border for each request; a handler only reads it."""

    __slots__ = (
        "account",
        "address",
        "body",
        "credential",
        "dependencies",
        "headers",
        "method",
        "parameters",
        "path",
        "permission",
        "query",
        "raw_query",
        "receive",
        "request_id",
        "secure",
        "served",
    )

    def __init__(self, dependencies: Dependencies, scope: Scope, receive: Receive) -> None:
        self.dependencies = dependencies
        self.receive = receive
        """For answers that last: it tells, after the body, that the peer has gone."""
        self.address = address_of(scope, dependencies.settings.trusted_proxies)
        """Of the peer that asks; empty where there is none to speak of."""
        self.secure = dependencies.settings.public_url.startswith("https:") or is_secure(
            scope, dependencies.settings.trusted_proxies
        )
        """Whether browsers speak https: the operator says so, or the proxy before this server."""
        self.method: str = scope["method"]
        self.path = "/" + scope["path"].lstrip("/")
        """An address that ends with a slash, and a path behind it, make two: one is meant."""
        self.raw_query: bytes = scope["query_string"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        """By lower-case name; of a header that came twice, the last."""
        self.request_id = _request_id(self.headers.get(b"x-request-id"))
        self.parameters: dict[str, str] = {}
        """What stood in the path; set once the route is known."""
        self.query: Query = Query()
        """Of the route's own type; set once it was read."""
        self.body = b""
        """As it arrived; empty where the route reads none."""
        self.account: Account | None = None
        """Who asks; None on public routes, and where an SDK key was sent."""
        self.credential: Credential | None = None
        """By what the account was let in; set together with it."""
        self.permission = ""
        """The route's, as it was checked for the account."""
        self.served: ServedEnvironment | None = None
        """The environment of the SDK key that was sent."""

    def query_as(self, of: type[Q]) -> Q:
        """The query; ``of`` is the type that the route declares, or a base of it."""
        if not isinstance(self.query, of):
            raise TypeError(f"{self.path} has no query of type {of.__name__}")
        return self.query

    def header(self, name: bytes) -> str | None:
        """A header by its lower-case name."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1").strip()

    @property
    def origin(self) -> str | None:
        """Of the page that asks; None where a program does, or a page of this server's own."""
        return self.header(b"origin")

    @property
    def actor_id(self) -> str:
        """The account's opaque id. Raises :class:`Unauthenticated` on public routes."""
        if self.account is None:
            raise Unauthenticated("this needs an account")
        return self.account.id

    @property
    def environment(self) -> ServedEnvironment:
        """The SDK key's environment. Raises :class:`Unauthenticated` where none was sent."""
        if self.served is None:
            raise Unauthenticated("this needs an SDK key")
        return self.served


def _request_id(given: bytes | None) -> str:
    """The caller's own, where it can stand in a header and a log line; else a new one."""
    text = (given or b"").decode("latin-1")
    return text if _REQUEST_ID.fullmatch(text) else uuid.uuid4().hex
