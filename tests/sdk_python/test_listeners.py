from __future__ import annotations

import logging

import pytest
from halyard_sdk.listeners import Listeners


def test_everyone_is_told_in_the_order_of_subscribing() -> None:
    heard: list[str] = []
    listeners: Listeners[str] = Listeners()
    listeners.add(lambda news: heard.append("first " + news))
    listeners.add(lambda news: heard.append("second " + news))
    listeners.tell("x")
    assert heard == ["first x", "second x"]


def test_the_same_callback_can_subscribe_twice_and_leave_once() -> None:
    heard: list[str] = []
    listeners: Listeners[str] = Listeners()
    leave = listeners.add(heard.append)
    listeners.add(heard.append)
    leave()
    leave()
    listeners.tell("x")
    assert heard == ["x"]
    assert listeners


def test_a_callback_that_raises_is_logged_and_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[str] = []
    listeners: Listeners[str] = Listeners()
    listeners.add(lambda _: 1 / 0)
    listeners.add(heard.append)
    with caplog.at_level(logging.ERROR, "halyard_sdk"):
        listeners.tell("x")
    assert heard == ["x"]
    assert "ZeroDivisionError" in caplog.text


def test_a_callback_may_leave_and_bring_another_while_it_is_told() -> None:
    heard: list[str] = []
    listeners: Listeners[str] = Listeners()

    def once(news: str) -> None:
        leave()
        listeners.add(heard.append)
        heard.append("once " + news)

    leave = listeners.add(once)
    listeners.tell("x")
    listeners.tell("y")
    assert heard == ["once x", "y"]
