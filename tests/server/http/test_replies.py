"""How an answer becomes ASGI messages."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from server.http.replies import Reply, send_reply


async def sent(reply: Reply, *, bodiless: bool) -> list[Any]:
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    await send_reply(send, reply, "r1", bodiless=bodiless)
    return messages


async def parts() -> AsyncGenerator[bytes]:
    yield b"one\n"
    yield b"two\n"


async def test_a_head_has_the_length_of_the_body_that_it_leaves_out() -> None:
    head, body = await sent(Reply(body=b"{}"), bodiless=True)
    assert (b"content-length", b"2") in head["headers"]
    assert body["body"] == b""
    _, whole = await sent(Reply(body=b"{}"), bodiless=False)
    assert whole["body"] == b"{}"


async def test_an_answer_in_parts_is_sent_as_it_is_made() -> None:
    head, *rest = await sent(Reply(parts=parts()), bodiless=False)
    assert not [name for name, _ in head["headers"] if name == b"content-length"]
    assert [message["body"] for message in rest] == [b"one\n", b"two\n", b""]
    assert [message.get("more_body", False) for message in rest] == [True, True, False]
    _, only = await sent(Reply(parts=parts()), bodiless=True)
    assert only["body"] == b""


async def test_an_answer_without_a_body_does_not_say_that_it_is_an_empty_one() -> None:
    for status in (204, 304):
        head, body = await sent(Reply(status), bodiless=False)
        assert not {b"content-length", b"content-type"} & dict(head["headers"]).keys()
        assert body["body"] == b""


async def test_what_makes_the_parts_is_closed_when_they_cannot_be_sent() -> None:
    closed: list[bool] = []

    async def endless() -> AsyncGenerator[bytes]:
        try:
            while True:
                yield b"more"
        finally:
            closed.append(True)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await send_reply(send, Reply(parts=endless()), "r1")
    assert closed == [True]
