"""Voiding an event that nothing can apply: the one way out for a poisoned log.

The log's writer cannot do it, since it decides on a state that it could not fold. So this proves
first that the event is what stops the fold, and then appends under the log's lock.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime

from domain.commands import VoidEvent
from domain.decide import decide
from domain.facts import Entity, Fact, Issuer
from domain.state import ProjectState
from eventstore.log import Appended
from eventstore.searching import Search
from eventstore.store import EventStore
from server.writing.deciders import PROJECT
from server.writing.errors import LogPoisoned, WritingError
from server.writing.history import LogHistory
from server.writing.planning import Accepted
from server.writing.records import new_command
from server.writing.submission import Answer, Result, Submission


class NotVoidable(WritingError):
    """The event is not one that stops its log."""


async def void_event(store: EventStore, project: str, seq: int, reason: str, actor_id: str) -> int:
    """Have every reader pass over the event at ``seq`` from now on; returns the log's new seq.

    Raises :class:`NotVoidable` where the event can be applied, or is not the first that cannot;
    :class:`~domain.errors.InvalidCommand` for a reason that will not do.
    """
    history = LogHistory(store, PROJECT)
    await _require_poison(history, project, seq)
    before = await history.load(project, upto=seq - 1)
    issuer = Issuer(actor_id, datetime.now(UTC))
    (fact,) = decide(before.state, VoidEvent(seq=seq, reason=reason), issuer)
    async with store.append_locked(project) as locked:
        revision = await _revision(store, fact.entity, project) + 1
        accepted = _accepted(
            locked.head.last_seq, Fact(fact.event, fact.entity, revision), actor_id
        )
        answer = await locked.append((new_command(accepted),))
    if not isinstance(answer, Appended):
        raise NotVoidable(f"the log of '{project}' changed meanwhile; try again")
    return answer.head.last_seq


async def _require_poison(history: LogHistory[ProjectState], project: str, seq: int) -> None:
    try:
        await history.load(project)
    except LogPoisoned as poison:
        if poison.seq != seq:
            raise NotVoidable(
                f"the first event of '{project}' that cannot be applied is {poison.seq}, not {seq}"
            ) from poison
    else:
        raise NotVoidable(
            f"every event of '{project}' can be applied; undo what it did by an ordinary change"
        )


async def _revision(store: EventStore, entity: Entity, project: str) -> int:
    """The entity's revision, from its newest event: the state behind the poison is unknown."""
    newest = await store.search(
        project,
        Search(entity_kind=entity.kind, entity_key=entity.key, newest_first=True, limit=1),
    )
    return newest[0].revision if newest else 0


def _accepted(last_seq: int, fact: Fact[object], actor_id: str) -> Accepted:
    command_id = str(uuid.uuid4())
    submission = Submission(
        actor_id=actor_id,
        commands=(),
        command_id=command_id,
        idempotency_key=command_id,
        request_hash=hashlib.sha256(b"").digest(),
    )
    return Accepted(submission, (fact,), Answer(last_seq + 1, (Result(fact.revision, ()),)))
