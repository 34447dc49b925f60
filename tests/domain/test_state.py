from __future__ import annotations

import msgspec
import pytest
from halyard_protocol.ruleset import Variation

from domain import commands as c
from domain.facts import Entity
from domain.state import ProjectState, digest, dump, load
from tests.support.decider import flag, given, segment


def test_an_entity_that_never_changed_is_at_revision_zero() -> None:
    state = given(flag("a")).state
    assert state.revision(Entity("flag", "a", "staging")) == 0
    assert state.mark(Entity("flag", "nothing")).at is None


def test_a_mark_says_when_and_where_in_the_log_an_entity_changed() -> None:
    history = given(flag("a"), c.EnableFlag("a", "staging"))
    mark = history.state.mark(Entity("flag", "a", "staging"))
    assert (mark.revision, mark.seq) == (1, len(history.facts))


def test_an_empty_state_survives_its_dump() -> None:
    assert load(dump(ProjectState())) == ProjectState()


def test_equal_states_have_equal_dumps_however_they_came_about() -> None:
    one = given(flag("a"), flag("b"), segment("s"), segment("t"))
    state = load(dump(one.state))
    for name in ("flags", "settings", "segments", "marks"):
        table = getattr(state, name)
        rows = list(table.items())
        table.clear()
        for key, row in reversed(rows):
            table.put(key, row)
    assert state == one.state
    assert dump(state) == dump(one.state)


def test_different_states_have_different_digests() -> None:
    history = given(flag("a"))
    before = digest(history.state)
    history.do(c.EnableFlag("a", "staging"))
    assert digest(history.state) != before


def test_attributes_in_another_order_have_the_same_dump() -> None:
    forward = given(c.SetEnvironmentAttributes("staging", {"a": 1, "b": 2}))
    backward = given(c.SetEnvironmentAttributes("staging", {"b": 2, "a": 1}))
    assert dump(forward.state) == dump(backward.state)


def test_values_that_differ_to_json_alone_have_different_dumps() -> None:
    states = [
        given(c.CreateFlag("n", flag_type="json", variations=(Variation("x", value),))).state
        for value in (1, 1.0, True)
    ]
    assert len({dump(state) for state in states}) == 3


@pytest.mark.parametrize("source", [b"", b"[]", b'{"project":null}'])
def test_what_is_no_dump_is_refused(source: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        load(source)


def test_an_overlay_is_absorbed_whole() -> None:
    history = given(flag("a"), segment("s"), c.IssueSdkKey("staging", "k", sha256="0" * 64))
    direct = load(dump(history.state))
    overlay = history.state.overlay()
    assert overlay == history.state
    history.state = overlay
    history.do(c.DeleteProject(), c.CreateProject("demo", "Again"), flag("b"), c.VoidEvent(1, "x"))
    direct.absorb(overlay)
    assert direct == overlay
    assert dump(direct) == dump(overlay)
