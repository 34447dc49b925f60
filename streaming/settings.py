"""Limits and times of the stream. Constants until an operator asks for the knob."""

from __future__ import annotations

import msgspec
from halyard_protocol.messages import HEARTBEAT_S, HELLO_TIMEOUT_S, MAX_CLIENT_FRAME_BYTES

HELLO_FRAMES = 25
"""An SDK says hello once, and again for each gap, of which it takes eight in a row."""


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What tests and operators may want to differ."""

    heartbeat_s: float = HEARTBEAT_S
    """Every connection gets a ping this often, and a heartbeat where it is up to date."""
    hello_timeout_s: float = HELLO_TIMEOUT_S
    stall_s: float = 30.0
    """A connection to which nothing could be written for this long is closed."""
    behind_s: float = 300.0
    """One that takes longer than this to come up to date is closed, however it creeps on: it holds
    a part of the budget of snapshots."""
    closing_s: float = 5.0
    """How long a client may take to answer a close before its connection is cut."""
    max_frame_bytes: int = MAX_CLIENT_FRAME_BYTES
    max_connections: int = 15_000
    """Below the limit of descriptors, of which HTTP and the databases need some as well."""
    max_connections_per_key: int = 0
    """0 for as many as there may be at all; of a client key, half of them at most."""
    handshakes_per_second: float = 2_000.0
    """More are told when to come back. One costs about a fifth of a millisecond, and what an SDK
    asks for then about as much again: so a storm leaves half of a core to those who are there."""
    frames_per_heartbeat: int = 1_000
    """What a client may send between two visits of the wheel, each frame counting as one; a hello,
    which can cost a snapshot, and an identify as :data:`HELLO_FRAMES`."""
    write_high_water_bytes: int = 4 * 1024
    """Frames behind one that waits cost more than those that are sent at once, and thousands may
    stop reading together: at 64 KiB the p99 of all others rose by a quarter, at 4 by nothing."""
    unsent_low_water_bytes: int = 32 * 1024
    """TCP_NOTSENT_LOWAT: beyond it the kernel takes no more, so that a slow reader shows."""
    snapshot_budget_bytes: int = 64 * 1024 * 1024
    """What the kernel may be expected to hold of snapshots that were not taken in yet; also, how
    many bytes of whatever is large may be kept for slow readers, each frame counted once."""
    share_kept_s: float = 5.0
    """How long a client that takes its time keeps its part of that from those who wait."""
    linger_s: float = 60.0
    """How long an environment is kept after its last connection has left."""
    asked_linger_s: float = 600.0
    """How long it is kept after the last request over HTTP: SDKs that poll do so every minute or
    less often, and each should find it loaded."""
    silence_s: float = 10.0
    """After this long without a word through pub/sub, the state is compared with Redis."""
    probe_s: float = 3.0
    """How long a probe may take through pub/sub before the subscription is taken for deaf."""
    loading_s: float = 10.0
    """How long a connection may wait for an environment that was not read yet."""
    watch_s: float = 1.0
    """How often the environments are looked after."""
    inbox: int = 1_024
    """Published messages that are kept while a read is under way; more are dropped."""
