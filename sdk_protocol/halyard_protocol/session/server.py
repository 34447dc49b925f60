"""The server half of a stream's conversation: one connection's position, and nothing else.

A session holds no queue and no frames: only the position (``epoch`` and ``sent``) up to which its
connection was sent the state of a :class:`~halyard_protocol.session.feed.Feed`. Every method
changes that position first and returns the frames that bring the client there; the shell writes
all of them, in order, or closes the connection. So slow readers cost nothing but their position,
and whatever they missed is one ``changes`` when they are writable again.

    hello(resume) then answer(feed)  -> welcome, and what the intent promises
    offer(feed, broadcast)           -> the shared frame, where it fits
    advance(feed)                    -> one conflated frame to the head: after a drain, a new
                                        epoch, or when the feed has passed a client that was ahead
    snapshot(feed)                   -> for a session in WAITING, when the shell admits it; it may
                                        be a little old, and then advance(feed) has the rest
    heartbeat(feed)                  -> where everything was sent

States: AWAITING_HELLO -> LIVE, WAITING (a full snapshot is due; no deltas before it) or HELD (the
client is ahead of this gateway: nothing but pings until the feed has passed it). LIVE and not
``writable`` is *behind*. ENDED: the connection is closing, and is offered nothing more.

Invariants:
    - ``sent`` never decreases within one epoch, except where the client itself asks from earlier;
    - a frame is only ever returned to a writable session;
    - frames of an epoch are only returned to a session of that epoch, or as a snapshot.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, Literal, TypeAlias

from halyard_protocol.messages import Goodbye, Resume, encode_message
from halyard_protocol.session.feed import Broadcast, Feed
from halyard_protocol.session.frames import PLAIN, WireFormat


class State(Enum):
    """What a session is waiting for."""

    AWAITING_HELLO = auto()
    HELD = auto()
    WAITING = auto()
    LIVE = auto()
    ENDED = auto()


_LIVE: Final = State.LIVE
"""Looked up once: through the class it costs as much as the rest of :meth:`ServerSession.offer`."""


class Look(Enum):
    """Not answered yet: read the source first, then ask again."""

    LOOK = auto()


LOOK: Final = Look.LOOK
Answer: TypeAlias = tuple[bytes, ...] | Literal[Look.LOOK]

_FROM_NOTHING = Resume("", 0)


class ServerSession:
    """One connection's position in one environment's stream."""

    __slots__ = ("asked", "epoch", "sent", "state", "wire", "writable")

    def __init__(self, wire: WireFormat = PLAIN) -> None:
        self.wire: WireFormat = wire
        """What was agreed on in the handshake."""
        self.state = State.AWAITING_HELLO
        self.epoch = ""
        """The wire epoch that ``sent`` belongs to."""
        self.sent = 0
        """Everything through this seq was written to the connection, or was the client's own."""
        self.writable = True
        """False while the transport's buffer is over its high-water mark."""
        self.asked: Resume | None = None
        """What the last hello named, until it is answered."""

    def end(self) -> None:
        """The connection is closing."""
        self.state = State.ENDED
        self.asked = None

    def hello(self, resume: Resume | None) -> None:
        """The client says what it has; :meth:`answer` is due."""
        if self.state is not State.ENDED:
            self.asked = _FROM_NOTHING if resume is None else resume

    def answer(self, feed: Feed, *, looked: bool = False) -> Answer:
        """Answer the hello that is due, if any.

        Args:
            feed: installed.
            looked: the source was read, or could not be, since the hello arrived.

        Returns:
            The frames to write; empty where nothing is due or the connection is not writable (ask
            again when it is). :data:`LOOK` where the client names another epoch or a seq from the
            future: this gateway may be the one that is behind.
        """
        asked = self.asked
        if asked is None or not self.writable:
            return ()
        ahead = feed.is_behind(asked.epoch, asked.seq)
        known = asked.epoch == feed.epoch and not ahead
        if not known and not looked and asked is not _FROM_NOTHING:
            return LOOK
        self.asked = None
        self.epoch, self.sent = asked.epoch, asked.seq
        if ahead:
            self.state = State.HELD
            # This feed's own position, so that the client can see that it is the one ahead.
            return (feed.welcome("none", feed.epoch, feed.seq),)
        self.state = State.LIVE
        if known:
            self.epoch = feed.epoch  # one object for all: compared by identity, in nearer memory
        frames = self._resumed(feed)
        # A client that is told "none" by a gateway out of touch would take itself for up to date.
        warning = self.heartbeat(feed) if feed.stale else None
        return frames if warning is None else (*frames, warning)

    def _resumed(self, feed: Feed) -> tuple[bytes, ...]:
        changes = self.advance(feed)
        if self.state is State.WAITING:
            # What the snapshot, and the changes after it, will certainly lead to.
            return (feed.welcome("full", feed.epoch, feed.changed),)
        if changes is None:
            return (feed.welcome("none", feed.epoch, feed.seq),)
        return (feed.welcome("changes", feed.epoch, feed.seq), changes)

    def offer(self, feed: Feed, broadcast: Broadcast) -> bytes | None:
        """The frame that takes this session through ``broadcast``, usually the shared one."""
        if (
            self.state is not _LIVE
            or not self.writable
            or self.sent >= broadcast.to
            or self.epoch != broadcast.epoch
        ):
            return None
        if self.sent < broadcast.since or self.sent < feed.horizon:
            return self.advance(feed)
        self.sent = broadcast.to
        return broadcast.shared.forms[self.wire] or broadcast.shared.form(self.wire)

    def advance(self, feed: Feed) -> bytes | None:
        """One ``changes`` from ``sent`` to the head, where there is anything to say.

        Moves the session to WAITING where only a snapshot helps: another epoch, or a position
        below the horizon.
        """
        if self.state is State.HELD and not feed.is_behind(self.epoch, self.sent):
            self.state = State.LIVE
        if self.state is not State.LIVE:
            return None
        if self.epoch != feed.epoch or self.sent < feed.horizon:
            self.state = State.WAITING
            return None
        if not self.writable or self.sent >= feed.changed:
            return None
        since, self.sent = self.sent, feed.changed
        return feed.changes_since(since, self.wire)

    def snapshot(self, feed: Feed) -> bytes | None:
        """The snapshot this session waits for.

        None where it does not, is not writable, or where the snapshot has not been made yet. What
        has changed since it was made is for :meth:`advance`.
        """
        if self.state is not State.WAITING or not self.writable:
            return None
        snapshot = feed.snapshot(self.wire)
        if snapshot is None:
            return None
        self.epoch, self.sent, self.state = feed.epoch, snapshot.seq, State.LIVE
        return snapshot.frame

    def heartbeat(self, feed: Feed) -> bytes | None:
        """A heartbeat, where everything up to the feed's ``changed`` was sent."""
        if (
            self.state is not State.LIVE
            or not self.writable
            or self.sent < feed.changed
            or self.epoch != feed.epoch
        ):
            return None
        self.sent = max(self.sent, feed.seq)
        return feed.heartbeat()


def goodbye(feed: Feed, reason: str, reconnect_after_ms: int) -> bytes:
    """A frame that asks a client to open a new connection in a while."""
    return feed.framed(encode_message(Goodbye(reason, reconnect_after_ms)))
