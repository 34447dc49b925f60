"""People, as the API shows them: what the log knows of an account, and whose it is."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeAlias

import msgspec
from halyard_protocol.limits import MAX_NAME_LENGTH
from msgspec import Meta

from domain.facts import Entity
from domain.names import refuse
from domain.system import state as of_log
from domain.system.state import SystemState
from eventstore.accounts import Account
from server.http.call import Call
from server.http.faults import NotFound
from server.http.system_writes import desk_of
from server.logins.passwords import password_problems
from server.logins.people import pseudonym

Email: TypeAlias = Annotated[
    str, Meta(max_length=320, pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$")
]
PersonName: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=MAX_NAME_LENGTH, pattern=r"^[^\x00-\x1f\x7f]*$")
]


class RoleView(msgspec.Struct, frozen=True):
    """A role, in a project or everywhere (``*``)."""

    project: str
    role: str


class PersonView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An account of a person; of a program, with neither address nor login."""

    id: str
    email: str | None
    """None once it was erased, and of programs."""
    email_verified: bool
    name: str
    service: bool
    roles: tuple[RoleView, ...]
    """Its own; those of its groups are beside it."""
    groups: tuple[str, ...]
    has_password: bool
    created_at: datetime
    disabled_at: datetime | None
    erased_at: datetime | None
    revision: int


async def system_of(call: Call) -> SystemState:
    """The installation as it is."""
    return (await call.dependencies.writers.system()).state


async def person_view(call: Call, state: SystemState, account_id: str) -> PersonView:
    """One account. Raises :class:`NotFound`."""
    account = state.accounts.get(account_id)
    if account is None:
        raise NotFound("account", account_id)
    return view_of(state, account, await desk_of(call).people.accounts.by_id(account_id))


def view_of(state: SystemState, account: of_log.Account, row: Account | None) -> PersonView:
    """An account together with what is known of the person, if anything is."""
    name = account.name if row is None else row.name
    if account.erased_at is not None:
        row, name = None, pseudonym(account.id)
    return PersonView(
        id=account.id,
        email=None if row is None else row.email,
        email_verified=row is not None and row.email_verified,
        name=name,
        service=account.service,
        roles=tuple(RoleView(each.project, each.role) for each in account.assignments),
        groups=tuple(group.key for group in state.groups_of(account.id)),
        has_password=row is not None and row.password_hash is not None,
        created_at=account.created_at,
        disabled_at=account.disabled_at,
        erased_at=account.erased_at,
        revision=state.revision(Entity("account", account.id)),
    )


def chosen_password(
    path: str, password: str, state: SystemState, email: str | None, name: str
) -> None:
    """Raises :class:`~domain.errors.InvalidCommand` where the password is not a good one."""
    refuse(password_problems(path, password, state.settings.password_min_length, email, name))
