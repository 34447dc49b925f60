"""Unknown fields, named by their pointers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from halyard_protocol.conditions import Condition
from halyard_protocol.ruleset import Flag
from halyard_protocol.strict import unknown_fields


class Inner(msgspec.Struct, rename="camel"):
    some_name: int = 0


class Left(msgspec.Struct, tag="left"):
    a: Inner | None = None


class Right(msgspec.Struct, tag="right"):
    b: tuple[Inner, ...] = ()


class Outer(msgspec.Struct):
    side: Left | Right | None = None
    by_name: dict[str, Inner] = {}
    listed: list[Inner] | str = ""
    free: Any = None
    when: Condition | None = None


@pytest.mark.parametrize(
    ("source", "unknown"),
    [
        ({}, ()),
        ({"x": 1}, ("/x",)),
        ({"free": {"x": 1}}, ()),
        ({"when": {"x": 1}}, ()),
        ({"by_name": {"any": {"someName": 1}}}, ()),
        ({"by_name": {"any/thing": {"some_name": 1}}}, ("/by_name/any~1thing/some_name",)),
        ({"listed": [{}, {"y": 1}]}, ("/listed/1/y",)),
        ({"listed": "text"}, ()),
        ({"side": {"type": "left", "a": {"z": 1}}}, ("/side/a/z",)),
        ({"side": {"type": "right", "a": {}, "b": [{"z": 1}]}}, ("/side/a", "/side/b/0/z")),
        ({"side": None}, ()),
        ({"a~b": 1}, ("/a~0b",)),
        ([], ()),
        (None, ()),
    ],
)
def test_fields_that_the_type_lacks_are_named(source: Any, unknown: tuple[str, ...]) -> None:
    assert unknown_fields(source, Outer) == unknown


def test_a_flag_is_walked_to_its_leaves() -> None:
    source: Any = {
        "key": "a",
        "sparkle": 1,
        "rules": [{"id": "r", "when": {}, "serve": {"rollout": {"buckets": [{"wait": 1}]}}}],
        "fallthrough": {"rollout": {"ramp": {"from": "x", "until": "y"}}},
        "variations": [{"key": "on", "value": {"anything": 1}}],
    }
    assert unknown_fields(source, Flag) == (
        "/sparkle",
        "/rules/0/serve/rollout/buckets/0/wait",
        "/fallthrough/rollout/ramp/until",
    )
