from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from halyard_protocol.ruleset import Serve

from domain import change_request_commands as r
from domain import commands as c
from domain import limits
from domain.approvals import BYPASS, cause_of
from domain.completing import complete_with_held
from domain.decide import decide
from domain.errors import (
    ApprovalRequired,
    InvalidCommand,
    KeyTaken,
    LimitReached,
    OwnRequest,
    RequestClosed,
    UnknownEntity,
)
from domain.facts import Issuer
from domain.reach import affected_environments
from domain.state import dump, load
from tests.support.decider import NOW, History, flag, given

ENABLE = {"type": "EnableFlag", "flag": "a", "environment": "production"}
ASKS = c.SetRequiredApprovals("production", 2)
OPEN = r.OpenChangeRequest(change_request="q1", title="Launch", commands=(ENABLE,))


def protected(*commands: c.Command) -> History:
    """A project with a flag, whose production asks for two approvals."""
    return given(flag("a"), ASKS, *commands)


def by(account: str, cause: str = "") -> Issuer:
    return Issuer(account, NOW + timedelta(hours=1), cause)


def do(history: History, command: c.Command, account: str, cause: str = "") -> None:
    history.fold(*decide(history.state, command, by(account, cause)))


def approve(history: History, account: str) -> None:
    revision = history.revision("change-request", "q1")
    do(history, r.ApproveChangeRequest("q1", expected_revision=revision), account)


def test_what_changes_such_an_environment_is_refused_without_approval() -> None:
    history = protected()
    refusal = history.refusal(c.EnableFlag("a", "production"), ApprovalRequired)
    assert (refusal.environments, refusal.required, refusal.given) == (("production",), 2, 0)
    history.when(c.EnableFlag("a", "staging"))
    history.when(c.TagFlag("a", ("x",)))
    history.refusal(c.ArchiveFlag("a"), ApprovalRequired)
    history.refusal(c.DeleteProject(), ApprovalRequired)


def test_asking_for_fewer_approvals_needs_approval_itself() -> None:
    history = protected()
    history.refusal(c.SetRequiredApprovals("production", 0), ApprovalRequired)
    history.refusal(c.DeleteEnvironment("production"), ApprovalRequired)
    history.when(c.SetRequiredApprovals("staging", 1))


def test_keys_need_none() -> None:
    protected().when(c.IssueSdkKey("production", "k1", sha256="0" * 64))


def test_with_enough_approvals_a_request_is_carried_out() -> None:
    history = protected(OPEN)
    cause, enable = cause_of("q1"), c.EnableFlag("a", "production")
    approve(history, "bob")
    with pytest.raises(ApprovalRequired) as caught:
        decide(history.state, enable, by("cat", cause))
    assert caught.value.given == 1
    approve(history, "cat")
    do(history, enable, "cat", cause)
    do(history, r.ApplyChangeRequest("q1"), "cat", cause)
    assert history.state.settings["a", "production"].enabled
    assert history.state.change_requests["q1"].status == "applied"
    with pytest.raises(ApprovalRequired):
        decide(history.state, c.DisableFlag("a", "production"), by("cat", cause))


def test_nobody_approves_of_what_they_wrote_or_edited() -> None:
    history = protected(OPEN)
    with pytest.raises(OwnRequest):
        approve(history, "ann")
    do(history, r.EditChangeRequest("q1", title="Other"), "bob")
    with pytest.raises(OwnRequest):
        approve(history, "bob")


def test_an_account_approves_once() -> None:
    history = protected(OPEN)
    approve(history, "bob")
    approve(history, "bob")
    assert len(history.state.change_requests["q1"].approvals) == 1


def test_an_approval_names_the_revision_that_was_seen() -> None:
    refusal = protected(OPEN).refusal(r.ApproveChangeRequest("q1"), InvalidCommand)
    assert refusal.problems[0].path == "/expectedRevision"


def test_an_edit_drops_approvals_and_takes_the_present_as_base() -> None:
    history = protected(OPEN)
    approve(history, "bob")
    history.do(c.RenameFlag("a", "Other"))
    other = {"type": "RenameFlag", "flag": "a", "name": "Again"}
    history.do(r.EditChangeRequest("q1", commands=(ENABLE, other)))
    request = history.state.change_requests["q1"]
    assert (request.approvals, request.authors) == ((), ("ann",))
    assert [(each.environment, each.revision) for each in request.base] == [
        ("production", 0),
        (None, 2),
    ]
    assert history.when(r.EditChangeRequest("q1", title="Launch")) == ()


def test_a_rejected_request_has_no_approvals_until_it_is_edited() -> None:
    history = protected(OPEN)
    approve(history, "bob")
    do(history, r.RejectChangeRequest("q1", comment="Not yet"), "cat")
    assert history.state.change_requests["q1"].approvals == ()
    with pytest.raises(RequestClosed, match="rejected: edit it first"):
        approve(history, "bob")
    history.do(r.EditChangeRequest("q1", title="Launch"))
    approve(history, "bob")


def test_what_was_withdrawn_takes_nothing_more() -> None:
    history = protected(OPEN, r.WithdrawChangeRequest("q1"))
    history.refusal(r.EditChangeRequest("q1", title="x"), RequestClosed)
    history.refusal(r.WithdrawChangeRequest("q1"), RequestClosed)


def test_a_request_is_not_applied_by_saying_so() -> None:
    refusal = protected(OPEN).refusal(r.ApplyChangeRequest("q1"), InvalidCommand)
    assert refusal.problems[0].path == "/type"


def test_a_bypass_says_why() -> None:
    history = protected()
    with pytest.raises(InvalidCommand, match="/comment"):
        decide(history.state, c.EnableFlag("a", "production"), by("ann", BYPASS))
    do(history, c.EnableFlag("a", "production", comment="It burns"), "ann", BYPASS)
    assert history.state.settings["a", "production"].enabled


@pytest.mark.parametrize(
    ("commands", "path"),
    [
        ((), "/commands"),
        ((ENABLE,) * (limits.CHANGE_REQUEST_COMMANDS + 1), "/commands"),
        (({"type": "Nothing"},), "/commands/0/type"),
        ((ENABLE, {**ENABLE, "flags": 1}), "/commands/1/flags"),
        (({"type": "DeleteProject"},), "/commands/0/type"),
        (({"type": "DescribeFlag", "flag": "a", "description": "x" * 200_000},), "/commands"),
    ],
)
def test_only_sound_commands_are_held(commands: tuple[dict[str, Any], ...], path: str) -> None:
    wish = r.OpenChangeRequest(change_request="q1", title="Launch", commands=commands)
    assert protected().refusal(wish, InvalidCommand).problems[0].path == path


def test_ids_and_rule_ids_are_drawn_when_it_is_opened() -> None:
    rule = {"when": {"op": "exists", "attribute": "plan"}, "serve": {"variation": "on"}}
    add = {"type": "AddRule", "flag": "a", "environment": "production", "rule": rule}
    wish = r.OpenChangeRequest(title="Rule", commands=(add,))
    history = protected(complete_with_held(wish, iter(f"{n:012d}" for n in range(9)).__next__))
    [request] = history.state.change_requests.values()
    assert len(request.id) == 12
    assert len(request.commands[0]["rule"]["id"]) == 12
    assert load(dump(history.state)) == history.state


def test_there_are_bounds_on_open_ones_and_on_what_is_kept_of_closed_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "CHANGE_REQUESTS", 2)
    monkeypatch.setattr(limits, "CLOSED_CHANGE_REQUESTS", 1)

    def another(key: str) -> r.OpenChangeRequest:
        return r.OpenChangeRequest(change_request=key, title=key, commands=(ENABLE,))

    history = protected(another("q1"), another("q2"))
    history.refusal(another("q3"), LimitReached)
    history.refusal(another("q1"), KeyTaken)
    history.do(r.WithdrawChangeRequest("q2"), r.WithdrawChangeRequest("q1"))
    assert list(history.state.change_requests) == ["q1"]
    history.refusal(r.WithdrawChangeRequest("q2"), UnknownEntity)


def test_a_review_reaches_what_the_held_commands_reach() -> None:
    state = protected(OPEN).state
    assert affected_environments(state, r.ApproveChangeRequest("q1")) == {"production"}
    assert affected_environments(state, r.RejectChangeRequest("q2")) == frozenset()
    assert affected_environments(state, r.ApplyChangeRequest("q1")) == frozenset()


def test_the_number_of_approvals_is_bounded() -> None:
    history = given()
    history.refusal(c.SetRequiredApprovals("staging", limits.APPROVALS + 1), InvalidCommand)
    assert history.when(c.SetRequiredApprovals("staging", 0)) == ()


def test_a_change_of_a_segment_asks_where_it_is_used() -> None:
    names = {"op": "segment", "values": ["s"]}
    rule = c.decode_command(
        {
            "type": "AddRule",
            "flag": "a",
            "environment": "production",
            "rule": {"when": names, "serve": {"variation": "on"}},
        }
    )
    history = given(flag("a"), c.CreateSegment("s"), rule, ASKS)
    history.refusal(c.AddSegmentMembers("s", ("ann",)), ApprovalRequired)
    history.when(c.ChangeFallthrough("a", "staging", Serve("off")))
