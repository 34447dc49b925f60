"""Decisions on the rules of a flag in one environment."""

from __future__ import annotations

from halyard_protocol.limits import MAX_RULES
from halyard_protocol.problems import Problem, Problems
from halyard_protocol.ruleset import Rule
from halyard_protocol.validation import rule_problems

from domain.commands import AddRule, ChangeRule, RemoveRule, ReorderRules
from domain.decide.settings import settings_of, variation_keys
from domain.decide.standing import same
from domain.errors import LimitReached, UnknownRule
from domain.events import RuleAdded, RuleChanged, RuleRemoved, RulesReordered
from domain.facts import Entity
from domain.names import refuse
from domain.state import ProjectState


def add(state: ProjectState, command: AddRule) -> RuleAdded:
    """One more rule."""
    rules = settings_of(state, command).rules
    position = len(rules) if command.position is None else command.position
    refuse(
        _id_problems(rules, command.rule),
        _position_problems(rules, position),
        rule_problems("/rule", command.rule, variation_keys(state, command.flag), state.segments),
    )
    if len(rules) >= MAX_RULES:
        raise LimitReached(f"rules of flag '{command.flag}'", MAX_RULES)
    return RuleAdded(command.rule, position, comment=command.comment)


def _id_problems(rules: tuple[Rule, ...], new: Rule) -> Problems:
    if any(rule.id == new.id for rule in rules):
        yield Problem("/rule/id", f"there is a rule '{new.id}' already: leave the id out")


def _position_problems(rules: tuple[Rule, ...], position: int) -> Problems:
    if not 0 <= position <= len(rules):
        yield Problem("/position", f"a position is from 0 to {len(rules)}, not {position}")


def change(state: ProjectState, command: ChangeRule) -> RuleChanged | None:
    """Another rule in the place of the one of the same id."""
    old = _rule(state, command, command.rule.id)
    keys = variation_keys(state, command.flag)
    refuse(rule_problems("/rule", command.rule, keys, state.segments))
    if same(old, command.rule):
        return None
    return RuleChanged(command.rule, comment=command.comment)


def _rule(state: ProjectState, command: ChangeRule | RemoveRule, rule_id: str) -> Rule:
    rules = {rule.id: rule for rule in settings_of(state, command).rules}
    if rule_id not in rules:
        raise UnknownRule(Entity("flag", command.flag, command.environment), rule_id, rules)
    return rules[rule_id]


def remove(state: ProjectState, command: RemoveRule) -> RuleRemoved:
    """One rule less."""
    _rule(state, command, command.rule)
    return RuleRemoved(command.rule, comment=command.comment)


def reorder(state: ProjectState, command: ReorderRules) -> RulesReordered | None:
    """The same rules in another order."""
    ids = tuple(rule.id for rule in settings_of(state, command).rules)
    if sorted(ids) != sorted(command.order):
        listed = ", ".join(ids) or "none"
        refuse((Problem("/order", f"name every rule once; the rules are: {listed}"),))
    return None if ids == command.order else RulesReordered(command.order, comment=command.comment)
