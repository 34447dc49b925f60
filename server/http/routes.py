"""What a route is, as data: served, documented and authorised from one table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias

import msgspec

from server.http.bodies import Shape
from server.http.body_types import body_type, is_optional
from server.http.call import Call
from server.http.edits import Editing
from server.http.permissions import PERMISSIONS
from server.http.problems import problem_reply
from server.http.queries import Query, WriteQuery
from server.http.replies import Reply
from server.http.writes import WriteAnswer, Writing

API = "/api/v1"
PROJECT = f"{API}/projects/{{project}}"
ENVIRONMENT = f"{PROJECT}/environments/{{environment}}"
FLAG = f"{PROJECT}/flags/{{flag}}"
SETTINGS = f"{FLAG}/environments/{{environment}}"
SEGMENT = f"{PROJECT}/segments/{{segment}}"
CHANGE_REQUEST = f"{PROJECT}/change-requests/{{changeRequest}}"

BODY_LIMIT_BYTES = 1024 * 1024
BATCH_LIMIT_BYTES = 16 * 1024 * 1024

Handler: TypeAlias = Callable[[Call], Awaitable[Reply]]
Refusal: TypeAlias = Callable[[BaseException, Call], Reply]


def as_problem(error: BaseException, call: Call) -> Reply:
    """How most routes refuse."""
    return problem_reply(error, call.request_id)


KeyKinds: TypeAlias = tuple[Literal["server", "client"], ...]

SERVER_KEYS: KeyKinds = ("server",)
ALL_KEYS: KeyKinds = ("server", "client")


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path."""

    method: str
    path: str
    summary: str
    handler: Handler
    permission: str | None
    """The verb that an account must hold; None where no account is asked for."""
    sdk_keys: KeyKinds = ()
    """The kinds of SDK keys that open it, in place of an account where it has a permission too."""
    evaluates: bool = True
    """Whether the key's environment is to be ready for evaluation, not just read."""
    listens: bool = False
    """Whether a listening key in ``?key=`` opens it, too."""
    tag: str
    """The heading that it stands under in the reference."""
    query: type[Query] = Query
    request: Any = None
    """The type of the JSON body; None where none is read."""
    body_optional: bool = False
    headers: tuple[str, ...] = ()
    """Of a request, those that mean something here; with ``If-None-Match`` it may answer 304."""
    response: Any = None
    """The type of the answer; None where no type describes it."""
    content_type: str = "application/json"
    """Of the answer."""
    also_as: tuple[tuple[str, Any], ...] = ()
    """Further content types of the answer, which ``Accept`` may ask for, each with its type."""
    status: int = 200
    also_answers: tuple[tuple[int, Any], ...] = ()
    """Further statuses that are no problems, each with its body's type; None where it has none."""
    refuses: tuple[type[BaseException], ...] = ()
    """What only the handler can find wrong; the rest is told by what the route is (`failures`)."""
    body_content_types: tuple[str, ...] = ("application/json",)
    """Content types of the body."""
    body_limit_bytes: int = BODY_LIMIT_BYTES
    refused: Refusal = as_problem
    """What becomes of an exception, where a protocol has words of its own for failures."""
    failure: Any = None
    """The type of what that writes as JSON; None where it is a problem."""

    @property
    def public(self) -> bool:
        """Whether anybody may ask."""
        return self.permission is None and not self.sdk_keys

    @property
    def writes(self) -> bool:
        """Whether ``If-Match`` and ``Idempotency-Key`` mean something here."""
        return issubclass(self.query, WriteQuery)

    @property
    def reads_body(self) -> bool:
        """Whether a body is waited for."""
        return self.request is not None


def reading(
    path: str,
    handler: Handler,
    summary: str,
    *,
    permission: str | None,
    tag: str,
    query: type[Query] = Query,
    response: Any = None,
    also_as: tuple[tuple[str, Any], ...] = (),
    refuses: tuple[type[BaseException], ...] = (),
) -> Route:
    """A ``GET``."""
    return Route(
        method="GET",
        path=path,
        summary=summary,
        handler=handler,
        permission=permission,
        tag=tag,
        query=query,
        response=response,
        also_as=also_as,
        refuses=refuses,
    )


def command_route(
    method: str,
    path: str,
    summary: str,
    handler: Handler | Writing,
    *,
    tag: str,
    shape: Shape | None = None,
    status: int = 200,
    response: Any = WriteAnswer,
    refuses: tuple[type[BaseException], ...] = (),
) -> Route:
    """A route that becomes one command; its permission and its body's type are the command's.

    ``shape`` and ``status`` are those of the handler where it has them.
    """
    if isinstance(handler, Writing):
        shape, status = handler.shape, handler.status
    if shape is None:
        raise ValueError(f"{method} {path}: which shape does its body have?")
    body = body_type(shape)
    return Route(
        method=method,
        path=path,
        summary=summary,
        handler=handler,
        permission=PERMISSIONS[shape.command],
        tag=tag,
        query=WriteQuery,
        request=body,
        body_optional=is_optional(body),
        response=response,
        status=status,
        refuses=refuses,
    )


def editing_route(path: str, summary: str, editing: Editing, *, permission: str, tag: str) -> Route:
    """A ``PATCH``."""
    return Route(
        method="PATCH",
        path=path,
        summary=summary,
        handler=editing,
        permission=permission,
        tag=tag,
        query=WriteQuery,
        request=editing.body,
        response=WriteAnswer,
    )
