"""Files appear whole, at the end of links, and in the place of files only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from blsh_trainer.files import destination, write_atomically


def test_replaces_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for data in (b"one", b"other"):
        write_atomically(path, data)
        assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_and_its_target_is_written(tmp_path: Path, exists: bool) -> None:
    (tmp_path / "folder").mkdir()
    target, middle, link = (tmp_path / name for name in ("folder/file", "middle", "link"))
    middle.symlink_to("folder/file")
    link.symlink_to("middle")
    if exists:
        target.write_bytes(b"before")
    write_atomically(link, b"after")
    assert target.read_bytes() == b"after"
    assert not target.is_symlink()
    assert link.is_symlink()
    assert middle.is_symlink()
    assert len(list(tmp_path.rglob("*"))) == 4


def test_what_is_no_file_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "folder").mkdir()
    for path, problem in (
        (tmp_path / "pipe", "not a regular file"),
        (tmp_path / "link", "not a regular file"),
        (Path("/dev/null"), "not a regular file"),
        (tmp_path / "folder", "Is a directory"),
    ):
        with pytest.raises(OSError, match=problem) as error:
            write_atomically(path, b"data")
        assert error.value.strerror == problem
    assert (tmp_path / "pipe").is_fifo()
    assert Path("/dev/null").is_char_device()
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("length", [252, 255])
def test_any_name_that_a_file_may_have(tmp_path: Path, length: int) -> None:
    path = tmp_path / ("n" * length)
    write_atomically(path, b"data")
    assert path.read_bytes() == b"data"


def test_impossible_paths_are_os_errors(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for name in ("n" * 256, "loop", "loop/file"):
        with pytest.raises(OSError, match=r"\[Errno") as error:
            destination(tmp_path / name)
        assert error.value.strerror
