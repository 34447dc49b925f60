"""Tracking events: what contexts did, told to the server in batches and on the side.

A caller pays for encoding one event and never waits. What cannot be kept (too much is waiting, an
event is too large, or is none) is dropped and counted: the program that is served comes first.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Mapping
from time import time_ns
from typing import Any, Final

from halyard_protocol.codec import encode, to_builtins
from halyard_protocol.context import Context
from halyard_protocol.limits import MAX_NAME_LENGTH, MAX_VALUE_DEPTH
from halyard_protocol.messages import (
    MAX_CLIENT_FRAME_BYTES,
    MAX_TRACKING_EVENT_BYTES,
    TrackingEvent,
)

from halyard_sdk.context_sample import nests_deeper
from halyard_sdk.evaluations import AnyContext

log = logging.getLogger("halyard_sdk")

MAX_WAITING: Final = 10_000
MAX_WAITING_BYTES: Final = 1024 * 1024
_BATCH_BYTES: Final = MAX_CLIENT_FRAME_BYTES - 1024
"""Leaves room for what stands around the events in a frame."""


class Tracker:
    """Keeps tracking events, encoded, until somebody takes them. Safe to use from any thread."""

    def __init__(self) -> None:
        # Reentrant: a signal handler, or a finalizer, may track while its thread tracks.
        self._lock = threading.RLock()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._dropped = 0
        self._closed = False

    @property
    def dropped(self) -> int:
        """How many were not sent and never will be; so count, once closed, those that wait."""
        return self._dropped + (len(self._waiting) if self._closed else 0)

    def add(
        self,
        name: str,
        context: AnyContext,
        value: float | None,
        metadata: Mapping[str, Any] | None,
    ) -> None:
        """Keep one event, or drop it. Never raises."""
        try:
            encoded = encode(_event(name, context, value, metadata))
        except Exception as fault:
            log.debug("what was tracked", exc_info=True)
            self._drop(f"it cannot be sent ({type(fault).__name__})")
            return
        if len(encoded) > MAX_TRACKING_EVENT_BYTES:
            self._drop(f"it has {len(encoded)} bytes, more than {MAX_TRACKING_EVENT_BYTES}")
        elif not self._keep(encoded):
            self._drop("the client is closed, or too many are waiting")

    def batch(self) -> tuple[bytes, ...]:
        """Take as many as fit into one frame, oldest first; empty where none waits."""
        taken: list[bytes] = []
        left = _BATCH_BYTES
        with self._lock:
            while self._waiting and len(self._waiting[0]) < left:
                event = self._waiting.popleft()
                self._waiting_bytes -= len(event)
                left -= len(event) + 1
                taken.append(event)
        return tuple(taken)

    def lost(self, number: int) -> None:
        """So many that were taken could not be sent."""
        with self._lock:
            self._dropped += number

    def close(self) -> None:
        """Keep no more; what waits can still be taken."""
        self._closed = True

    def _keep(self, event: bytes) -> bool:
        with self._lock:
            if (
                self._closed
                or len(self._waiting) >= MAX_WAITING
                or self._waiting_bytes + len(event) > MAX_WAITING_BYTES
            ):
                return False
            self._waiting.append(event)
            self._waiting_bytes += len(event)
            return True

    def _drop(self, why: str) -> None:
        with self._lock:
            self._dropped += 1
            first = self._dropped == 1
        level = logging.WARNING if first else logging.DEBUG  # one line, not one for each event
        log.log(level, "a tracking event was dropped: %s", why)


class Tracking:
    """What every client is told about the doings of contexts."""

    _tracker: Tracker

    def track(
        self,
        name: str,
        context: AnyContext,
        value: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Tell that this context did something, perhaps of some value. Never waits, never raises.

        Of the context only its keys travel. Events are sent every few seconds and at the close,
        while there is a connection; what cannot be sent is dropped and counted.

        Args:
            name: of what was done, of 1 to 200 characters.
            context: who did it.
            value: a number that belongs to it: an amount, a duration.
            metadata: anything of JSON that belongs to it; the whole event has at most 4 KiB.
        """
        self._tracker.add(name, context, value, metadata)

    @property
    def dropped_events(self) -> int:
        """How many tracking events were dropped, for whatever reason, instead of sent."""
        return self._tracker.dropped


def _event(
    name: object, context: AnyContext, value: float | None, metadata: Mapping[str, Any] | None
) -> TrackingEvent:
    """Raises ValueError, and whatever is raised by objects that are no JSON."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_LENGTH:
        raise ValueError(f"a name has 1 to {MAX_NAME_LENGTH} characters")
    if value is not None and not _is_number(value):
        raise ValueError("a value is a number")
    known = to_builtins(dict(metadata or {}))
    if nests_deeper(known, MAX_VALUE_DEPTH):
        raise ValueError(f"metadata nest at most {MAX_VALUE_DEPTH} deep")
    asking = context if isinstance(context, Context) else Context.of(context)
    return TrackingEvent(name, time_ns() // 1_000_000, _keys(asking), value, known)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _keys(context: Context) -> dict[str, str]:
    keys = {kind: attributes.get("key") for kind, attributes in context.kinds.items()}
    return {kind: key for kind, key in keys.items() if isinstance(key, str)}
