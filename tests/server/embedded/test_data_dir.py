from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from server.embedded.data_dir import DataDir, DataDirLock, Holder, holder, is_prepared, is_running
from server.embedded.faults import DataDirInUse, NotADataDir


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_and_those_inside_are_private(tmp_path: Path) -> None:
    data_dir = DataDir.at(tmp_path / "deep" / "data")
    data_dir.prepare()
    for folder in (data_dir.root, data_dir.valkey, data_dir.logs):
        assert mode_of(folder) == 0o700


def test_a_folder_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    data_dir = DataDir.at(tmp_path)
    data_dir.prepare()
    data_dir.prepare()
    assert mode_of(data_dir.root) == 0o755
    assert mode_of(data_dir.logs) == 0o700


def test_what_is_inside_stays_out_of_repositories(tmp_path: Path) -> None:
    DataDir.at(tmp_path).prepare()
    assert (tmp_path / ".gitignore").read_text() == "*\n"


def test_a_folder_with_other_things_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(NotADataDir, match=r"it is not empty \(it holds thesis.tex\)"):
        DataDir.at(tmp_path).prepare()
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_of_another_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "VERSION").write_text("halyard data, layout 7\n")
    with pytest.raises(NotADataDir, match="layout 7"):
        DataDir.at(tmp_path).prepare()


def test_only_a_prepared_folder_is_an_installation(tmp_path: Path) -> None:
    data_dir = DataDir.at(tmp_path)
    assert not is_prepared(data_dir)
    data_dir.prepare()
    assert is_prepared(data_dir)


def test_preparing_that_was_cut_short_is_finished(tmp_path: Path) -> None:
    (tmp_path / "VERSION").touch()
    data_dir = DataDir.at(tmp_path)
    data_dir.prepare()
    assert "layout 1" in (tmp_path / "VERSION").read_text()


def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADataDir):
        DataDir.at(tmp_path / "file" / "data").prepare()


def test_a_second_start_hears_who_is_there_and_where(tmp_path: Path) -> None:
    data_dir = DataDir.at(tmp_path)
    with DataDirLock(data_dir) as lock:
        lock.announce(Holder(os.getpid(), "http://127.0.0.1:8080"))
        with pytest.raises(DataDirInUse) as refused, DataDirLock(data_dir):
            pass
    assert str(refused.value) == (
        f"Halyard is already running on {tmp_path} (pid {os.getpid()}, http://127.0.0.1:8080)"
    )


def test_the_lock_is_free_again_afterwards(tmp_path: Path) -> None:
    data_dir = DataDir.at(tmp_path)
    assert not is_running(data_dir)
    with DataDirLock(data_dir):
        assert is_running(data_dir)
    assert not is_running(data_dir)
    with DataDirLock(data_dir):
        assert is_running(data_dir)


def test_a_holder_that_has_not_said_who_it_is_is_reported_too(tmp_path: Path) -> None:
    data_dir = DataDir.at(tmp_path)
    with DataDirLock(data_dir):
        data_dir.lock.write_bytes(b"")
        assert holder(data_dir) is None
        with pytest.raises(DataDirInUse, match=r"already running on \S+$"), DataDirLock(data_dir):
            pass
