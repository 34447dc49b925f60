from __future__ import annotations

import pytest
from halyard_protocol.conditions import All, Leaf, Unknown
from halyard_protocol.limits import MAX_RULES
from halyard_protocol.ruleset import Rule, Serve

from domain import commands as c
from domain import events as e
from domain.errors import InvalidCommand, LimitReached, StaleRevision, UnknownRule
from tests.support.decider import History, flag, given, segment

ON = Serve("on")


def rule(rule_id: str, name: str = "") -> Rule:
    return Rule(rule_id, All(()), ON, name)


def add(rule_id: str, position: int | None = None) -> c.AddRule:
    return c.AddRule("a", "staging", rule(rule_id), position)


def order(history: History) -> tuple[str, ...]:
    return tuple(each.id for each in history.state.settings["a", "staging"].rules)


def test_a_rule_goes_last_unless_told_otherwise() -> None:
    history = given(flag("a"), add("r1"))
    assert history.when(add("r2")) == (e.RuleAdded(rule("r2"), 1),)
    assert history.when(add("r0", 0)) == (e.RuleAdded(rule("r0"), 0),)
    assert order(history) == ("r0", "r1", "r2")


def test_a_rule_without_an_id_is_given_one() -> None:
    [event] = given(flag("a")).when(add(""))
    assert isinstance(event, e.RuleAdded)
    assert event.rule.id == "000000000005"


@pytest.mark.parametrize("position", [-1, 2])
def test_a_position_outside_of_the_list_is_refused(position: int) -> None:
    history = given(flag("a"), add("r1"))
    [problem] = history.refusal(add("r2", position), InvalidCommand).problems
    assert problem.path == "/position"


def test_a_rules_id_is_taken_once() -> None:
    [problem] = given(flag("a"), add("r1")).refusal(add("r1"), InvalidCommand).problems
    assert problem.path == "/rule/id"


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        (Rule("r", All(()), Serve("maybe")), "/rule/serve/variation"),
        (Rule("r", Leaf("segment", ("nobody",)), ON), "/rule/when/values/0"),
        (Rule("r", Leaf("matches", ("(",), "email"), ON), "/rule/when/values/0"),
        (Rule("r", Unknown("not understood", {"near": 1}), ON), "/rule/when"),
        (Rule("r" * 101, All(()), ON), "/rule/id"),
    ],
)
def test_a_malformed_rule_is_refused_with_the_fields_path(wrong: Rule, path: str) -> None:
    history = given(flag("a"), c.AddRule("a", "staging", rule("r")))
    command = c.AddRule("a", "production", wrong)
    [problem] = history.refusal(command, InvalidCommand).problems
    assert problem.path == path


def test_a_rule_may_name_a_segment_that_is_there() -> None:
    given(flag("a"), segment("s")).do(
        c.AddRule("a", "staging", Rule("r", Leaf("segment", ("s",)), ON))
    )


def test_a_changed_rule_keeps_its_place() -> None:
    history = given(flag("a"), add("r1"), add("r2"), add("r3"))
    change = c.ChangeRule("a", "staging", rule("r2", "Second"))
    assert history.when(change) == (e.RuleChanged(rule("r2", "Second")),)
    assert order(history) == ("r1", "r2", "r3")
    assert history.when(change) == ()


def test_a_rule_that_differs_to_json_alone_is_changed() -> None:
    one, true = (Rule("r", Leaf("equals", (value,), "x"), ON) for value in (1, True))
    history = given(flag("a"), c.AddRule("a", "staging", one))
    assert history.when(c.ChangeRule("a", "staging", true)) != ()


def test_a_rule_is_removed() -> None:
    history = given(flag("a"), add("r1"), add("r2"))
    assert history.when(c.RemoveRule("a", "staging", "r1")) == (e.RuleRemoved("r1"),)
    assert order(history) == ("r2",)


@pytest.mark.parametrize(
    "command", [c.RemoveRule("a", "staging", "r9"), c.ChangeRule("a", "staging", rule("r9"))]
)
def test_a_rule_that_is_not_there_is_not_found(command: c.Command) -> None:
    refusal = given(flag("a"), add("r1")).refusal(command, UnknownRule)
    assert str(refusal) == "flag 'a' in environment 'staging' has no rule 'r9'"


def test_rules_are_reordered() -> None:
    history = given(flag("a"), add("r1"), add("r2"))
    command = c.ReorderRules("a", "staging", ("r2", "r1"))
    assert history.when(command) == (e.RulesReordered(("r2", "r1")),)
    assert order(history) == ("r2", "r1")
    assert history.when(command) == ()


@pytest.mark.parametrize("wanted", [(), ("r1",), ("r1", "r1"), ("r1", "r2", "r3")])
def test_a_new_order_names_every_rule_once(wanted: tuple[str, ...]) -> None:
    history = given(flag("a"), add("r1"), add("r2"))
    [problem] = history.refusal(c.ReorderRules("a", "staging", wanted), InvalidCommand).problems
    assert problem.path == "/order"


def test_two_who_saw_the_same_revision_do_not_both_add() -> None:
    history = given(flag("a"), add("r1"))
    first = c.AddRule("a", "staging", rule("r2"), expected_revision=1)
    second = c.AddRule("a", "staging", rule("r3"), expected_revision=1)
    history.do(first)
    refusal = history.refusal(second, StaleRevision)
    assert refusal.actual == 2


def test_there_are_only_so_many_rules() -> None:
    history = given(flag("a"), *(add(f"r{number}") for number in range(MAX_RULES)))
    history.refusal(add("more"), LimitReached)


def test_whoever_saw_nothing_yet_does_not_change_what_is_there() -> None:
    history = given(flag("a"), add("r1"))
    unseen = c.RemoveRule("a", "staging", "r1", expected_revision=0)
    assert history.refusal(unseen, StaleRevision).expected == 0
