"""The client half of a stream's conversation, without I/O, clock or chance.

Input: what happened on a connection (it opened, said something, closed) or that time passed.
Output: a tuple of actions for the shell to carry out, in order. No action fails the session: what
comes of it arrives as the next input.

    opened(link) -> Send(hello)          received(link, message) -> Updated, Send(hello), ...
    closed(link, code) -> Redial, Stop   tick(now) -> Close, Redial (silence)

A *link* is one connection, numbered by the shell in the order in which they were opened. Normally
there is one; after a ``goodbye`` there are two for a while, both feeding the same replica, until
the newer has caught up.

Invariants:
    - ``replica`` is always complete as of its seq, and within one epoch never goes back.
    - ``welcome.seq`` is never adopted: it says what the server has, not what was sent. After
      ``full`` it is how far this side must have come before it calls itself up to date.
    - ``stale_since`` is None only while some link has shown that nothing is missing.
    - A link that was dropped (closed, silent, overtaken) is not listened to any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

from halyard_protocol.close_codes import Reconnect, reconnect_rule
from halyard_protocol.messages import (
    HEARTBEAT_S,
    PROTOCOL_VERSION,
    SILENCE_FACTOR,
    Changes,
    Error,
    Goodbye,
    Heartbeat,
    Hello,
    Resume,
    SdkInfo,
    ServerMessage,
    Snapshot,
    UnknownMessage,
    Values,
    Welcome,
    encode_message,
)
from halyard_protocol.session.client_actions import (
    Actions,
    Close,
    Connect,
    LinkId,
    Redial,
    Report,
    Send,
    Stop,
    Updated,
)
from halyard_protocol.session.replica import (
    Replica,
    advanced,
    difference,
    from_snapshot,
    with_changes,
)

MAX_GAPS = 8
"""Gaps in a row on one link, after which something is wrong that asking again does not mend."""

NORMAL_CLOSURE = 1000
UNREADABLE = 1007
"""What this side closes with when it cannot read what it got."""


@dataclass(slots=True)
class _Link:
    """How far one connection has come."""

    id: LinkId
    seen_s: float
    """When the last byte arrived."""
    heartbeat_s: float = HEARTBEAT_S
    asked: bool = False
    """A hello is on its way, not yet answered by a welcome."""
    asked_epoch: str | None = None
    """The epoch that the last hello named."""
    agreed_epoch: str | Literal[False] | None = False
    """The epoch in which the server knows this client to be; False before the first welcome."""
    promised: Resume | None = None
    """Where a snapshot, and the changes that follow it, will lead: before, something is missing."""
    synchronised: bool = False
    """Its last word left nothing missing."""
    degraded: bool = False
    """The server itself has lost touch, by its own account."""
    leaving: bool = False
    """The server has said goodbye."""
    gaps: int = 0
    """How many gaps in a row, without anything useful between them."""

    @property
    def silent_at_s(self) -> float:
        return self.seen_s + SILENCE_FACTOR * self.heartbeat_s


class ClientSession:
    """Keeps one replica in step with a server, over one connection after the other.

    All times are seconds of one clock, the caller's choice, and never decrease.

    Args:
        sdk: named in every hello.
        replica: what is known from before, for example from a file.
        now_s: the present.
        stale_since_s: since when ``replica`` may be out of date; the present, if not given.
        resumable: False where ``replica`` may be evaluated from, but not resumed (it was kept by
            another version of the protocol).
    """

    def __init__(
        self,
        sdk: SdkInfo,
        now_s: float,
        replica: Replica | None = None,
        *,
        stale_since_s: float | None = None,
        resumable: bool = True,
    ) -> None:
        self.replica = replica
        self.stale_since_s: float | None = now_s if stale_since_s is None else stale_since_s
        """Since when something may be missing; None while nothing is."""
        self.stopped: str | None = None
        """Why there will be no further connection; None while there may be."""
        self._sdk = sdk
        self._suspect = not resumable  # the replica may be evaluated from, but not built upon
        self._was_unreadable = False  # since anything useful arrived last
        self._links: dict[LinkId, _Link] = {}

    # --- what the shell reports

    def opened(self, link: LinkId, now_s: float) -> Actions:
        """A connection was established. ``link`` is greater than any before it."""
        if self.stopped is not None:
            return (Close(link, NORMAL_CLOSURE, "stopped"),)
        self._links[link] = _Link(link, now_s)
        return self._ask(self._links[link])

    def seen(self, link: LinkId, now_s: float) -> None:
        """Bytes arrived, of whatever kind: the connection lives."""
        found = self._links.get(link)
        if found is not None:
            found.seen_s = now_s

    def received(
        self,
        link: LinkId,
        message: ServerMessage | UnknownMessage,
        now_s: float,
        read: Replica | None = None,
    ) -> Actions:
        """A message arrived. What a dropped link still says changes nothing.

        ``read`` is what ``from_snapshot`` made of a snapshot, where the shell has had it read
        elsewhere because that takes long.
        """
        found = self._links.get(link)
        if found is None:
            return ()
        found.seen_s = now_s
        actions = self._heard(found, message, read)
        self._judge(now_s)
        return actions

    def unreadable(self, link: LinkId, problem: str, now_s: float) -> Actions:
        """A frame arrived that is no message. Whatever it was is lost: connect and ask again.

        Resuming keeps the state from going back; where that brings the same again, everything is
        asked for anew.
        """
        if link not in self._links:
            return ()
        rule = Reconnect.AFRESH if self._was_unreadable else Reconnect.RESUME
        self._was_unreadable = True
        text = f"the server sent what cannot be read: {problem}"
        return (Close(link, UNREADABLE, "unreadable"), *self._lost(link, rule, text, now_s))

    def closed(self, link: LinkId, code: int | None, reason: str, now_s: float) -> Actions:
        """A connection ended; ``code`` is None where it just broke."""
        if link not in self._links:
            return ()
        text = f"closed {code}: {reason}" if code else f"connection lost: {reason}"
        return self._lost(link, reconnect_rule(code), text, now_s)

    def tick(self, now_s: float) -> Actions:
        """Time passed. To be called at ``deadline_s()``, or at any other time."""
        actions: Actions = ()
        for link in [link for link in self._links.values() if link.silent_at_s <= now_s]:
            text = f"silent for {now_s - link.seen_s:.1f} s"
            close = Close(link.id, NORMAL_CLOSURE, "silent")
            # Whatever was missed was missed since the last byte, not since this was noticed.
            actions += (close, *self._lost(link.id, Reconnect.RESUME, text, link.seen_s))
        return actions

    def deadline_s(self) -> float | None:
        """When a link will have been silent for too long; None where there is no link."""
        return min((link.silent_at_s for link in self._links.values()), default=None)

    @property
    def accepted(self) -> LinkId | None:
        """The newest link whose hello was answered: where this side may say more, if anywhere."""
        answered = (link.id for link in self._links.values() if link.agreed_epoch is not False)
        return max(answered, default=None)

    # --- messages

    def _heard(
        self, link: _Link, message: ServerMessage | UnknownMessage, read: Replica | None
    ) -> Actions:
        match message:
            case Changes():
                return self._changes(link, message)
            case Heartbeat():
                return self._heartbeat(link, message)
            case Snapshot():
                return self._snapshot(link, message, read)
            case Welcome():
                return self._welcome(link, message)
            case Goodbye():
                return self._goodbye(link, message)
            case Error():
                return (Report(f"the server says {message.code}: {message.message}"),)
            case Values() | UnknownMessage():
                return ()  # values are for client keys
        assert_never(message)

    def _welcome(self, link: _Link, welcome: Welcome) -> Actions:
        link.asked = False
        link.agreed_epoch = link.asked_epoch
        if welcome.heartbeat_seconds > 0:
            link.heartbeat_s = welcome.heartbeat_seconds
        full = welcome.intent == "full"
        link.promised = Resume(welcome.epoch, welcome.seq) if full else None
        if welcome.intent == "none":
            return self._vouched(link, welcome.epoch, welcome.seq)
        return ()

    def _snapshot(self, link: _Link, snapshot: Snapshot, read: Replica | None) -> Actions:
        mine = self._position
        if mine is not None and snapshot.epoch == mine.epoch and snapshot.seq < mine.seq:
            return ()  # another link was faster
        epoch = None if mine is None else mine.epoch
        if epoch not in (snapshot.epoch, link.agreed_epoch):
            # Another link has changed the epoch since this one was asked. Epochs are opaque: only
            # a server that knows about the new one can say which of the two is the later.
            return self._gap(link)
        before, self.replica = self.replica, read or from_snapshot(snapshot, self.replica)
        self._suspect = False
        link.agreed_epoch = snapshot.epoch
        changed = difference(before, self.replica)
        return (Updated(changed), *self._vouched(link, snapshot.epoch, snapshot.seq))

    def _changes(self, link: _Link, changes: Changes) -> Actions:
        mine = self._position
        if mine is None or changes.epoch != mine.epoch or mine.seq < changes.from_:
            return self._gap(link)
        if mine.seq >= changes.to:
            return self._vouched(link, changes.epoch, changes.to)
        self.replica, changed = with_changes(mine, changes)
        updated = (Updated(changed),) if changed else ()
        return updated + self._vouched(link, changes.epoch, changes.to)

    def _heartbeat(self, link: _Link, heartbeat: Heartbeat) -> Actions:
        mine = self._position
        link.degraded = heartbeat.stale
        if mine is None or heartbeat.epoch != mine.epoch or mine.seq < heartbeat.changed:
            return self._gap(link)
        self.replica = advanced(mine, heartbeat.seq)
        return self._vouched(link, heartbeat.epoch, heartbeat.seq)

    def _goodbye(self, link: _Link, goodbye: Goodbye) -> Actions:
        if link.leaving or link.id != max(self._links):
            return ()  # its successor is there already, or on its way
        link.leaving = True
        return (Connect(max(0, goodbye.reconnect_after_ms) / 1000),)

    # --- what follows from them

    @property
    def _position(self) -> Replica | None:
        """The replica, where it may be built upon."""
        return None if self._suspect else self.replica

    def _ask(self, link: _Link) -> Actions:
        mine = self._position
        resume: Resume | None = None if mine is None else mine.resume
        link.asked, link.asked_epoch = True, None if resume is None else resume.epoch
        hello = Hello(self._sdk, PROTOCOL_VERSION, resume)
        return (Send(link.id, encode_message(hello)),)

    def _gap(self, link: _Link) -> Actions:
        """Something is missing: ask for it, once."""
        link.synchronised = False
        if link.asked:
            return ()
        link.gaps += 1
        if link.gaps > MAX_GAPS:
            text = f"{MAX_GAPS} gaps in a row"
            close = Close(link.id, NORMAL_CLOSURE, text)
            return (close, *self._lost(link.id, Reconnect.AFRESH, text, link.seen_s))
        return self._ask(link)

    def _vouched(self, link: _Link, epoch: str, seq: int) -> Actions:
        """The link has delivered everything through ``seq``: is that all we have, or more?"""
        mine = self._position
        if mine is None or epoch != mine.epoch or seq < mine.seq:
            return ()
        link.gaps = 0
        self._was_unreadable = False
        promised = link.promised
        if promised is not None and epoch == promised.epoch and seq < promised.seq:
            return ()  # the snapshot was a little old; what has changed since is on its way
        return self._caught_up(link)

    def _caught_up(self, link: _Link) -> Actions:
        """The link has left nothing missing: those before it are not needed any more."""
        link.gaps = 0
        self._was_unreadable = False
        link.synchronised = True
        overtaken = [older for older in self._links if older < link.id]
        for older in overtaken:
            del self._links[older]
        return tuple(Close(older, NORMAL_CLOSURE, "moved") for older in overtaken)

    def _lost(self, link: LinkId, rule: Reconnect, reason: str, since_s: float) -> Actions:
        newest = link == max(self._links)
        del self._links[link]
        actions = self._begin_afresh() if rule is Reconnect.AFRESH else ()
        if newest:
            redial = Redial(reason, later=rule is Reconnect.LATER)
            actions += self._stop(reason) if rule is Reconnect.STOP else (redial,)
        self._judge(since_s)
        return actions

    def _begin_afresh(self) -> Actions:
        """Build on nothing that we have; whoever is still connected is asked for all of it."""
        self._suspect = True
        actions: Actions = ()
        for link in self._links.values():
            link.synchronised = False
            actions += self._ask(link)
        return actions

    def _stop(self, reason: str) -> Actions:
        self.stopped = reason
        others = tuple(Close(link, NORMAL_CLOSURE, "stopped") for link in self._links)
        self._links.clear()
        return (*others, Stop(reason))

    def _judge(self, now_s: float) -> None:
        if any(link.synchronised and not link.degraded for link in self._links.values()):
            self.stale_since_s = None
        elif self.stale_since_s is None:
            self.stale_since_s = now_s
