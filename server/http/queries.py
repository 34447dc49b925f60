"""Query parameters: each route names a struct, and nothing beside its fields is accepted."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec
from halyard_protocol.problems import Problem
from msgspec import Meta

from domain.events import SdkKeyKind
from server.http.faults import Malformed
from server.http.paging import DEFAULT_LIMIT, MAX_LIMIT

Q = TypeVar("Q", bound=msgspec.Struct)
Limit: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_LIMIT)]
"""Of the items on a page."""


MAX_SEQ = 2**62
"""Beyond any log, and well within what PostgreSQL can hold."""


class Query(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The parameters of a route that takes none, and the base of all others."""


class TolerantQuery(Query, frozen=True):
    """The parameters of a route whose clients add some of their own: unknown ones are ignored."""


class WriteQuery(Query, frozen=True):
    """The parameters of every write."""

    comment: Annotated[str, Meta(max_length=2000)] = ""
    """Why: kept with the events, and shown in the history."""


class MinSeqQuery(Query, frozen=True):
    """The parameters of a read that knows no past."""

    min_seq: Annotated[int, Meta(ge=0, le=MAX_SEQ)] = 0
    """Wait, bounded, until the answer includes the event of this seq."""


class ReadQuery(MinSeqQuery, frozen=True):
    """The parameters of every read of a project."""

    at: str | None = None
    """The state as of a seq, or of an RFC 3339 time."""


class SearchQuery(Query, frozen=True):
    """The parameters of a list that is not of one project."""

    limit: Limit = DEFAULT_LIMIT
    cursor: str | None = None
    """``nextCursor`` of the page before."""
    search: str = ""
    """Only what contains this, in any case of letters."""


class ListQuery(ReadQuery, frozen=True):
    """The parameters of every list of a project."""

    limit: Limit = DEFAULT_LIMIT
    cursor: str | None = None
    """``nextCursor`` of the page before."""
    search: str = ""
    """Only what contains this, in any case of letters."""


class KeyListQuery(ListQuery, frozen=True):
    """Which SDK keys to list."""

    kind: SdkKeyKind | None = None
    revoked: Literal["true", "false", "any"] = "any"


class FlagListQuery(ListQuery, frozen=True):
    """Which flags to list."""

    tag: tuple[str, ...] = ()
    """May be repeated: only flags that carry every one."""
    state: Literal["enabled", "disabled"] | None = None
    """In ``environment``; without one: enabled anywhere, or disabled everywhere."""
    environment: str | None = None
    archived: Literal["true", "false", "any"] = "false"
    maintainer: str | None = None


def read_query(raw: bytes, of: type[Q]) -> Q:
    """Read a query string. Raises :class:`~server.http.faults.Malformed` naming the parameter."""
    if not raw:
        return of()
    names = parameter_names(of)
    found: dict[str, Any] = {}
    for name, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=True):
        many = names.get(name)
        if many is None and issubclass(of, TolerantQuery):
            continue
        if many is None:
            raise Malformed(Problem(f"?{name}", _unknown(names)))
        if "\0" in value:
            raise Malformed(Problem(f"?{name}", "holds a null character"))
        if many:
            found.setdefault(name, []).append(value)
        elif name in found:
            raise Malformed(Problem(f"?{name}", "is given more than once"))
        else:
            found[name] = value
    return _convert(found, of)


def _convert(found: dict[str, Any], of: type[Q]) -> Q:
    for name, value in found.items():
        try:
            msgspec.convert({name: value}, of, strict=False)
        except msgspec.ValidationError as error:
            reason = str(error).split(" - at `$")[0]
            raise Malformed(Problem(f"?{name}", reason)) from error
    return msgspec.convert(found, of, strict=False)


@cache
def parameter_names(of: type[msgspec.Struct]) -> dict[str, bool]:
    """The names of a query's parameters; true for one that may be repeated."""
    hints = get_type_hints(of)
    return {
        field.encode_name: get_origin(hints[field.name]) is tuple
        for field in msgspec.structs.fields(of)
    }


def _unknown(names: dict[str, bool]) -> str:
    return (
        f"is not known here; known: {', '.join(names)}" if names else "no parameters are known here"
    )
