"""Commands, and the connections to PostgreSQL that they and everything else wait for."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric

from eventstore.pool import ObservedPool
from server.metrics.families import counters, gauge, gauges, histogram
from server.writing.writers import Writers


class WritingFigures:
    """The write path and the pool."""

    def __init__(self, writers: Writers, pool: ObservedPool) -> None:
        self._writers = writers
        self._pool = pool

    def collect(self) -> Iterable[Metric]:
        """See :class:`~server.metrics.exposition.Figures`."""
        yield from self._commands()
        yield from self._connections()

    def _commands(self) -> Iterable[Metric]:
        of = self._writers.counters
        logs, queued = self._writers.queued
        yield counters(
            "halyard_commands",
            "Commands answered; `result` is accepted, refused, overloaded or failed.",
            "result",
            of.commands,
        )
        yield counters(
            "halyard_command_refusals",
            "Submissions refused; `refusal` says why, by its name in the program.",
            "refusal",
            of.refusals,
        )
        yield gauge("halyard_command_queue_depth", "Submissions that wait, of all logs.", queued)
        yield gauge("halyard_writer_logs", "Logs whose state is kept in memory.", logs)
        yield histogram("halyard_command_batch_size", "Submissions settled together.", of.batches)
        yield histogram(
            "halyard_command_duration_seconds", "From a submission to its answer.", of.answer_s
        )

    def _connections(self) -> Iterable[Metric]:
        pool = self._pool
        idle = pool.get_idle_size()
        yield gauges(
            "halyard_database_connections",
            "Connections to PostgreSQL; `state` is idle or busy.",
            "state",
            {"idle": idle, "busy": pool.get_size() - idle},
        )
        yield gauge(
            "halyard_database_connections_max",
            "Connections to PostgreSQL at most.",
            pool.get_max_size(),
        )
        yield gauge("halyard_database_waiting", "Tasks that wait for a connection.", pool.waiting)
        yield histogram("halyard_database_wait_seconds", "Waits for a connection.", pool.waited_s)
