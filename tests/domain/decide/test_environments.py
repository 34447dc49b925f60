from __future__ import annotations

import pytest
from halyard_protocol.limits import MAX_VALUE_BYTES, MAX_VALUE_DEPTH
from halyard_protocol.ruleset import Serve

from domain import commands as c
from domain import events as e
from domain import limits
from domain.errors import InvalidCommand, KeyTaken, LimitReached, UnknownEntity
from tests.support.decider import flag, given


def nested(levels: int) -> object:
    return [nested(levels - 1)] if levels else []


QA = c.CreateEnvironment("qa", id="qaqaqaqaqaqa")


def test_a_new_environment_has_every_flag_with_its_defaults() -> None:
    history = given(
        c.CreateFlag("a", off_variation=None, fallthrough=Serve("off")),
        flag("b"),
        c.ArchiveFlag("b"),
        c.EnableFlag("a", "production"),
    )
    assert history.when(QA) == (e.EnvironmentCreated("qaqaqaqaqaqa", "qa"),)
    settings = history.state.settings["a", "qa"]
    assert (settings.enabled, settings.off_variation) == (False, None)
    assert settings.fallthrough == Serve("off")
    assert ("b", "qa") in history.state.settings
    assert history.revision("flag", "a", "qa") == 0


def test_an_environments_key_is_taken_once() -> None:
    given(QA).refusal(c.CreateEnvironment("qa"), KeyTaken)


def test_an_environments_id_is_taken_once() -> None:
    given(QA).refusal(c.CreateEnvironment("qb", id="qaqaqaqaqaqa"), KeyTaken)


def test_deleting_an_environment_frees_its_key() -> None:
    history = given(
        flag("a"),
        QA,
        c.EnableFlag("a", "qa"),
        c.IssueSdkKey("qa", "k", sha256="0" * 64),
        c.DeleteEnvironment("qa"),
    )
    assert ("a", "qa") not in history.state.settings
    assert len(history.state.keys) == 0
    history.do(c.CreateEnvironment("qa"))
    assert history.revision("environment", "qa", "qa") == 3
    assert not history.state.settings["a", "qa"].enabled
    assert history.revision("flag", "a", "qa") == 1


def test_an_unknown_environment_is_named_with_a_suggestion() -> None:
    refusal = given().refusal(c.DeleteEnvironment("prodution"), UnknownEntity)
    assert str(refusal) == ("there is no environment 'prodution' (did you mean 'production'?)")


@pytest.mark.parametrize(
    ("command", "event"),
    [
        (c.RenameEnvironment("qa", "Quality"), e.EnvironmentRenamed("Quality")),
        (
            c.SetEnvironmentAttributes("qa", {"region": "eu"}),
            e.EnvironmentAttributesSet({"region": "eu"}),
        ),
        (c.ProtectEnvironment("qa"), e.EnvironmentProtected()),
        (c.UnprotectEnvironment("production"), e.EnvironmentUnprotected()),
        (c.DeleteEnvironment("qa"), e.EnvironmentDeleted()),
    ],
)
def test_each_change_of_an_environment_has_its_event(command: c.Command, event: e.Event) -> None:
    assert given(QA).when(command) == (event,)


@pytest.mark.parametrize(
    "command",
    [
        c.RenameEnvironment("qa", "Quality"),
        c.SetEnvironmentAttributes("qa", {"region": "eu"}),
        c.ProtectEnvironment("qa"),
        c.UnprotectEnvironment("development"),
    ],
)
def test_a_change_that_is_there_already_yields_nothing(command: c.Command) -> None:
    assert given(QA, command).when(command) == ()


def test_attributes_that_differ_to_json_alone_are_a_change() -> None:
    history = given(c.SetEnvironmentAttributes("staging", {"tier": 1}))
    assert history.when(c.SetEnvironmentAttributes("staging", {"tier": True})) != ()


@pytest.mark.parametrize(
    "attributes",
    [
        {"key": "x"},
        {str(number): 1 for number in range(101)},
        {"a": "x" * MAX_VALUE_BYTES},
        {"a": nested(MAX_VALUE_DEPTH)},
    ],
)
def test_attributes_out_of_bounds_are_refused(attributes: dict[str, object]) -> None:
    command = c.SetEnvironmentAttributes("staging", attributes)
    [problem] = given().refusal(command, InvalidCommand).problems
    assert problem.path.startswith("/attributes")


def test_there_are_only_so_many_environments() -> None:
    more = (c.CreateEnvironment(f"e{n}") for n in range(limits.ENVIRONMENTS - 3))
    refusal = given(*more).refusal(QA, LimitReached)
    assert refusal.limit == limits.ENVIRONMENTS
