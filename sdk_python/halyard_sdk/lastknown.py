"""The file of the last known ruleset: what to evaluate from while the server is away.

A file is three parts with newlines between them: the SHA-256 of the rest, a line of JSON about the
ruleset, and the snapshot message that would make it. What is not exactly as it was written is as
good as no file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from halyard_protocol.messages import (
    PROTOCOL_VERSION,
    MalformedMessage,
    Snapshot,
    decode_server_message,
)
from halyard_protocol.session.replica import Replica, from_snapshot, to_snapshot

log = logging.getLogger("halyard_sdk")

SCHEMA = 1
"""Of the file itself. A file of another schema is not read."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What a file held."""

    replica: Replica
    vouched_at_s: float
    """Unix time until which the ruleset is known to have been complete."""
    resumable: bool
    """False where it was written under another protocol number: evaluate, but ask for all anew."""

    @property
    def age_s(self) -> float:
        """How long ago that was; 0 where the clock says it is yet to come."""
        now_s = time.time()
        return min(now_s, max(0.0, now_s - self.vouched_at_s))


class LastKnown:
    """One environment's file. Several processes may share it: each write replaces it whole.

    Args:
        path: where; its folder must exist, or be creatable.
        identity: of the environment; a file of another one is not used.
    """

    def __init__(self, path: str | os.PathLike[str], identity: str) -> None:
        self.path = Path(path)
        self._identity = identity

    def load(self) -> Saved | None:
        """Read the file; None where there is none, or none that can be trusted. Never raises."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("cannot read %s: %s", self.path, error)
            return None
        try:
            return self._read(content)
        except (_UnusableFile, ValueError, KeyError, TypeError, RecursionError) as problem:
            # Beyond the digest, only a file that another program made can fail.
            log.warning("not using %s: %s", self.path, problem)
            return None

    def save(self, replica: Replica, vouched_at_s: float) -> bool:
        """Replace the file, durably and atomically. Blocks; never raises; False where it failed."""
        header = {
            "schema": SCHEMA,
            "protocol": PROTOCOL_VERSION,
            "environment": self._identity,
            "vouchedAt": vouched_at_s,
        }
        content = json.dumps(header).encode() + b"\n" + to_snapshot(replica)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _replace(self.path, _digest(content) + b"\n" + content)
        except OSError as error:
            log.warning("cannot write %s: %s", self.path, error)
            return False
        return True

    def _read(self, content: bytes) -> Saved:
        digest, _, rest = content.partition(b"\n")
        if digest != _digest(rest):
            raise _UnusableFile("it is damaged")
        first, _, body = rest.partition(b"\n")
        header = json.loads(first)
        if header["schema"] != SCHEMA:
            raise _UnusableFile("it has another form")
        if header["environment"] != self._identity:
            raise _UnusableFile("it belongs to another environment")
        vouched_at_s = float(header["vouchedAt"])
        resumable = header["protocol"] == PROTOCOL_VERSION
        return Saved(from_snapshot(_snapshot(body)), vouched_at_s, resumable)


class _UnusableFile(Exception):
    """Says why a file is not used."""


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _snapshot(body: bytes) -> Snapshot:
    try:
        message = decode_server_message(body)
    except MalformedMessage as problem:
        raise _UnusableFile(str(problem)) from problem
    if not isinstance(message, Snapshot):
        raise _UnusableFile("it holds no snapshot")
    return message


def _replace(path: Path, content: bytes) -> None:
    # mkstemp gives mode 0600: rules may name people.
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    with contextlib.suppress(OSError):  # not every system can open a folder
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
