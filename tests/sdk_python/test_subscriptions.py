from __future__ import annotations

from typing import Any

import pytest
from halyard_sdk import Change, testing


def test_every_way_of_naming_the_key_is_the_same() -> None:
    flags = testing.client()
    heard: list[Change] = []
    flags.on_change("x", heard.append)
    flags.on_change(heard.append, "x")
    flags.on_change(heard.append, key="x")
    flags.set("x", 1)
    flags.set("y", 1)
    assert heard == [Change(frozenset("x"))] * 3


def test_inside_of_a_callback_the_answer_is_the_new_one() -> None:
    flags = testing.client({"x": 1})
    seen: list[int] = []
    flags.on_change(lambda _: seen.append(flags.integer("x", "alice", 0)))
    flags.set("x", 2)
    assert seen == [2]


@pytest.mark.parametrize("arguments", [(None,), (5,), ("x",), ("x", "y"), (print, 5), (None, "x")])
def test_what_is_no_subscription_is_logged_and_raises_nothing(
    arguments: tuple[Any, ...], caplog: pytest.LogCaptureFixture
) -> None:
    flags = testing.client()
    flags.on_change(*arguments)()
    flags.on_status(None)()  # type: ignore[arg-type]
    assert "callback" in caplog.text
    flags.set("x", 1)
