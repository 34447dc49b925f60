"""`dev.json`: what a development installation tells people and programs about itself.

It holds secrets, so it has mode 0600; it is replaced atomically; and when it is lost it is written
anew with new keys, because nothing else remembers the old ones.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from server.dev.demo import KeyPair

FILE_NAME = "dev.json"


class DevAdmin(msgspec.Struct, frozen=True):
    """The first account of a development installation."""

    email: str
    password: str
    token: str


class DevRecord(msgspec.Struct, frozen=True, rename="camel"):
    """The content of the file."""

    url: str
    stream_url: str
    admin: DevAdmin
    project: str
    keys: dict[str, KeyPair]
    database_url: str
    redis_url: str


def read_record(data_dir: Path) -> DevRecord | None:
    """The record, or None where there is none that can be read."""
    try:
        return msgspec.json.decode((data_dir / FILE_NAME).read_bytes(), type=DevRecord)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write_record(data_dir: Path, record: DevRecord) -> Path:
    """Write the record and return its path."""
    path = data_dir / FILE_NAME
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    content = msgspec.json.format(msgspec.json.encode(record), indent=2)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content + b"\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return path
