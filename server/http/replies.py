"""What a handler gives back, and how it becomes bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import NamedTuple, TypeAlias

from halyard_protocol.codec import encode
from starlette.types import Send

Header: TypeAlias = tuple[bytes, bytes]

JSON = b"application/json"
NDJSON = b"application/x-ndjson"
PROBLEM = b"application/problem+json"

NO_CONTENT = 204
NOT_MODIFIED = 304
LET_GO = "halyard.let_go"
"""Of an ASGI scope: called without arguments, it has what is sent next be the connection's last
word, which is written whether or not the peer reads; and the connection end soon in any case."""

BODILESS = (NO_CONTENT, NOT_MODIFIED)
"""Such answers have no body, and say nothing of one."""


class Reply(NamedTuple):
    """A whole answer; ``parts`` in place of ``body`` where it is long and made on the way."""

    status: int = 200
    body: bytes = b""
    content_type: bytes = JSON
    headers: tuple[Header, ...] = ()
    parts: AsyncGenerator[bytes] | None = None
    stall_s: float | None = None
    """Of ``parts``: who takes none for so long is cut off. None: they may take their time."""
    last_word: bytes = b""
    """What is written to whoever is cut off."""
    cache_control: bytes = b"no-store"
    """By default answers are never kept: what was read before a change must not come back after."""


def ok(content: object, *headers: Header) -> Reply:
    """200 with ``content`` as JSON."""
    return Reply(200, encode(content), JSON, headers)


async def send_reply(
    send: Send,
    reply: Reply,
    request_id: str,
    *,
    bodiless: bool = False,
    let_go: Callable[[], None] | None = None,
) -> None:
    """Write a reply. ``bodiless``: the head only, as HEAD asks.

    ``let_go`` is what the server has at :data:`LET_GO`, for a peer that reads nothing.
    """
    headers = [
        (b"cache-control", reply.cache_control),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", request_id.encode("ascii")),
        *reply.headers,
    ]
    if reply.status not in BODILESS:
        headers.append((b"content-type", reply.content_type))
    if reply.parts is None and reply.status not in BODILESS:
        headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    body = b"" if bodiless or reply.parts is not None else reply.body
    if reply.parts is not None and not bodiless:
        async with aclosing(reply.parts) as parts:
            if not await _send_parts(send, parts, reply.stall_s):
                if let_go is None:
                    return  # without an end: whoever reads on finds the connection broken
                let_go()
                body = reply.last_word
    await send({"type": "http.response.body", "body": body})


async def _send_parts(send: Send, parts: AsyncGenerator[bytes], stall_s: float | None) -> bool:
    """Whether all were taken. What was not taken in time was not written either."""
    async for part in parts:
        try:
            async with asyncio.timeout(stall_s):
                await send({"type": "http.response.body", "body": part, "more_body": True})
        except TimeoutError:
            return False
    return True
