"""permessage-deflate (RFC 7692) as this server speaks it: nothing is taken over between messages.

So a frame that was deflated once serves every connection (:mod:`streaming.framing`), and no
connection keeps a compressor, which would cost it a quarter of a megabyte. What clients compress
is inflated when it has arrived completely, and no further than a message may go.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from websockets.exceptions import NegotiationError, PayloadTooBig, ProtocolError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import CTRL_OPCODES, Frame, Opcode
from websockets.typing import ExtensionName, ExtensionParameter

_SYNC_TAIL = b"\x00\x00\xff\xff"
"""What a sender leaves out at the end of each message."""


class SharedDeflate(Extension):
    """The extension on one connection; it has nothing but the beginning of a fragmented message."""

    name = ExtensionName("permessage-deflate")

    def __init__(self) -> None:
        self._begun: bytearray | None = None
        """What has arrived of a compressed message of which more frames are to come."""

    @property
    def unfinished(self) -> int:
        """How many bytes that is."""
        return len(self._begun or b"")

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Inflate a message in its last frame; those before it are handed on empty."""
        if frame.opcode in CTRL_OPCODES:
            return frame
        if frame.opcode is Opcode.CONT:
            if self._begun is None:
                return frame
            if frame.rsv1:
                raise ProtocolError("RSV1 bit set in continuation frame")
        elif not frame.rsv1:
            return frame
        compressed, self._begun = self._begun or bytearray(), None
        compressed += frame.data
        if max_size is not None and len(compressed) > max_size:
            raise PayloadTooBig(len(compressed), max_size)
        if frame.fin:
            return Frame(frame.opcode, inflated(compressed, max_size))
        self._begun = compressed
        return Frame(frame.opcode, b"", fin=False)

    def encode(self, frame: Frame) -> Frame:
        """What the library itself has to say is short, and goes as it is."""
        return frame


class SharedDeflateFactory(ServerPerMessageDeflateFactory):
    """Answers offers that allow both directions to be without context takeover.

    An offer may not forbid that (RFC 7692, section 7.1.1), but it may demand a smaller window than
    the shared frames were made with; it is declined.
    """

    def __init__(self) -> None:
        super().__init__(server_no_context_takeover=True, client_no_context_takeover=True)

    def process_request_params(  # type: ignore[override]
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], SharedDeflate]:
        """The parameters to answer; raises ``NegotiationError`` where the offer is declined."""
        answer, agreed = super().process_request_params(params, accepted_extensions)
        if agreed.local_max_window_bits < zlib.MAX_WBITS:
            raise NegotiationError("the frames that all share need the largest window")
        return answer, SharedDeflate()


def inflated(compressed: bytes | bytearray, max_size: int | None) -> bytes:
    """A message's payload.

    Raises ``ProtocolError`` where it cannot be inflated, and ``PayloadTooBig`` before more than
    ``max_size`` bytes are.
    """
    limit = 0 if max_size is None else max_size + 1
    try:
        payload = zlib.decompressobj(-zlib.MAX_WBITS).decompress(compressed + _SYNC_TAIL, limit)
    except zlib.error as error:
        raise ProtocolError("decompression failed") from error
    if max_size is not None and len(payload) > max_size:
        raise PayloadTooBig(None, max_size)
    return payload
