"""What a handler gives back, and how it becomes bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
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
    cache_control: bytes = b"no-store"
    """By default answers are never kept: what was read before a change must not come back after."""


def ok(content: object, *headers: Header) -> Reply:
    """200 with ``content`` as JSON."""
    return Reply(200, encode(content), JSON, headers)


async def send_reply(send: Send, reply: Reply, request_id: str, *, bodiless: bool = False) -> None:
    """Write a reply. ``bodiless``: the head only, as HEAD asks."""
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
    if reply.parts is not None and not bodiless:
        async with aclosing(reply.parts) as parts:
            async for part in parts:
                try:
                    async with asyncio.timeout(reply.stall_s):
                        await send({"type": "http.response.body", "body": part, "more_body": True})
                except TimeoutError:
                    return  # without an end: whoever reads on finds the connection broken
    body = b"" if bodiless or reply.parts is not None else reply.body
    await send({"type": "http.response.body", "body": body})
