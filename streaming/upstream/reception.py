"""Messages in, checked and added up; batches out, each written once.

Times are the gateway's own. Of an SDK's clock only differences are used: a message is about the
span that it names, which ended just now, and counts where the middle of that lies.

While the database does not take a batch, nobody knows whether it has it: the same batch is tried
again, with growing pauses, and everything else waits in the tally, which is bounded. So an outage
costs memory only up to there, and what does not fit is counted as lost to it.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import msgspec
import structlog
from halyard_protocol.context import Context, InvalidContext
from halyard_protocol.evaluation import ReasonKind
from halyard_protocol.limits import MAX_KEY_LENGTH, MAX_NAME_LENGTH
from halyard_protocol.messages import Exposure, Exposures, Track, TrackingEvent

from eventstore.counts import (
    MAX_COUNT,
    SLOT_S,
    CountBatch,
    EventCount,
    ExposureCount,
    LossReason,
    What,
)
from eventstore.errors import StoreBusy, StoreError, StoreUnavailable
from streaming.upstream.allowance import Allowance, Verdict
from streaming.upstream.settings import UpstreamSettings
from streaming.upstream.tally import Distinct, EventKey, ExposureKey, Tally

if TYPE_CHECKING:
    from streaming.counters import Counters
    from streaming.environment import Environment

Sink: TypeAlias = Callable[[CountBatch], Awaitable[object]]
"""Writes a batch, once under its id. Raises :class:`~eventstore.errors.StoreError`."""

MAX_SPAN_MS: Final = 86_400_000
"""An SDK that was away for longer says nothing of when in that time it counted."""

MAX_TRACKED_VALUE: Final = 1e18
"""On either side of 0: sums of such values stay far from what overflows."""

_CONTEXT_COST: Final = 10
"""Of one sampled context, in counters: it may have as many attributes."""

OTHER_REASON: Final = "OTHER"
"""In place of reasons that this version does not know."""

_REASONS: Final = frozenset(get_args(ReasonKind))
_AGAIN: Final = (StoreUnavailable, StoreBusy, TimeoutError, OSError)

log = structlog.get_logger("halyard.upstream")


def wall_clock_ms() -> int:
    """Now, in epoch ms."""
    return time.time_ns() // 1_000_000


class Upstream:
    """See the module.

    Args:
        counters: what is counted for metrics, beside what is written.
        clock_ms: now, in epoch ms.

    Attributes:
        sink: where batches go; until it is set everything waits in the tally.
    """

    def __init__(
        self,
        counters: Counters,
        settings: UpstreamSettings | None = None,
        clock_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self.settings = settings or UpstreamSettings()
        self.sink: Sink | None = None
        self._counters = counters
        self._clock_ms = clock_ms
        self._tally = Tally()
        self._distinct = Distinct()
        self._batches: Iterator[CountBatch] = iter(())
        """What was swapped out of the tally and is being written."""
        self._tried: CountBatch | None = None
        """The batch that is in doubt, or was not written."""
        self._tried_since_s = 0.0
        self._turn = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """Sums that wait for being written, but for those of the batch under way."""
        return len(self._tally)

    def allowance(self, *, public: bool) -> Allowance:
        """Of a connection that begins to send; ``public``: by a client key."""
        allowed = self.settings.of_client_keys if public else self.settings.of_server_keys
        return Allowance(allowed, time.monotonic(), public=public)

    # --- messages

    def refuse(self, message: Exposures | Track) -> None:
        """Count what came from a connection without a key: it is nobody's."""
        if isinstance(message, Track):
            self._counters.tracking_events_refused += len(message.events)
        else:
            self._counters.exposures_refused += _evaluations(message)

    def receive(
        self, environment: Environment, allowance: Allowance, message: Exposures | Track
    ) -> bool:
        """Add a message up. False where the connection is abusive, and is to be closed."""
        verdict = allowance.spend(_cost(message), time.monotonic())
        if verdict is not Verdict.WITHIN:
            if isinstance(message, Track):
                self._lose(environment.id, "events", "flood", len(message.events))
            else:
                self._lose(environment.id, "exposures", "flood", _evaluations(message))
        elif isinstance(message, Track):
            self._track(environment.id, message, public=allowance.public)
        else:
            self._expose(environment, message, public=allowance.public)
        return verdict is not Verdict.ABUSIVE

    def sample(self, environment_id: str, source: Any) -> None:
        """Take a context, as it was sent, into its environment's sample, unless that has enough."""
        settings, tally = self.settings, self._tally
        if settings.sampling == "off" or tally.sampled(environment_id) >= settings.max_contexts:
            return
        try:
            context = Context.of(source)
        except InvalidContext:
            return  # a sample is none the worse for what is not in it
        hashed = settings.sampling == "hashed"
        tally.sample(environment_id, _slot_s(self._clock_ms()), context, hashed=hashed)

    def _expose(self, environment: Environment, message: Exposures, *, public: bool) -> None:
        now_ms = self._clock_ms()
        span_ms = min(max(message.to - message.from_, 0), MAX_SPAN_MS)
        slot_s = _slot_s(now_ms - span_ms // 2)
        for flag, counted in message.flags.items():
            standing = _standing(environment, flag, public=public)
            if standing == "untracked":
                continue
            for each in counted:
                reason = _fault(each) if standing == "tracked" else "unknown"
                key = (
                    environment.id, flag, slot_s, each.version, each.variation or "",
                    each.reason if each.reason in _REASONS else OTHER_REASON,
                )  # fmt: skip
                reason = reason or self._no_room(environment.id, key, public=public)
                if reason is not None:
                    self._lose(environment.id, "exposures", reason, each.count)
                    continue
                self._tally.add_exposures(key, each.count, now_ms)
                self._counters.exposures[environment.id] += each.count
        if message.dropped is not None:
            self._lose(environment.id, "exposures", "sdk", message.dropped.exposures)
            self._lose(environment.id, "events", "sdk", message.dropped.events)
        # Those of a client key were sampled when it said for whom it asks.
        for context in () if public else message.contexts:
            self.sample(environment.id, context)

    def _track(self, environment_id: str, message: Track, *, public: bool) -> None:
        now_ms = self._clock_ms()
        newest_ms = max((event.at for event in message.events), default=0)
        for event in message.events:
            age_ms = min(newest_ms - event.at, MAX_SPAN_MS)
            key = (environment_id, event.name, _slot_s(now_ms - age_ms))
            reason: LossReason | None = (
                self._no_room(environment_id, key, public=public) if _is_sound(event) else "invalid"
            )
            if reason is not None:
                self._lose(environment_id, "events", reason, 1)
                continue
            self._tally.add_event(key, event.value, now_ms - age_ms)
            self._counters.tracking_events[environment_id] += 1

    def _no_room(
        self, environment_id: str, key: ExposureKey | EventKey, *, public: bool
    ) -> LossReason | None:
        """Why a sum cannot be added to, if so."""
        settings = self.settings
        if self._tally.sums >= settings.max_rows and key not in self._tally:
            return "bound" if self._tried is None else "database"
        most = settings.max_distinct_public if public else settings.max_distinct
        slot_s = _slot_s(self._clock_ms())
        admitted = self._distinct.admit(slot_s, (environment_id, public), key, most)
        return None if admitted else "bound"

    def _lose(self, environment_id: str, what: What, reason: LossReason, times: int) -> None:
        if times:
            # An SDK's own count comes as a number of any length, of which no metric can be made.
            times = min(times, MAX_COUNT)
            self._counters.upstream_lost[what, reason] += times
            slot_s = _slot_s(self._clock_ms())
            self._tally.lose(environment_id, slot_s, what, reason, times)

    # --- batches

    async def run(self) -> None:
        """Write what was added up every few seconds, until cancelled."""
        settings = self.settings
        pause_s = settings.flush_s
        while True:
            await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
            if await self.flush():
                pause_s = settings.flush_s
            else:
                pause_s = min(2 * pause_s, settings.longest_pause_s)

    async def finish(self, within_s: float) -> None:
        """Write all that is there, if so many seconds are enough; else say what is lost."""
        try:
            async with asyncio.timeout(within_s):
                written = await self.flush() and await self.flush()
        except TimeoutError:
            written = False
        if not written:
            log.warning("counts were not written before the end", sums=self.waiting)

    async def flush(self) -> bool:
        """Write what was added up by now; False where the database did not take it."""
        if self.sink is None:
            return False
        async with self._turn:
            if self._tried is None:
                tally, self._tally = self._tally, Tally()
                self._batches = _cut(tally, self.settings.batch_rows)
            while self._next():
                if not await self._write(self.sink):
                    return False
        return True

    def _next(self) -> CountBatch | None:
        if self._tried is None:
            self._tried = next(self._batches, None)
            self._tried_since_s = time.monotonic()
        return self._tried

    async def _write(self, sink: Sink) -> bool:
        batch = self._tried
        if batch is None:
            return True
        try:
            async with asyncio.timeout(self.settings.write_timeout_s):
                await sink(batch)
        except _AGAIN as error:
            self._counters.upstream_failures += 1
            log.warning("counts were not written", error=repr(error), waiting=self.waiting)
            if time.monotonic() - self._tried_since_s < self.settings.give_up_s:
                return False
            self._give_up(batch)
        except StoreError as error:
            log.error("counts cannot be written", error=repr(error))
            self._give_up(batch)
        else:
            self._counters.upstream_batches += 1
        self._tried = None
        return True

    def _give_up(self, batch: CountBatch) -> None:
        for row in batch.rows:
            match row:
                case ExposureCount():
                    self._lose(row.environment_id, "exposures", "database", row.times)
                case EventCount():
                    self._lose(row.environment_id, "events", "database", row.times)
                case _:
                    pass  # what was lost before is in the counters; a sample is only a sample


class _Shown(msgspec.Struct, frozen=True, rename="camel"):
    client_side: bool = False
    track_exposures: bool = False


_shown_decoder = msgspec.json.Decoder(_Shown)


def _standing(
    environment: Environment, flag: str, *, public: bool
) -> Literal["tracked", "untracked", "unknown"]:
    """Whether counts of a flag are of any use: whether the ruleset has, or had, it.

    To client keys it has only what they are shown. They are not told in which of those exposures
    are tracked, so here is where tracking can be turned off for them.
    """
    document = environment.feed.documents.get(f"flag:{flag}")
    if document is None:
        return "unknown"
    if not public:
        return "tracked"
    try:
        shown = _shown_decoder.decode(document.body)
    except msgspec.DecodeError:
        return "unknown"
    if not shown.client_side:
        return "unknown"
    return "tracked" if shown.track_exposures else "untracked"


def _fault(exposure: Exposure) -> LossReason | None:
    variation = exposure.variation
    sound = exposure.version <= MAX_COUNT and (
        variation is None or (0 < len(variation) <= MAX_KEY_LENGTH and "\0" not in variation)
    )
    return None if sound else "invalid"


def _is_sound(event: TrackingEvent) -> bool:
    return (
        0 < len(event.name) <= MAX_NAME_LENGTH
        and "\0" not in event.name
        and (event.value is None or abs(event.value) <= MAX_TRACKED_VALUE)
    )


def _cost(message: Exposures | Track) -> int:
    if isinstance(message, Track):
        return 1 + len(message.events)
    # A flag that is only named has to be looked up all the same.
    counters = sum(len(counted) or 1 for counted in message.flags.values())
    return 1 + counters + _CONTEXT_COST * len(message.contexts)


def _evaluations(message: Exposures) -> int:
    return sum(each.count for counted in message.flags.values() for each in counted)


def _slot_s(at_ms: int) -> int:
    return at_ms // 1000 // SLOT_S * SLOT_S


def _cut(tally: Tally, size: int) -> Iterator[CountBatch]:
    rows = tally.rows()
    while chunk := tuple(islice(rows, size)):
        yield CountBatch(str(uuid.uuid4()), chunk)
