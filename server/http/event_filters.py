"""Which events of a log somebody wants: as query parameters, and as a search.

A filter's value that no event can have is refused by name, so that a slip of the pen is not taken
for "nothing happened". An environment counts as known for as long as the log says that there was
one of that key.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from halyard_protocol.problems import Problem, hint
from msgspec import Meta

from domain.events import EVENT_TYPES
from domain.system.events import SYSTEM_EVENT_TYPES
from eventstore.log import SYSTEM_LOG
from eventstore.searching import Search
from eventstore.store import EventStore
from server.http.faults import Malformed
from server.http.queries import MinSeqQuery

MAX_TYPES = 20


class EventFilter(MinSeqQuery, frozen=True):
    """Filters of any log."""

    type: Annotated[tuple[str, ...], Meta(max_length=MAX_TYPES)] = ()
    """Event types, such as ``FlagEnabled``; may be repeated: any of them."""
    actor: str | None = None
    """The id of an account."""
    text: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """What the comment, another part of the body, or the entity's key contains, in any case."""


class ProjectEventFilter(EventFilter, frozen=True):
    """Filters of a project's log."""

    environment: str | None = None
    """The key of an environment that there is, or was."""


async def search_for(store: EventStore, log_id: str, wanted: EventFilter) -> Search:
    """The search of a filter. Raises :class:`Malformed` naming a value that is unknown."""
    types = tuple(dict.fromkeys(wanted.type))
    _require_known(types, SYSTEM_EVENT_TYPES if log_id == SYSTEM_LOG else EVENT_TYPES)
    environment = wanted.environment if isinstance(wanted, ProjectEventFilter) else None
    if environment is not None:
        ever = Search(entity_kind="environment", entity_key=environment, limit=1)
        if not await store.search(log_id, ever):
            reason = f"there never was an environment '{environment}' in '{log_id}'"
            raise Malformed(Problem("?environment", reason))
    return Search(
        environment=environment,
        actor_id=wanted.actor,
        type=types[0] if len(types) == 1 else None,
        types=types if len(types) > 1 else None,
        text=wanted.text,
    )


def _require_known(types: Iterable[str], known: Iterable[str]) -> None:
    names = frozenset(known)
    for name in types:
        if name not in names:
            reason = f"no event is called '{name}'{hint(name, names)}"
            raise Malformed(Problem("?type", reason))
