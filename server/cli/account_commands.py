"""The work behind `halyard accounts`: ordinary commands through the ordinary writer.

Who does this works on the database itself, so nobody's permission is asked. Running servers hear of
it by their poll of the log's heads, within a quarter of a second.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from domain.errors import Refusal, UnknownEntity
from domain.facts import Entity
from domain.names import refuse
from domain.system.commands import AssignRole, DisableAccount, EraseAccount, UnassignRole
from domain.system.vocabulary import EVERYWHERE
from eventstore.accounts import Account, EmailTaken
from eventstore.identities import Identities
from eventstore.origins import Origins
from eventstore.pool import create_pool
from eventstore.refusals import Refusals
from eventstore.store import EventStore
from server.cli.exits import fail
from server.cli.installations import Installation, administer
from server.cli.key_commands import ACTOR, writers_on
from server.logins.desk import LoginDesk, login_desk
from server.logins.passwords import password_problems
from server.logins.people import Submit, pseudonym, submitting
from server.writing.errors import WritingError

T = TypeVar("T")
Work = Callable[[LoginDesk, Submit], Awaitable[T]]


class AccountRow(msgspec.Struct, frozen=True, rename="camel"):
    """An account, as the command line shows it."""

    id: str
    email: str | None
    name: str
    roles: tuple[str, ...]
    """``admin``, or ``developer in shop``."""
    password: bool
    created_at: datetime
    disabled_at: datetime | None
    erased_at: datetime | None


class Made(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A new account; ``secret`` lets its owner choose a password, once."""

    id: str
    email: str
    secret: str = ""


def on_accounts(data_dir: Path | None, work: Work[T]) -> T:
    """Do ``work`` on the installation's accounts; a refusal ends the program with its sentence."""

    async def connect_and_work(installation: Installation) -> T:
        async with (
            create_pool(installation.database_url, max_size=4) as pool,
            writers_on(EventStore(pool)) as writers,
        ):
            desk = login_desk(
                pool, writers, None, (Origins(pool), Refusals(pool), Identities(pool))
            )
            try:
                return await work(desk, submitting(writers, ACTOR))
            finally:
                desk.close()

    try:
        return administer(data_dir, connect_and_work)
    except (Refusal, WritingError, EmailTaken) as refusal:
        fail(str(refusal))


def create(email: str, name: str, role: str, password: str | None) -> Work[Made]:
    """A new account, with a password or with a secret to choose one."""

    async def work(desk: LoginDesk, submit: Submit) -> Made:
        shown = name or email.partition("@")[0]
        hashed = None
        if password is not None:
            hashed = await _hashed(desk, password, email, shown)
        row, _ = await desk.people.create(submit, email, shown, role=role, password_hash=hashed)
        if password is not None:
            return Made(row.account_id, email)
        given = await desk.people.give_secret(row.account_id)
        return Made(row.account_id, email, given.secret)

    return work


def set_password(who: str, password: str) -> Work[str]:
    """Another password; every login of the account ends."""

    async def work(desk: LoginDesk, submit: Submit) -> str:
        row = await _found(desk, who)
        hashed = await _hashed(desk, password, row.email, row.name)
        await desk.people.set_password(submit, row.account_id, hashed)
        return row.account_id

    return work


async def _hashed(desk: LoginDesk, password: str, email: str | None, name: str) -> str:
    settings = (await desk.people.state()).settings
    refuse(password_problems("", password, settings.password_min_length, email, name))
    return await desk.passwords.hashed(password)


def set_role(who: str, role: str, project: str) -> Work[int]:
    """A role in a project, or everywhere; an empty one takes it away. Answers the log's seq."""

    async def work(desk: LoginDesk, submit: Submit) -> int:
        account = (await _found(desk, who)).account_id
        if role:
            command = AssignRole(subject="account", id=account, role=role, project=project)
            return (await submit(command)).seq
        return (await submit(UnassignRole(subject="account", id=account, project=project))).seq

    return work


def disable(who: str) -> Work[int]:
    """Let the account do nothing any more. Answers the log's seq."""

    async def work(desk: LoginDesk, submit: Submit) -> int:
        account = (await _found(desk, who)).account_id
        return (await submit(DisableAccount(account=account))).seq

    return work


def erase(who: str) -> Work[str]:
    """Forget the person; answers what history calls the account from now on."""

    async def work(desk: LoginDesk, submit: Submit) -> str:
        account = (await _found(desk, who)).account_id
        await desk.people.erase(submit, EraseAccount(account=account))
        return pseudonym(account)

    return work


def listing() -> Work[list[AccountRow]]:
    """Every account of a person, by name."""

    async def work(desk: LoginDesk, _submit: Submit) -> list[AccountRow]:
        state = await desk.people.state()
        rows = {row.account_id: row for row in await desk.people.accounts.search("")}
        found = [
            AccountRow(
                account.id,
                row.email,
                pseudonym(account.id) if account.erased_at else row.name,
                tuple(_role(each.role, each.project) for each in account.assignments),
                row.password_hash is not None,
                account.created_at,
                account.disabled_at,
                account.erased_at,
            )
            for account in state.accounts.values()
            if (row := rows.get(account.id)) is not None
        ]
        return sorted(found, key=lambda row: (row.name.casefold(), row.id))

    return work


def _role(role: str, project: str) -> str:
    return role if project == EVERYWHERE else f"{role} in {project}"


async def _found(desk: LoginDesk, who: str) -> Account:
    """By address or by id."""
    accounts = desk.people.accounts
    row = await accounts.by_email(who) if "@" in who else await accounts.by_id(who)
    if row is None or row.account_id not in (await desk.people.state()).accounts:
        raise UnknownEntity(Entity("account", who))
    return row
