"""The hash chain of a log, byte for byte, and its verification.

The hash of an event is the SHA-256 of the hash before it (32 zero bytes before the first event)
followed by every other column of its row, in the order of the table. Each column is written as
its length in bytes (4 bytes, big-endian, signed) and then its bytes; NULL is the length -1 alone:

    ============================================================  =================================
    log_id, event_id, environment, entity_kind, entity_key,       UTF-8
    type, actor_id, command_id, correlation_id, causation_id
    seq, revision                                                 8 bytes, big-endian, signed
    schema_version                                                4 bytes, big-endian, signed
    critical, ends_delta                                          1 byte, 1 or 0
    body                                                          as stored
    recorded_at                                                   microseconds since
                                                                  2000-01-01T00:00:00Z, 8 bytes,
                                                                  big-endian, signed
    ============================================================  =================================

The database computes the same when it appends; a test holds both equal. The chain shows that a
stored event was altered, removed, inserted or moved. Whoever can write to every table can also
compute a whole new chain: that shows only against a checkpoint, a seq and its hash kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from struct import Struct

import msgspec

from eventstore.log import GENESIS, Head, StoredEvent
from eventstore.store import EventStore

_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NULL = b"\xff\xff\xff\xff"
_length = Struct(">i").pack
_int4 = Struct(">ii").pack
_int8 = Struct(">iq").pack
_TRUE, _FALSE = b"\0\0\0\1\1", b"\0\0\0\1\0"

MAX_PROBLEMS = 100
_PAGE = 5_000


def chained_hash(previous: bytes, event: StoredEvent) -> bytes:
    """The hash that ``event`` must have after an event with the hash ``previous``."""
    fields = (
        previous,
        _text(event.log_id),
        _int8(8, event.seq),
        _text(event.event_id),
        _text(event.environment),
        _text(event.entity_kind),
        _text(event.entity_key),
        _int8(8, event.revision),
        _text(event.type),
        _int4(4, event.schema_version),
        _TRUE if event.critical else _FALSE,
        _length(len(event.body)) + event.body,
        _text(event.actor_id),
        _text(event.command_id),
        _text(event.correlation_id),
        _text(event.causation_id),
        _TRUE if event.ends_delta else _FALSE,
        _int8(8, (event.recorded_at - _POSTGRES_EPOCH) // _MICROSECOND),
    )
    return sha256(b"".join(fields)).digest()


def _text(value: str | None) -> bytes:
    if value is None:
        return _NULL
    encoded = value.encode()
    return _length(len(encoded)) + encoded


class Problem(msgspec.Struct, frozen=True):
    """Where a stored log is not what was appended."""

    seq: int
    what: str


class Verification(msgspec.Struct, frozen=True):
    """What was found; the log is intact where there are no problems."""

    head: Head
    events: int
    problems: tuple[Problem, ...]
    """The first :data:`MAX_PROBLEMS`."""


class Verifier:
    """Follows the chain of one log, event by event. No I/O.

    Each event is checked against the stored hash of the one before it, so that one altered event
    is one problem and not a problem of all that follow.
    """

    def __init__(self, checkpoints: Mapping[int, bytes]) -> None:
        self.problems: list[Problem] = []
        self.events = 0
        self._checkpoints = checkpoints
        self._seq = 0
        self._hash = GENESIS
        self._at: datetime | None = None

    def check(self, events: Iterable[StoredEvent]) -> None:
        """Take the next events, in the order of their seqs."""
        for event in events:
            for what in self._wrong_with(event):
                self._report(event.seq, what)
            self.events += 1
            self._seq, self._hash, self._at = event.seq, event.hash, event.recorded_at

    def finish(self, head: Head, head_seq: int, newest_seq: int) -> None:
        """Compare the end with the head that was to be reached, and the head with the events now.

        ``head_seq`` and ``newest_seq`` are from one later moment: appends may have gone on.
        """
        if self._seq < head.last_seq:
            self._report(head.last_seq, f"events {self._seq + 1} to {head.last_seq} are missing")
        elif self._hash != head.last_hash:
            self._report(head.last_seq, "the head of the log has another hash")
        if newest_seq > head_seq:
            self._report(newest_seq, f"there are events beyond the head, which is at {head_seq}")
        for seq in self._checkpoints:
            if seq > self._seq:
                self._report(seq, "the checkpoint is beyond the end of the log")

    def _wrong_with(self, event: StoredEvent) -> Iterable[str]:
        if event.seq != self._seq + 1:
            yield f"events {self._seq + 1} to {event.seq - 1} are missing"
        elif chained_hash(self._hash, event) != event.hash:
            yield "the hash does not follow from the event and the hash before it"
        if self._at is not None and event.recorded_at <= self._at:
            yield "the event is not later than the one before it"
        if self._checkpoints.get(event.seq, event.hash) != event.hash:
            yield "the hash is not that of the checkpoint"

    def _report(self, seq: int, what: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(seq, what))


async def verify(
    store: EventStore,
    log_id: str,
    checkpoints: Mapping[int, bytes] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Read a whole log, as it is when this begins, and check its chain.

    ``checkpoints`` are hashes by seq that were kept elsewhere. ``on_progress`` is told how many
    events of how many were read. Memory is bounded by a page. Appends may go on meanwhile.
    """
    head, seq = await store.head(log_id), 0
    verifier = Verifier(checkpoints or {})
    while page := await store.read(log_id, seq, _PAGE, upto=head.last_seq):
        verifier.check(page)
        seq = page[-1].seq
        if on_progress is not None:
            on_progress(verifier.events, head.last_seq)
    verifier.finish(head, *await store.ends(log_id))
    return Verification(head, verifier.events, tuple(verifier.problems))
