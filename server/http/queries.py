"""Query parameters: each route names a struct, and nothing beside its fields is accepted."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec
from halyard_protocol.problems import Problem
from halyard_protocol.ruleset import FlagType
from msgspec import Meta

from domain.decoding import in_words
from domain.events import SdkKeyKind
from server.http.faults import Malformed
from server.http.paging import DEFAULT_LIMIT, MAX_LIMIT
from server.searching.criteria import Answer, Criteria
from server.searching.staleness import Staleness

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
    bypass_approval: bool = False
    """In an emergency: go without the approvals that an environment asks for; say why."""


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


Sort: TypeAlias = Literal[
    "key", "-key", "name", "-name", "created", "-created", "changed", "-changed"
]
"""What a list is sorted by; with a minus, from the last to the first."""


class SortedListQuery(ListQuery, frozen=True):
    """The parameters of a list that can be sorted."""

    sort: Sort = "key"


class PlaceQuery(ReadQuery, frozen=True):
    """The parameters of a list of one thing in its environments."""

    limit: Limit = DEFAULT_LIMIT
    cursor: str | None = None
    """``nextCursor`` of the page before."""
    environment: str | None = None
    """Only there."""


class SegmentListQuery(SortedListQuery, frozen=True):
    """Which segments to list."""

    used: bool | None = None
    """Whether a rule of a flag or of a segment names it."""


class KeyListQuery(ListQuery, frozen=True):
    """Which SDK keys to list."""

    kind: SdkKeyKind | None = None
    revoked: Literal["true", "false", "any"] = "any"


class FlagListQuery(SortedListQuery, frozen=True):
    """Which flags to list: those that meet all of it."""

    tag: tuple[str, ...] = ()
    """May be repeated: only flags that carry every one."""
    maintainer: str | None = None
    """Empty for flags without one."""
    type: FlagType | None = None
    client_side: bool | None = None
    archived: Answer = "false"
    state: Literal["enabled", "disabled"] | None = None
    """In ``environment``; without one: enabled anywhere, or disabled everywhere."""
    environment: str | None = None
    """Where ``state``, ``segment`` and ``rules`` are looked for; without one: anywhere."""
    segment: str | None = None
    """Named in a rule."""
    rules: str = ""
    """Only flags with this in a rule, a target or a prerequisite, in any case of letters."""
    staleness: tuple[Staleness, ...] = ()
    """May be repeated: any of these."""

    def criteria(self) -> Criteria:
        """All of it but the order."""
        return Criteria(**{name: getattr(self, name) for name in Criteria.__struct_fields__})


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
            reason = in_words(str(error).split(" - at `$")[0])
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
