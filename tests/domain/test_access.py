"""What roles, groups and scopes come to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from domain.facts import Issuer
from domain.system import commands as c
from domain.system.access import (
    Access,
    Reason,
    access_of,
    reasons,
    regions_of,
    regions_of_account,
    regions_of_role,
)
from domain.system.decide import decide_system
from domain.system.evolve import evolve_system
from domain.system.permissions import OF_ENVIRONMENT, OF_INSTALLATION, PERMISSIONS
from domain.system.state import SystemState
from domain.system.vocabulary import Grant

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANN = c.CreateAccount(account="ann")


def installation(*commands: c.SystemCommand) -> SystemState:
    """With an administrator, and an account that these commands may be about."""
    state = SystemState()
    for command in (c.CreateAccount(account="root", role="admin"), ANN, *commands):
        for fact in decide_system(state, command, Issuer("root", NOW)):
            evolve_system(state, fact, 1, NOW)
    return state


def assign(
    role: str, project: str = "*", to: str = "ann", kind: c.Subject = "account"
) -> c.AssignRole:
    return c.AssignRole(subject=kind, id=to, role=role, project=project)


def having(*grants: Grant, project: str = "*") -> Access:
    """What an account may do that has a custom role of these grants in a project."""
    return access_of(
        installation(c.CreateRole(role="own", grants=grants), assign("own", project)), "ann"
    )


@pytest.mark.parametrize(
    ("role", "permission", "protected", "allowed"),
    [
        ("viewer", "flag:read", True, True),
        ("viewer", "flag:write", False, False),
        ("viewer", "key:read", False, False),
        ("developer", "flag:read", True, True),
        ("developer", "flag:write", False, True),
        ("developer", "flag:write", True, False),
        ("developer", "flag:delete", False, False),
        ("admin", "flag:write", True, True),
        ("admin", "flag:delete", True, True),
    ],
)
def test_the_built_in_roles_are_as_designed(
    role: str, permission: str, *, protected: bool, allowed: bool
) -> None:
    access = access_of(installation(assign(role)), "ann")
    assert access.allows(permission, "shop", "live", protected=protected) is allowed


def test_an_account_without_a_role_may_nothing_and_sees_nothing() -> None:
    access = access_of(installation(), "ann")
    assert not any(access.allows(permission) for permission in PERMISSIONS)
    assert not access.sees("shop")


def test_a_role_in_a_project_reaches_no_other_and_nothing_of_the_installation() -> None:
    access = access_of(installation(assign("admin", "shop")), "ann")
    assert access.allows("project:delete", "shop")
    assert access.sees("shop")
    assert not access.sees("blog")
    assert not access.allows("flag:read", "blog", "live", protected=False)
    assert access.of_installation() == ()


def test_a_role_in_a_project_gives_nothing_that_its_grants_place_elsewhere() -> None:
    access = having(Grant(("flag:read",), projects=("blog",)), project="shop")
    assert not access.sees("shop")
    assert not access.sees("blog")


def test_a_grant_names_environments_or_those_that_are_not_protected() -> None:
    access = having(Grant(("flag:write",), environments=("live", "$unprotected")))
    assert access.allows("flag:write", "shop", "live", protected=True)
    assert access.allows("flag:write", "shop", "dev", protected=False)
    assert not access.allows("flag:write", "shop", "dev", protected=True)
    assert not access.allows_everywhere("flag:write", "shop")


def test_everything_in_some_environments_is_what_is_of_an_environment() -> None:
    access = having(Grant(("*",), environments=("dev",)))
    for permission in OF_ENVIRONMENT:
        assert access.allows(permission, "shop", "dev")
        assert not access.allows(permission, "shop", "live", protected=False)
    assert access.allows("project:read", "shop")
    assert access.allows("command:submit", "shop")
    assert not access.allows("project:delete", "shop")
    assert not access.allows("event:read", "shop")
    assert access.of_installation() == ()


def test_what_a_limited_grant_names_of_the_project_it_gives() -> None:
    assert having(Grant(("event:read",), environments=("dev",))).allows("event:read", "shop")


def test_roles_of_groups_add_to_ones_own() -> None:
    state = installation(
        c.CreateGroup(group="team"),
        c.AddGroupMembers(group="team", accounts=("ann",)),
        assign("developer", "shop", "team", "group"),
        assign("viewer"),
    )
    access = access_of(state, "ann")
    assert access.allows("flag:write", "shop", "dev", protected=False)
    assert access.allows("flag:read", "blog", "live")
    assert not access.allows("flag:write", "blog", "dev", protected=False)


def test_a_disabled_account_may_nothing_whatever_its_roles() -> None:
    state = installation(assign("admin"), c.DisableAccount(account="ann"))
    assert not access_of(state, "ann").allows("account:read")
    assert regions_of_account(state, "ann") != {}
    assert reasons(state, state.accounts["ann"], "account:read") == ()


def test_a_scope_takes_away_and_never_adds() -> None:
    state = installation(assign("developer", "shop"))
    access = access_of(state, "ann", Grant(("*",), projects=("shop", "blog")))
    assert access.sees("shop")
    assert not access.sees("blog")
    assert not access.allows("flag:delete", "shop", "dev")
    narrow = access_of(state, "ann", Grant(("flag:read",), environments=("dev",)))
    assert narrow.allows("flag:read", "shop", "dev")
    assert not narrow.allows("flag:read", "shop", "live", protected=False)
    assert not narrow.allows("flag:write", "shop", "dev", protected=False)
    assert not narrow.whole


def test_permissions_are_listed_for_a_place() -> None:
    access = access_of(installation(assign("viewer", "shop")), "ann")
    assert "flag:read" in access.permissions("shop", "live")
    assert access.permissions("blog", "live") == ()
    everything = access_of(installation(), "root")
    assert set(everything.of_installation()) == set(OF_INSTALLATION)


@pytest.mark.parametrize(
    ("given", "lacking"),
    [
        (Grant(("flag:read",)), None),
        (Grant(("flag:write",), environments=("$unprotected",)), None),
        (Grant(("flag:write",), projects=("shop",), environments=("$unprotected",)), None),
        (Grant(("flag:write",), environments=("dev",)), "flag:write"),
        (Grant(("flag:write",)), "flag:write"),
        (Grant(("flag:delete",), environments=("$unprotected",)), "flag:delete"),
        (Grant(("account:read",), projects=("shop",)), None),
        (Grant(("account:read",)), "account:read"),
    ],
)
def test_a_developer_lacks_what_is_given_beyond_a_developers_rights(
    given: Grant, lacking: str | None
) -> None:
    access = access_of(installation(assign("developer")), "ann")
    assert access.lacks(regions_of((given,))) == lacking


def test_in_a_project_nobody_has_what_reaches_further() -> None:
    state = installation(assign("admin", "shop"))
    access = access_of(state, "ann")
    assert access.lacks(regions_of_role(state, "admin", "shop")) is None
    assert access.lacks(regions_of_role(state, "viewer", "blog")) is not None
    assert access.lacks(regions_of_role(state, "viewer")) is not None


def test_a_scope_counts_for_what_is_given() -> None:
    state = installation(assign("admin"))
    limited = access_of(state, "ann", Grant(("flag:*",), environments=("dev",)))
    assert limited.lacks(regions_of((Grant(("flag:read",), environments=("dev",)),))) is None
    assert limited.lacks(regions_of((Grant(("flag:read",)),))) == "flag:read"


def test_every_grant_that_allows_is_a_reason() -> None:
    state = installation(
        c.CreateGroup(group="team"),
        c.AddGroupMembers(group="team", accounts=("ann",)),
        assign("developer", "shop", "team", "group"),
        assign("viewer"),
    )
    ann = state.accounts["ann"]
    assert reasons(state, ann, "flag:read", "shop", "live") == (
        Reason("viewer", "*", "", 0),
        Reason("developer", "shop", "team", 0),
    )
    write = reasons(state, ann, "flag:write", "shop", "dev", protected=False)
    assert write == (Reason("developer", "shop", "team", 1),)
    assert reasons(state, ann, "flag:write", "shop", "live") == ()
