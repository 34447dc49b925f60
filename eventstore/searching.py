"""Events by entity, actor, type, time, seq and text, in the order of the log.

Every combination of filters is a statement of its own: each has one plan that suits it, where a
single statement with optional parameters would have one plan that suits none. Times are turned
into seqs first, because both rise together; so every page is a range of one index.

Only one filter leads: the one whose index is walked. What the others leave over may lie anywhere
along that walk, so whoever must answer in time takes it in slices (:func:`slice_statement`), each
of a bounded number of events, and is told how far it came (:func:`reach_statement`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from domain.facts import Entity
from domain.stored import HASHES
from eventstore.statements import statement

_SEQ_BEFORE = """coalesce((
    SELECT at.seq FROM event AS at WHERE at.log_id = $1 AND at.recorded_at < {}
    ORDER BY at.recorded_at DESC LIMIT 1
), 0)"""

_HASH = rf'"({"|".join(HASHES)})"\s*:\s*"[^"]*"'
_TEXT = f"""(
    lower(convert_from(body, 'UTF8')) LIKE {{0}} ESCAPE '!'
        AND lower(regexp_replace(convert_from(body, 'UTF8'), '{_HASH}', '', 'g'))
            LIKE {{0}} ESCAPE '!'
    OR lower(entity_key) LIKE {{0}} ESCAPE '!'
)"""
"""What is not shown is not found either, or it could be guessed piece by piece. Taking it out is
the dearer part, and is done for what would be found otherwise."""

_CONDITIONS = {
    "entity_kind": "entity_kind = {}",
    "entity_key": "entity_key = {}",
    "environment": "environment = {}",
    "actor_id": "actor_id = {}",
    "type": "type = {}",
    "types": "type = ANY ({}::text[])",
    "text": _TEXT,
    "after": "seq > {}",
    "before": "seq < {}",
    "since": f"seq > {_SEQ_BEFORE}",
    "until": f"seq <= {_SEQ_BEFORE}",
}
_RANGE = ("after", "before", "since", "until")


class Search(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which events are wanted; None where it does not matter.

    To go on after a page, give the seq of its last event as ``after`` (ascending) or ``before``
    (descending).
    """

    entity_kind: str | None = None
    entity_key: str | None = None
    environment: str | None = None
    actor_id: str | None = None
    type: str | None = None
    types: tuple[str, ...] | None = None
    """Any of these."""
    text: str | None = None
    """What stands in the body, a comment for instance, or in the entity's key; in any case. Not the
    hashes of secrets."""
    after: int | None = None
    """Exclusive."""
    before: int | None = None
    """Exclusive."""
    since: datetime | None = None
    """Inclusive."""
    until: datetime | None = None
    """Exclusive."""
    newest_first: bool = False
    limit: int = 100


class Slice(msgspec.Struct, frozen=True):
    """What was found in a part of a search."""

    events: tuple[Any, ...]
    reached: int | None
    """The seq up to which all was looked at; None where that was the end of the search."""


def search_statement(log_id: str, search: Search) -> tuple[str, list[Any]]:
    """The statement for a search, and its arguments."""
    terms = _Terms(log_id, search, search.limit)
    return _select(terms.all(_CONDITIONS), newest_first=search.newest_first), terms.arguments


def slice_statement(log_id: str, search: Search, walked: int) -> tuple[str, list[Any]]:
    """The statement that looks at ``walked`` events along the leading index, and no further."""
    terms = _Terms(log_id, search, search.limit)
    leading = _leading(search)
    walk = _walk(terms, leading, f"${terms.add(walked)}", statement("event_columns"))
    rest = terms.all(field for field in _CONDITIONS if field not in (*leading, *_RANGE))
    where = f" WHERE {' AND '.join(rest)}" if rest else ""
    order = _order(search)
    return f"SELECT * FROM ({walk}) AS walked{where} ORDER BY seq {order} LIMIT $2", terms.arguments  # noqa: S608


def reach_statement(log_id: str, search: Search, walked: int) -> tuple[str, list[Any]]:
    """The statement for the seq at which a slice of so many ends; no row: with the search."""
    terms = _Terms(log_id, search, walked - 1)
    most = f"${terms.add(walked)}"
    walk = _walk(terms, _leading(search), most, "seq")
    order = _order(search)
    return (
        f"SELECT seq FROM ({walk}) AS walked ORDER BY seq {order} OFFSET $2 LIMIT 1",  # noqa: S608
        terms.arguments,
    )


def unit_statement(log_id: str, entity: Entity, limit: int) -> tuple[str, list[Any]]:
    """The statement for the newest events of one entity, newest first, and its arguments."""
    conditions = ["entity_kind = $3", "entity_key = $4"]
    arguments: list[Any] = [log_id, limit, entity.kind, entity.key]
    if entity.environment is None:
        conditions.append("environment IS NULL")
    else:
        conditions.append("environment = $5")
        arguments.append(entity.environment)
    return _select(conditions, newest_first=True), arguments


def is_walked(search: Search) -> bool:
    """Whether some filter has no part in the leading index, so that a search may have to go far."""
    leading = (*_leading(search), *_RANGE)
    return any(getattr(search, field) is not None for field in _CONDITIONS if field not in leading)


class _Terms:
    """The conditions of a search with their places among the arguments.

    ``$1`` is the log, ``$2`` whatever the statement makes of it.
    """

    def __init__(self, log_id: str, search: Search, second: int) -> None:
        self.arguments: list[Any] = [log_id, second]
        self.search = search

    def add(self, value: Any) -> int:
        """One more argument; its number."""
        self.arguments.append(value)
        return len(self.arguments)

    def all(self, fields: Any) -> list[str]:
        """The conditions of those fields that the search names."""
        wanted = ((field, getattr(self.search, field)) for field in fields)
        return [self.one(field, value) for field, value in wanted if value is not None]

    def one(self, field: str, value: Any) -> str:
        """One condition."""
        if field == "text":
            value = _pattern(value)
        return _CONDITIONS[field].format(f"${self.add(value)}")


def _leading(search: Search) -> tuple[str, ...]:
    """The fields whose index is walked: the one that leaves the fewest events, as far as one knows.

    An environment stands in the index of entities, so it is looked at on the way.
    """
    if search.entity_kind is not None and search.entity_key is not None:
        return ("entity_kind", "entity_key", "environment")
    if search.actor_id is not None:
        return ("actor_id",)
    if search.type is not None:
        return ("type",)
    return () if search.types is None else ("types",)


def _walk(terms: _Terms, leading: tuple[str, ...], most: str, columns: str) -> str:
    """The first ``most`` events of the leading filter, in order."""
    within = ["log_id = $1", *terms.all(_RANGE)]
    order = _order(terms.search)
    if leading != ("types",):
        wanted = " AND ".join([*within, *terms.all(leading)])
        return f"SELECT {columns} FROM event WHERE {wanted} ORDER BY seq {order} LIMIT {most}"  # noqa: S608
    # One walk for each type, merged: together they are in no index's order.
    walks = [
        f"SELECT {columns} FROM event WHERE {' AND '.join([*within, terms.one('type', each)])}"  # noqa: S608
        for each in terms.search.types or ()
    ]
    walked = " UNION ALL ".join(f"({walk} ORDER BY seq {order} LIMIT {most})" for walk in walks)
    return f"SELECT * FROM ({walked}) AS of_types ORDER BY seq {order} LIMIT {most}"  # noqa: S608


def _select(conditions: list[str], *, newest_first: bool) -> str:
    direction = "DESC" if newest_first else "ASC"
    columns, wanted = statement("event_columns"), " AND ".join(["log_id = $1", *conditions])
    # All of these are fixed texts of this module; what callers give are arguments.
    return f"SELECT {columns} FROM event WHERE {wanted} ORDER BY seq {direction} LIMIT $2"  # noqa: S608


def _order(search: Search) -> str:
    return "DESC" if search.newest_first else "ASC"


def _pattern(text: str) -> str:
    """What LIKE takes for: somewhere in a JSON text, whose letters were made small."""
    written = msgspec.json.encode(text.lower()).decode()[1:-1]
    for special in "!%_":
        written = written.replace(special, f"!{special}")
    return f"%{written}%"
