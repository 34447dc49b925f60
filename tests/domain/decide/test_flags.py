from __future__ import annotations

import pytest
from halyard_protocol.conditions import All
from halyard_protocol.ruleset import Prerequisite, Rule, Serve, Target, Variation

from domain import commands as c
from domain import events as e
from domain.errors import (
    Archived,
    InvalidCommand,
    KeyTaken,
    StaleRevision,
    StillInUse,
    UnknownEntity,
)
from tests.support.decider import flag, given

ON, OFF = Variation("on", True), Variation("off", False)
A_NEEDS_B = c.ChangePrerequisites("a", "production", (Prerequisite("b", ("on",)),))


def test_a_boolean_flag_begins_with_on_and_off() -> None:
    [event] = given().when(c.CreateFlag("a"))
    assert event == e.FlagCreated(
        "a", "boolean", (ON, OFF), "off", Serve("on"), "000000000004", maintainer="ann"
    )


def test_a_flag_begins_disabled_in_every_environment() -> None:
    state = given(flag("a")).state
    assert len(state.settings) == 3
    assert not any(settings.enabled for settings in state.settings.values())


def test_a_flag_has_the_first_variation_as_fallthrough_and_the_last_as_off() -> None:
    sizes = tuple(Variation(key, key) for key in ("small", "medium", "large"))
    [event] = given().when(c.CreateFlag("size", flag_type="string", variations=sizes))
    assert isinstance(event, e.FlagCreated)
    assert (event.fallthrough, event.off_variation) == (Serve("small"), "large")


def test_a_flag_may_have_no_off_variation_and_no_maintainer() -> None:
    [event] = given().when(c.CreateFlag("a", off_variation=None, maintainer=""))
    assert isinstance(event, e.FlagCreated)
    assert (event.off_variation, event.maintainer) == (None, "")


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (c.CreateFlag("a b"), "/flag"),
        (c.CreateFlag("a" * 101), "/flag"),
        (c.CreateFlag("a", name="\n"), "/name"),
        (c.CreateFlag("a", name="x" * 201), "/name"),
        (c.CreateFlag("a", description="x" * 2001), "/description"),
        (c.CreateFlag("a", tags=("x", "x")), "/tags/1"),
        (c.CreateFlag("a", tags=("",)), "/tags/0"),
        (c.CreateFlag("a", tags=tuple(map(str, range(51)))), "/tags"),
        (c.CreateFlag("a", maintainer="x" * 129), "/maintainer"),
        (c.CreateFlag("a", salt="a b"), "/salt"),
        (c.CreateFlag("a", flag_type="string"), "/variations"),
        (c.CreateFlag("a", variations=(Variation("on", 1),)), "/variations/0/value"),
        (c.CreateFlag("a", variations=(ON, ON)), "/variations/1/key"),
        (c.CreateFlag("a", off_variation="maybe"), "/offVariation"),
        (c.CreateFlag("a", fallthrough=Serve("maybe")), "/fallthrough/variation"),
        (c.CreateFlag("a", fallthrough=Serve()), "/fallthrough"),
    ],
)
def test_a_malformed_flag_is_refused_with_the_fields_path(command: c.CreateFlag, path: str) -> None:
    [problem] = given().refusal(command, InvalidCommand).problems
    assert problem.path == path


def test_a_flags_key_is_taken_until_it_is_deleted() -> None:
    history = given(flag("a"))
    history.refusal(flag("a"), KeyTaken)
    history.do(c.EnableFlag("a", "staging"), c.DeleteFlag("a"), flag("a"))
    assert history.revision("flag", "a") == 3
    assert history.revision("flag", "a", "staging") == 1
    assert not history.state.settings["a", "staging"].enabled


@pytest.mark.parametrize(
    ("command", "event"),
    [
        (c.RenameFlag("a", "Apple"), e.FlagRenamed("Apple")),
        (c.DescribeFlag("a", "About"), e.FlagDescribed("About")),
        (c.TagFlag("a", ("x", "y")), e.FlagTagged(("x", "y"))),
        (c.AssignMaintainer("a", "bob"), e.FlagMaintainerAssigned("bob")),
        (c.ExposeClientSide("a"), e.FlagClientSideExposed()),
        (c.ArchiveFlag("a"), e.FlagArchived()),
        (
            c.ChangeVariations("a", (ON, OFF, Variation("dim", True))),
            e.VariationsChanged((ON, OFF, Variation("dim", True)), "off", Serve("on")),
        ),
        (
            c.ChangeVariations("a", (ON, OFF), None, Serve("off")),
            e.VariationsChanged((ON, OFF), None, Serve("off")),
        ),
    ],
)
def test_each_change_of_a_flag_has_its_event_and_then_yields_nothing(
    command: c.Command, event: e.Event
) -> None:
    history = given(flag("a"))
    assert history.when(command) == (event,)
    assert history.revision("flag", "a") == 2
    if isinstance(command, c.ArchiveFlag):
        command = c.ArchiveFlag("a", comment="again")
    assert history.when(command) == ()


def test_a_flag_is_hidden_from_client_keys_again() -> None:
    history = given(flag("a"))
    assert history.when(c.HideClientSide("a")) == ()
    assert history.do(c.ExposeClientSide("a")).when(c.HideClientSide("a")) == (
        e.FlagClientSideHidden(),
    )


def test_the_definition_and_the_settings_have_revisions_of_their_own() -> None:
    history = given(flag("a"), c.EnableFlag("a", "staging", expected_revision=0))
    history.do(c.RenameFlag("a", "Apple", expected_revision=1))
    assert history.revision("flag", "a", "staging") == 1
    history.refusal(c.RenameFlag("a", "Pear", expected_revision=1), StaleRevision)


def test_an_unknown_flag_is_found_before_its_revision_is_asked() -> None:
    given().refusal(c.RenameFlag("a", "", expected_revision=4), UnknownEntity)


def test_a_prerequisite_cannot_be_archived() -> None:
    refusal = given(flag("a"), flag("b"), A_NEEDS_B).refusal(c.ArchiveFlag("b"), StillInUse)
    assert str(refusal) == (
        "flag 'b' is still used by flag 'a' in environment 'production' (prerequisites)"
    )


def test_a_prerequisite_of_archived_flags_alone_can_be_archived() -> None:
    history = given(flag("a"), flag("b"), A_NEEDS_B, c.ArchiveFlag("a"))
    history.do(c.ArchiveFlag("b"))
    assert history.refusal(c.RestoreFlag("a"), Archived).flag == "b"
    history.do(c.RestoreFlag("b"), c.RestoreFlag("a"))
    assert history.state.settings["a", "production"].prerequisites


def test_a_prerequisite_even_of_an_archived_flag_cannot_be_deleted() -> None:
    history = given(flag("a"), flag("b"), A_NEEDS_B, c.ArchiveFlag("a"))
    [use] = history.refusal(c.DeleteFlag("b"), StillInUse).uses
    assert (use.by.key, use.by.environment) == ("a", "production")
    history.do(c.DeleteFlag("a"), c.DeleteFlag("b"))


def test_a_flag_that_was_not_archived_is_not_restored() -> None:
    assert given(flag("a")).when(c.RestoreFlag("a")) == ()


@pytest.mark.parametrize(
    "command",
    [
        c.RenameFlag("a", "Apple"),
        c.EnableFlag("a", "production"),
        c.ChangeVariations("a", (ON,)),
    ],
)
def test_an_archived_flag_is_not_changed(command: c.Command) -> None:
    refusal = given(flag("a"), c.ArchiveFlag("a")).refusal(command, Archived)
    assert str(refusal) == "flag 'a' is archived: restore it first"


DIM = Variation("dim", True)
THREE = c.CreateFlag("a", variations=(ON, OFF, DIM))
WITHOUT_DIM = c.ChangeVariations("a", (ON, OFF), "off")


@pytest.mark.parametrize(
    ("command", "part"),
    [
        (c.ChangeOffVariation("a", "staging", "dim"), "off variation"),
        (c.ChangeFallthrough("a", "staging", Serve("dim")), "fallthrough"),
        (c.ChangeTargets("a", "staging", (Target("dim", keys=("ann",)),)), "targets"),
        (c.AddRule("a", "staging", Rule("r", All(()), Serve("dim"))), "rule 'r'"),
    ],
)
def test_a_removed_variation_that_is_used_is_refused(command: c.Command, part: str) -> None:
    history = given(THREE)
    for environment in ("development", "staging", "production"):
        history.do(c.ChangeOffVariation("a", environment, "off"))
    history.do(command)
    [use] = history.refusal(WITHOUT_DIM, StillInUse).uses
    assert (use.by.key, use.by.environment, use.part) == ("a", "staging", part)


def test_a_variation_that_a_prerequisite_names_cannot_be_removed() -> None:
    history = given(THREE, flag("b"))
    for environment in ("development", "staging", "production"):
        history.do(c.ChangeOffVariation("a", environment, "off"))
    history.do(c.ChangePrerequisites("b", "staging", (Prerequisite("a", ("dim",)),)))
    refusal = history.refusal(WITHOUT_DIM, StillInUse)
    assert str(refusal) == (
        "variation 'dim' of flag 'a' is still used by "
        "flag 'b' in environment 'staging' (prerequisites)"
    )


def test_a_variation_that_nothing_names_can_be_removed() -> None:
    history = given(THREE)
    for environment in ("development", "staging", "production"):
        history.do(c.ChangeOffVariation("a", environment, "off"))
    assert history.when(WITHOUT_DIM) == (e.VariationsChanged((ON, OFF), "off", Serve("on")),)


def test_a_variation_that_new_environments_begin_with_must_be_replaced() -> None:
    history = given(THREE)
    for environment in ("development", "staging", "production"):
        history.do(c.ChangeOffVariation("a", environment, "off"))
    [problem] = history.refusal(c.ChangeVariations("a", (ON, OFF)), InvalidCommand).problems
    assert problem.path == "/offVariation"


def test_a_value_that_differs_to_json_alone_is_a_change() -> None:
    one, same_number = Variation("x", 1), Variation("x", 1.0)
    history = given(c.CreateFlag("n", flag_type="number", variations=(one,)))
    assert history.when(c.ChangeVariations("n", (one,))) == ()
    assert history.when(c.ChangeVariations("n", (same_number,))) != ()
