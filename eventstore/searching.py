"""Events by entity, actor, type, time and seq, in the order of the log.

Every combination of filters is a statement of its own: each has one plan that suits it, where a
single statement with optional parameters would have one plan that suits none. Times are turned
into seqs first, because both rise together; so every page is a range of one index.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from domain.facts import Entity
from eventstore.statements import statement

_SEQ_BEFORE = """coalesce((
    SELECT at.seq FROM event AS at WHERE at.log_id = $1 AND at.recorded_at < {}
    ORDER BY at.recorded_at DESC LIMIT 1
), 0)"""

_CONDITIONS = {
    "entity_kind": "entity_kind = {}",
    "entity_key": "entity_key = {}",
    "environment": "environment = {}",
    "actor_id": "actor_id = {}",
    "type": "type = {}",
    "after": "seq > {}",
    "before": "seq < {}",
    "since": f"seq > {_SEQ_BEFORE}",
    "until": f"seq <= {_SEQ_BEFORE}",
}


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


def search_statement(log_id: str, search: Search) -> tuple[str, list[Any]]:
    """The statement for a search, and its arguments."""
    conditions, arguments = ["log_id = $1"], [log_id, search.limit]
    for field, condition in _CONDITIONS.items():
        wanted = getattr(search, field)
        if wanted is not None:
            arguments.append(wanted)
            conditions.append(condition.format(f"${len(arguments)}"))
    return _select(conditions, newest_first=search.newest_first), arguments


def unit_statement(log_id: str, entity: Entity, limit: int) -> tuple[str, list[Any]]:
    """The statement for the newest events of one entity, newest first, and its arguments."""
    conditions = ["log_id = $1", "entity_kind = $3", "entity_key = $4"]
    arguments: list[Any] = [log_id, limit, entity.kind, entity.key]
    if entity.environment is None:
        conditions.append("environment IS NULL")
    else:
        conditions.append("environment = $5")
        arguments.append(entity.environment)
    return _select(conditions, newest_first=True), arguments


def _select(conditions: list[str], *, newest_first: bool) -> str:
    direction = "DESC" if newest_first else "ASC"
    columns, wanted = statement("event_columns"), " AND ".join(conditions)
    # All of these are fixed texts of this module; what callers give are arguments.
    return f"SELECT {columns} FROM event WHERE {wanted} ORDER BY seq {direction} LIMIT $2"  # noqa: S608
