"""What an account may do where: its roles and its groups', together, cut to a token's scope.

A permission holds in regions: some projects or all, and in them some environments, all, or those
that are not protected. An assignment in a project reaches that project alone, whatever the role's
grants say; so it gives nothing that is of the installation. A grant that is limited to
environments gives, of what is not of an environment, only what it names (``event:read``,
``webhook:*``) and what nobody can work without: ``*`` there stands for what is of an environment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

import msgspec

from domain.system.permissions import OF_ENVIRONMENT, OF_INSTALLATION, PERMISSIONS, matches
from domain.system.state import Account, SystemState
from domain.system.vocabulary import EVERYWHERE, UNPROTECTED, Assignment, Grant

_OF_ENVIRONMENT = frozenset(OF_ENVIRONMENT)
_OF_INSTALLATION = frozenset(OF_INSTALLATION)
_ALWAYS_WITH_ALL = frozenset(("project:read", "command:submit", "change-request:read"))
"""What ``*`` gives of the project's, even where it is limited to environments."""


class Region(msgspec.Struct, frozen=True):
    """Where a permission holds."""

    projects: frozenset[str] | None
    """None for every one."""
    environments: frozenset[str] | None
    """None for every one; beside keys it may hold ``$unprotected``."""

    def reaches(self, project: str) -> bool:
        """Whether anything of a project is in it."""
        return self.projects is None or project in self.projects

    def holds(self, project: str, environment: str, *, protected: bool) -> bool:
        """Whether an environment is in it."""
        within = self.environments
        return self.reaches(project) and (
            within is None or environment in within or (not protected and UNPROTECTED in within)
        )

    def spans(self, project: str, environment: str) -> bool:
        """The same of what a grant can name: ``*`` and ``$unprotected`` are one of these, too."""
        in_project = self.projects is None or project in self.projects
        return in_project and (self.environments is None or environment in self.environments)

    def corners(self) -> Iterator[tuple[str, str]]:
        """Every pair of what it names."""
        for project in sorted(self.projects or (EVERYWHERE,)):
            for environment in sorted(self.environments or (EVERYWHERE,)):
                yield project, environment


Regions: TypeAlias = Mapping[str, tuple[Region, ...]]
"""By permission; none that holds nowhere."""


def regions_of(grants: Iterable[Grant], project: str = EVERYWHERE) -> Regions:
    """Where each permission of some grants holds, if they were given for ``project``."""
    found: dict[str, tuple[Region, ...]] = {}
    for grant in grants:
        region = _region(grant, project)
        if region is None:
            continue
        for permission in _given(grant, region):
            found[permission] = (*found.get(permission, ()), region)
    return found


def _region(grant: Grant, project: str) -> Region | None:
    environments = None if EVERYWHERE in grant.environments else frozenset(grant.environments)
    if EVERYWHERE in grant.projects:
        return Region(None if project == EVERYWHERE else frozenset((project,)), environments)
    if project == EVERYWHERE:
        return Region(frozenset(grant.projects), environments)
    return Region(frozenset((project,)), environments) if project in grant.projects else None


def _given(grant: Grant, region: Region) -> Iterator[str]:
    for permission in PERMISSIONS:
        if permission in _OF_INSTALLATION and region.projects is not None:
            continue
        for pattern in grant.permissions:
            narrow = pattern == EVERYWHERE and region.environments is not None
            fits = permission in _OF_ENVIRONMENT or permission in _ALWAYS_WITH_ALL or not narrow
            if fits and matches(pattern, permission):
                yield permission
                break


_EVERYTHING = regions_of((Grant((EVERYWHERE,)),))
NOTHING: Regions = {}


class Access:
    """What somebody may do, with one token or login. Made once for each, and then only asked."""

    __slots__ = ("_held", "_scope")

    def __init__(self, held: Regions, scope: Regions = _EVERYTHING) -> None:
        self._held = held
        """By its roles."""
        self._scope = scope
        """What is left of it with this token."""

    def allows(
        self,
        permission: str,
        project: str | None = None,
        environment: str | None = None,
        *,
        protected: bool = True,
    ) -> bool:
        """Whether it may do so.

        Without a project: whether it may for the installation, or in some project. Without an
        environment: whether it may for the project, or in some environment that it might have.
        """
        return _allowed(self._held, permission, project, environment, protected) and _allowed(
            self._scope, permission, project, environment, protected
        )

    def allows_everywhere(self, permission: str, project: str) -> bool:
        """Whether it may in every environment of a project, whichever there are."""
        return all(
            any(region.spans(project, EVERYWHERE) for region in regions.get(permission, ()))
            for regions in (self._held, self._scope)
        )

    def sees(self, project: str) -> bool:
        """Whether it may do anything in a project: to all others there is no such project."""
        return _reaches(self._held, project) and _reaches(self._scope, project)

    def lacks(self, given: Regions) -> str | None:
        """Something of what is given that it may not do itself, there and in all that is to come.

        None where it may do all of it, so that it can give it away and gain nothing.
        """
        missing = (
            permission
            for permission, regions in sorted(given.items())
            for region in regions
            if not _spanned(self._held, permission, region)
            or not _spanned(self._scope, permission, region)
        )
        return next(missing, None)

    @property
    def whole(self) -> bool:
        """Whether no token's scope limits it."""
        return self._scope is _EVERYTHING

    def permissions(
        self, project: str, environment: str | None = None, *, protected: bool = True
    ) -> tuple[str, ...]:
        """All that it may do there, sorted."""
        return tuple(
            sorted(
                permission
                for permission in self._held
                if self.allows(permission, project, environment, protected=protected)
            )
        )

    def of_installation(self) -> tuple[str, ...]:
        """All that it may do that is of no project, sorted."""
        return tuple(each for each in sorted(OF_INSTALLATION) if self.allows(each))


def _allowed(
    regions: Regions,
    permission: str,
    project: str | None,
    environment: str | None,
    protected: bool,
) -> bool:
    for region in regions.get(permission, ()):
        if project is None:
            return True
        if environment is None:
            if region.reaches(project):
                return True
        elif region.holds(project, environment, protected=protected):
            return True
    return False


def _reaches(regions: Regions, project: str) -> bool:
    return any(
        region.reaches(project)
        for permission, held in regions.items()
        if permission not in _OF_INSTALLATION
        for region in held
    )


def _spanned(regions: Regions, permission: str, wanted: Region) -> bool:
    held = regions.get(permission, ())
    return all(
        any(region.spans(project, environment) for region in held)
        for project, environment in wanted.corners()
    )


# -- of whom -------------------------------------------------------------------------------------


class Source(msgspec.Struct, frozen=True):
    """A role that somebody has, and from where."""

    assignment: Assignment
    group: str = ""
    """The group that has it; empty where the account itself has."""


def sources(state: SystemState, account: Account) -> tuple[Source, ...]:
    """Every role that an account has: its own first, then its groups' by key."""
    own = (Source(assignment) for assignment in account.assignments)
    of_groups = (
        Source(assignment, group.key)
        for group in state.groups_of(account.id)
        for assignment in group.assignments
    )
    return (*own, *of_groups)


def regions_of_role(state: SystemState, role: str, project: str = EVERYWHERE) -> Regions:
    """What a role gives that is assigned for ``project``; nothing where there is no such role."""
    return regions_of(state.grants(role) or (), project)


def regions_of_account(state: SystemState, account_id: str) -> Regions:
    """What an account's roles give it, also while it is disabled; nothing where it is not there."""
    account = state.accounts.get(account_id)
    if account is None:
        return NOTHING
    return _together(
        regions_of_role(state, each.assignment.role, each.assignment.project)
        for each in sources(state, account)
    )


def regions_of_group(state: SystemState, key: str) -> Regions:
    """What a group's members may do by it; nothing where there is no such group."""
    group = state.groups.get(key)
    assignments = () if group is None else group.assignments
    return _together(regions_of_role(state, each.role, each.project) for each in assignments)


def access_of(state: SystemState, account_id: str, scope: Grant | None = None) -> Access:
    """What an account may do by a token of this scope; by a login, or a token of none, all."""
    account = state.accounts.get(account_id)
    is_open = account is not None and account.active
    held = regions_of_account(state, account_id) if is_open else NOTHING
    return Access(held) if scope is None else Access(held, regions_of((scope,)))


def _together(several: Iterable[Regions]) -> Regions:
    found: dict[str, tuple[Region, ...]] = {}
    for regions in several:
        for permission, held in regions.items():
            found[permission] = (*found.get(permission, ()), *held)
    return found


# -- why -----------------------------------------------------------------------------------------


class Reason(msgspec.Struct, frozen=True, rename="camel"):
    """A grant by which somebody may do a thing."""

    role: str
    project: str
    """Where the role was assigned; ``*`` for everywhere."""
    group: str
    """By which it is had; empty for the account's own."""
    grant: int
    """The first grant of the role is 0."""


def reasons(
    state: SystemState,
    account: Account,
    permission: str,
    project: str | None = None,
    environment: str | None = None,
    *,
    protected: bool = True,
) -> tuple[Reason, ...]:
    """Every grant by which an account may do a thing; none means that it may not."""
    if not account.active:
        return ()
    return tuple(
        Reason(source.assignment.role, source.assignment.project, source.group, number)
        for source in sources(state, account)
        for number, grant in enumerate(state.grants(source.assignment.role) or ())
        if _allowed(
            regions_of((grant,), source.assignment.project),
            permission,
            project,
            environment,
            protected,
        )
    )
