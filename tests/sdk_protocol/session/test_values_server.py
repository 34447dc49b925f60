"""For whom a page is answered, in whatever order it says who it is."""

from __future__ import annotations

from typing import cast

import msgspec
import pytest
from halyard_protocol.codec import decode_flag
from halyard_protocol.evaluator import Evaluator
from halyard_protocol.messages import Hello, Identify, Values, decode_server_message
from halyard_protocol.ruleset import Environment, Ruleset
from halyard_protocol.session.audience import Audience
from halyard_protocol.session.feed import Feed, Stored
from halyard_protocol.session.outcomes import read_values
from halyard_protocol.session.values_server import ValuesSession

from tests.support.rulesets import NOW_MS

IS_BOB = {"attribute": "key", "op": "in", "values": ["bob"]}
FLAG = {
    "key": "a",
    "version": 1,
    "type": "string",
    "enabled": True,
    "clientSide": True,
    "variations": [{"key": "for-bob", "value": "b"}, {"key": "for-others", "value": "o"}],
    "rules": [{"id": "r", "when": IS_BOB, "serve": {"variation": "for-bob"}}],
    "fallthrough": {"variation": "for-others"},
}


class Room:
    """One page's session, with all that it takes to answer it."""

    def __init__(self) -> None:
        self.feed = Feed()
        self.feed.install(Stored("1.1", 1, 1, 0, {"environment": b'{"key":"dev","version":1}'}))
        flags = {"a": decode_flag(msgspec.json.encode(FLAG))}
        self.audience = Audience(self.feed)
        evaluator = Evaluator(Ruleset(Environment("dev"), flags, {}))
        self.audience.follow(evaluator, "1.1", 1, None)
        self.session = ValuesSession()
        self.session.audience = self.audience

    def welcomed(self) -> None:
        assert len(cast("tuple[bytes, ...]", self.session.answer(self.feed))) == 1

    def told(self) -> list[object]:
        """What is worked out and sent: the variation of each message of values; others' types."""
        told: list[object] = []
        while self.audience.busy:
            for _, frame in self.audience.step(NOW_MS):
                message = decode_server_message(frame)
                values = read_values(message.values) if isinstance(message, Values) else {}
                told += [msgspec.json.decode(value)["variation"] for value in values.values()] or [
                    type(message).__name__
                ]
        return told


@pytest.fixture
def room() -> Room:
    return Room()


def test_who_says_before_its_answer_that_it_is_another_is_answered_as_that(room: Room) -> None:
    for other, variation in (("bob", "for-bob"), ("carol", "for-others")):
        room.session.introduce(Hello(context="alice"))
        room.session.identify(Identify(other))
        room.welcomed()
        assert room.told() == [variation]


def test_who_becomes_another_while_it_waits_is_not_answered_as_the_one_it_was(room: Room) -> None:
    room.session.introduce(Hello(context="alice"))
    room.welcomed()
    room.session.identify(Identify("bob"))
    assert room.told() == []
    room.session.move()
    assert room.told() == ["for-bob"]


def test_a_hello_after_an_identify_that_was_not_followed_is_answered(room: Room) -> None:
    room.session.introduce(Hello(context="alice"))
    room.welcomed()
    assert room.told() == ["for-others"]
    room.session.identify(Identify("carol"))
    room.session.introduce(Hello(context="bob"))
    room.welcomed()
    assert room.told() == ["for-bob"]


def test_the_digest_of_a_hello_is_that_of_its_context_alone(room: Room) -> None:
    room.session.introduce(Hello(context="alice"))
    room.welcomed()
    room.told()
    assert room.session.shown is not None
    room.session.introduce(Hello(context="alice", digest=room.session.shown.digest))
    room.welcomed()
    assert room.told() == ["Heartbeat"]
    room.session.identify(Identify("carol"))  # who has the same values, and is told so
    room.session.move()
    assert room.told() == ["for-others"]
