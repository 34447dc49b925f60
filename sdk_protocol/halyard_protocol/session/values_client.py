"""The client half of the conversation with a client key: the values of one context, kept current.

It is a :class:`~halyard_protocol.session.client.ClientSession` that keeps values in place of a
ruleset: links, liveness, hand-overs and close codes are the same.

    identify(context) -> Send(identify), at once or after the answer that is awaited

Invariants:
    - ``values`` are those of ``values_of``, complete, and as of one position, which never goes back
      within an epoch;
    - at most one question (``hello`` or ``identify``) is open on a link, so that it is clear which
      of them all values answer;
    - a difference is applied only to what came over the same link. What a link says before it has
      answered is about another context, or builds on something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from halyard_protocol.close_codes import Reconnect
from halyard_protocol.messages import (
    PROTOCOL_VERSION,
    Changes,
    Heartbeat,
    Hello,
    Identify,
    Resume,
    SdkInfo,
    ServerMessage,
    Snapshot,
    UnknownMessage,
    Values,
    encode_message,
)
from halyard_protocol.session.client import ClientSession, _Link
from halyard_protocol.session.client_actions import Actions, LinkId, Send, Updated
from halyard_protocol.session.outcomes import digest_of, read_values
from halyard_protocol.session.replica import Changed, Replica


@dataclass(frozen=True, slots=True)
class _Question:
    """What a link was asked, and has not answered."""

    context: Any
    digest: str | None = None
    """Of the values that were named with it."""
    epoch: str | None = None
    """The epoch that was named with it; an ``identify`` names what the link itself has said."""


class ValuesClient(ClientSession):
    """Keeps the values of one context in step with a server.

    Attributes:
        context: whose values are wanted.
        values: flag key -> the JSON of a :class:`~halyard_protocol.messages.Value`.
        values_of: whose values these are; another's than ``context`` until those have come.
        epoch, seq: the position as of which they are.
    """

    def __init__(self, sdk: SdkInfo, now_s: float, context: Any) -> None:
        super().__init__(sdk, now_s)
        self.context = context
        self.values: dict[str, bytes] = {}
        self.values_of: Any = None
        self.epoch = ""
        self.seq = 0
        self._questions: dict[LinkId, _Question] = {}
        self._source: LinkId | None = None
        """The link whose differences build on ``values``."""

    def identify(self, context: Any) -> Actions:
        """Values are wanted for another context; of several in a row, the last counts."""
        self.context = context
        link = None if self._source is None else self._links.get(self._source)
        return () if link is None else self._identify(link)

    @property
    def digest(self) -> str | None:
        """That of the values, where they are of the context that is wanted."""
        if self._suspect or not self.epoch or self.values_of != self.context:
            return None
        return digest_of(self.values)

    def _identify(self, link: _Link) -> Actions:
        if self.context == self.values_of or link.id in self._questions:
            return ()
        self._questions[link.id] = _Question(self.context, epoch=self.epoch)
        return (Send(link.id, encode_message(Identify(self.context))),)

    def _ask(self, link: _Link) -> Actions:
        known = bool(self.epoch) and not self._suspect
        resume = Resume(self.epoch, self.seq) if known else None
        epoch = self.epoch if known else None
        question = self._questions[link.id] = _Question(self.context, self.digest, epoch)
        link.asked = True
        hello = Hello(self._sdk, PROTOCOL_VERSION, resume, question.context, question.digest)
        return (Send(link.id, encode_message(hello)),)

    def _heard(
        self, link: _Link, message: ServerMessage | UnknownMessage, read: Replica | None
    ) -> Actions:
        match message:
            case Values(full=True):
                return self._all_values(link, message)
            case Values():
                return self._other_values(link, message)
            case Snapshot() | Changes():
                return ()  # for server keys
        return super()._heard(link, message, read)

    def _all_values(self, link: _Link, message: Values) -> Actions:
        question = self._questions.pop(link.id, None)
        if question is None:
            return ()  # nobody knows whose they are
        if self._is_overtaken(question, message.epoch, message.seq):
            return self._gap(link)
        if question.context != self.context == self.values_of:
            return self._gap(link)  # another link has answered for the new context
        self._suspect = False
        self.values_of, self._source = question.context, link.id
        updated = self._take(read_values(message.values), message)
        return (*updated, *self._caught_up(link), *self._identify(link))

    def _other_values(self, link: _Link, message: Values) -> Actions:
        if link.id != self._source or link.id in self._questions:
            return ()
        values = {**self.values, **read_values(message.values)}
        for key in message.removed:
            values.pop(key, None)
        return (*self._take(values, message), *self._caught_up(link))

    def _take(self, values: dict[str, bytes], message: Values) -> Actions:
        before, self.values = self.values, values
        self._reach(message.epoch, message.seq)
        keys = before.keys() | values.keys()
        changed = frozenset(key for key in keys if before.get(key) != values.get(key))
        return (Updated(Changed(flags=changed)),) if changed else ()

    def _heartbeat(self, link: _Link, heartbeat: Heartbeat) -> Actions:
        link.degraded = heartbeat.stale
        question = self._questions.get(link.id)
        if question is None:
            if link.id != self._source:
                return ()
        elif link.asked or question.digest is None:
            return ()  # said before the question arrived
        else:
            del self._questions[link.id]
            # It confirms what was had when it was asked, of whom it was then: another context may
            # have the same values, and the link would go on with those of the former.
            if (
                question.context != self.context
                or question.digest != self.digest
                or self._is_overtaken(question, heartbeat.epoch, heartbeat.seq)
            ):
                return self._gap(link)
            self._source = link.id
        self._reach(heartbeat.epoch, heartbeat.seq)
        return (*self._caught_up(link), *self._identify(link))

    def _is_overtaken(self, question: _Question, epoch: str, seq: int) -> bool:
        """Whether another link has gone further since this one was asked.

        Epochs are opaque: which of two is the later knows only a server that is told of both.
        """
        if self._suspect or not self.epoch:
            return False
        return seq < self.seq if epoch == self.epoch else question.epoch != self.epoch

    def _reach(self, epoch: str, seq: int) -> None:
        """Values that time has changed name an earlier seq than heartbeats before them."""
        self.seq = max(self.seq, seq) if epoch == self.epoch else seq
        self.epoch = epoch

    def _lost(self, link: LinkId, rule: Reconnect, reason: str, since_s: float) -> Actions:
        self._questions.pop(link, None)
        if self._source == link:
            self._source = None
        return super()._lost(link, rule, reason, since_s)
