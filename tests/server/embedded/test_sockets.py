from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.embedded.data_dir import DataDir
from server.embedded.faults import NotADataDir
from server.embedded.identity import OURSELVES
from server.embedded.sockets import MAX_SOCKET_PATH_BYTES, remove_if_temporary, socket_folder


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataDir]:
    """Data so deep that no socket fits there, and a temporary folder of this test only."""
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setattr(tempfile, "tempdir", short)
        data_dir = DataDir.at(tmp_path / ("x" * 100))
        data_dir.prepare()
        yield data_dir


def test_sockets_lie_with_the_data_where_the_path_is_short_enough(tmp_path: Path) -> None:
    data_dir = DataDir.at(tmp_path)
    folder = socket_folder(data_dir, OURSELVES)
    assert folder == data_dir.run
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_deep_data_get_a_private_folder_whose_path_fits(deep: DataDir) -> None:
    folder = socket_folder(deep, OURSELVES)
    assert len(os.fsencode(folder / ".s.PGSQL.5432")) <= MAX_SOCKET_PATH_BYTES
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_deep_data_find_the_same_folder_again(deep: DataDir) -> None:
    assert socket_folder(deep, OURSELVES) == socket_folder(deep, OURSELVES)


def test_a_place_that_others_can_enter_is_refused(deep: DataDir) -> None:
    socket_folder(deep, OURSELVES).chmod(0o755)
    with pytest.raises(NotADataDir, match="is not private"):
        socket_folder(deep, OURSELVES)


def test_a_place_that_is_a_link_is_refused(deep: DataDir, tmp_path: Path) -> None:
    folder = socket_folder(deep, OURSELVES)
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotADataDir, match="is not private"):
        socket_folder(deep, OURSELVES)


def test_only_the_temporary_folder_is_removed(deep: DataDir, tmp_path: Path) -> None:
    folder = socket_folder(deep, OURSELVES)
    remove_if_temporary(folder, deep)
    assert not folder.exists()
    near = DataDir.at(tmp_path)
    folder = socket_folder(near, OURSELVES)
    remove_if_temporary(folder, near)
    assert folder.exists()
