"""The process itself, under the names that every Prometheus client uses, and which build it is.

Not the library's collector: that lists the directory of descriptors, which took 21 ms with 10,000
connections open. Linux since 6.2 tells their number as the size of that directory.
"""

from __future__ import annotations

import asyncio
import platform
import resource
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from prometheus_client.metrics_core import InfoMetricFamily, Metric

from server.metrics.families import counter, gauge, histogram
from server.metrics.loop_lag import LoopLag

_PROC = Path("/proc/self")
_RSS_PAGES = 1
"""Place in ``statm``, proc(5)."""


class ProcessFigures:
    """Memory, processor, descriptors, the loop, the build."""

    def __init__(self, loop_lag: LoopLag, roles: tuple[str, ...]) -> None:
        self._loop_lag = loop_lag
        self._started_at_s = time.time()
        self._build = {
            "version": version("halyard-server"),
            "python": platform.python_version(),
            "roles": ",".join(roles),
        }

    def collect(self) -> Iterable[Metric]:
        """See :class:`~server.metrics.exposition.Figures`."""
        yield InfoMetricFamily(
            "halyard_build",
            "1; `version`, `python` and `roles` say what this process is.",
            value=self._build,
        )
        used = resource.getrusage(resource.RUSAGE_SELF)
        spent_s = used.ru_utime + used.ru_stime
        yield counter("process_cpu_seconds", "Processor time, user and system.", spent_s)
        yield gauge("process_resident_memory_bytes", "Resident memory.", _resident_bytes())
        yield gauge("process_open_fds", "Open descriptors.", _descriptors())
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        yield gauge("process_max_fds", "Descriptors that may be open.", limit)
        started = "When the process began to work, since the epoch."
        yield gauge("process_start_time_seconds", started, self._started_at_s)
        yield gauge("halyard_asyncio_tasks", "Tasks of the event loop.", len(asyncio.all_tasks()))
        yield histogram(
            "halyard_event_loop_lag_seconds",
            "How late the event loop ran a timer, twice a second.",
            self._loop_lag.late_s,
        )


def _resident_bytes() -> int:
    try:
        pages = int((_PROC / "statm").read_text().split()[_RSS_PAGES])
    except OSError:  # another system: its peak is the nearest there is
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()


def _descriptors() -> int:
    folder = _PROC / "fd"
    try:
        return folder.stat().st_size or sum(1 for _ in folder.iterdir())
    except OSError:
        return 0
