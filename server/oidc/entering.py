"""From a person for whom a provider has vouched to an account that is logged in.

What the log says of a link comes first, then the row beside it. A process that dies in between
leaves an event without its link: the person links anew, or is helped in by an administrator. The
other way round there would be a way into an account of which the log knows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, assert_never

import structlog

from domain.errors import Refusal
from domain.system.commands import (
    AssignRole,
    NoteIdentityLinked,
    NoteIdentityUnlinked,
    SystemCommand,
    UnassignRole,
)
from domain.system.state import Account
from eventstore.accounts import EmailTaken
from eventstore.identities import Identities, Identity
from server.credentials import new_id
from server.logins.people import People, Submit
from server.oidc.errors import NotAdmitted
from server.oidc.linking import (
    Create,
    Enter,
    Link,
    Local,
    Outcome,
    Person,
    RoleChanges,
    outcome_for,
    role_changes,
    roles_by_groups,
)
from server.oidc.providers import Provider

log = structlog.get_logger(__name__)

SubmitAs: TypeAlias = Callable[[str | None], Submit]
"""In the name of an account; of None, in that of the account that is addressed."""


class Entrance:
    """Into the accounts of one installation, by one request.

    Raises what :meth:`~server.writing.writers.Writers.submit` raises, and
    :class:`~eventstore.errors.StoreError`.
    """

    def __init__(self, people: People, identities: Identities, submit_as: SubmitAs) -> None:
        self._people = people
        self._identities = identities
        self._submit_as = submit_as

    async def enter(self, provider: Provider, person: Person, asked_by: str | None) -> str:
        """The account's id, linked and with the roles of its groups. Raises NotAdmitted."""
        outcome = await self._outcome(provider, person, asked_by)
        account_id = await self._done(provider, person, outcome)
        if person.vouched_email:
            await self._people.accounts.verify_email(account_id, person.vouched_email)
        await self._give_roles(provider, account_id, roles_by_groups(provider, person.groups))
        return account_id

    async def unlink(self, account_id: str, identity: Identity) -> bool:
        """Take an identity away, and the roles of its provider where it was the last one."""
        if not await self._identities.unlink(identity.identity_id, account_id):
            return False
        noted = NoteIdentityUnlinked(account=account_id, provider=identity.provider)
        await self._submit_as(account_id)(noted)
        left = await self._identities.of(account_id)
        if all(each.provider != identity.provider for each in left):
            await self._change_roles(identity.provider, account_id, {})
        return True

    async def _outcome(self, provider: Provider, person: Person, asked_by: str | None) -> Outcome:
        linked_to = await self._identities.account_of(person.issuer, person.subject)
        outcome = outcome_for(
            provider,
            person,
            linked_to=linked_to,
            asked_by=asked_by,
            same_email=await self._same_email(person),
        )
        if not isinstance(outcome, Create):
            await self._open_account(outcome.account_id)
        return outcome

    async def _same_email(self, person: Person) -> Local | None:
        """Only of an address that was verified: else anybody could ask who has an account."""
        if not person.vouched_email:
            return None
        row = await self._people.accounts.by_email(person.vouched_email)
        if row is None or row.account_id not in (await self._people.state()).accounts:
            return None
        linked = await self._identities.of(row.account_id)
        return Local(
            row.account_id,
            row.password_hash is not None,
            any(each.issuer == person.issuer for each in linked),
        )

    async def _open_account(self, account_id: str) -> Account:
        account = (await self._people.state()).accounts.get(account_id)
        if account is None or not account.active or account.service:
            raise NotAdmitted("your account is closed: ask an administrator")
        return account

    async def _done(self, provider: Provider, person: Person, outcome: Outcome) -> str:
        match outcome:
            case Enter(account_id):
                return account_id
            case Link(account_id):
                noted = NoteIdentityLinked(account=account_id, provider=provider.key)
                await self._submit_as(account_id)(noted)
            case Create(email):
                account_id = await self._created(provider, person, email)
            case _:
                assert_never(outcome)
        linked_to = await self._identities.link(
            new_id(), person.issuer, person.subject, account_id, provider.key
        )
        if linked_to != account_id:
            raise NotAdmitted("this identity is another account's")
        return account_id

    async def _created(self, provider: Provider, person: Person, email: str) -> str:
        def linked(account_id: str) -> SystemCommand:
            return NoteIdentityLinked(account=account_id, provider=provider.key)

        name = _shown_name(person.name) or email.partition("@")[0]
        try:
            row, _ = await self._people.create(self._submit_as(None), email, name, then=(linked,))
        except EmailTaken as taken:
            raise NotAdmitted("an account of your address was made just now: try again") from taken
        return row.account_id

    # --- roles

    async def _give_roles(
        self, provider: Provider, account_id: str, given: Mapping[str, str]
    ) -> None:
        if provider.groups or await self._identities.roles(account_id, provider.key):
            await self._change_roles(provider.key, account_id, given)

    async def _change_roles(
        self, provider_key: str, account_id: str, given: Mapping[str, str]
    ) -> None:
        """Remembered before it is given and forgotten after it is taken away.

        So a role that the provider gave is never held for somebody else's, whenever it ends.
        """
        account = await self._open_account(account_id)
        held = {each.project: each.role for each in account.assignments}
        remembered = await self._identities.roles(account_id, provider_key)
        before = {p: role for p, role in held.items() if (p, role) in remembered}
        changes = role_changes(held, before, given)
        await self._identities.note_roles(account_id, provider_key, changes.from_provider)
        refused = await self._carry_out(account_id, changes)
        kept = [pair for pair in before.items() if pair[0] in refused]
        kept += [pair for pair in changes.from_provider if pair[0] not in refused]
        await self._identities.keep_roles(account_id, provider_key, kept)

    async def _carry_out(self, account_id: str, changes: RoleChanges) -> set[str]:
        """Each for itself: a role that does not exist keeps no other from being taken away."""
        asked: dict[str, SystemCommand] = {
            project: UnassignRole(subject="account", id=account_id, project=project)
            for project in changes.unassign
        }
        for project, role in changes.assign:
            asked[project] = AssignRole(
                subject="account", id=account_id, role=role, project=project
            )
        submit, refused = self._submit_as(account_id), set[str]()
        for project, command in asked.items():
            try:
                await submit(command)
            except Refusal as refusal:
                refused.add(project)
                log.warning(
                    "group_role_refused", account=account_id, project=project, why=str(refusal)
                )
        return refused


def _shown_name(name: str) -> str:
    """As names are taken elsewhere: in one line, and not too long."""
    return "".join(filter(str.isprintable, name)).strip()[:100]
