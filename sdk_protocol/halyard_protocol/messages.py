"""The messages of ``/stream/v1``: JSON text frames with the envelope ``{"type": ...}``.

Unknown types and unknown fields are ignored by both sides. Documents travel as raw JSON: a server
joins bytes that it already holds, and a client reads each flag on its own, so that one malformed
flag costs only itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from halyard_protocol.codec import UNREADABLE, decoder, encode, without_depths
from halyard_protocol.evaluation import Reason

SUBPROTOCOL = "halyard.v1"
PROTOCOL_VERSION = 1
HELLO_TIMEOUT_S = 10.0
HEARTBEAT_S = 15.0
SILENCE_FACTOR = 2.5
"""An SDK that has seen no byte for this many heartbeats takes the connection for dead."""
MAX_CLIENT_FRAME_BYTES = 64 * 1024
MAX_TRACKING_EVENT_BYTES = 4 * 1024
"""Of one tracking event as JSON; SDKs drop larger ones, and count them."""
MAX_EXPOSURE_COUNTERS = 1_000
"""In one ``exposures``, of all its flags together; an SDK that has more sends several."""
MAX_EXPOSURE_COUNT = 10**9
"""Of one counter."""
MAX_SAMPLED_CONTEXTS = 20
"""In one ``exposures``."""

Intent: TypeAlias = Literal["none", "changes", "full", "values"]


class _Message(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, tag_field="type"):
    """A message; the class's tag is its ``type``."""


class SdkInfo(msgspec.Struct, frozen=True):
    """Who is speaking, for the server's logs and metrics."""

    name: str = ""
    version: str = ""


class Resume(msgspec.Struct, frozen=True):
    """The state that a client already has."""

    epoch: str
    seq: int


class Hello(_Message, frozen=True, tag="hello"):
    """First message of a client; later, a request to resynchronise."""

    sdk: SdkInfo = SdkInfo()
    protocol: int = 0
    """The client's :data:`PROTOCOL_VERSION`; 0 where it did not say."""
    resume: Resume | None = None
    context: Any = None
    """Client keys only: the context to evaluate for."""
    digest: str | None = None
    """Client keys only: the digest of the values it has."""


class Identify(_Message, frozen=True, tag="identify"):
    """Client keys only: from now on, values are wanted for another context."""

    context: Any = None


class TrackingEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that a context did, as the program around the SDK tells it."""

    name: str
    at: int
    """When, in epoch ms, by the clock of the SDK."""
    keys: dict[str, str] = {}
    """Whose doing it was: the context's keys, by kind. No other attribute of it travels."""
    value: float | None = None
    metadata: dict[str, Any] = {}


class Track(_Message, frozen=True, tag="track"):
    """Tracking events, in the order in which they came; nothing answers it."""

    events: tuple[TrackingEvent, ...] = ()


class Exposure(msgspec.Struct, frozen=True):
    """How often one version of a flag was answered with one variation for one reason."""

    version: Annotated[int, msgspec.Meta(ge=0)]
    """The flag's, by which the answer was decided."""
    variation: str | None
    """None where the caller's default was served."""
    reason: str
    """The ``kind`` of the evaluation's reason."""
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_EXPOSURE_COUNT)]


class Dropped(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an SDK could not keep until it was sent, since its last message."""

    exposures: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Evaluations, not counters."""
    events: Annotated[int, msgspec.Meta(ge=0)] = 0


class Exposures(_Message, frozen=True, tag="exposures", rename={"from_": "from"}):
    """Who was served what in a span of time, summed up; nothing answers it."""

    from_: int
    """In epoch ms, like ``to``, by the clock of the SDK: the server trusts only the difference."""
    to: int
    flags: dict[str, tuple[Exposure, ...]] = {}
    """By the flag's key; with at most :data:`MAX_EXPOSURE_COUNTERS` counters altogether."""
    contexts: Annotated[
        tuple[dict[str, Any] | str, ...], msgspec.Meta(max_length=MAX_SAMPLED_CONTEXTS)
    ] = ()
    """A sample of the contexts that flags were evaluated for, each as evaluation takes it."""
    dropped: Dropped | None = None

    def __post_init__(self) -> None:
        if sum(map(len, self.flags.values())) > MAX_EXPOSURE_COUNTERS:
            raise ValueError(f"`flags` holds more than {MAX_EXPOSURE_COUNTERS} counters")


class Welcome(_Message, frozen=True, tag="welcome"):
    """Answer to a hello.

    ``seq`` is never adopted. After ``full`` it is what the snapshot, and the changes after it, lead
    to at least; otherwise it is for information.
    """

    environment: str
    epoch: str
    seq: int
    intent: Intent
    heartbeat_seconds: float


class Snapshot(_Message, frozen=True, tag="snapshot"):
    """Replaces everything, atomically."""

    epoch: str
    seq: int
    environment: msgspec.Raw
    flags: tuple[msgspec.Raw, ...]
    segments: tuple[msgspec.Raw, ...]


class Put(msgspec.Struct, frozen=True):
    """Documents to store, each in its newest form."""

    environment: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    flags: tuple[msgspec.Raw, ...] = ()
    segments: tuple[msgspec.Raw, ...] = ()


class Delete(msgspec.Struct, frozen=True):
    """Keys of documents to drop."""

    flags: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()


class Changes(_Message, frozen=True, tag="changes", omit_defaults=False, rename={"from_": "from"}):
    """Everything that changed after ``from_`` up to ``to``, atomically."""

    epoch: str
    from_: int
    to: int
    put: Put = Put()
    delete: Delete = Delete()


class Value(msgspec.Struct, frozen=True):
    """What one flag gives a context."""

    value: Any
    variation: str | None
    """None where it is the caller's own default that is served."""
    reason: Reason
    """Without what a page is not told: rules, other flags, and the bucket."""
    version: int
    """One of the flag's with which it came out so; a later one may give the same."""


class Values(_Message, frozen=True, tag="values", omit_defaults=False):
    """Client keys only: what the flags for pages give one context."""

    epoch: str
    seq: int
    values: dict[str, msgspec.Raw] = {}
    """Flag key -> :class:`Value`; as it came, so that what is not understood is kept."""
    removed: tuple[str, ...] = ()
    full: bool = False
    """It replaces everything, and answers a ``hello`` or an ``identify``."""


class Heartbeat(_Message, frozen=True, tag="heartbeat"):
    """Everything up to ``changed`` has been sent, and the log was checked through ``seq``."""

    epoch: str
    changed: int
    seq: int
    stale: bool = False
    """The gateway itself has lost touch with its source."""


class Goodbye(_Message, frozen=True, tag="goodbye"):
    """Open a new connection after the given time; this one stays useful until then."""

    reason: str
    reconnect_after_ms: int


class Error(_Message, frozen=True, tag="error"):
    """Says what went wrong, before a close where ``fatal``."""

    code: str
    message: str
    fatal: bool = False


ServerMessage: TypeAlias = Welcome | Snapshot | Changes | Values | Heartbeat | Goodbye | Error
ClientMessage: TypeAlias = Hello | Identify | Track | Exposures


class UnknownMessage(msgspec.Struct, frozen=True):
    """A message of a type that this version does not know; to be ignored."""

    type: str


class MalformedMessage(Exception):
    """A frame that is not JSON of its type's shape. ``str()`` names the field."""


class _Envelope(msgspec.Struct, frozen=True):
    type: str


_envelope_decoder = decoder(_Envelope)
_server_types: dict[str, msgspec.json.Decoder[Any]] = {
    "welcome": decoder(Welcome),
    "snapshot": decoder(Snapshot),
    "changes": decoder(Changes),
    "values": decoder(Values),
    "heartbeat": decoder(Heartbeat),
    "goodbye": decoder(Goodbye),
    "error": decoder(Error),
}
_client_types: dict[str, msgspec.json.Decoder[Any]] = {
    "hello": decoder(Hello),
    "identify": decoder(Identify),
    "track": decoder(Track),
    "exposures": decoder(Exposures),
}


def decode_server_message(frame: str | bytes) -> ServerMessage | UnknownMessage:
    """Read what a server sent. Raises :class:`MalformedMessage`."""
    message: ServerMessage | UnknownMessage = _decode(frame, _server_types)
    return message


def decode_client_message(frame: str | bytes) -> ClientMessage | UnknownMessage:
    """Read what a client sent. Raises :class:`MalformedMessage`."""
    try:
        message: ClientMessage | UnknownMessage = _read(frame, _client_types)
    except RecursionError as error:
        # Not cut where it is too deep, as a flag is: anybody may send it, and cutting takes as long
        # as reading a hundred of others.
        raise MalformedMessage("JSON nests too deeply") from error
    except UNREADABLE as error:
        raise MalformedMessage(str(error)) from error
    return message


def _decode(frame: str | bytes, types: dict[str, msgspec.json.Decoder[Any]]) -> Any:
    try:
        try:
            return _read(frame, types)
        except RecursionError:
            text = frame.encode() if isinstance(frame, str) else frame
            return _read(without_depths(text), types)
    except UNREADABLE as error:
        raise MalformedMessage(str(error)) from error


def _read(frame: str | bytes, types: dict[str, msgspec.json.Decoder[Any]]) -> Any:
    kind = _envelope_decoder.decode(frame).type
    known = types.get(kind)
    return UnknownMessage(kind) if known is None else known.decode(frame)


def encode_message(message: ServerMessage | ClientMessage) -> bytes:
    """Write a message as the payload of a text frame."""
    return encode(message)


def track_frame(events: Iterable[bytes]) -> bytes:
    """A ``track`` of events that are encoded already, as the payload of a text frame."""
    return b'{"type":"track","events":[%b]}' % b",".join(events)
