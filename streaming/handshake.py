"""The upgrade request, and the WebSocket protocol of one connection.

The library's sans-I/O protocol does the work. It differs in two points: a client that offers no
subprotocol is served (many WebSocket tools offer none), and what a client does wrong is told in
Halyard's own close codes, whose reconnect rules SDKs know. Compression is
:mod:`streaming.deflation`'s.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from halyard_protocol.close_codes import CloseCode
from halyard_protocol.messages import SUBPROTOCOL
from halyard_protocol.session.frames import DEFLATED, PLAIN, WireFormat
from websockets.datastructures import Headers
from websockets.exceptions import NegotiationError
from websockets.frames import CloseCode as StandardCode
from websockets.http11 import Request, Response
from websockets.protocol import CONNECTING, OPEN
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from streaming.deflation import SharedDeflate, SharedDeflateFactory

PATH = "/stream/v1"
MAX_HEADERS = 128

_FAULTS_OF_THE_CLIENT = frozenset(
    {
        StandardCode.PROTOCOL_ERROR,
        StandardCode.INVALID_DATA,
        StandardCode.MESSAGE_TOO_BIG,
    }
)

_EXTENSIONS = (SharedDeflateFactory(),)

_silent = logging.getLogger("halyard.stream.wire")
_silent.setLevel(logging.ERROR)  # the library reports each opening and closing as information


class Wire(ServerProtocol):
    """Reads and writes the WebSocket frames of one connection."""

    def __init__(self, max_frame_bytes: int) -> None:
        # The head was parsed before: what is read here begins with frames.
        super().__init__(
            state=OPEN, max_size=max_frame_bytes, logger=_silent, extensions=_EXTENSIONS
        )
        self.state = CONNECTING

    @property
    def wire_format(self) -> WireFormat:
        """What was agreed on; known once the handshake is complete."""
        return DEFLATED if self.extensions else PLAIN

    @property
    def unfinished(self) -> int:
        """How many bytes it holds of a frame, or of a compressed message, that is not complete."""
        begun = sum(each.unfinished for each in self.extensions if isinstance(each, SharedDeflate))
        return len(self.reader.buffer) + begun

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """Take ours where it is offered, and none where none is."""
        if not subprotocols:
            return None
        if SUBPROTOCOL in subprotocols:
            return Subprotocol(SUBPROTOCOL)
        raise NegotiationError(f"invalid subprotocol; expected {SUBPROTOCOL}")

    def receive_data(self, data: bytes | bytearray) -> None:
        """Read a piece of what the client sends."""
        super().receive_data(data)
        # Its traceback has everything of the frame at fault, and the wire itself: a circle, which
        # waits for the collector with up to 200 KB.
        self.parser_exc = None

    def end(self) -> None:
        """The connection is gone. Give back what was read of an unfinished frame, likewise."""
        self.parser.close()
        self.reader.buffer.clear()
        self.parser_exc = None

    def fail(self, code: StandardCode | int, reason: str = "") -> None:
        """Close because of a frame that breaks the rules."""
        super().fail(CloseCode.BAD_MESSAGE if code in _FAULTS_OF_THE_CLIENT else code, reason)


def read_head(head: bytes) -> Request:
    """The upgrade request, as the HTTP protocol that parsed it replays it: in one regular form."""
    line, *fields = head.removesuffix(b"\r\n\r\n").decode("latin-1").split("\r\n")
    method, path, protocol = line.split(" ", 2)
    headers = Headers()
    for field in fields[: MAX_HEADERS + 1]:
        name, _, value = field.partition(": ")
        headers[name] = value
    return Request(path, headers, method, protocol)


def respond(wire: Wire, request: Request) -> Response:
    """Decide on an upgrade request."""
    if _path_of(request) != PATH:
        return wire.reject(HTTPStatus.NOT_FOUND, f"WebSockets are served at {PATH}.\n")
    headers = request.headers
    if "Transfer-Encoding" in headers or headers.get_all("Content-Length") not in ([], ["0"]):
        return wire.reject(HTTPStatus.BAD_REQUEST, "An upgrade request has no body.\n")
    if len(headers.get_all("Authorization")) > 1:
        return wire.reject(HTTPStatus.BAD_REQUEST, "Send one Authorization header, not several.\n")
    if len(list(headers.raw_items())) > MAX_HEADERS:
        return wire.reject(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "Too many headers.\n")
    return wire.accept(request)


def _path_of(request: Request) -> str | None:
    """None where the target of the request is none at all, such as ``//[``."""
    try:
        return urlsplit(request.path).path
    except ValueError:
        return None


def presented_key(request: Request) -> str:
    """The SDK key of a request, from its header or its query; empty where it has none."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    keys = parse_qs(urlsplit(request.path).query).get("key", [])
    return keys[0] if keys else ""
