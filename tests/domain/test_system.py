from __future__ import annotations

from datetime import UTC, datetime

import pytest

from domain import system as s
from domain.errors import InvalidCommand, KeyTaken, Refusal, StaleRevision, UnknownEntity
from domain.evolve import CannotFold
from domain.facts import Entity, Fact, Issuer

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ROOT = Issuer("root", NOW)
HASH = "0123456789abcdef" * 4
ANN = s.CreateAccount("ann", "admin")
TOKEN = s.IssueToken("t1", "ann", HASH, "deploy")


def do(state: s.SystemState, *commands: s.SystemCommand) -> tuple[s.SystemEvent, ...]:
    events: list[s.SystemEvent] = []
    for command in commands:
        for fact in s.decide_system(state, command, ROOT):
            events.append(fact.event)
            s.evolve_system(state, fact, len(events), NOW)
    return tuple(events)


def given(*commands: s.SystemCommand) -> s.SystemState:
    state = s.SystemState()
    do(state, *commands)
    return state


@pytest.mark.parametrize(
    ("command", "event"),
    [
        (s.CreateAccount("bob", "viewer"), s.AccountCreated("viewer")),
        (s.DisableAccount("ann"), s.AccountDisabled()),
        (s.IssueToken("t2", "ann", "f" * 64), s.TokenIssued("t2", "ann", "f" * 64)),
        (s.RevokeToken("t1"), s.TokenRevoked()),
        (s.ChangeSettings("Flags of ACME"), s.SettingsChanged("Flags of ACME")),
    ],
)
def test_each_command_has_its_event(command: s.SystemCommand, event: s.SystemEvent) -> None:
    assert do(given(ANN, TOKEN), command) == (event,)


@pytest.mark.parametrize(
    "command", [s.DisableAccount("ann"), s.RevokeToken("t1"), s.ChangeSettings("ACME")]
)
def test_what_is_so_already_yields_nothing(command: s.SystemCommand) -> None:
    assert do(given(ANN, TOKEN, command), command) == ()


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (ANN, KeyTaken),
        (s.CreateAccount("a b", "admin"), InvalidCommand),
        (s.CreateAccount("bob", ""), InvalidCommand),
        (s.DisableAccount("bob"), UnknownEntity),
        (s.IssueToken("t2", "bob", "f" * 64), UnknownEntity),
        (s.IssueToken("t2", "ann", "in clear"), InvalidCommand),
        (s.IssueToken("t1", "ann", "f" * 64), KeyTaken),
        (s.IssueToken("t2", "ann", HASH), KeyTaken),
        (s.RevokeToken("t2"), UnknownEntity),
        (s.ChangeSettings(""), InvalidCommand),
        (s.ChangeSettings("ACME", comment="x" * 2001), InvalidCommand),
        (s.ChangeSettings("ACME", expected_revision=1), StaleRevision),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    command: s.SystemCommand, refusal: type[Refusal]
) -> None:
    state = given(ANN, TOKEN)
    before = s.digest_system(state)
    with pytest.raises(refusal):
        do(state, command)
    assert s.digest_system(state) == before


def test_a_token_opens_its_account_until_either_ends() -> None:
    state = given(ANN, TOKEN)
    holder = state.holder(HASH)
    assert holder is not None
    assert (holder.id, holder.role) == ("ann", "admin")
    assert state.holder("f" * 64) is None
    assert given(ANN, TOKEN, s.RevokeToken("t1")).holder(HASH) is None
    assert given(ANN, TOKEN, s.DisableAccount("ann")).holder(HASH) is None


def test_an_overlay_is_seen_by_nobody_until_absorbed() -> None:
    state = given(ANN)
    overlay = state.overlay()
    do(overlay, TOKEN, s.ChangeSettings("ACME"))
    assert state.holder(HASH) is None
    assert state.settings.name == "Halyard"
    state.absorb(overlay)
    assert s.digest_system(state) == s.digest_system(overlay)
    assert state.revision(s.SETTINGS) == 1


def test_a_state_survives_its_dump() -> None:
    state = given(
        ANN, TOKEN, s.IssueToken("t2", "ann", "f" * 64), s.RevokeToken("t1"), s.ChangeSettings("A")
    )
    loaded = s.load_system(s.dump_system(state))
    assert s.dump_system(loaded) == s.dump_system(state)
    assert loaded.holder(HASH) is None
    assert loaded.holder("f" * 64) is not None


def test_an_event_on_what_is_not_there_cannot_be_folded() -> None:
    fact: Fact[s.SystemEvent] = Fact(s.TokenRevoked(), Entity("token", "t9"), 1)
    with pytest.raises(CannotFold):
        s.evolve_system(s.SystemState(), fact, 1, NOW)


def test_a_command_is_read_strictly() -> None:
    source = {"type": "CreateAccount", "account": "ann", "role": "admin"}
    assert s.decode_system_command(source) == ANN
    with pytest.raises(InvalidCommand):
        s.decode_system_command({**source, "name": "Ann"})
    with pytest.raises(InvalidCommand):
        s.decode_system_command({"type": "EnableFlag"})
