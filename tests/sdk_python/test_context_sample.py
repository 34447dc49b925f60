"""A few contexts: different ones, bounded, and nothing of what is private."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from halyard_protocol.context import Context
from halyard_protocol.messages import MAX_SAMPLED_CONTEXTS
from halyard_sdk import AsyncClient, Client
from halyard_sdk.context_sample import MAX_CONTEXT_BYTES, MAX_LOOKS, ContextSample
from halyard_sdk.openfeature import HalyardProvider

from tests.support.stream_peer import KEY


def kept(sample: ContextSample, *contexts: Any) -> list[Any]:
    for context in contexts:
        sample.look_at(Context.of(context).kinds)
    taken = [json.loads(each) for each in sample.take()]
    for context in taken:
        Context.of(context)  # a server could evaluate for it
    return taken


def test_a_context_is_written_as_evaluation_takes_it() -> None:
    one = {"key": "ann", "age": 61, "at": datetime(2026, 6, 15, tzinfo=UTC), "tags": ["a"]}
    several = {"kind": "multi", "user": {"key": "ann"}, "organization": {"plan": "pro"}}
    assert kept(ContextSample(), one, several, {"kind": "device", "key": "d"}) == [
        {"kind": "user", **one, "at": "2026-06-15T00:00:00Z"},
        several,
        {"kind": "device", "key": "d"},
    ]


def test_the_same_context_is_kept_once_and_anew_after_it_was_taken() -> None:
    sample = ContextSample()
    assert len(kept(sample, "ann", "ann", "bob")) == 2
    assert len(kept(sample, "ann")) == 1
    assert kept(sample) == []


def test_there_are_only_so_many() -> None:
    sample = ContextSample()
    assert len(kept(sample, *(f"user-{n}" for n in range(100)))) == MAX_SAMPLED_CONTEXTS
    assert len(kept(sample, *["ann"] * MAX_LOOKS, "bob")) == 1


def test_what_changes_later_was_written_down_before() -> None:
    sample = ContextSample()
    context = {"key": "ann", "plan": "pro"}
    sample.look_at({"user": context})
    context["plan"] = "free"
    assert json.loads(sample.take()[0])["plan"] == "pro"


LOOPING: dict[str, Any] = {}
LOOPING["again"] = LOOPING
NESTED: Any = 1
for _ in range(40):
    NESTED = [NESTED]


@pytest.mark.parametrize(
    "value", [object(), LOOPING, NESTED, "\ud800", "x" * MAX_CONTEXT_BYTES, {(1, 2): 3}]
)
def test_what_is_unfit_is_left_out(value: Any) -> None:
    sample = ContextSample()
    assert kept(sample, {"key": "ann", "x": value}, "bob") == [{"kind": "user", "key": "bob"}]


def test_private_attributes_are_left_out_of_every_kind() -> None:
    sample = ContextSample(private=("email", "/address/street", "/address/none/x", "a/b"))
    own = {"key": "ann", "email": "a@b.c", "address": {"street": "s", "city": "c"}, "a/b": 1}
    several = {"kind": "multi", "user": own, "device": {"key": "d", "email": "e", "address": 3}}
    assert kept(sample, several) == [
        {
            "kind": "multi",
            "user": {"key": "ann", "address": {"city": "c"}},
            "device": {"key": "d", "address": 3},
        }
    ]
    assert own["address"] == {"street": "s", "city": "c"}


def test_none_are_kept_where_none_are_wanted() -> None:
    assert kept(ContextSample(wanted=False), "ann", "bob") == []


@pytest.mark.parametrize("private", ["email", ("",), (3,), ("key",), ("/key",)])
def test_names_that_are_none_are_refused(private: Any) -> None:
    for made in (Client, AsyncClient, HalyardProvider):
        with pytest.raises(ValueError, match="private_attributes"):
            made("http://127.0.0.1:9", KEY, private_attributes=private)
