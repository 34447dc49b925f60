from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.oidc.errors import NotAdmitted
from server.oidc.linking import (
    Create,
    Enter,
    Link,
    Local,
    Outcome,
    Person,
    outcome_for,
    role_changes,
    roles_by_groups,
)
from server.oidc.providers import GroupRole, Provider

ISSUER = "https://id.example.org"
ANN = Person(issuer=ISSUER, subject="s1", email="ann@example.org", email_verified=True)
UNVERIFIED = Person(issuer=ISSUER, subject="s1", email="ann@example.org")
NAMELESS = Local("account-1", has_password=False, linked=False)


def provider(**more: Any) -> Provider:
    plain: dict[str, Any] = {
        "key": "corporate",
        "name": "Example Inc.",
        "issuer": ISSUER,
        "client_id": "halyard",
        "client_secret": "",
        "scopes": ("openid",),
        "group_claim": "",
        "groups": (),
        "email_domains": (),
        "creates_accounts": False,
        "links_by_email": False,
    }
    return Provider(**plain | more)


OPEN = provider(creates_accounts=True, links_by_email=True)


def outcome(person: Person, of: Provider = OPEN, **more: Any) -> Outcome:
    known = {"linked_to": None, "asked_by": None, "same_email": None}
    return outcome_for(of, person, **known | more)


def test_a_linked_identity_enters_its_account_whatever_address_it_has() -> None:
    assert outcome(ANN, linked_to="account-9", same_email=NAMELESS) == Enter("account-9")
    assert outcome(UNVERIFIED, linked_to="account-9") == Enter("account-9")


def test_somebody_new_gets_an_account_where_the_operator_says_so() -> None:
    assert outcome(ANN) == Create("ann@example.org")
    with pytest.raises(NotAdmitted, match="invitation"):
        outcome(ANN, provider(links_by_email=True))


def test_an_unverified_address_neither_links_nor_makes_an_account() -> None:
    with pytest.raises(NotAdmitted, match="has not verified"):
        outcome(UNVERIFIED)
    with pytest.raises(NotAdmitted, match="not linked"):
        outcome(UNVERIFIED, same_email=NAMELESS)


def test_a_verified_address_finds_an_account_without_a_password_alone() -> None:
    assert outcome(ANN, same_email=NAMELESS) == Link("account-1")
    with pytest.raises(NotAdmitted, match="not linked"):
        outcome(ANN, same_email=Local("account-1", has_password=True, linked=False))


def test_an_account_of_another_identity_of_the_provider_is_not_taken_over() -> None:
    with pytest.raises(NotAdmitted, match="not linked"):
        outcome(ANN, same_email=Local("account-1", has_password=False, linked=True))


def test_a_provider_that_is_not_trusted_for_it_links_nothing_by_address() -> None:
    with pytest.raises(NotAdmitted, match="not linked"):
        outcome(ANN, provider(creates_accounts=True), same_email=NAMELESS)


def test_whoever_is_logged_in_links_by_asking() -> None:
    assert outcome(UNVERIFIED, asked_by="account-2") == Link("account-2")
    assert outcome(ANN, asked_by="account-2", linked_to="account-2") == Enter("account-2")
    with pytest.raises(NotAdmitted, match="another account's"):
        outcome(ANN, asked_by="account-2", linked_to="account-1")


@pytest.mark.parametrize("linked_to", [None, "account-1"])
def test_only_verified_addresses_of_the_domains_come_in(linked_to: str | None) -> None:
    closed = provider(creates_accounts=True, email_domains=("example.com",))
    with pytest.raises(NotAdmitted, match="domain"):
        outcome(ANN, closed, linked_to=linked_to)
    of_domain = provider(creates_accounts=True, email_domains=("example.org",))
    with pytest.raises(NotAdmitted, match="domain"):
        outcome(UNVERIFIED, of_domain, linked_to=linked_to)
    assert outcome(ANN, of_domain) == Create("ann@example.org")


@given(st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_no_unverified_address_ever_reaches_an_account_that_was_not_asked_for(
    creates: bool, links: bool, has_password: bool, linked: bool
) -> None:
    local = Local("account-1", has_password, linked)
    with pytest.raises(NotAdmitted):
        outcome(
            UNVERIFIED,
            provider(creates_accounts=creates, links_by_email=links),
            same_email=local,
        )


def test_groups_give_roles_by_project() -> None:
    groups = (GroupRole("admins", "admin"), GroupRole("devs", "developer", "shop"))
    of = provider(group_claim="groups", groups=groups)
    assert roles_by_groups(of, ("devs", "others")) == {"shop": "developer"}
    assert roles_by_groups(of, ("devs", "admins")) == {"*": "admin", "shop": "developer"}
    assert roles_by_groups(of, ()) == {}


def test_only_roles_that_came_from_groups_are_taken_away() -> None:
    held = {"*": "viewer", "shop": "developer"}
    changes = role_changes(held, {"shop": "developer"}, {})
    assert (changes.assign, changes.unassign, changes.from_provider) == ((), ("shop",), ())


def test_a_role_that_somebody_gave_is_not_replaced() -> None:
    changes = role_changes({"shop": "admin"}, {"shop": "developer"}, {"shop": "developer"})
    assert (changes.assign, changes.unassign, changes.from_provider) == ((), (), ())


ROLES = st.dictionaries(st.sampled_from("*ab"), st.sampled_from(["viewer", "admin"]))


@given(ROLES, ROLES, ROLES)
def test_after_a_login_the_next_one_with_the_same_groups_changes_nothing(
    held: dict[str, str], before: dict[str, str], given: dict[str, str]
) -> None:
    changes = role_changes(held, before, given)
    after = {p: role for p, role in held.items() if p not in changes.unassign}
    after |= dict(changes.assign)
    again = role_changes(after, dict(changes.from_provider), given)
    assert (again.assign, again.unassign) == ((), ())
    assert again.from_provider == changes.from_provider
    for project, role in held.items():
        if before.get(project) != role:
            assert after[project] == role
