"""A private folder for unix sockets whose path can be used.

The kernel takes socket paths of at most 107 bytes, and data folders may lie deep; in a database
URL a comma separates hosts, even within a path. In both cases the sockets go to a folder below the
temporary one whose name follows from the data folder's, so that a start after a kill -9 finds, and
reuses, what is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path

from server.embedded.data_dir import DataDir, make_private
from server.embedded.faults import NotADataDir
from server.embedded.identity import Identity

MAX_SOCKET_PATH_BYTES = 107
_LONGEST_NAME = ".s.PGSQL.5432.lock"


def socket_folder(data_dir: DataDir, identity: Identity) -> Path:
    """The folder for the sockets of this data, created with mode 0700 where it is missing.

    It belongs to the account of ``identity``, if there is one, else to us. Raises NotADataDir
    where a folder below the temporary one is somebody else's.
    """
    folder = _place_for(data_dir)
    if not folder.exists():
        make_private(folder)
        if identity.account:
            os.chown(folder, *identity.account)
    if not _is_private(folder, identity):
        raise NotADataDir(data_dir.root, f"{folder}, the place for its sockets, is not private")
    return folder


def _place_for(data_dir: DataDir) -> Path:
    longest = os.fsencode(data_dir.run / _LONGEST_NAME)
    if len(longest) <= MAX_SOCKET_PATH_BYTES and b"," not in longest:
        return data_dir.run
    digest = hashlib.sha256(os.fsencode(data_dir.root.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"halyard-{os.geteuid()}-{digest}"


def _is_private(folder: Path, identity: Identity) -> bool:
    found = folder.lstat()
    owner = identity.account[0] if identity.account else os.geteuid()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == owner
    return ours and not stat.S_IMODE(found.st_mode) & 0o077


def remove_if_temporary(folder: Path, data_dir: DataDir) -> None:
    """Drop the folder below the temporary one after a clean stop."""
    if folder != data_dir.run:
        with contextlib.suppress(OSError):
            folder.rmdir()
