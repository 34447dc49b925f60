from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import (
    AccountClosed,
    InvalidCommand,
    KeyTaken,
    LastAdministrator,
    Refusal,
    StaleRevision,
    StillInUse,
    UnknownEntity,
)
from domain.evolve import CannotFold
from domain.facts import Entity, Fact, Issuer
from domain.system import commands as c
from domain.system import events as e
from domain.system.commands import decode_system_command
from domain.system.decide import decide_system
from domain.system.evolve import evolve_system
from domain.system.permissions import BUILT_IN, matches, permission_problems
from domain.system.state import SystemState, digest_system, dump_system, load_system
from domain.system.vocabulary import SETTINGS, Assignment, Grant, InstallationSettings

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ROOT = Issuer("root", NOW)
HASH = "0123456789abcdef" * 4
ANN = c.CreateAccount("ann", "admin")
TOKEN = c.IssueToken("t1", "ann", HASH, "deploy")
EVE = c.CreateAccount("eve")
BOB = c.CreateAccount("bob", "admin")
TEAM = (c.CreateGroup("team"), c.AddGroupMembers("team", ("eve",)))
PEOPLE = (ANN, TOKEN, EVE, *TEAM)
QA = Grant(("flag:*",), environments=("staging",))
LATER = NOW + timedelta(days=1)


def do(state: SystemState, *commands: c.SystemCommand) -> tuple[e.SystemEvent, ...]:
    events: list[e.SystemEvent] = []
    for command in commands:
        for fact in decide_system(state, command, ROOT):
            events.append(fact.event)
            evolve_system(state, fact, len(events), NOW)
    return tuple(events)


def given(*commands: c.SystemCommand) -> SystemState:
    state = SystemState()
    do(state, *commands)
    return state


@pytest.mark.parametrize(
    ("command", "event"),
    [
        (c.CreateAccount("bob", "viewer"), e.AccountCreated("viewer")),
        (c.CreateServiceAccount("ci", name="CI"), e.ServiceAccountCreated("CI")),
        (c.DisableAccount("eve"), e.AccountDisabled()),
        (c.EraseAccount("eve"), e.AccountErased()),
        (c.EndAccountSessions("ann"), e.AccountSessionsEnded()),
        (c.NotePasswordSet("ann"), e.AccountPasswordSet()),
        (c.NoteProfileChanged("ann"), e.AccountProfileChanged()),
        (c.NoteIdentityLinked("ann", "okta"), e.IdentityLinked("okta")),
        (c.NoteIdentityUnlinked("ann", "okta"), e.IdentityUnlinked("okta")),
        (c.AssignRole("account", "eve", "viewer", "shop"), e.RoleAssigned("viewer", "shop")),
        (c.AssignRole("group", "team", "developer"), e.RoleAssigned("developer")),
        (c.CreateRole("qa", (QA,)), e.RoleCreated("qa", (QA,))),
        (c.CreateGroup("ops", name="Ops"), e.GroupCreated("Ops")),
        (c.RenameGroup("team", "Crew"), e.GroupRenamed("Crew")),
        (c.DeleteGroup("team"), e.GroupDeleted()),
        (c.AddGroupMembers("team", ("ann",)), e.GroupMembersAdded(("ann",))),
        (c.RemoveGroupMembers("team", ("eve",)), e.GroupMembersRemoved(("eve",))),
        (c.IssueToken("t2", "ann", "f" * 64), e.TokenIssued("t2", "ann", "f" * 64)),
        (c.RevokeToken("t1"), e.TokenRevoked()),
        (
            c.ChangeSettings(name="Flags of ACME"),
            e.SettingsChanged(InstallationSettings(name="Flags of ACME")),
        ),
    ],
)
def test_each_command_has_its_event(command: c.SystemCommand, event: e.SystemEvent) -> None:
    assert do(given(*PEOPLE), command) == (event,)


@pytest.mark.parametrize(
    "command",
    [
        c.DisableAccount("eve"),
        c.EraseAccount("eve"),
        c.RevokeToken("t1"),
        c.ChangeSettings(name="ACME"),
        c.AssignRole("account", "eve", "viewer", "shop"),
        c.AddGroupMembers("team", ("ann",)),
        c.RemoveGroupMembers("team", ("eve",)),
    ],
)
def test_what_is_so_already_yields_nothing(command: c.SystemCommand) -> None:
    assert do(given(*PEOPLE, command), command) == ()


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (ANN, KeyTaken),
        (c.CreateAccount("a b", "admin"), InvalidCommand),
        (c.CreateAccount("bob", "boss"), InvalidCommand),
        (c.CreateServiceAccount("ci", name=""), InvalidCommand),
        (c.DisableAccount("bob"), UnknownEntity),
        (c.DisableAccount("ann"), LastAdministrator),
        (c.EraseAccount("ann"), LastAdministrator),
        (c.AssignRole("account", "ann", "viewer"), LastAdministrator),
        (c.UnassignRole("account", "ann"), LastAdministrator),
        (c.AssignRole("account", "eve", "boss"), InvalidCommand),
        (c.AssignRole("account", "eve", "viewer", "A b"), InvalidCommand),
        (c.AssignRole("group", "crew", "viewer"), UnknownEntity),
        (c.CreateRole("admin", (QA,)), KeyTaken),
        (c.CreateRole("qa", ()), InvalidCommand),
        (c.CreateRole("qa", (Grant(("flag:paint",)),)), InvalidCommand),
        (c.CreateRole("qa", (Grant(("flag:read",), ("*",), ("$protected",)),)), InvalidCommand),
        (c.ChangeRole("admin", (QA,)), InvalidCommand),
        (c.ChangeRole("qa", (QA,)), UnknownEntity),
        (c.DeleteRole("qa"), UnknownEntity),
        (c.CreateGroup("team"), KeyTaken),
        (c.RenameGroup("crew", "Crew"), UnknownEntity),
        (c.AddGroupMembers("team", ("bob",)), UnknownEntity),
        (c.AddGroupMembers("team", ()), InvalidCommand),
        (c.IssueToken("t2", "ann", "f" * 64, expires_at=NOW), InvalidCommand),
        (c.IssueToken("t2", "ann", "f" * 64, scope=Grant(("flag:paint",))), InvalidCommand),
        (c.ChangeSettings(registration_role="boss"), InvalidCommand),
        (c.ChangeSettings(registration_domains=("Example.com",)), InvalidCommand),
        (c.ChangeSettings(session_days=1), InvalidCommand),
        (c.ChangeSettings(project_environments=()), InvalidCommand),
        (c.ChangeSettings(webhook_networks=("10.0.0.1/8",)), InvalidCommand),
        (c.IssueToken("t2", "bob", "f" * 64), UnknownEntity),
        (c.IssueToken("t2", "ann", "in clear"), InvalidCommand),
        (c.IssueToken("t1", "ann", "f" * 64), KeyTaken),
        (c.IssueToken("t2", "ann", HASH), KeyTaken),
        (c.RevokeToken("t2"), UnknownEntity),
        (c.ChangeSettings(name=""), InvalidCommand),
        (c.ChangeSettings(name="ACME", comment="x" * 2001), InvalidCommand),
        (c.ChangeSettings(name="ACME", expected_revision=1), StaleRevision),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    command: c.SystemCommand, refusal: type[Refusal]
) -> None:
    state = given(*PEOPLE)
    before = digest_system(state)
    with pytest.raises(refusal):
        do(state, command)
    assert digest_system(state) == before


def test_a_token_opens_its_account_until_either_ends() -> None:
    state = given(ANN, TOKEN)
    holder = state.holder(HASH, NOW)
    assert holder is not None
    assert (holder.id, holder.role) == ("ann", "admin")
    assert state.holder("f" * 64, NOW) is None
    assert given(ANN, TOKEN, c.RevokeToken("t1")).holder(HASH, NOW) is None
    assert given(ANN, TOKEN, BOB, c.DisableAccount("ann")).holder(HASH, NOW) is None


def test_an_overlay_is_seen_by_nobody_until_absorbed() -> None:
    state = given(ANN)
    overlay = state.overlay()
    do(overlay, TOKEN, c.ChangeSettings(name="ACME"))
    assert state.holder(HASH, NOW) is None
    assert state.settings.name == "Halyard"
    state.absorb(overlay)
    assert digest_system(state) == digest_system(overlay)
    assert state.revision(SETTINGS) == 1


def test_a_state_survives_its_dump() -> None:
    state = given(
        ANN,
        TOKEN,
        c.IssueToken("t2", "ann", "f" * 64),
        c.RevokeToken("t1"),
        c.ChangeSettings(name="A"),
        EVE,
        *TEAM,
        c.CreateRole("qa", (QA,)),
        c.AssignRole("group", "team", "qa", "shop"),
    )
    loaded = load_system(dump_system(state))
    assert dump_system(loaded) == dump_system(state)
    assert loaded.holder(HASH, NOW) is None
    assert loaded.holder("f" * 64, NOW) is not None


def test_an_event_on_what_is_not_there_cannot_be_folded() -> None:
    fact: Fact[e.SystemEvent] = Fact(e.TokenRevoked(), Entity("token", "t9"), 1)
    with pytest.raises(CannotFold):
        evolve_system(SystemState(), fact, 1, NOW)


def test_a_command_is_read_strictly() -> None:
    source = {"type": "CreateAccount", "account": "ann", "role": "admin"}
    assert decode_system_command(source) == ANN
    with pytest.raises(InvalidCommand):
        decode_system_command({**source, "name": "Ann"})
    with pytest.raises(InvalidCommand):
        decode_system_command({"type": "EnableFlag"})


def test_a_token_ends_when_it_was_to() -> None:
    token = c.IssueToken("t1", "ann", HASH, expires_at=LATER)
    state = given(ANN, token)
    assert state.holder(HASH, LATER - timedelta(microseconds=1)) is not None
    assert state.holder(HASH, LATER) is None


def test_a_role_is_held_where_it_was_assigned_in_place_of_another() -> None:
    state = given(
        *PEOPLE,
        c.AssignRole("account", "eve", "viewer"),
        c.AssignRole("account", "eve", "viewer", "shop"),
        c.AssignRole("account", "eve", "admin", "shop"),
    )
    assert state.accounts["eve"].assignments == (
        Assignment("*", "viewer"),
        Assignment("shop", "admin"),
    )
    do(state, c.UnassignRole("account", "eve"))
    assert state.accounts["eve"].role == ""


def test_who_was_erased_is_in_no_group_has_no_role_and_stays_erased() -> None:
    state = given(*PEOPLE, c.AssignRole("account", "eve", "viewer"), c.EraseAccount("eve"))
    assert state.groups["team"].members == ()
    assert state.accounts["eve"].assignments == ()
    for command in (
        c.EnableAccount("eve"),
        c.IssueToken("t2", "eve", "f" * 64),
        c.AddGroupMembers("team", ("eve",)),
    ):
        with pytest.raises(AccountClosed):
            do(state, command)


def test_a_role_that_somebody_has_is_not_deleted() -> None:
    held = given(*PEOPLE, c.CreateRole("qa", (QA,)), c.AssignRole("group", "team", "qa", "shop"))
    with pytest.raises(StillInUse, match="group 'team'"):
        do(held, c.DeleteRole("qa"))
    do(held, c.UnassignRole("group", "team", "shop"), c.DeleteRole("qa"))
    assert held.grants("qa") is None


def test_a_setting_that_is_not_given_stays() -> None:
    state = given(ANN, c.ChangeSettings(name="A"), c.ChangeSettings(access_token_minutes=9))
    assert (state.settings.name, state.settings.access_token_minutes) == ("A", 9)
    with pytest.raises(InvalidCommand):
        decode_system_command({"type": "ChangeSettings", "accessTokenMinutes": 61})


def test_every_permission_of_a_built_in_role_is_one() -> None:
    for grants in BUILT_IN.values():
        for grant in grants:
            assert not list(permission_problems("", grant.permissions))


@pytest.mark.parametrize(
    ("pattern", "permission", "covers"),
    [
        ("*", "flag:write", True),
        ("flag:*", "flag:write", True),
        ("flag:write", "flag:write", True),
        ("flag:write", "flag:read", False),
        ("fl:*", "flag:read", False),
        ("flag:", "flag:read", False),
    ],
)
def test_a_pattern_covers_a_verb_all_of_a_resource_or_everything(
    pattern: str, permission: str, covers: bool
) -> None:
    assert matches(pattern, permission) is covers
