"""What a :class:`~halyard_protocol.session.client.ClientSession` asks of its shell."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from halyard_protocol.session.replica import Changed

LinkId: TypeAlias = int


class Send(msgspec.Struct, frozen=True):
    """Send a text frame."""

    link: LinkId
    payload: bytes


class Updated(msgspec.Struct, frozen=True):
    """``session.replica`` is a new one; tell those who listen."""

    changed: Changed


class Close(msgspec.Struct, frozen=True):
    """Close a connection; whatever it still says is not to be passed on."""

    link: LinkId
    code: int
    reason: str


class Connect(msgspec.Struct, frozen=True):
    """Open another connection after a time; the present one stays in use."""

    after_s: float


class Redial(msgspec.Struct, frozen=True):
    """The connection is lost: open another, with backoff."""

    reason: str
    later: bool = False
    """Not before a while has passed, whatever the backoff says."""


class Stop(msgspec.Struct, frozen=True):
    """Do not connect again: somebody must change something first. The replica stays usable."""

    reason: str


class Report(msgspec.Struct, frozen=True):
    """Something that a person should read in the log."""

    text: str


Action: TypeAlias = Send | Updated | Close | Connect | Redial | Stop | Report
Actions: TypeAlias = tuple[Action, ...]
