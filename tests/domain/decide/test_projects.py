from __future__ import annotations

import pytest

from domain import commands as c
from domain import events as e
from domain.errors import InvalidCommand, KeyTaken, StaleRevision, UnknownEntity
from tests.support.decider import PROJECT, History, flag, given


def test_a_new_project_gets_the_usual_environments() -> None:
    events = History().when(c.CreateProject("demo"))
    assert events[0] == e.ProjectCreated("demo")
    assert [
        (event.name, event.protected) for event in events if isinstance(event, e.EnvironmentCreated)
    ] == [("Development", False), ("Staging", False), ("Production", True)]


def test_a_new_project_gets_the_environments_that_were_asked_for() -> None:
    only = c.NewEnvironment("live", protected=True, attributes={"region": "eu"}, id="abcdefghijkl")
    history = History().do(c.CreateProject("demo", environments=(only,), comment="first"))
    assert [fact.event for fact in history.facts] == [
        e.ProjectCreated("demo", comment="first"),
        e.EnvironmentCreated("abcdefghijkl", "live", True, {"region": "eu"}, comment="first"),
    ]


def test_a_project_is_created_once() -> None:
    refusal = given().refusal(PROJECT, KeyTaken)
    assert str(refusal) == "project 'demo' exists already: choose another key"


@pytest.mark.parametrize("key", ["", "$system", "Demo", "-a", "a" * 65, "a/b"])
def test_a_project_key_that_cannot_stand_in_an_address_is_refused(key: str) -> None:
    refusal = History().refusal(c.CreateProject(key, "Demo"), InvalidCommand)
    assert {problem.path for problem in refusal.problems} == {"/project"}


def test_an_environment_named_twice_in_a_new_project_is_refused() -> None:
    twice = (c.NewEnvironment("live"), c.NewEnvironment("live"))
    refusal = History().refusal(c.CreateProject("demo", environments=twice), InvalidCommand)
    assert [problem.path for problem in refusal.problems] == ["/environments/1"]


def test_the_problems_of_a_new_environment_say_which_one() -> None:
    news = (c.NewEnvironment("live"), c.NewEnvironment("Test", id="short"))
    refusal = History().refusal(c.CreateProject("demo", environments=news), InvalidCommand)
    assert [problem.path for problem in refusal.problems] == [
        "/environments/1/environment",
        "/environments/1/id",
    ]


def test_nothing_can_be_asked_of_a_project_that_is_not_there() -> None:
    refusal = History().refusal(flag("a"), UnknownEntity)
    assert str(refusal) == "there is no such project"


def test_a_project_is_renamed() -> None:
    history = given()
    assert history.when(c.RenameProject("Shop", comment="new")) == (
        e.ProjectRenamed("Shop", comment="new"),
    )
    assert history.revision("project", "demo") == 2
    assert history.when(c.RenameProject("Shop")) == ()
    assert history.revision("project", "demo") == 2


def test_a_project_can_begin_again_after_its_end_and_its_revision_goes_on() -> None:
    history = given(flag("a"), c.DeleteProject())
    assert history.state.project is None
    assert len(history.state.flags) == len(history.state.settings) == 0
    history.do(PROJECT)
    assert history.revision("project", "demo") == 3
    assert history.revision("environment", "staging", "staging") == 2
    assert "a" not in history.state.flags


def test_a_stale_revision_says_what_it_is_now() -> None:
    refusal = given(c.RenameProject("Shop")).refusal(
        c.RenameProject("Store", expected_revision=1), StaleRevision
    )
    assert (refusal.expected, refusal.actual) == (1, 2)
    assert "at revision 2, not 1" in str(refusal)


def test_an_overlong_comment_is_refused() -> None:
    refusal = given().refusal(c.RenameProject("Shop", comment="x" * 2001), InvalidCommand)
    assert [problem.path for problem in refusal.problems] == ["/comment"]


def test_an_event_is_voided_once() -> None:
    history = given()
    assert history.when(c.VoidEvent(3, "unreadable")) == (e.EventVoided(3, "unreadable"),)
    assert history.when(c.VoidEvent(3, "unreadable")) == ()


def test_an_event_is_not_voided_without_a_reason_or_a_seq() -> None:
    refusal = given().refusal(c.VoidEvent(0, " "), InvalidCommand)
    assert [problem.path for problem in refusal.problems] == ["/seq", "/reason"]
