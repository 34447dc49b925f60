"""What can go wrong with embedded servers, each error carrying the sentence to show.

EmbeddedServersError
+-- BinariesMissing     the wheels are not installed
+-- DataDirInUse        another Halyard runs on this data
+-- NotADataDir         the folder holds something else, or is of a newer version
+-- NoUnprivilegedUser  root, and no way to run PostgreSQL as anybody else
+-- StartFailed         a server did not come up; shows the end of its log
+-- KeepsFailing        a server died too often to be started again
"""

from __future__ import annotations

from pathlib import Path


class EmbeddedServersError(Exception):
    """Root of the faults of this package."""


class BinariesMissing(EmbeddedServersError):
    """The executables of ``what`` were not found."""

    def __init__(self, what: str, distribution: str) -> None:
        self.what = what
        super().__init__(
            f"{what} is not installed: pip install {distribution}, or point Halyard at servers "
            "of your own with HALYARD_DATABASE_URL and HALYARD_REDIS_URL (halyard serve)"
        )


class DataDirInUse(EmbeddedServersError):
    """Another process holds the lock of the data folder."""

    def __init__(self, root: Path, pid: int | None, address: str | None) -> None:
        self.root, self.pid, self.address = root, pid, address
        known = [f"pid {pid}" if pid else "", address or ""]
        detail = ", ".join(part for part in known if part)
        super().__init__(
            f"Halyard is already running on {root}" + (f" ({detail})" if detail else "")
        )


class NotADataDir(EmbeddedServersError):
    """The folder is not one that this version may use."""

    def __init__(self, root: Path, reason: str) -> None:
        self.root = root
        super().__init__(f"{root} cannot hold Halyard's data: {reason}")


class NoUnprivilegedUser(EmbeddedServersError):
    """Halyard is root, and PostgreSQL cannot be run as anybody else."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"PostgreSQL refuses to run as root, and no other user will do: {reason}. Start "
            "Halyard as an ordinary user, or use a data folder and an installation that every "
            "user can reach (for example --data-dir /var/lib/halyard)"
        )


class StartFailed(EmbeddedServersError):
    """``what`` did not get ready."""

    def __init__(self, what: str, reason: str, log: Path, tail: str = "") -> None:
        self.what, self.log, self.tail = what, log, tail
        shown = f"\n--- end of {log}\n{tail}" if tail else f" (log: {log})"
        super().__init__(f"{what} did not start: {reason}{shown}")


class KeepsFailing(EmbeddedServersError):
    """``what`` died more often than it is restarted."""

    def __init__(self, what: str, deaths: int, within_s: float, log: Path) -> None:
        self.what, self.deaths, self.log = what, deaths, log
        super().__init__(f"{what} died {deaths} times within {within_s:.0f} s (log: {log})")
