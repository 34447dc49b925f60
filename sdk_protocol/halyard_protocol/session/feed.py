"""What a gateway knows of one environment, and the frames it says about it, each encoded once.

A :class:`Feed` is fed from two sides, rulesets that were read in one piece and the deltas that
were published since, in any order, with losses and repeats. Joining the two is a merge that can
answer "gap". Sessions (:mod:`halyard_protocol.session.server`) draw their frames from it.

Invariants:
    - within one wire epoch nothing newer is ever replaced by anything older, and an epoch is never
      replaced by an earlier one;
    - ``changed`` is the last seq that altered a document here, and ``seq >= changed``: the log has
      been checked through there, by a source that had exactly this ``changed``;
    - ``documents`` is ordered by version, so that "what changed since" costs what it answers;
    - frames are shared: whoever gets one must not alter it. SDK keys are in none of them;
    - a snapshot that is sent is of this epoch, and not below the horizon: with the ``changes``
      since its seq it is the head.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import msgspec

from halyard_protocol.messages import HEARTBEAT_S, Heartbeat, Intent, Welcome, encode_message
from halyard_protocol.session.documents import (
    Document,
    changes_parts,
    in_order,
    read_document,
)
from halyard_protocol.session.frames import (
    PLAIN,
    Framing,
    KeptSnapshot,
    SharedFrame,
    SnapshotFrame,
    SnapshotSource,
    WireFormat,
    joined,
)

CACHED_FRAMES = 8
"""How many distinct ``from`` values, or welcomes, keep their encoded frames."""

AT_ONCE_BYTES = 64 * 1024
"""Snapshots of up to so many bytes of documents are made where they are asked for, in a
millisecond or two. Larger ones are made aside."""

RENEWED_FROM = 1 / 8
"""A snapshot that was made aside is due again once this part of it has changed since,"""
USABLE_UP_TO = 1 / 2
"""and sent no more once this part has."""

SURPLUS_BYTES = 4096
"""What a catch-up may repeat, beside as much again as it must tell, to be shared with others."""

EpochOrder: TypeAlias = tuple[int, int]

_NO_EPOCH: EpochOrder = (-1, -1)
_LONGEST_EPOCH = 40


def epoch_order(epoch: str) -> EpochOrder:
    """The place of a wire epoch ``<epoch>.<content>`` among others.

    Anything else, such as what a confused client names, comes before every epoch.
    """
    if len(epoch) > _LONGEST_EPOCH or not epoch.isascii():
        return _NO_EPOCH
    major, _, minor = epoch.partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else _NO_EPOCH


class Stored(msgspec.Struct, frozen=True):
    """A ruleset as it was read in one piece, or that part of it which is newer than a version."""

    epoch: str
    """The wire epoch."""
    changed: int
    seq: int
    horizon: int
    """Tombstones up to this seq may be missing."""
    documents: Mapping[str, bytes]
    """Document key -> JSON with its ``version``."""


class Delta(msgspec.Struct, frozen=True):
    """The documents that changed between two seqs of one environment."""

    epoch: str
    since: int
    to: int
    seq: int
    documents: Mapping[str, bytes]


class Merged(msgspec.Struct, frozen=True):
    """Documents changed: everyone who has the state as of ``since`` or later needs the rest."""

    since: int


class Renewed(msgspec.Struct, frozen=True):
    """The wire epoch is another: nobody's position means anything any more."""


class Repeat(msgspec.Struct, frozen=True):
    """Nothing that was not known."""


class Gap(msgspec.Struct, frozen=True):
    """Something before it is missing: read what is newer than ``changed``, or all."""


class OtherEpoch(msgspec.Struct, frozen=True):
    """It belongs to a later wire epoch: read the whole ruleset."""


Outcome: TypeAlias = Merged | Renewed | Repeat | Gap | OtherEpoch


class Broadcast(msgspec.Struct, frozen=True):
    """One frame for every session whose position is at ``since`` or later, but before ``to``."""

    epoch: str
    since: int
    to: int
    shared: SharedFrame

    @property
    def frame(self) -> bytes:
        """The frame of those who negotiated nothing."""
        return self.shared.form(PLAIN)


class Feed:
    """The state of one environment in one gateway, and its shared frames.

    Args:
        framing: joins the parts of a payload. A gateway adds the WebSocket frame's header here, so
            that what is kept is what is written.
        heartbeat_s: what ``welcome`` promises.
        at_once_bytes: up to which size snapshots are made where they are asked for.
    """

    __slots__ = (
        "_at_once_bytes",
        "_catch_ups",
        "_framing",
        "_heartbeat",
        "_heartbeat_s",
        "_order",
        "_snapshots",
        "_welcomes",
        "changed",
        "documents",
        "epoch",
        "horizon",
        "seq",
        "size",
        "stale",
    )

    def __init__(
        self,
        framing: Framing = joined,
        heartbeat_s: float = HEARTBEAT_S,
        at_once_bytes: int = AT_ONCE_BYTES,
    ) -> None:
        self.epoch = ""
        """The wire epoch; empty until something was installed."""
        self.documents: dict[str, Document] = {}
        self.changed = 0
        self.seq = 0
        self.horizon = 0
        """A session from before it cannot be caught up: tombstones are missing."""
        self.size = 0
        """Bytes of all documents."""
        self.stale = False
        """The gateway has lost touch with its source; set by whoever knows, told in heartbeats."""
        self._order = _NO_EPOCH
        self._framing = framing
        self._heartbeat_s = heartbeat_s
        self._at_once_bytes = at_once_bytes
        self._snapshots: dict[WireFormat, KeptSnapshot] = {}
        self._catch_ups: dict[int, SharedFrame] = {}
        self._heartbeat: tuple[Heartbeat, bytes] | None = None
        self._welcomes: dict[tuple[Intent, str, int], bytes] = {}

    @property
    def installed(self) -> bool:
        """Whether anything is known at all."""
        return bool(self.epoch)

    @property
    def environment(self) -> str:
        """The environment's key, as its document has it; empty where there is none."""
        document = self.documents.get("environment")
        return "" if document is None else document.key

    def is_behind(self, epoch: str, seq: int) -> bool:
        """Whether a position is ahead of this feed: a faster gateway has answered for it."""
        return epoch_order(epoch) > self._order or (epoch == self.epoch and seq > self.seq)

    # --- merging

    def install(self, stored: Stored) -> Merged | Renewed | Repeat:
        """Take over a whole ruleset, unless it is older than what is here."""
        order = epoch_order(stored.epoch)
        if order < self._order:
            return Repeat()
        if order > self._order:
            return self._renew(stored, order)
        if stored.changed <= self.changed:
            return self.checked(stored.epoch, stored.changed, stored.seq)
        self._clear()
        return self._advance(stored)

    def extend(self, stored: Stored, since: int) -> Merged | Repeat | Gap | OtherEpoch:
        """Take over that part of a ruleset which is newer than ``since``.

        Answers :class:`Gap` where tombstones after ``since`` may be missing from it, or where it
        does not connect: only the whole ruleset helps then.
        """
        order = epoch_order(stored.epoch)
        if order != self._order:
            return Repeat() if order < self._order else OtherEpoch()
        if stored.changed <= self.changed:
            return self.checked(stored.epoch, stored.changed, stored.seq)
        if stored.horizon > since or since > self.changed:
            return Gap()
        return self._advance(stored)

    def merge(self, delta: Delta) -> Merged | Repeat | Gap | OtherEpoch:
        """Apply a published delta, or say why that is not possible."""
        order = epoch_order(delta.epoch)
        if order != self._order:
            return Repeat() if order < self._order else OtherEpoch()
        if delta.to <= self.changed:
            return self.checked(delta.epoch, delta.to, delta.seq)
        if delta.since > self.changed:
            return Gap()
        return self._put(delta.documents, delta.to, delta.seq)

    def checked(self, epoch: str, changed: int, seq: int) -> Repeat:
        """The source, being at ``changed``, has checked the log through ``seq``."""
        if epoch == self.epoch and changed == self.changed:
            self.seq = max(self.seq, seq)
        return Repeat()

    def _renew(self, stored: Stored, order: EpochOrder) -> Renewed:
        self.epoch, self._order = stored.epoch, order
        self.changed = self.seq = self.horizon = 0
        self._clear()
        self._advance(stored)
        return Renewed()

    def _clear(self) -> None:
        self.documents.clear()
        self.size = 0

    def _advance(self, stored: Stored) -> Merged:
        self.horizon = max(self.horizon, stored.horizon)
        return self._put(stored.documents, stored.changed, stored.seq)

    def _put(self, documents: Mapping[str, bytes], changed: int, seq: int) -> Merged:
        fresh = in_order({name: read_document(name, body) for name, body in documents.items()})
        last = next(reversed(self.documents.values()), None)
        for name, document in fresh.items():
            known = self.documents.pop(name, None)
            newest = document if known is None else max(document, known, key=_version)
            self.documents[name] = newest
            self.size += len(newest.body) - (0 if known is None else len(known.body))
        first = next(iter(fresh.values()), None)
        if last is not None and first is not None and first.version < last.version:
            self.documents = in_order(self.documents)
        since, self.changed = self.changed, changed
        self.seq = max(self.seq, changed, seq)
        self._catch_ups.clear()
        self._age_snapshots(sum(len(document.body) for document in fresh.values()))
        return Merged(since)

    def _changed_since(self, since: int) -> Iterator[Document]:
        """Documents newer than ``since``, the newest first."""
        for document in reversed(self.documents.values()):
            if document.version <= since:
                return
            yield document

    # --- SDK keys

    def key(self, document_key: str) -> Document | None:
        """The document of an SDK key that may be used; None where it is unknown or revoked."""
        document = self.documents.get(document_key)
        if document is None or document.kind != "key" or document.deleted:
            return None
        return document

    def unrevoked_keys(self) -> Iterator[Document]:
        """The documents of all SDK keys that were not revoked."""
        for document in self.documents.values():
            if document.kind == "key" and not document.deleted:
                yield document

    def keys_changed_since(self, since: int) -> bool:
        """Whether an SDK key was issued or revoked after ``since``."""
        return any(document.kind == "key" for document in self._changed_since(since))

    # --- frames

    def framed(self, payload: bytes) -> bytes:
        """A frame of any other message, which is small."""
        return self._framing((payload,), PLAIN)

    def shared(self, payload: bytes) -> SharedFrame:
        """The same of a message for several connections, of any wire format."""
        return SharedFrame((payload,), self._framing)

    def broadcast(self, since: int) -> Broadcast:
        """What everyone at ``since`` or later needs to reach the head."""
        return Broadcast(self.epoch, since, self.changed, self._catch_up(since))

    def changes_since(self, since: int, wire: WireFormat = PLAIN) -> bytes:
        """A ``changes`` frame that takes a client at ``since`` to the head.

        ``since`` is not below the horizon. While clients at many positions catch up at once, the
        frame's ``from`` may be earlier: most of what each of them lacks is the same.
        """
        return self._catch_up(since).form(wire)

    def _catch_up(self, since: int) -> SharedFrame:
        cached = self._catch_ups.get(since)
        if cached is not None:
            return cached
        changed = list(self._changed_since(since))[::-1]
        if len(self._catch_ups) >= CACHED_FRAMES:
            enough = SURPLUS_BYTES + 2 * sum(len(document.body) for document in changed)
            earlier = max((each for each in self._catch_ups if each < since), default=None)
            if earlier is not None and self._catch_ups[earlier].size <= enough:
                return self._catch_ups[earlier]
            del self._catch_ups[next(iter(self._catch_ups))]
        parts = changes_parts(self.epoch, since, self.changed, changed)
        cached = self._catch_ups[since] = SharedFrame(parts, self._framing)
        return cached

    # --- snapshots

    def snapshot(self, wire: WireFormat = PLAIN) -> SnapshotFrame | None:
        """The snapshot for whoever joins now, with the ``changes`` since its seq to follow.

        None where it has to be made aside first: of :meth:`source`, for :meth:`keep`.
        """
        kept = self._snapshots.get(wire)
        if kept is not None:
            return kept.snapshot
        if self.size > self._at_once_bytes:
            return None
        return self.keep(self.source().framed(self._framing, wire))

    def snapshot_due(self, wire: WireFormat) -> bool:
        """Whether a snapshot should be made aside, if anybody wants one."""
        if self.size <= self._at_once_bytes:
            return False
        kept = self._snapshots.get(wire)
        return kept is None or kept.behind_bytes > RENEWED_FROM * self.size

    def source(self) -> SnapshotSource:
        """What a snapshot of this moment is made of."""
        return SnapshotSource(self.epoch, self.seq, tuple(self.documents.values()))

    def keep(self, snapshot: SnapshotFrame) -> SnapshotFrame:
        """Have newcomers sent a snapshot that was made of this feed.

        However much was put meanwhile: else nobody would get any while nearly everything changes.
        """
        if self._connects(snapshot):
            newer = self._changed_since(snapshot.seq)
            self._snapshots[snapshot.wire] = KeptSnapshot(snapshot, newer)
        return snapshot

    def _connects(self, snapshot: SnapshotFrame) -> bool:
        """Whether the changes after it can be told."""
        return snapshot.epoch == self.epoch and snapshot.seq >= min(self.changed, self.horizon)

    def _age_snapshots(self, put_bytes: int) -> None:
        usable_bytes = USABLE_UP_TO * self.size if self.size > self._at_once_bytes else 0
        for wire, kept in tuple(self._snapshots.items()):
            kept.behind_bytes += put_bytes
            if kept.behind_bytes > usable_bytes or not self._connects(kept.snapshot):
                del self._snapshots[wire]

    def heartbeat(self) -> bytes:
        """A ``heartbeat`` frame, for those to whom everything up to ``changed`` was sent."""
        message = Heartbeat(self.epoch, self.changed, self.seq, self.stale)
        if self._heartbeat is None or self._heartbeat[0] != message:
            self._heartbeat = (message, self.framed(encode_message(message)))
        return self._heartbeat[1]

    def welcome(self, intent: Intent, epoch: str, seq: int) -> bytes:
        """A ``welcome`` frame that names a position."""
        cached = self._welcomes.get((intent, epoch, seq))
        if cached is None:
            if len(self._welcomes) >= CACHED_FRAMES:
                self._welcomes.clear()
            message = Welcome(self.environment, epoch, seq, intent, self._heartbeat_s)
            cached = self._welcomes[intent, epoch, seq] = self.framed(encode_message(message))
        return cached


def _version(document: Document) -> int:
    return document.version
