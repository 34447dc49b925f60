"""Writes that are worked out from the state that they find.

Between a look at the state and the decision others may write. What rests on what was seen is
submitted with the revisions that were seen, and worked out anew where somebody was faster. A repeat
under the same idempotency key is answered from the record before anything is worked out: by then
the state is another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from halyard_protocol.problems import Problem

from domain import commands as c
from domain.commands import Command
from domain.errors import Refusal
from domain.state import ProjectState
from server.http.call import Call
from server.http.concurrency import expected_revision, idempotency_key, request_fingerprint
from server.http.faults import Malformed, Overtaken
from server.http.project_keys import project_key
from server.http.writes import submission_of, submit
from server.writing.errors import IdempotencyMismatch
from server.writing.planning import Rehearsal
from server.writing.submission import Answer, decode_outcome

TRIES = 3
"""So often commands are worked out where others keep writing to the same entities."""

Plan: TypeAlias = Callable[[], Awaitable[tuple[Command, ...]]]
"""Looks at the newest state, and answers at least one command; each time anew."""


async def carry_out(call: Call, plan: Plan) -> Answer:
    """Have a plan's commands decided and stored, all or none.

    Raises what the plan raises, and what :func:`~server.http.writes.submit` raises.
    """
    recorded = await recorded_answer(call)
    if recorded is not None:
        return recorded
    tries = TRIES if expected_revision(call) is None else 1
    while True:
        tries -= 1
        commands = await plan()
        try:
            return await submit(call, project_key(call), *commands)
        except Overtaken:
            if not tries:
                raise


async def rehearsed(call: Call, plan: Plan) -> Rehearsal:
    """What a plan would come to now; valid until the next ``await``. Raises what it would raise."""
    commands = await plan()
    submission = submission_of(call, *commands)
    try:
        return await call.dependencies.writers.rehearse(project_key(call), submission)
    except Refusal as refusal:
        refusal.command_number = None  # the caller knows no commands
        raise


async def recorded_answer(call: Call) -> Answer | None:
    """What this request was answered before, under its idempotency key; None for a new one.

    Raises :class:`~server.writing.errors.IdempotencyMismatch` where that was another request.
    """
    key = idempotency_key(call)
    if key is None:
        return None
    scoped = (call.actor_id, key)
    recorded = await call.dependencies.store.recorded(project_key(call), (scoped,))
    if scoped not in recorded:
        return None
    if recorded[scoped].request_hash != hashlib.sha256(request_fingerprint(call)).digest():
        raise IdempotencyMismatch(key)
    return decode_outcome(recorded[scoped].outcome)


def refuse_if_match(call: Call) -> None:
    """Refuse a revision of one entity where several are written. Raises :class:`Malformed`."""
    if call.headers.get(b"if-match") is not None:
        raise Malformed(Problem("If-Match", "is of one entity; this concerns several"))


def unchanged(state: ProjectState, flag: str, environment: str) -> Command:
    """A command that leaves a flag's settings as they are: what a plan without a step submits.

    So also a request that asks for what is so already is decided, and recorded under its key.
    """
    settings = state.settings.get((flag, environment))
    on = settings is not None and settings.enabled
    return c.EnableFlag(flag, environment) if on else c.DisableFlag(flag, environment)
