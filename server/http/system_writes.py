"""Writes to ``$system``: by who asks, or by who has shown a secret that names an account."""

from __future__ import annotations

from typing import Any, cast

from msgspec.structs import replace

from domain.asked import Asked
from domain.system.vocabulary import SYSTEM_LOG
from server.http.call import Call
from server.http.concurrency import expected_revision
from server.http.faults import NotServedHere
from server.http.peers import origin_of
from server.http.queries import WriteQuery
from server.http.writes import submission_of, submit
from server.logins.desk import LoginDesk
from server.logins.people import Submit
from server.writing.submission import Answer, Submission


def desk_of(call: Call) -> LoginDesk:
    """Where people come in. Raises :class:`NotServedHere`."""
    desk = call.dependencies.desk
    if desk is None:
        raise NotServedHere("logins")
    return desk


async def submit_system(call: Call, *commands: Asked) -> Answer:
    """Have commands of ``$system`` carried out in the name of who asks, all or none."""
    return await submit(call, SYSTEM_LOG, *cast("tuple[Any, ...]", commands))


def by_caller(call: Call) -> Submit:
    """The same, as the rooms behind HTTP are given it."""

    async def ask(*commands: Asked) -> Answer:
        return await submit_system(call, *commands)

    return ask


def confidentially(call: Call) -> Submit:
    """The same for a request whose body holds a password: nothing is kept that is made of it.

    What is recorded of others to recognise a repeat is a quick hash, from which a password could
    be guessed.
    """

    async def ask(*commands: Asked) -> Answer:
        told = submission_of(call, *cast("tuple[Any, ...]", commands))
        fresh = Submission.of(told.actor_id, correlation_id=call.request_id)
        kept = {"command_id": fresh.command_id, "idempotency_key": fresh.idempotency_key}
        submission = replace(told, request_hash=fresh.request_hash, **kept)
        return await call.dependencies.writers.submit(SYSTEM_LOG, submission)

    return ask


def by_secret(call: Call, account_id: str | None = None) -> Submit:
    """In the name of the account that a secret has opened; else of the one that is addressed."""

    async def ask(*commands: Asked) -> Answer:
        actor_id = account_id or commands[0].addressed(SYSTEM_LOG).key  # type: ignore[attr-defined]
        submission = Submission.of(
            actor_id, *commands, correlation_id=call.request_id, origin=origin_of(call)
        )
        return await call.dependencies.writers.submit(SYSTEM_LOG, submission)

    return ask


def precondition(call: Call) -> dict[str, Any]:
    """The fields of a command that ``If-Match`` and ``?comment=`` fill."""
    comment = call.query_as(WriteQuery).comment
    return {"expected_revision": expected_revision(call), "comment": comment}
