"""What the gateway counts since it started: plain integers, for metrics to read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from eventstore.histogram import Histogram


@dataclass(slots=True)
class Counters:
    """All of them only grow, but for ``behind``."""

    behind: int = 0
    """Connections at present whose transport takes no more."""
    accepted: int = 0
    refused: int = 0
    """Handshakes answered with anything but 101."""
    turned_away: int = 0
    """Those of them that were refused unread: over a limit, or in a drain."""
    closes: Counter[int] = field(default_factory=Counter)
    """Connections that this side closed, by code."""
    cut: int = 0
    """Connections that were cut: silent, or not answering a close."""
    welcomes: Counter[str] = field(default_factory=Counter)
    """Hellos answered, by what came of them: none, changes, full, or held."""
    tracking_events: Counter[str] = field(default_factory=Counter)
    """Tracking events accepted, by environment id."""
    tracking_events_refused: int = 0
    """Tracking events from connections whose key was not, or not yet, accepted."""
    exposures: Counter[str] = field(default_factory=Counter)
    """Exposures accepted, in evaluations, by environment id."""
    exposures_refused: int = 0
    """The same from connections whose key was not, or not yet, accepted."""
    upstream_lost: Counter[tuple[str, str]] = field(default_factory=Counter)
    """What was accepted and not counted: (exposures or events, why) as the database has it."""
    upstream_batches: int = 0
    """Batches of counts that were written."""
    upstream_failures: int = 0
    """Attempts at that which failed, to be tried again."""
    broadcasts: int = 0
    broadcast_frames: int = 0
    heartbeats: int = 0
    goodbyes: int = 0
    pings: int = 0
    bytes_sent: int = 0
    """Handed to transports, frames and handshakes alike."""
    bytes_received: int = 0
    value_frames: int = 0
    """``values`` messages, and heartbeats in their place, to client keys."""
    catch_ups: int = 0
    """Conflated ``changes`` to connections that were behind."""
    snapshots: int = 0
    snapshots_made: int = 0
    """Those that were made in a thread: the frames, not their readers."""
    deltas: int = 0
    repeats: int = 0
    gaps: int = 0
    """Published messages that did not connect, so that Redis was read."""
    dropped: int = 0
    """Published messages dropped because too many were waiting."""
    unreadable: int = 0
    """Published messages that could not be read."""
    hear_s: Histogram = field(default_factory=Histogram)
    """From a projector's sending of a delta until it was heard; across the clocks of two hosts."""
    first_write_s: Histogram = field(default_factory=Histogram)
    """From there until the first sockets of its round were written."""
    last_write_s: Histogram = field(default_factory=Histogram)
    """From there until the last were."""
    commit_to_write_s: Histogram = field(default_factory=Histogram)
    """From the commit until the last were; across two clocks."""
    lookups: int = 0
    """Reads of Redis for environments that were not in use."""
    lookups_refused: int = 0
    """Requests with an unknown key that were sent away, because too many were waiting."""
    reads: int = 0
    read_failures: int = 0
    heard_at_s: float | None = None
    """When anything was last heard through pub/sub, on the monotonic clock."""
    subscription_losses: int = 0
    deaf: int = 0
    """Subscriptions that looked healthy and heard nothing."""
