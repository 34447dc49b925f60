"""One client that looks closely: the snapshot's bytes as they came, inflated, read, and judged.

The crowd only compares hashes; what they must be equal to is established here, by other code: the
frame's own hash, and whether its JSON holds what HTTP answers for the same environment.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

_REQUEST = (
    "GET /stream/v1 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: halyard.v1\r\nAuthorization: Bearer {key}\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
    "client_no_context_takeover\r\n\r\n"
)
_HELLO = b'{"type":"hello","protocol":1}'
_DEFLATED = 0x40
_MASK_64 = (1 << 64) - 1
_P1, _P2, _P3, _P4, _P5 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)


@dataclass(frozen=True)
class Seen:
    """One snapshot."""

    hash: str
    """XXH64 of the payload as it was sent."""
    sent_bytes: int
    json_bytes: int
    deflated: bool
    flags: int
    is_what_http_says: bool


async def probe(url: str, key: str) -> Seen:
    """Fetch the snapshot through the stream and over HTTP, and compare."""
    async with asyncio.timeout(60):
        payload, deflated = await _snapshot(url, key)
        async with httpx.AsyncClient(timeout=60) as http:
            headers = {"Authorization": f"Bearer {key}"}
            answer = await http.get(f"{url}/sdk/v1/ruleset", headers=headers)
            answer.raise_for_status()
    # RFC 7692, section 7.2.2: the sender has cut these off.
    text = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff") if deflated else payload
    mine, theirs = msgspec.json.decode(text), msgspec.json.decode(answer.content)
    return Seen(
        hash=f"{await asyncio.to_thread(xxh64, payload):016x}",
        sent_bytes=len(payload),
        json_bytes=len(text),
        deflated=deflated,
        flags=len(mine["flags"]),
        is_what_http_says=_by_key(mine) == _by_key(theirs),
    )


def _by_key(snapshot: Any) -> Any:
    return [
        snapshot["environment"],
        *({each["key"]: each for each in snapshot[part]} for part in ("flags", "segments")),
    ]


async def _snapshot(url: str, key: str) -> tuple[bytes, bool]:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 20)
    try:
        writer.write(_REQUEST.format(key=key).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(f"the probe was refused: {head[:200]!r}")
        writer.write(bytes((0x81, 0x80 | len(_HELLO), 0, 0, 0, 0)) + _HELLO)
        while True:
            first, payload = await _message(reader)
            is_data, deflated = first & 0x0F == 1, bool(first & _DEFLATED)
            if is_data and (deflated or payload.startswith(b'{"type":"snapshot"')):
                return payload, deflated
    finally:
        writer.transport.abort()


async def _message(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, size = await reader.readexactly(2)
    if size == 126:
        (size,) = struct.unpack("!H", await reader.readexactly(2))
    elif size == 127:
        (size,) = struct.unpack("!Q", await reader.readexactly(8))
    return first, await reader.readexactly(size)


def xxh64(data: bytes) -> int:
    """XXH64 with seed 0, after the specification: slow, and independent of the one in C."""
    lanes = [(_P1 + _P2) & _MASK_64, _P2, 0, -_P1 & _MASK_64]
    whole = len(data) // 32 * 32
    for words in struct.iter_unpack("<4Q", data[:whole]):
        lanes = [_round(lane, word) for lane, word in zip(lanes, words, strict=True)]
    total = _P5
    if whole:
        turns = zip(lanes, (1, 7, 12, 18), strict=True)
        total = sum(_turn(lane, by) for lane, by in turns) & _MASK_64
        for lane in lanes:
            total = ((total ^ _round(0, lane)) * _P1 + _P4) & _MASK_64
    total, rest = (total + len(data)) & _MASK_64, data[whole:]
    while len(rest) >= 8:
        word, rest = int.from_bytes(rest[:8], "little"), rest[8:]
        total = (_turn(total ^ _round(0, word), 27) * _P1 + _P4) & _MASK_64
    if len(rest) >= 4:
        word, rest = int.from_bytes(rest[:4], "little"), rest[4:]
        total = (_turn(total ^ word * _P1 & _MASK_64, 23) * _P2 + _P3) & _MASK_64
    for byte in rest:
        total = _turn(total ^ byte * _P5 & _MASK_64, 11) * _P1 & _MASK_64
    total = (total ^ total >> 33) * _P2 & _MASK_64
    total = (total ^ total >> 29) * _P3 & _MASK_64
    return total ^ total >> 32


def _round(lane: int, word: int) -> int:
    return _turn((lane + word * _P2) & _MASK_64, 31) * _P1 & _MASK_64


def _turn(value: int, by: int) -> int:
    return (value << by | value >> (64 - by)) & _MASK_64
