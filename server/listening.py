"""The port of a process."""

from __future__ import annotations

import errno
import socket

from server.settings import Settings

BACKLOG = 16_384
"""Of a storm, what comes while the loop is busy; beyond it the kernel drops what clients try, and
they wait for seconds. ``net.core.somaxconn`` bounds it as well: 4,096, unless it was raised."""
ACCEPTORS = 16
"""Connections that are accepted per turn of the event loop."""


class CannotListen(Exception):
    """The host and port of the settings cannot be listened on."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        reason = error.strerror or str(error)
        super().__init__(f"cannot listen on {host}, port {port}: {reason}; see --host and --port")
        self.in_use = error.errno == errno.EADDRINUSE
        """Another program listens there."""


def listen(settings: Settings) -> socket.socket:
    """Take the port first: whoever is second should know before anything else happens."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if settings.reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise CannotListen(settings.host, settings.port, error) from error
    return listener


def acceptors(listener: socket.socket) -> list[socket.socket]:
    """The listener under several descriptors, all to be served, and closed by whoever serves them.

    libuv (since 1.45) accepts one connection per turn of the loop from each descriptor, so that
    processes which share a port share what comes. While a turn lasts 5 ms, because changes are
    written to thousands, that would be 200 connections a second, whatever storms at the door.
    """
    return [listener, *(listener.dup() for _ in range(ACCEPTORS - 1))]
