"""The system calls between fork and exec of a supervised server; run as a script of its own.

``python -I -S launcher.py PARENT DEATH_SIGNAL AS_WHOM PROGRAM [ARGUMENT…]``

PARENT is the pid that started us, DEATH_SIGNAL the number of the signal that the kernel sends the
server when that process dies. AS_WHOM is ``-`` (stay as we are), ``map:UID:GID`` (enter a user
namespace in which we are that user: PostgreSQL sees no root, files stay root's), or
``be:UID:GID`` (give up root for that account).

A script rather than a ``preexec_fn``: code between fork and exec of a process with threads can
deadlock. Stands on the standard library alone, and stays the server's pid, since exec keeps it.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


def _enter_namespace(libc: ctypes.CDLL, uid: int, gid: int) -> None:
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    _check(libc.unshare(_CLONE_NEWUSER), "unshare(CLONE_NEWUSER)")
    own = Path("/proc/self")
    (own / "uid_map").write_text(f"{uid} {outer_uid} 1")
    (own / "setgroups").write_text("deny")
    (own / "gid_map").write_text(f"{gid} {outer_gid} 1")


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _take_identity(libc: ctypes.CDLL, as_whom: str) -> None:
    how, _, who = as_whom.partition(":")
    if how == "-":
        return
    uid, gid = (int(part) for part in who.split(":"))
    if how == "map":
        _enter_namespace(libc, uid, gid)
    else:
        _become(uid, gid)


def _die_with(libc: ctypes.CDLL, parent: int, death_signal: int) -> None:
    if sys.platform != "linux":
        return
    _check(libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")
    # The parent may have died before the kernel knew whom to tell.
    if os.getppid() != parent:
        sys.exit("the process that started this server has died")


def _main(parent: str, death_signal: str, as_whom: str, *command: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    _take_identity(libc, as_whom)
    _die_with(libc, int(parent), int(death_signal))
    os.execv(command[0], command)  # noqa: S606 (no shell is wanted)


if __name__ == "__main__":
    try:
        _main(*sys.argv[1:])
    except OSError as error:
        sys.exit(f"launcher: {error}")
