"""What is undone goes back, what was edited since clashes, and all else stays."""

from __future__ import annotations

from halyard_protocol.conditions import Leaf
from halyard_protocol.ruleset import Rule, Serve, Target
from hypothesis import assume, given, settings

from domain import commands as c
from domain.assembly import assembly_commands
from domain.difference import flag_changes, segment_changes
from domain.errors import Refusal
from domain.state import ProjectState
from domain.undoing import Undoing
from tests.support.commands import COMMANDS, HISTORIES
from tests.support.decider import History, flag, segment
from tests.support.decider import given as begun
from tests.support.rows import apply, folded

PLAIN = (flag("a"), segment("s"))


def rule(rule_id: str, serve: str = "on") -> Rule:
    return Rule(rule_id, Leaf("exists", attribute="plan"), Serve(serve))


def add(rule_id: str) -> c.AddRule:
    return c.AddRule("a", "staging", rule(rule_id))


class Change:
    """One command in a history, with what went before it and what came after."""

    def __init__(
        self,
        command: c.Command,
        *,
        after: tuple[c.Command, ...] = (),
        then: tuple[c.Command, ...] = (),
    ) -> None:
        self.before = begun(*PLAIN, *after).state
        self.after = begun(*PLAIN, *after, command).state
        self.now = begun(*PLAIN, *after, command, *then)

    def undone(self, *, overwrite: bool = False) -> tuple[Undoing, ProjectState]:
        undoing = Undoing(self.now.state, overwrite=overwrite)
        undoing.undo_flag(self.before, self.after, "a")
        undoing.undo_segment(self.before, self.after, "s")
        state = self.now.state.overlay()
        apply(state, assembly_commands(state, undoing.wanted))
        return undoing, state

    def rules(self, *, overwrite: bool = False) -> str:
        _, state = self.undone(overwrite=overwrite)
        return "".join(each.id for each in state.settings["a", "staging"].rules)


def told(changes: object) -> list[tuple[str, str]]:
    """Changes without what no command can bring back."""
    return [
        (str(each.entity), each.path)
        for each in changes  # type: ignore[attr-defined]
        if each.path != "/salt"
    ]


@given(HISTORIES, COMMANDS)
@settings(max_examples=80, deadline=None)
def test_what_nobody_touched_since_goes_back_as_it_was_and_forth_again(
    history: list[c.Command], command: c.Command
) -> None:
    before, after = folded(history), folded([*history, command])
    assume(before.project and after.project)
    there, back = after.overlay(), Undoing(after)
    _undo_all(back, before, after)
    assert not back.clashes
    assume(not back.obstacles)
    apply(there, assembly_commands(there, back.wanted))
    assert _differing(before, there) == []
    again = there.overlay()
    forth = Undoing(again)
    _undo_all(forth, after, there)
    assert not forth.clashes
    apply(again, assembly_commands(again, forth.wanted))
    assert _differing(after, again) == []


def _undo_all(undoing: Undoing, before: ProjectState, after: ProjectState) -> None:
    for key in sorted({*before.flags, *after.flags}):
        undoing.undo_flag(before, after, key)
    for key in sorted({*before.segments, *after.segments}):
        undoing.undo_segment(before, after, key)


def _differing(one: ProjectState, other: ProjectState) -> list[tuple[str, str]]:
    both = set(one.environments) & set(other.environments)
    flags = [
        change
        for key in sorted({*one.flags, *other.flags})
        for change in flag_changes(one, other, key)
        if change.entity.environment is None or change.entity.environment in both
    ]
    segments = [
        change
        for key in sorted({*one.segments, *other.segments})
        for change in segment_changes(one, other, key)
    ]
    return told((*flags, *segments))


@given(HISTORIES, HISTORIES)
@settings(max_examples=40, deadline=None)
def test_a_flag_returns_to_a_moment_and_from_there_to_the_present(
    history: list[c.Command], since: list[c.Command]
) -> None:
    then, now = folded(history), folded([*history, *since])
    key = "a"
    assume(key in then.flags and key in now.flags)
    assume(
        {each.id for each in then.environments.values()}
        == {each.id for each in now.environments.values()}
    )
    back = Undoing(now)
    back.return_flag(then, key)
    there = now.overlay()
    try:
        apply(there, assembly_commands(there, back.wanted))
    except Refusal:  # what it named is gone
        return
    assert told(flag_changes(then, there, key)) == []
    forth = Undoing(there)
    forth.return_flag(now, key)
    apply(there, assembly_commands(there, forth.wanted))
    assert told(flag_changes(now, there, key)) == []


def test_an_edit_of_another_part_stays() -> None:
    change = Change(
        c.ChangeFallthrough("a", "staging", Serve("off")), then=(c.EnableFlag("a", "staging"),)
    )
    undoing, state = change.undone()
    assert undoing.clashes == []
    row = state.settings["a", "staging"]
    assert (row.enabled, row.fallthrough) == (True, Serve("on"))


def test_a_later_edit_of_the_same_part_clashes_and_stays_unless_told_otherwise() -> None:
    change = Change(
        c.ChangeOffVariation("a", "staging", None),
        then=(c.ChangeOffVariation("a", "staging", "on"),),
    )
    undoing, state = change.undone()
    [clash] = undoing.clashes
    assert (clash.path, clash.before, clash.after, clash.now) == (
        "/offVariation",
        "off",
        None,
        "on",
    )
    assert state.settings["a", "staging"].off_variation == "on"
    _, state = change.undone(overwrite=True)
    assert state.settings["a", "staging"].off_variation == "off"


def test_a_rule_that_was_removed_comes_back_behind_the_one_that_stood_before_it() -> None:
    rules = (add("a"), add("b"), add("c"))
    change = Change(c.RemoveRule("a", "staging", "b"), after=rules, then=(add("d"),))
    assert change.rules() == "abcd"


def test_rules_that_changed_places_go_back_around_those_that_came_since() -> None:
    rules = (add("a"), add("b"), add("c"))
    reorder = c.ReorderRules("a", "staging", ("c", "b", "a"))
    assert Change(reorder, after=rules).rules() == "abc"
    new = c.AddRule("a", "staging", rule("n"), 1)
    assert Change(reorder, after=rules, then=(new,)).rules() == "anbc"
    otherwise = c.ReorderRules("a", "staging", ("b", "a", "c"))
    change = Change(reorder, after=rules, then=(otherwise,))
    assert [clash.path for clash in change.undone()[0].clashes] == ["/rules"]
    assert change.rules() == "bac"
    assert change.rules(overwrite=True) == "abc"


def test_only_the_targets_that_were_changed_go_back() -> None:
    def targets(**keys: str) -> c.ChangeTargets:
        listed = tuple(Target(kind, "user", tuple(each)) for kind, each in keys.items())
        return c.ChangeTargets("a", "staging", listed)

    change = Change(
        targets(on="ab", off="c"),
        after=(targets(on="a", off="c"),),
        then=(targets(on="ab", off="cd"),),
    )
    _, state = change.undone()
    assert state.settings["a", "staging"].targets == targets(on="a", off="cd").targets


def test_members_go_back_one_by_one() -> None:
    change = Change(
        c.AddSegmentMembers("s", ("ann", "bob")), then=(c.AddSegmentMembers("s", ("cat",)),)
    )
    undoing, state = change.undone()
    assert undoing.clashes == []
    assert [held.keys for held in state.segments["s"].included] == [("cat",)]


def test_a_member_that_was_put_into_the_other_list_since_clashes() -> None:
    change = Change(
        c.RemoveSegmentMembers("s", ("ann",)),
        after=(c.AddSegmentMembers("s", ("ann",)),),
        then=(c.AddSegmentMembers("s", ("ann",), "excluded"),),
    )
    undoing, _ = change.undone()
    assert [clash.path for clash in undoing.clashes] == ["/members/user:ann"]
    _, state = change.undone(overwrite=True)
    assert state.segments["s"].excluded == ()
    assert [held.keys for held in state.segments["s"].included] == [("ann",)]


def test_a_deleted_flag_comes_back_with_all_its_settings() -> None:
    change = Change(c.DeleteFlag("a"), after=(add("r"), c.EnableFlag("a", "staging")))
    _, state = change.undone()
    assert state.settings["a", "staging"] == change.before.settings["a", "staging"]


def test_a_flag_whose_beginning_is_undone_goes_unless_it_was_edited_since() -> None:
    def created(*then: c.Command) -> Undoing:
        undoing = Undoing(begun(flag("b"), *then).state)
        undoing.undo_flag(begun().state, begun(flag("b")).state, "b")
        return undoing

    assert created().wanted.gone_flags == {"b"}
    edited = created(c.EnableFlag("b", "staging"))
    assert edited.wanted.gone_flags == frozenset()
    assert [clash.path for clash in edited.clashes] == ["/enabled"]


def test_a_flag_that_is_gone_is_an_obstacle_to_undoing_an_edit_of_it() -> None:
    change = Change(c.RenameFlag("a", "Other"), then=(c.DeleteFlag("a"),))
    undoing, _ = change.undone()
    assert [str(each.entity) for each in undoing.obstacles] == ["flag 'a'"]


def test_an_environment_that_was_taken_anew_is_another_one() -> None:
    history: History = begun(*PLAIN)
    then = begun(*PLAIN).state
    history.do(c.DeleteEnvironment("staging"), c.CreateEnvironment("staging", id="newnewnewnew"))
    undoing = Undoing(history.state)
    undoing.return_flag(then, "a")
    assert [str(each.entity) for each in undoing.left] == ["environment 'staging'"]
    assert ("a", "staging") not in undoing.wanted.settings
    undoing.return_flag(then, "a", "staging")
    assert len(undoing.obstacles) == 1
