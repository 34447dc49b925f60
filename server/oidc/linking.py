"""Which account is somebody's, who comes from an identity provider. Pure.

An identity is a pair of a provider's issuer and the subject that it gave; once it is linked, only
that pair counts, whatever address comes along. A first time is where accounts are stolen: whoever
can make a provider say an address would get the account of that address. So an address finds an
account only where the provider has verified it, the operator trusts that provider for it, and the
account has no password, which its owner could have been asked for instead.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

import msgspec

from server.oidc.errors import NotAdmitted
from server.oidc.providers import Provider


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody for whom a provider has vouched."""

    issuer: str
    subject: str
    email: str = ""
    email_verified: bool = False
    name: str = ""
    groups: tuple[str, ...] = ()

    @property
    def vouched_email(self) -> str:
        """The address, where the provider has verified it; else empty."""
        return self.email if self.email_verified else ""


class Local(msgspec.Struct, frozen=True):
    """The account that has the address already."""

    account_id: str
    has_password: bool
    linked: bool
    """To another identity of the same provider."""


class Enter(msgspec.Struct, frozen=True):
    """Log into an account that the identity is linked to."""

    account_id: str


class Link(msgspec.Struct, frozen=True):
    """Link the identity to an account, then log in."""

    account_id: str


class Create(msgspec.Struct, frozen=True):
    """Make an account for this address, link it, then log in."""

    email: str


Outcome: TypeAlias = Enter | Link | Create


def outcome_for(
    provider: Provider,
    person: Person,
    *,
    linked_to: str | None,
    asked_by: str | None,
    same_email: Local | None,
) -> Outcome:
    """What becomes of somebody who came back from a provider. Raises :class:`NotAdmitted`.

    Args:
        provider: as the operator trusts it.
        person: for whom it has vouched.
        linked_to: the account that the identity is linked to.
        asked_by: the account that was logged in, and asked for the link, when this began.
        same_email: the account that has the address, in whatever case.
    """
    if provider.email_domains and not provider.admits(person.vouched_email):
        raise NotAdmitted("your address is not of a domain that may log in here")
    if linked_to is not None:
        if asked_by not in (None, linked_to):
            raise NotAdmitted("this identity is another account's")
        return Enter(linked_to)
    if asked_by is not None:
        return Link(asked_by)
    if same_email is not None:
        return _by_email(provider, person, same_email)
    if not provider.creates_accounts:
        raise NotAdmitted("you have no account here: ask an administrator for an invitation")
    if not person.vouched_email:
        raise NotAdmitted("your provider has not verified your address")
    return Create(person.vouched_email)


def _by_email(provider: Provider, person: Person, local: Local) -> Link:
    """All refusals say the same: who has an account is nobody else's business."""
    trusted = provider.links_by_email and bool(person.vouched_email)
    if not trusted or local.has_password or local.linked:
        raise NotAdmitted(
            "this identity is not linked to an account: log in as you did before, and link it"
        )
    return Link(local.account_id)


def roles_by_groups(provider: Provider, groups: Collection[str]) -> dict[str, str]:
    """The role in each project that the provider's groups give; ``*`` is everywhere.

    Where several give one in the same project, the first that the operator has written counts.
    """
    given: dict[str, str] = {}
    for each in provider.groups:
        if each.group in groups:
            given.setdefault(each.project, each.role)
    return given


class RoleChanges(msgspec.Struct, frozen=True):
    """What brings an account's roles in step with its groups."""

    assign: tuple[tuple[str, str], ...]
    """Projects and roles."""
    unassign: tuple[str, ...]
    """Projects."""
    from_provider: tuple[tuple[str, str], ...]
    """What is the provider's from now on: projects and roles, to be remembered."""


def role_changes(
    held: Mapping[str, str], before: Mapping[str, str], given: Mapping[str, str]
) -> RoleChanges:
    """What is to be done at a login.

    Args:
        held: the account's own roles by project, from whomever.
        before: those that this provider's groups gave at the last login.
        given: those that they give now.

    A role that somebody else gave in a project is neither replaced nor taken away.
    """
    own = {project for project, role in held.items() if before.get(project) != role}
    wanted = {project: role for project, role in given.items() if project not in own}
    return RoleChanges(
        tuple(sorted((p, role) for p, role in wanted.items() if held.get(p) != role)),
        tuple(sorted(p for p in held if p not in own and p not in wanted)),
        tuple(sorted(wanted.items())),
    )
