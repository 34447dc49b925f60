"""Which log the path speaks of."""

from __future__ import annotations

from server.http.call import Call
from server.http.faults import NotFound


def project_key(call: Call) -> str:
    """The project in the path. Raises :class:`NotFound`."""
    return no_system_log(call.parameters["project"])


def no_system_log(key: str) -> str:
    """The key of a project: the installation's own log is none. Raises :class:`NotFound`."""
    if key.startswith("$"):
        raise NotFound("project", key)
    return key
