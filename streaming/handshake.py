"""The upgrade request, and the WebSocket protocol of one connection.

The library's sans-I/O protocol does the work. It differs in two points: a client that offers no
subprotocol is served (many WebSocket tools offer none), and what a client does wrong is told in
Halyard's own close codes, whose reconnect rules SDKs know.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from halyard_protocol.close_codes import CloseCode
from halyard_protocol.messages import SUBPROTOCOL
from websockets.exceptions import NegotiationError
from websockets.frames import CloseCode as StandardCode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

PATH = "/stream/v1"
RETRY_AFTER_S = 2
"""What is asked of clients that come while the gateway is full or leaving."""

_FAULTS_OF_THE_CLIENT = frozenset(
    {
        StandardCode.PROTOCOL_ERROR,
        StandardCode.INVALID_DATA,
        StandardCode.MESSAGE_TOO_BIG,
    }
)

_silent = logging.getLogger("halyard.stream.wire")
_silent.setLevel(logging.ERROR)  # the library reports each opening and closing as information


class Wire(ServerProtocol):
    """Reads and writes the WebSocket frames of one connection."""

    def __init__(self, max_frame_bytes: int) -> None:
        super().__init__(max_size=max_frame_bytes, logger=_silent)

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """Take ours where it is offered, and none where none is."""
        if not subprotocols:
            return None
        if SUBPROTOCOL in subprotocols:
            return Subprotocol(SUBPROTOCOL)
        raise NegotiationError(f"invalid subprotocol; expected {SUBPROTOCOL}")

    def fail(self, code: StandardCode | int, reason: str = "") -> None:
        """Close because of a frame that breaks the rules."""
        super().fail(CloseCode.BAD_MESSAGE if code in _FAULTS_OF_THE_CLIENT else code, reason)


def respond(wire: Wire, request: Request, *, welcome: bool) -> Response:
    """Decide on an upgrade request. ``welcome`` is False while nobody is let in."""
    if urlsplit(request.path).path != PATH:
        return wire.reject(HTTPStatus.NOT_FOUND, f"WebSockets are served at {PATH}.\n")
    if not welcome:
        response = wire.reject(HTTPStatus.SERVICE_UNAVAILABLE, "Come back in a moment.\n")
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
        return response
    return wire.accept(request)


def presented_key(request: Request) -> str:
    """The SDK key of a request, from its header or its query; empty where it has none."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    keys = parse_qs(urlsplit(request.path).query).get("key", [])
    return keys[0] if keys else ""
