"""Accounts of people where they are: in ``$system`` that there is one, beside it whose it is.

The two are written one after the other, so each step can be the last one: an address without an
account in the log can do nothing, and is taken over by the next attempt to make one; an account
that was erased in the log is erased beside it by the keeper, if not at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, TypeAlias

import structlog

from domain.errors import KeyTaken, Refusal
from domain.system.commands import (
    CreateAccount,
    EndAccountSessions,
    EraseAccount,
    NotePasswordSet,
    NoteProfileChanged,
    SystemCommand,
)
from domain.system.state import SystemState
from domain.system.vocabulary import SYSTEM_LOG
from eventstore.accounts import Account, Accounts, EmailTaken
from eventstore.login_secrets import LoginSecrets
from server.credentials import fingerprint, new_id
from server.logins.errors import SecretSpent
from server.logins.one_time import Giver, is_stood_by, new_secret
from server.logins.sessions import LoginSessions
from server.writing.submission import Answer, Submission
from server.writing.writers import Writers

log = structlog.get_logger(__name__)

SECRET_VALID = timedelta(days=7)

Submit: TypeAlias = Callable[..., Awaitable[Answer]]
"""Has commands of ``$system`` carried out, in the name of whoever asks."""


class Erases(Protocol):
    """A place that knows something of people, beside the accounts themselves."""

    async def erase(self, account_id: str) -> object:
        """Forget all of an account; nothing where there is nothing."""


class OneTimeSecret(NamedTuple):
    """Lets whoever has it choose the account's password, once."""

    secret: str
    expires_at: datetime


class People:
    """Makes, changes and erases accounts of people.

    Raises what :meth:`~server.writing.writers.Writers.submit` raises, and
    :class:`~eventstore.errors.StoreError`.
    """

    def __init__(
        self,
        writers: Writers,
        accounts: Accounts,
        stored_secrets: LoginSecrets,
        sessions: LoginSessions,
        elsewhere: tuple[Erases, ...] = (),
    ) -> None:
        self.accounts = accounts
        self._writers = writers
        self._secrets = stored_secrets
        self._sessions = sessions
        self._elsewhere = elsewhere

    async def state(self) -> SystemState:
        """The installation as it is."""
        return (await self._writers.system()).state

    async def create(
        self,
        submit: Submit,
        email: str,
        name: str,
        *,
        role: str = "",
        password_hash: str | None = None,
        then: tuple[Callable[[str], SystemCommand], ...] = (),
        comment: str = "",
    ) -> tuple[Account, Answer]:
        """A new account. Raises :class:`EmailTaken`.

        ``then`` are further commands, from the account's id.
        """
        row = await self._row(email, name)
        command = CreateAccount(account=row.account_id, role=role, comment=comment)
        try:
            answer = await submit(command, *(further(row.account_id) for further in then))
        except KeyTaken as taken:
            raise EmailTaken("account_by_email", f"{email} has an account") from taken
        except Refusal:
            if row.account_id not in (await self.state()).accounts:
                await self.accounts.remove(row.account_id)
            raise
        if not answer.replayed:
            # Whatever an attempt that came to nothing has left there is not this person's.
            await self.accounts.set_password_hash(row.account_id, password_hash)
            await self.accounts.change_profile(row.account_id, name, None)
        return row, answer

    async def _row(self, email: str, name: str) -> Account:
        try:
            return await self.accounts.add(new_id(), email, name, None)
        except EmailTaken:
            row = await self.accounts.by_email(email)
            if row is None:
                raise
            return row

    async def set_password(
        self, submit: Submit, account_id: str, password_hash: str, *, keeping: str | None = None
    ) -> Answer:
        """Another password; every login ends but ``keeping``, and a secret that is still about."""
        ending = () if keeping else (EndAccountSessions(account=account_id),)
        answer = await submit(NotePasswordSet(account=account_id), *ending)
        await self.accounts.set_password_hash(account_id, password_hash)
        await self._secrets.withdraw_one_time(account_id)
        await self._sessions.end_all(account_id, keeping)
        return answer

    async def change_profile(
        self, submit: Submit, command: NoteProfileChanged, name: str | None, email: str | None
    ) -> Answer:
        """Another name or address. Raises :class:`EmailTaken`."""
        if email is not None:
            owner = await self.accounts.by_email(email)
            if owner is not None and owner.account_id != command.account:
                raise EmailTaken("account_by_email", f"{email} has an account")
        answer = await submit(command)
        await self.accounts.change_profile(command.account, name, email)
        return answer

    async def give_secret(self, account_id: str, giver: Giver | None = None) -> OneTimeSecret:
        """A secret for ``giver`` to hand over; any older one opens nothing any more.

        It opens the account as long as ``giver`` may give one; None is an operator on the server.
        """
        secret = new_secret(giver)
        until = await self._secrets.give_one_time(fingerprint(secret), account_id, SECRET_VALID)
        return OneTimeSecret(secret, until)

    async def owner_of_secret(self, secret: str) -> Account:
        """Whose password it would set. Raises :class:`SecretSpent`."""
        account_id = await self._secrets.one_time_account(fingerprint(secret))
        return await self._open(secret, account_id)

    async def spend_secret(self, secret: str) -> Account:
        """The same, and it opens nothing any more."""
        return await self._open(secret, await self._secrets.take_one_time(fingerprint(secret)))

    async def _open(self, secret: str, account_id: str | None) -> Account:
        state = await self.state()
        known = state.accounts.get(account_id or "")
        row = None if account_id is None else await self.accounts.by_id(account_id)
        if row is None or known is None or not known.active:
            raise SecretSpent
        if not is_stood_by(secret, state, known.id):
            raise SecretSpent
        return row

    async def erase(self, submit: Submit, command: EraseAccount) -> Answer:
        """Forget the person, in the log's sense and in fact."""
        answer = await submit(command)
        await self.forget(command.account)
        return answer

    async def forget(self, account_id: str) -> None:
        """Remove all personal data of an account that the log says is erased."""
        await self._sessions.end_all(account_id)
        for place in self._elsewhere:
            await place.erase(account_id)
        await self.accounts.erase(account_id)

    async def finish_erasures(self) -> None:
        """Do what an erasure that was interrupted has left undone."""
        erased = [row.id for row in (await self.state()).accounts.values() if row.erased_at]
        for row in await self.accounts.by_ids(erased):
            if row.erased_at is None:
                await self.forget(row.account_id)
                log.info("erasure_finished", account=row.account_id)


def pseudonym(account_id: str) -> str:
    """What history calls somebody who was erased."""
    return f"erased account {account_id[:6]}"


def submitting(writers: Writers, actor_id: str) -> Submit:
    """Commands in the name of ``actor_id``, outside of any request."""

    async def submit(*commands: SystemCommand) -> Answer:
        return await writers.submit(SYSTEM_LOG, Submission.of(actor_id, *commands))

    return submit
