"""The gateway: handshakes, connections, messages, and how well it hears Redis."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import islice

from prometheus_client.metrics_core import Metric

from server.metrics.families import counter, counters, gauge, gauges
from streaming.gateway import Gateway

NAMED_ENVIRONMENTS = 100
"""Of more than these the number is told, not the ids."""


class StreamFigures:
    """The gateway of this process."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def collect(self) -> Iterable[Metric]:
        """See :class:`~server.metrics.exposition.Figures`."""
        yield from self._connections()
        yield from self._messages()
        yield from self._pubsub()
        yield from self._environments()

    def _connections(self) -> Iterable[Metric]:
        gateway, of = self._gateway, self._gateway.counters
        yield gauge("halyard_stream_connections", "WebSockets open.", len(gateway.connections))
        yield gauge(
            "halyard_stream_connections_max",
            "WebSockets that may be open; beyond it handshakes are turned away.",
            gateway.settings.max_connections,
        )
        yield gauge(
            "halyard_stream_behind_connections",
            "WebSockets whose client does not read fast enough.",
            of.behind,
        )
        yield gauge(
            "halyard_stream_draining", "1 while every client is asked to leave.", gateway.draining
        )
        yield counters(
            "halyard_stream_handshakes",
            "Handshakes answered; `result` is accepted, refused, or turned_away for a while.",
            "result",
            {
                "accepted": of.accepted,
                "turned_away": of.turned_away,
                "refused": of.refused - of.turned_away,
            },
        )
        yield counters(
            "halyard_stream_resumes",
            "Hellos answered; `intent` is none, changes, full, values or held (ahead of us).",
            "intent",
            of.welcomes,
        )
        codes = {str(int(code)): count for code, count in of.closes.items()}
        yield counters(
            "halyard_stream_closes",
            "Connections closed from here; `code` is one of the close codes.",
            "code",
            codes,
        )
        yield counter(
            "halyard_stream_cuts", "Connections cut: silent, or not answering a close.", of.cut
        )

    def _messages(self) -> Iterable[Metric]:
        of = self._gateway.counters
        sent = {
            "welcome": of.welcomes.total(),
            "snapshot": of.snapshots,
            "changes": of.broadcast_frames + of.catch_ups + of.welcomes["changes"],
            "values": of.value_frames,
            "heartbeat": of.heartbeats,
            "goodbye": of.goodbyes,
        }
        yield counters(
            "halyard_stream_messages_sent",
            "Messages written; `type` as on the wire, where all to client keys count as values.",
            "type",
            sent,
        )
        yield counter("halyard_stream_pings_sent", "WebSocket pings written.", of.pings)
        yield counter("halyard_stream_bytes_sent", "Bytes written.", of.bytes_sent)
        yield counter("halyard_stream_bytes_received", "Bytes read.", of.bytes_received)
        yield counter(
            "halyard_stream_broadcasts",
            "Rounds over the connections of an environment.",
            of.broadcasts,
        )
        yield counter(
            "halyard_stream_conflations",
            "Single messages in place of all that a connection had missed.",
            of.catch_ups,
        )
        yield gauge(
            "halyard_stream_snapshots_waiting",
            "Connections that wait for a snapshot.",
            self._gateway.admission.waiting,
        )
        yield counter(
            "halyard_stream_snapshots_made",
            "Large snapshots encoded in a thread, each for all who wait for it.",
            of.snapshots_made,
        )
        events = {"accepted": of.tracking_events.total(), "refused": of.tracking_events_refused}
        yield counters(
            "halyard_stream_tracking_events",
            "Tracking events received; `result` is accepted or refused.",
            "result",
            events,
        )

    def _pubsub(self) -> Iterable[Metric]:
        of = self._gateway.counters
        yield counter("halyard_stream_pubsub_losses", "Subscriptions lost.", of.subscription_losses)
        yield counter(
            "halyard_stream_pubsub_deaf",
            "Subscriptions that looked healthy and heard nothing.",
            of.deaf,
        )
        for name, says, count in (
            ("deltas", "Deltas heard.", of.deltas),
            ("repeats", "Deltas of what was known.", of.repeats),
            ("gaps", "Deltas that did not connect, so that Redis was read.", of.gaps),
            ("dropped", "Deltas dropped because too many were waiting.", of.dropped),
            ("unreadable", "Messages that could not be read.", of.unreadable),
        ):
            yield counter(f"halyard_stream_pubsub_{name}", says, count)
        silent_s = None if of.heard_at_s is None else time.monotonic() - of.heard_at_s
        yield gauge("halyard_stream_pubsub_silence_seconds", "Since anything was heard.", silent_s)
        yield counter(
            "halyard_stream_lookups", "Environments that were looked for in Redis.", of.lookups
        )
        yield counter(
            "halyard_stream_lookups_refused",
            "Unknown keys that were sent away because too many were being looked up.",
            of.lookups_refused,
        )
        yield counter("halyard_stream_ruleset_reads", "Rulesets asked of Redis.", of.reads)
        yield counter(
            "halyard_stream_ruleset_read_failures",
            "Environments that could not be read, or were given up.",
            of.read_failures,
        )

    def _environments(self) -> Iterable[Metric]:
        status = self._gateway.status()
        yield gauge("halyard_stream_environments", "Environments in use.", status.environments)
        yield gauge(
            "halyard_stream_unsynchronised_environments",
            "Those of them that were not read yet.",
            len(status.unsynchronised),
        )
        yield gauge(
            "halyard_stream_stale_environments",
            "Those of them that are served from memory, out of touch with Redis.",
            len(status.stale),
        )
        yield gauges(
            "halyard_stream_environment_stale",
            "1 for each stale environment, of which `environment` is the id; at most 100.",
            "environment",
            dict.fromkeys(islice(status.stale, NAMED_ENVIRONMENTS), 1),
        )
