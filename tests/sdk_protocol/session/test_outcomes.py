"""Outcomes and boards: what is equal is one object, and a difference leads from one to another."""

from __future__ import annotations

import gc

import msgspec
import pytest
from halyard_protocol.evaluation import Detail, Reason
from halyard_protocol.messages import Values, decode_server_message
from halyard_protocol.session.outcomes import (
    Boards,
    Outcome,
    Slots,
    difference,
    digest_of,
    outcome_of,
    read_values,
    values_payload,
)
from hypothesis import given
from hypothesis import strategies as st

OUTCOMES = {
    (key, n): Outcome(key, b'{"value":%d}' % n, b'{"value":%d,"version":%d}' % (n, n + 7))
    for key in "abcd"
    for n in range(3)
}


@st.composite
def slots(draw: st.DrawFn) -> Slots:
    """Outcomes of some flags, each once, wherever they stand."""
    keys = draw(st.permutations(["a", "b", "c", "d", None, None]))
    chosen = [key and OUTCOMES[key, draw(st.integers(0, 2))] for key in keys]
    return tuple(each or None for each in chosen[: draw(st.integers(0, 6))])


def values_of(of: Slots) -> dict[str, bytes]:
    return {each.key: each.value for each in of if each is not None}


@given(old=slots(), new=slots())
def test_a_difference_leads_from_one_board_to_another(old: Slots, new: Slots) -> None:
    boards = Boards()
    put, removed = difference(boards.of(old), boards.of(new))
    message = decode_server_message(values_payload("1.1", 7, put, removed, full=False))
    assert isinstance(message, Values)
    values = {**values_of(old), **read_values(message.values)}
    for key in message.removed:
        del values[key]
    assert values == values_of(new)


@given(one=slots(), other=slots())
def test_boards_are_the_same_where_they_hold_the_same(one: Slots, other: Slots) -> None:
    boards = Boards()
    first, second = boards.of(one), boards.of(other)
    assert boards.of((*one, None)) is first
    assert (first is second) == (first.slots == second.slots)
    assert first.digest == digest_of(values_of(one))


def test_a_board_that_nobody_has_is_forgotten() -> None:
    boards = Boards()
    board = boards.of((OUTCOMES["a", 0],))
    assert len(boards) == 1
    del board
    gc.collect()
    assert len(boards) == 0


def test_an_outcome_tells_no_rule_no_flag_and_no_bucket() -> None:
    reason = Reason("RULE_MATCH", rule_id="secret", rule_index=3, bucket=0.5, in_experiment=True)
    value = msgspec.json.decode(outcome_of("a", 7, Detail({"b": 1}, "on", reason)).value)
    assert value == {
        "value": {"b": 1},
        "variation": "on",
        "reason": {"kind": "RULE_MATCH", "inExperiment": True},
        "version": 7,
    }


def test_a_digest_is_taken_of_json_only() -> None:
    with pytest.raises(msgspec.DecodeError):
        digest_of({"a": b"{"})
