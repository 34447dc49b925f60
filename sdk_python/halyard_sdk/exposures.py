"""Who was served what: counted where flags are evaluated, told to the server in sums, on the side.

Only flags with ``trackExposures`` are counted. A counter is of one flag, one of its versions, one
variation and one kind of reason; what several threads count of it is one number.

Concurrency: counting takes no lock. A counter is an :class:`itertools.count`, of which the next
number is drawn in one step of the interpreter, so that no count of any thread is lost; it is read
by drawing one more. To be sent, all counters are set aside and new ones begin. A thread that had
one of the old in its hand may still count there: so they are read again, for some seconds at least.

Invariants:
    Each evaluation that was counted is handed to a connection once, or waits, or is in ``dropped``.
    What waits is bounded: :data:`MAX_COUNTERS` of it, and as many of the present period.
"""

from __future__ import annotations

import threading
from collections import deque
from itertools import count, islice
from time import monotonic, time_ns
from typing import Final, TypeAlias

import msgspec
from halyard_protocol.codec import encode
from halyard_protocol.evaluation import Detail
from halyard_protocol.evaluator import Decide
from halyard_protocol.messages import (
    MAX_CLIENT_FRAME_BYTES,
    MAX_EXPOSURE_COUNT,
    MAX_EXPOSURE_COUNTERS,
    Dropped,
    Exposure,
    Exposures,
)
from halyard_protocol.ruleset import Flag

from halyard_sdk.context_sample import ContextSample, Kinds

MAX_COUNTERS: Final = 10_000
LATE_S: Final = 5.0
"""For how long counters that were set aside may still be counted with, at least."""
_BATCH_BYTES: Final = MAX_CLIENT_FRAME_BYTES - 1024
"""Leaves room for what stands around the counters in a frame."""
_PUNCTUATION_BYTES: Final = 8
SAMPLED_EVERY: Final = 128
"""Evaluations of one counter, a power of two: of these the first one's context is looked at."""
_SAMPLED_MASK: Final = SAMPLED_EVERY - 1

Key: TypeAlias = tuple[str, int, str | None, str]
"""The flag's key and version, the variation, and the kind of the reason."""


class Counters(dict[Key, "count[int]"]):
    """The counters of one period; any that is missing is made when it is first asked for."""

    __slots__ = ("_lock", "_over", "_read", "_room")

    def __init__(self, room: int) -> None:
        super().__init__()
        # Reentrant: a signal handler, or a finalizer, may evaluate while its thread is in here.
        self._lock = threading.RLock()
        self._room = room
        self._over: count[int] = count()
        """Counts all for which there is no room."""
        self._read: dict[Key | None, int] = {}
        """What each counter will show when nothing was counted since it was last read."""

    def __missing__(self, key: Key) -> count[int]:
        with self._lock:
            found = self.get(key)
            if found is not None:
                return found
            if len(self) >= self._room:
                return self._over
            made = self[key] = count()
            return made

    def take(self) -> dict[Key, int]:
        """What was counted since this was last asked; by one thread at a time."""
        taken = ((key, self._since(key, counter)) for key, counter in self.copy().items())
        return {key: number for key, number in taken if number}

    def take_over(self) -> int:
        """The same of all for which there was no room."""
        return self._since(None, self._over)

    def _since(self, key: Key | None, counter: count[int]) -> int:
        shown = next(counter)
        number = shown - self._read.get(key, 0)
        self._read[key] = shown + 1
        return number


class Batch(msgspec.Struct, frozen=True):
    """One message, and what becomes of its content where it cannot be sent."""

    frame: bytes
    counted: dict[Key, int]
    dropped: Dropped


class Tally:
    """Counts evaluations until somebody takes the sums.

    Evaluating and reading ``dropped`` is for any thread; the rest is for one.

    Attributes:
        counters: of the present period; to be read anew for each evaluation.
    """

    def __init__(self, sample: ContextSample) -> None:
        self._sample = sample
        self._lost = 0
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self.counters = Counters(MAX_COUNTERS)
        self._late: deque[tuple[float, Counters]] = deque()
        """Those that were set aside, and when."""
        self._waiting: dict[Key, int] = {}
        self._from_ms = self._to_ms = _now_ms()
        """When what waits was counted."""
        self._told = Dropped()
        """What the server knows of."""

    # --- counting

    def watch(self, flag: Flag, decide: Decide) -> Decide:
        """What decides a flag and counts that it did; itself where the flag is not tracked."""
        if not flag.track_exposures:
            return decide
        key, version = flag.key, flag.version

        def decide_and_count(kinds: Kinds, now_ms: int, default: object) -> Detail:
            answer = decide(kinds, now_ms, default)
            counter = self.counters[key, version, answer.variation, answer.reason.kind]
            if not next(counter) & _SAMPLED_MASK:
                self._sample.look_at(kinds)
            return answer

        return decide_and_count

    def note(self, flag: Flag, answer: Detail, kinds: Kinds) -> None:
        """Count one answer of a flag that is tracked."""
        counter = self.counters[flag.key, flag.version, answer.variation, answer.reason.kind]
        if not next(counter) & _SAMPLED_MASK:
            self._sample.look_at(kinds)

    # --- sending

    @property
    def dropped(self) -> int:
        """How many evaluations were not told and never will be; once closed, all that are left."""
        with self._lock:
            if self._closed:
                self.collect()
                return self._lost + sum(self._waiting.values())
            return self._lost

    def collect(self) -> None:
        """End a period: what was counted until now can be taken."""
        with self._lock:
            if not self._waiting:
                self._from_ms = self._to_ms
            # A clock that was set back shows in a span that is too short, not in a negative one.
            self._to_ms = max(_now_ms(), self._from_ms)
            now_s = monotonic()
            if self.counters:
                self._late.append((now_s, self.counters))
                self.counters = Counters(MAX_COUNTERS)
            for _, counters in self._late:
                self._lost += counters.take_over()
                self._keep(counters.take())
            while self._late and self._late[0][0] < now_s - LATE_S:
                self._late.popleft()

    def batch(self, dropped_events: int) -> Batch | None:
        """Take as much as fits into one frame; None where nothing waits and nothing was dropped.

        ``dropped_events`` is how many tracking events there were that were never sent.
        """
        with self._lock:
            encoded = self._sample.take()
            counted = self._taken(_BATCH_BYTES - sum(map(len, encoded)) - len(encoded))
            dropped = Dropped(
                self._lost - self._told.exposures, max(dropped_events - self._told.events, 0)
            )
            if not counted and dropped == Dropped():
                return None
            self._tell(dropped, 1)
            message = Exposures(
                self._from_ms,
                self._to_ms,
                _by_flag(counted),
                tuple(map(msgspec.json.decode, encoded)),
                None if dropped == Dropped() else dropped,
            )
            return Batch(encode(message), counted, dropped)

    def give_back(self, batch: Batch) -> None:
        """What was taken could not be sent: it waits again."""
        with self._lock:
            self._keep(batch.counted)
            self._tell(batch.dropped, -1)

    def close(self) -> None:
        """What waits can still be taken; what does not get away counts as dropped."""
        self._closed = True

    def after_fork(self) -> None:
        """In the child: what was counted is the parent's to tell."""
        self._lost = 0
        self._sample.after_fork()
        self._begin()

    def _keep(self, counted: dict[Key, int]) -> None:
        for key, number in counted.items():
            if key in self._waiting or len(self._waiting) < MAX_COUNTERS:
                self._waiting[key] = self._waiting.get(key, 0) + number
            else:
                self._lost += number

    def _taken(self, room: int) -> dict[Key, int]:
        taken: dict[Key, int] = {}
        flags: set[str] = set()
        for key, number in tuple(islice(self._waiting.items(), MAX_EXPOSURE_COUNTERS)):
            part = min(number, MAX_EXPOSURE_COUNT)
            size = _size(key, part, with_flag=key[0] not in flags)
            if size > _BATCH_BYTES // 4:  # no server has such names: it would never fit
                self._lost += self._waiting.pop(key)
                continue
            room -= size
            if room < 0:
                break
            taken[key] = part
            flags.add(key[0])
            if part == number:
                del self._waiting[key]
            else:
                self._waiting[key] = number - part
        return taken

    def _tell(self, dropped: Dropped, times: int) -> None:
        told = self._told
        self._told = Dropped(
            told.exposures + times * dropped.exposures, told.events + times * dropped.events
        )


def _by_flag(counted: dict[Key, int]) -> dict[str, tuple[Exposure, ...]]:
    flags: dict[str, list[Exposure]] = {}
    for (flag, version, variation, reason), number in counted.items():
        flags.setdefault(flag, []).append(Exposure(version, variation, reason, number))
    return {flag: tuple(exposures) for flag, exposures in flags.items()}


def _size(key: Key, number: int, *, with_flag: bool) -> int:
    flag, version, variation, reason = key
    own = len(encode(Exposure(version, variation, reason, number))) + _PUNCTUATION_BYTES
    return own + len(encode(flag)) if with_flag else own


def _now_ms() -> int:
    return time_ns() // 1_000_000
