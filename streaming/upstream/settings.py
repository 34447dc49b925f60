"""Bounds and times of what SDKs send back. Constants until an operator asks for the knob."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Sampling: TypeAlias = Literal["on", "hashed", "off"]


class Allowed(msgspec.Struct, frozen=True):
    """What one connection may send: counters, events and contexts, at once and a second."""

    at_once: int
    per_second: float


class UpstreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What tests and operators may want to differ."""

    sampling: Sampling = "on"
    """Whether contexts are sampled; ``hashed``: with a hash in place of each key."""
    flush_s: float = 5.0
    """How often what was added up is written."""
    longest_pause_s: float = 60.0
    """Between two attempts while the database is away."""
    write_timeout_s: float = 30.0
    batch_rows: int = 2_000
    """Of one batch: making more of them would stop the loop for milliseconds."""
    give_up_s: float = 86_400.0
    """How long one batch is tried. The database forgets the ids of batches after twice that."""
    max_rows: int = 50_000
    """Different sums at a time, of all environments; about 15 MB, and as many more may be on their
    way into the database."""
    max_distinct: int = 10_000
    """Different sums of one environment in one slot, by what server keys say."""
    max_distinct_public: int = 2_000
    """The same by what client keys say: those are public, so anybody may make things up."""
    max_contexts: int = 100
    """Sampled of one environment between two batches."""
    of_server_keys: Allowed = Allowed(at_once=20_000, per_second=2_000)
    """An SDK that comes back sends up to 10,000 of either kind at once."""
    of_client_keys: Allowed = Allowed(at_once=2_000, per_second=50)
