from __future__ import annotations

import inspect
from datetime import UTC, datetime

import pytest
from halyard_protocol.problems import Problem

from domain import errors as er
from domain.facts import Entity, environment_entity

FLAG = Entity("flag", "checkout", "production")
REFUSALS: list[tuple[er.Refusal, str]] = [
    (er.InvalidCommand(Problem("/a", "wrong"), Problem("", "odd")), "/a: wrong; odd"),
    (
        er.UnknownEntity(environment_entity("prd"), ("prod", "dev")),
        "there is no environment 'prd' (did you mean 'prod'?)",
    ),
    (
        er.UnknownRule(FLAG, "us", ("eu",)),
        "flag 'checkout' in environment 'production' has no rule 'us'",
    ),
    (er.NotPermitted("account:read"), "this needs the permission account:read"),
    (
        er.NotPermitted("flag:write", "demo"),
        "this needs the permission flag:write in project 'demo'",
    ),
    (
        er.NotPermitted("flag:write", "demo", "live"),
        "this needs the permission flag:write in environment 'live' of project 'demo'",
    ),
    (
        er.BeyondOwn("flag:write"),
        (
            "this gives, or is about who has, the permission flag:write, which you do not have "
            "there yourself: ask somebody who has it"
        ),
    ),
    (
        er.StaleRevision(Entity("segment", "beta"), 3, 5),
        (
            "segment 'beta' is at revision 5, not 3: "
            "read it again and repeat the command against what it is now"
        ),
    ),
    (er.KeyTaken(Entity("flag", "a")), "flag 'a' exists already: choose another key"),
    (
        er.StillInUse("segment 'beta'", (er.Use(FLAG, "rule 'us'"),)),
        "segment 'beta' is still used by flag 'checkout' in environment 'production' (rule 'us')",
    ),
    (
        er.LargerCondition("beta", (er.Use(FLAG, "rule 'us'"),)),
        (
            "segment 'beta' is one part of a larger condition of flag 'checkout' in environment "
            "'production' (rule 'us'): change the rule itself, or remove it by force"
        ),
    ),
    (
        er.WouldCycle("flag", ("a", "b", "a")),
        "flags would depend on each other in a circle: a -> b -> a",
    ),
    (er.Archived("a"), "flag 'a' is archived: restore it first"),
    (er.Revoked("k1"), "key 'k1' is revoked: issue another one"),
    (
        er.Revoked("k1", datetime(2026, 3, 1, tzinfo=UTC)),
        "key 'k1' ended at 2026-03-01T00:00:00+00:00: issue another one",
    ),
    (
        er.ApprovalRequired(("live",), 2, 0),
        (
            "a change in 'live' needs 2 approvals and has none: "
            "open a change request, or have it approved"
        ),
    ),
    (
        er.OwnRequest("q1"),
        "change request 'q1' is your own: somebody else approves of it",
    ),
    (
        er.RequestClosed("q1", "applied"),
        "change request 'q1' was applied: open another one",
    ),
    (
        er.OtherType("a", "boolean", "string"),
        (
            "flag 'a' is of type boolean, not string, and a type never changes: "
            "take another key, or delete the flag first"
        ),
    ),
    (er.AccountClosed("ann", erased=False), "account 'ann' is disabled: enable it first"),
    (er.AccountClosed("ann", erased=True), "account 'ann' was erased: make another one"),
    (
        er.LastAdministrator("ann"),
        "account 'ann' is the last administrator: make somebody else one first",
    ),
    (er.LimitReached("flags", 10), "there may be at most 10 flags: remove some first"),
]


@pytest.mark.parametrize(("refusal", "sentence"), REFUSALS)
def test_each_refusal_builds_its_sentence(refusal: er.Refusal, sentence: str) -> None:
    assert str(refusal) == sentence


def test_every_refusal_is_tried_here_and_drawn_in_the_docstring() -> None:
    branches = {er.Refusal, er.Conflict}
    leaves = {
        each
        for _, each in inspect.getmembers(er, inspect.isclass)
        if issubclass(each, er.Refusal) and each not in branches
    }
    assert {type(refusal) for refusal, _ in REFUSALS} == leaves
    assert all(each.__name__ in (er.__doc__ or "") for each in leaves | branches)
