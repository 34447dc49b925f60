"""The folder of a ``halyard dev`` installation: what is where, and who may use it now.

::

    VERSION       marks the folder as Halyard's, and of which layout
    lock          flock held while a Halyard uses the data; says its pid and addresses
    .gitignore    keeps keys and passwords out of a repository that the folder lies in
    dev.json      addresses, keys and passwords (written by ``halyard dev``, mode 0600)
    postgres/     PostgreSQL's data    valkey/   Valkey's data
    logs/         what the two print   run/      their sockets

A folder that Halyard creates has mode 0700. One that exists already keeps its mode, which is why
each folder inside is private as well.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import msgspec

from server.embedded.faults import DataDirInUse, NotADataDir

_LAYOUT = "halyard data, layout 1\n"
_HARMLESS = frozenset({"lost+found", ".gitignore", "VERSION", "lock"})


@dataclass(frozen=True, slots=True)
class DataDir:
    """The paths below ``root``, which is absolute."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> DataDir:
        """The data folder at ``path``, whether or not it exists."""
        return cls(path.expanduser().absolute())

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data."""
        return self.root / "postgres"

    @property
    def valkey(self) -> Path:
        """Valkey's data."""
        return self.root / "valkey"

    @property
    def run(self) -> Path:
        """Sockets, where the path is short enough."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        """What the servers print."""
        return self.root / "logs"

    @property
    def lock(self) -> Path:
        """Held while a Halyard uses the data."""
        return self.root / "lock"

    @property
    def dev_json(self) -> Path:
        """Addresses and keys for people and scripts."""
        return self.root / "dev.json"

    def prepare(self, mode: int = 0o700) -> None:
        """Create what is missing, ``root`` with ``mode``.

        Raises NotADataDir for a folder with other things in it.
        """
        try:
            self.root.parent.mkdir(parents=True, exist_ok=True)
            make_private(self.root, mode)
            self._check_layout()
            for folder in (self.valkey, self.logs):
                make_private(folder)
        except OSError as error:
            raise NotADataDir(self.root, str(error)) from error

    def _check_layout(self) -> None:
        marker = self.root / "VERSION"
        found = marker.read_text() if marker.exists() else ""
        if found == _LAYOUT:
            return
        # A kill between creating the marker and writing it leaves it empty.
        if found:
            raise NotADataDir(
                self.root, f"it says {found.strip()!r}, which this version cannot read"
            )
        foreign = sorted({entry.name for entry in self.root.iterdir()} - _HARMLESS)
        if foreign:
            raise NotADataDir(self.root, f"it is not empty (it holds {foreign[0]})")
        (self.root / ".gitignore").write_text("*\n")
        marker.write_text(_LAYOUT)


def make_private(folder: Path, mode: int = 0o700) -> None:
    """Create ``folder`` with ``mode``, unless it exists: then it stays as it is."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=mode)


class Holder(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who uses the data: what the lock file says. A field is None while it is not known yet."""

    pid: int | None = None
    address: str | None = None
    """Of the HTTP API; an administrative command has none."""
    database_url: str | None = None
    redis_url: str | None = None


class DataDirLock:
    """Keeps every other Halyard off a data folder, from ``with`` to its end.

    The kernel drops the lock with the process, so a kill -9 leaves nothing to clean up; the text
    in the file is for people and for the message of DataDirInUse.
    """

    def __init__(self, data_dir: DataDir) -> None:
        self._data_dir = data_dir
        self._fd = -1

    def __enter__(self) -> DataDirLock:
        fd = os.open(self._data_dir.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            found = holder(self._data_dir) or Holder()
            raise DataDirInUse(self._data_dir.root, found.pid, found.address) from None
        self._fd = fd
        self.announce(Holder(os.getpid()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.ftruncate(self._fd, 0)
        os.close(self._fd)

    def announce(self, holder: Holder) -> None:
        """Say who is here, and what is reached where."""
        text = msgspec.json.encode(holder)
        os.pwrite(self._fd, text, 0)
        os.ftruncate(self._fd, len(text))


def holder(data_dir: DataDir) -> Holder | None:
    """What the lock file says. Says nothing about whether that process still runs."""
    try:
        return msgspec.json.decode(data_dir.lock.read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None


def is_prepared(data_dir: DataDir) -> bool:
    """Whether there is an installation in the folder."""
    return (data_dir.root / "VERSION").exists()


def is_running(data_dir: DataDir) -> bool:
    """Whether a Halyard uses the data at this moment."""
    try:
        fd = os.open(data_dir.lock, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
