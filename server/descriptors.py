"""How many files and sockets this process may have, and how they are divided.

Every stream, every stream of events and every HTTP connection is one. Whoever came last must not
take the last of them: the connections to PostgreSQL and Redis, and the answer that says "come back
later", need some too.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)

ENOUGH = 65_536
"""More is not asked for: fifty thousand streams are more than one core can follow."""
KEPT_BACK = 64
"""For databases, files and listeners."""


@dataclass(frozen=True, slots=True)
class Descriptors:
    """The shares of a limit."""

    limit: int

    @property
    def connections(self) -> int:
        """For the stream's WebSockets."""
        return max(1, self.sockets * 3 // 4)

    @property
    def event_streams(self) -> int:
        """For streams of server-sent events."""
        return max(1, self.sockets // 5)

    @property
    def sockets(self) -> int:
        """For all that is accepted, the other requests over HTTP included."""
        return max(1, self.limit - max(KEPT_BACK, self.limit // 50))


def raise_limit(enough: int = ENOUGH) -> Descriptors:
    """Let this process have as many as the system allows it, if it needs them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = enough if hard == resource.RLIM_INFINITY else min(enough, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        log.info("descriptors_raised", before=soft, now=wanted)
        soft = wanted
    return Descriptors(enough if soft == resource.RLIM_INFINITY else min(soft, enough))
