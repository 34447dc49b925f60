"""One environment in use by this process: its feed, its connections, and what follows from news.

Nothing here awaits. Whoever reads Redis or listens to it (:mod:`streaming.hub`) hands over what
was found; ``need`` says what is to be read next.

A connection is first a visitor, whose key has not been found yet, then a member of
``connections``. A key that is not in the feed is looked for in Redis before it is refused, and it
is refused for good (4401) only where the feed is known to be current. The keys of HTTP requests
are visitors too, and judged alike (:mod:`streaming.serving`).

Invariants:
    - while a read is under way, published messages wait in ``inbox``, so that a delta which does
      not connect before the read is tried again after it;
    - every connection of ``connections`` has a live key in the feed;
    - whoever waits for a read (visitors, lookers) is answered by one that began after they came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, TypeAlias

from halyard_protocol.close_codes import CloseCode
from halyard_protocol.session.feed import (
    Delta,
    Feed,
    Gap,
    Merged,
    OtherEpoch,
    Outcome,
    Renewed,
    Repeat,
    Stored,
    epoch_order,
)
from halyard_protocol.session.server import LOOK, State
from halyard_protocol.session.values_server import ValuesSession

from streaming.browsers import Browsers
from streaming.caller import Caller
from streaming.feed_evaluator import FeedEvaluator
from streaming.framing import framed
from streaming.live_keys import ELSEWHERE, REFUSED, LiveKeys
from streaming.rounds import Rounds
from streaming.snapshot_body import SnapshotBody

if TYPE_CHECKING:
    from streaming.admission import Admission
    from streaming.connection import Connection
    from streaming.counters import Counters
    from streaming.serving import ServedEnvironment
    from streaming.settings import StreamSettings

    Visitor: TypeAlias = Connection | Caller

BUSY = "too many unknown keys are being looked up"
MOST_VISITORS = 1_000
"""With keys that an environment does not have, waiting for the next judgement."""
UNCERTAIN = "keys cannot be checked at present"


class Need(IntEnum):
    """What should be read of an environment; each includes those before it."""

    NOTHING = 0
    COMPARE = 1
    """Where Redis is, to compare with."""
    NEWER = 2
    """The documents that are newer than the feed's."""
    WHOLE = 3


class Environment:
    """See the module.

    Args:
        id: the environment's opaque id.
        read: called when ``need`` rises; starts a reader unless one is at work.
    """

    __slots__ = (
        "_admission",
        "_held",
        "_lookers",
        "_read",
        "_resting",
        "_rounds",
        "_served",
        "_visitors",
        "asked",
        "body",
        "browsers",
        "callers",
        "connections",
        "counters",
        "doubted",
        "evaluator",
        "feed",
        "id",
        "inbox",
        "keys",
        "listeners",
        "need",
        "reading",
        "streamed",
        "subscribed",
        "suspected",
    )

    def __init__(
        self,
        id: str,  # noqa: A002
        settings: StreamSettings,
        counters: Counters,
        admission: Admission,
        read: Callable[[Environment], None],
    ) -> None:
        self.id = id
        self.feed = Feed(framed, settings.heartbeat_s)
        self.connections: dict[Connection, None] = {}
        """In order of arrival, as they lie in memory: a round over them is a third quicker so."""
        self.keys = LiveKeys(self)
        self.browsers = Browsers(self)
        """Connections with client keys, which get values instead."""
        self.counters = counters
        self.need = Need.NOTHING
        self.reading = False
        """A reader is at work; set by it."""
        self.subscribed = False
        """What is published is being heard."""
        self.suspected = False
        """Redis was seen to be ahead once; the second time, something was missed."""
        self.inbox: deque[Delta] = deque()
        self.evaluator = FeedEvaluator(self.feed)
        self.body = SnapshotBody(self.feed)
        self.callers: dict[str, ServedEnvironment] = {}
        """By the key as it is presented over HTTP, where that is live."""
        self.listeners: dict[object, Callable[[], None]] = {}
        """Called after each change of documents or of the wire epoch."""
        self.asked = False
        """Something was asked over HTTP since :meth:`take_asked`."""
        self.streamed = False
        """There was ever a connection."""
        self._admission = admission
        self._read = read
        self._resting = False
        self._rounds = Rounds(self)
        self._held: set[Connection] = set()
        """Members whose client is ahead of the feed."""
        self._visitors: dict[Visitor, None] = {}
        """Those whose key was not found, by the next read."""
        self._lookers: dict[Connection, None] = {}
        """Members whose hello is to be answered after the next read."""
        self.doubted: list[Visitor] = []
        """Those whose key Redis lacks; whether Redis is behind is being found out."""
        self._served: list[Visitor] = []
        """Those whom the read under way will answer."""

    @property
    def in_use(self) -> bool:
        """Whether anybody stands, listens or waits here."""
        return bool(
            self.connections
            or self.browsers
            or self.listeners
            or self._visitors
            or self._served
            or self.doubted
        )

    def take_asked(self) -> bool:
        """Whether anything was asked over HTTP since this was called last."""
        asked, self.asked = self.asked, False
        return asked

    @property
    def uneasy(self) -> bool:
        """Whether there is reason to compare with Redis soon."""
        return self.feed.stale or self.suspected

    def want(self, need: Need) -> None:
        """Something should be read."""
        self.need = max(self.need, need)
        self._read(self)

    def read_newer(self) -> None:
        """The end of a key has come: be as current as the log."""
        self.want(Need.NEWER)

    # --- connections

    def visit(self, visitor: Visitor) -> None:
        """A connection, or a request over HTTP, has come with a key."""
        self.streamed = self.streamed or not isinstance(visitor, Caller)
        if self.keys.accepts(visitor.document_key):
            self._join(visitor)
        elif self.feed.installed and len(self._visitors) >= MOST_VISITORS:
            self.counters.lookups_refused += 1
            visitor.close(CloseCode.INTERNAL, BUSY)
        else:
            self._visitors[visitor] = None
            if not self._resting:
                self.want(Need.NEWER if self.feed.installed else Need.WHOLE)

    def rest(self) -> None:
        """Keys were judged: let those that come now wait for :meth:`look`, all for the same."""
        self._resting = True

    def look(self) -> None:
        """The rest is over."""
        self._resting = False
        if self._visitors:
            self.want(Need.NEWER if self.feed.installed else Need.WHOLE)

    def leave(self, connection: Connection) -> None:
        """A connection is closing, or gone."""
        connection.environment = None
        self.connections.pop(connection, None)
        if isinstance(connection.session, ValuesSession):
            self.browsers.leave(connection.session)
        self._held.discard(connection)
        self._visitors.pop(connection, None)
        self._lookers.pop(connection, None)
        self._admission.forget(connection)

    def answer(self, connection: Connection, *, looked: bool = False) -> None:
        """A hello came, or what its answer waited for has happened."""
        session = connection.session
        frames = session.answer(self.feed, looked=looked)
        if frames is LOOK:
            self._lookers[connection] = None
            self.want(Need.NEWER)
            return
        for frame in frames:
            self.send(connection, frame)
        if frames:
            if self.feed.stale and session.state is State.LIVE:
                self.counters.heartbeats += 1
            # Out of touch, the answer ends with a heartbeat that says so.
            self._answered(connection, changes=len(frames) > 1 + self.feed.stale)

    def _answered(self, connection: Connection, *, changes: bool) -> None:
        self._held.discard(connection)
        match connection.session.state:
            case State.HELD:
                self.counters.welcomes["held"] += 1
                self._held.add(connection)
            case State.WAITING if isinstance(connection.session, ValuesSession):
                self.counters.welcomes["values"] += 1
                self.browsers.wake()
            case State.WAITING:
                self.counters.welcomes["full"] += 1
                self._admission.enqueue(connection)
            case _:
                self.counters.welcomes["changes" if changes else "none"] += 1

    def drained(self, connection: Connection) -> None:
        """A connection is writable again."""
        if connection.session.asked is not None:
            self.answer(connection)
        else:
            self.advance(connection)

    def advance(self, connection: Connection) -> None:
        """Bring a connection to the head, or into the line for a snapshot."""
        session = connection.session
        frame = session.advance(self.feed)
        if isinstance(session, ValuesSession):
            self.browsers.send(session, frame)
        elif frame is not None:
            self.counters.catch_ups += 1
            self.send(connection, frame)
        elif session.state is State.WAITING:
            self._admission.enqueue(connection)
        if session.state is not State.HELD:
            self._held.discard(connection)

    def send(self, connection: Connection, frame: bytes) -> None:
        """Write a frame; what its client does not take in at once is accounted for."""
        connection.send(frame)
        if not connection.session.writable:
            self.holds(connection, frame)

    def holds(self, connection: Connection, frame: bytes) -> None:
        """A connection was written a frame, and is not writable now."""
        self._admission.holds(connection, frame)

    def _join(self, visitor: Visitor) -> None:
        if isinstance(visitor, Caller):
            self.asked = True  # or it could be dropped before the request goes on
            visitor.admit(self)
            return
        if not self.keys.allows(visitor):
            visitor.close(CloseCode.FORBIDDEN, ELSEWHERE)
            return
        visitor.environment = self
        if isinstance(visitor.session, ValuesSession):
            self.browsers.join(visitor.session, visitor)
        else:
            self.connections[visitor] = None
        self.answer(visitor)

    # --- what was heard

    def hear(self, delta: Delta, bound: int, *, committed_us: int = 0, sent_us: int = 0) -> None:
        """A delta was published; its times as :class:`projections.rulesets.Delta` has them."""
        self.counters.deltas += 1
        self._rounds.heard(committed_us, sent_us)
        if not self.reading:
            self._merge(delta)
        elif len(self.inbox) < bound:
            self.inbox.append(delta)
        else:
            self.counters.dropped += 1
            self.need = max(self.need, Need.NEWER)

    def hear_swap(self, epoch: str, to: int, seq: int) -> None:
        """Another generation became the active one."""
        order, own = epoch_order(epoch), epoch_order(self.feed.epoch)
        if order > own:
            self.want(Need.WHOLE)
        elif order == own and to > self.feed.changed:
            self.want(Need.NEWER)
        else:
            self._checked(epoch, to, seq)

    def lost(self) -> None:
        """Nothing is heard any more; it will be said when that is over."""
        self.subscribed = False
        if self.feed.installed:
            self.feed.stale = True
        else:
            self.failed()

    def _merge(self, delta: Delta) -> None:
        if self.feed.installed:
            self._follow(self.feed.merge(delta))

    def _follow(self, outcome: Outcome) -> None:
        match outcome:
            case Merged(since):
                self.feed.stale = self.suspected = False
                if self.feed.keys_changed_since(since):
                    self.keys.changed()
                self._rounds.merged(since)
                self.browsers.follow()
                self.notify()
            case Renewed():
                self.feed.stale = self.suspected = False
                self.keys.changed()
                self._rounds.renewed()
                self.browsers.follow()
                self.notify()
            case Repeat():
                self.counters.repeats += 1
                self._rounds.repeated()
            case Gap():
                self.counters.gaps += 1
                self.want(Need.NEWER)
            case OtherEpoch():
                self.want(Need.WHOLE)
        self._let_go()

    def _checked(self, epoch: str, changed: int, seq: int) -> None:
        """The log was checked through ``seq``, by somebody who is at ``changed``."""
        self.feed.checked(epoch, changed, seq)
        self._let_go()

    def _let_go(self) -> None:
        """Go on with those whom the feed has caught up with."""
        for connection in tuple(self._held):
            self.advance(connection)

    def forget_callers(self) -> None:
        """Have those judged again whose key opens nothing any more."""
        self.callers = {key: served for key, served in self.callers.items() if served.live}

    def notify(self) -> None:
        """Tell who listens."""
        for listener in tuple(self.listeners.values()):
            listener()

    # --- what was read

    def begin(self) -> Need:
        """A read begins: what for. Whoever waits now is answered by it, unless keys rest."""
        need, self.need = self.need, Need.NOTHING
        if need >= Need.NEWER:
            self._served += self._lookers
            self._lookers.clear()
            if not self._resting:
                self._served += self._visitors
                self._visitors.clear()
        return need

    def compared(self, epoch: str, changed: int, seq: int) -> None:
        """Redis is there."""
        ours = (epoch_order(self.feed.epoch), self.feed.changed)
        theirs = (epoch_order(epoch), changed)
        if theirs == ours:
            self.feed.stale = self.suspected = False
            self._checked(epoch, changed, seq)
        elif theirs < ours:
            self.feed.stale = True
        elif self.suspected or theirs[0] > ours[0]:
            self.want(Need.NEWER)
        else:
            self.suspected = True

    def extended(self, stored: Stored, since: int) -> None:
        """This much of Redis is newer than ``since``."""
        outcome = self.feed.extend(stored, since)
        if isinstance(outcome, Gap | OtherEpoch):
            self.want(Need.WHOLE)
            return
        self._follow(outcome)
        self._judge(stored)

    def installed(self, stored: Stored) -> None:
        """This is all of it."""
        self._follow(self.feed.install(stored))
        self._judge(stored)

    def missing(self) -> None:
        """Redis answered that there is no such ruleset (any more): it is being rebuilt."""
        self.feed.stale = True
        self._settle()

    def failed(self) -> None:
        """Redis did not answer."""
        self.counters.read_failures += 1
        self.feed.stale = True
        self._settle()

    def unknown(self, *, current: bool) -> None:
        """There is no such environment. ``current``: and none is missing."""
        for visitor in (*self._served, *self._visitors):
            if current:
                visitor.close(CloseCode.KEY_REFUSED, REFUSED)
            else:
                visitor.close(CloseCode.INTERNAL, UNCERTAIN)
        self._served.clear()

    def catch_up_with_inbox(self) -> None:
        """A read is over: merge what was published meanwhile."""
        while self.inbox:
            self._merge(self.inbox.popleft())

    def _judge(self, stored: Stored) -> None:
        theirs = (epoch_order(stored.epoch), stored.changed)
        self.feed.stale = theirs < (epoch_order(self.feed.epoch), self.feed.changed)
        self.suspected = False
        self._settle()

    def _settle(self) -> None:
        served, self._served = self._served, []
        for visitor in served:
            if not visitor.is_open:
                continue
            if not isinstance(visitor, Caller) and visitor.environment is self:
                self.answer(visitor, looked=True)
            elif self.keys.accepts(visitor.document_key):
                self._join(visitor)
            elif self.feed.installed and not self.feed.stale:
                self.doubted.append(visitor)
            else:
                visitor.close(CloseCode.INTERNAL, UNCERTAIN)

    # --- keys that Redis does not know

    def take_doubted(self) -> list[Visitor]:
        """Those whose keys Redis lacked, to be handed to :meth:`judge`."""
        doubted, self.doubted = self.doubted, []
        return doubted

    def judge(self, doubted: list[Visitor], *, current: bool) -> None:
        """Redis was read once more. ``current``: and it had all that was in the log before."""
        for visitor in doubted:
            if not visitor.is_open:
                continue
            if self.keys.accepts(visitor.document_key):
                self._join(visitor)
            elif self.need is Need.WHOLE:
                # What was read did not connect: it is the next read that tells.
                self._visitors[visitor] = None
            elif current and not self.feed.stale:
                visitor.close(CloseCode.KEY_REFUSED, REFUSED)
            else:
                visitor.close(CloseCode.INTERNAL, UNCERTAIN)
        if current and not self.feed.stale and self.need is not Need.WHOLE:
            self.keys.carry_out()
