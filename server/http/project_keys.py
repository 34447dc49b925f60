"""Which log the path speaks of."""

from __future__ import annotations

from server.http.call import Call
from server.http.faults import NotFound


def project_key(call: Call) -> str:
    """The project in the path. The installation's own log is none. Raises :class:`NotFound`."""
    key = call.parameters["project"]
    if key.startswith("$"):
        raise NotFound("project", key)
    return key
