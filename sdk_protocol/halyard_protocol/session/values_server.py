"""The server half of the conversation with a browser: who it is, and what it was shown last.

The shell treats it as any other session; what it is sent is not a ruleset but the values of one
context, worked out in an :class:`~halyard_protocol.session.audience.Audience`.

    introduce(hello) then answer(feed)  -> welcome; the values follow from the audience's steps
    identify(message) then move()       -> the values of another context follow, likewise
    reply()                             -> all values, or a heartbeat where the client has them
    advance(feed)                       -> one conflated difference to what there is now

States: AWAITING_HELLO -> WAITING (being answered for, nothing before it), HELD (the client is ahead
of this gateway) or LIVE. What a client gets is never older than what it says that it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from halyard_protocol.codec import encode_sorted
from halyard_protocol.context import Context, InvalidContext
from halyard_protocol.limits import MAX_CONTEXT_BYTES
from halyard_protocol.messages import Hello, Identify
from halyard_protocol.session.feed import Broadcast, Feed
from halyard_protocol.session.frames import PLAIN, WireFormat
from halyard_protocol.session.outcomes import Board
from halyard_protocol.session.server import LOOK, Answer, ServerSession, State

if TYPE_CHECKING:
    from halyard_protocol.session.audience import Audience, Cohort


def context_bytes(source: Any) -> bytes:
    """A context as the JSON of its attributes by kind, the same however its members stood.

    Raises :class:`~halyard_protocol.context.InvalidContext`.
    """
    if source is None:
        raise InvalidContext("", "is missing: a client key's values are those of one context")
    written = encode_sorted(Context.of(source).kinds)
    if len(written) > MAX_CONTEXT_BYTES:
        raise InvalidContext("", f"has at most {MAX_CONTEXT_BYTES} bytes as JSON: leave some out")
    return written


class ValuesSession(ServerSession):
    """One connection with a client key.

    Attributes:
        audience: that of the environment; None until the key was found there.
        cohort: the connections that are answered for alike; None while it has none.
        shown: what was sent last.
        moved: another context was named, and :meth:`move` is due.
        queued: it stands in the audience's line.
    """

    __slots__ = ("_digest", "_source", "audience", "cohort", "moved", "queued", "shown")

    def __init__(self, wire: WireFormat = PLAIN) -> None:
        super().__init__(wire)
        self.audience: Audience | None = None
        self.cohort: Cohort | None = None
        self.shown: Board | None = None
        self.moved = False
        self.queued = False
        self._source = b""
        self._digest: str | None = None

    def introduce(self, hello: Hello) -> None:
        """The client says who it is, and what it has; :meth:`answer` is due.

        Raises :class:`~halyard_protocol.context.InvalidContext`.
        """
        self._source = context_bytes(hello.context)
        self._digest = hello.digest
        self.moved = False
        self.hello(hello.resume)

    def identify(self, message: Identify) -> None:
        """From now on it is somebody else; of several, the last counts. Raises as above."""
        self._source = context_bytes(message.context)
        self._digest = None
        self.moved = self.asked is None and self.state in (State.LIVE, State.WAITING)

    def answer(self, feed: Feed, *, looked: bool = False) -> Answer:
        """Welcome a client whose hello is due, and have it answered for."""
        asked = self.asked
        if asked is None or not self.writable or self.audience is None:
            return ()
        ahead = feed.is_behind(asked.epoch, asked.seq)
        if ahead and not looked:
            return LOOK
        self.asked = None
        self.epoch, self.sent = asked.epoch, asked.seq
        if ahead:
            self.state = State.HELD
        else:
            self._enter()
        return (feed.welcome("values", feed.epoch, feed.seq),)

    def move(self) -> None:
        """Have it answered for as whom it named last."""
        if self.moved:
            self.moved = False
            self._enter()

    def leave(self) -> None:
        """It belongs to no cohort any more."""
        if self.audience is not None and self.cohort is not None:
            self.audience.leave(self, self.cohort)
        self.cohort = self.shown = None

    def reply(self) -> tuple[bytes, ...]:
        """What it is answered; its cohort is at the audience's position.

        Nothing where it is not waiting any more, or not writable: it stands in line again once it
        is drained.
        """
        audience, cohort = self.audience, self.cohort
        if self.state is not State.WAITING or not self.writable or self.moved:
            return ()
        if audience is None or cohort is None:
            return ()
        self.state, self.shown = State.LIVE, cohort.board
        if self._digest is not None and self._digest == cohort.board.digest:
            return (audience.heartbeat(),)
        full = audience.full(cohort.board).form(self.wire)
        # A client that hears nothing else would take itself for up to date.
        return (full, audience.heartbeat()) if audience.stale else (full,)

    def advance(self, feed: Feed) -> bytes | None:
        """What takes it from what it was shown to what there is now, if that differs."""
        if self.state is State.HELD and not feed.is_behind(self.epoch, self.sent):
            self._enter()
        elif self.state is State.WAITING and self.audience is not None:
            self.audience.ask(self)
        if self.state is not State.LIVE or not self.writable or self.moved:
            return None
        audience, cohort, shown = self.audience, self.cohort, self.shown
        if audience is None or cohort is None or shown is None or shown is cohort.board:
            return None
        if not audience.is_current(cohort):
            return None  # whoever brings it there tells
        self.shown = cohort.board
        return audience.between(shown, cohort.board).form(self.wire)

    def offer(self, feed: Feed, broadcast: Broadcast) -> bytes | None:  # noqa: ARG002
        """Nothing: it is told no rules."""
        return None

    def snapshot(self, feed: Feed) -> bytes | None:  # noqa: ARG002
        """Nothing, likewise."""
        return None

    def heartbeat(self, feed: Feed) -> bytes | None:  # noqa: ARG002
        """A heartbeat, where it was shown what there is."""
        audience, cohort = self.audience, self.cohort
        if self.state is not State.LIVE or not self.writable or self.moved:
            return None
        if audience is None or cohort is None or self.shown is not cohort.board:
            return None
        return audience.heartbeat() if audience.is_current(cohort) else None

    def _enter(self) -> None:
        assert self.audience is not None  # noqa: S101
        self.leave()
        self.state = State.WAITING
        self.cohort = self.audience.enter(self, self._source)
        self.audience.ask(self)
