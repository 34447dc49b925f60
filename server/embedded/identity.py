"""As whom PostgreSQL runs.

Its refusal of root leaves three answers:

- Halyard is not root: as Halyard.
- Root: root in a user namespace that maps it to another uid. The files stay root's, in a folder of
  mode 0700; nobody else on the machine gains anything.
- Root, where user namespaces are forbidden (some containers): an unprivileged account, which then
  owns ``postgres/`` in the data folder.

Data that exist decide by their owner, so that an installation keeps its answer.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from server.embedded.faults import NoUnprivilegedUser

_LAUNCHER = Path(__file__).with_name("launcher.py")
_PREFERRED_ACCOUNTS = ("postgres", "nobody", "daemon")


@dataclass(frozen=True, slots=True)
class Identity:
    """What the launcher is told. ``account`` is set where files must belong to another user."""

    as_whom: str
    account: tuple[int, int] | None = None


OURSELVES = Identity("-")


def launch_command(
    identity: Identity, death_signal: signal.Signals, command: tuple[str, ...]
) -> tuple[str, ...]:
    """The argument vector that runs ``command`` as ``identity``, told when this process dies.

    The kernel counts the death of the *thread* that starts the process: start servers from one
    that lives as long as they shall.
    """
    launcher = (sys.executable, "-I", "-S", str(_LAUNCHER))
    return (*launcher, str(os.getpid()), str(int(death_signal)), identity.as_whom, *command)


def postgres_identity(data: Path, binary: Path) -> Identity:
    """As whom to run ``binary`` on ``data`` (which need not exist). Raises NoUnprivilegedUser."""
    if os.geteuid() != 0:
        return OURSELVES
    if data.exists():
        found = data.stat()
        return _namespaced() if found.st_uid == 0 else _account(found.st_uid, found.st_gid)
    namespaced = _namespaced()
    if _complaint(namespaced, str(binary), "--version") is None:
        return namespaced
    return _other_account(binary)


def _namespaced() -> Identity:
    # initdb wants a uid with a name; any will do, since it exists inside the namespace only.
    named = [entry for entry in pwd.getpwall() if entry.pw_uid != 0]
    if not named:
        raise NoUnprivilegedUser("this machine has no account but root")
    chosen = min(named, key=lambda entry: entry.pw_uid)
    return Identity(f"map:{chosen.pw_uid}:{chosen.pw_gid}")


def _account(uid: int, gid: int) -> Identity:
    return Identity(f"be:{uid}:{gid}", (uid, gid))


def _other_account(binary: Path) -> Identity:
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    chosen = next((known[name] for name in _PREFERRED_ACCOUNTS if name in known), None)
    if chosen is None:
        raise NoUnprivilegedUser(f"there is none of the accounts {', '.join(_PREFERRED_ACCOUNTS)}")
    identity = _account(chosen.pw_uid, chosen.pw_gid)
    problem = _complaint(identity, str(binary), "--version")
    if problem is not None:
        raise NoUnprivilegedUser(f"as {chosen.pw_name}, {binary} cannot be run: {problem}")
    return identity


def check_reach(identity: Identity, folder: Path) -> None:
    """Raise NoUnprivilegedUser where ``identity`` cannot enter ``folder``."""
    problem = _complaint(identity, "/bin/sh", "-c", 'cd "$1"', "sh", str(folder))
    if problem is not None:
        raise NoUnprivilegedUser(problem)


def _complaint(identity: Identity, *command: str) -> str | None:
    """None, or what is said where ``command`` does not succeed as ``identity``."""
    command = launch_command(identity, signal.SIGKILL, command)
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    return None if done.returncode == 0 else done.stderr.strip() or f"exit {done.returncode}"
