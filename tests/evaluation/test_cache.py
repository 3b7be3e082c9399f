"""A step appears complete or not at all, once for the same inputs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import blsh_evaluation.cache
import pytest
from blsh_evaluation.cache import Cache, source_stamp
from blsh_trainer.errors import BlshError

MODULE = "blsh_evaluation.statistics"


def test_a_step_is_made_once(tmp_path: Path) -> None:
    made = []

    def build(folder: Path) -> None:
        made.append(folder)
        (folder / "a").write_text("x")

    cache = Cache(tmp_path / "cache")
    first = cache.step("kind", MODULE, {"n": 1}, build)
    assert cache.step("kind", MODULE, {"n": 1}, build) == first
    assert cache.step("kind", MODULE, {"n": 2}, build) != first
    assert len(made) == 2
    assert (first / "a").read_text() == "x"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_step_that_fails_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def build(folder: Path) -> None:
        (folder / "a").write_text("half")
        raise error

    with pytest.raises(error):
        Cache(tmp_path).step("kind", MODULE, {}, build)
    assert list(tmp_path.iterdir()) == []


def test_of_two_that_make_the_same_one_wins(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def build(folder: Path) -> None:
        (folder / "a").write_text("slower")
        cache.step("kind", MODULE, {}, lambda other: (other / "a").write_text("faster") and None)

    assert (cache.step("kind", MODULE, {}, build) / "a").read_text() == "faster"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        raise OSError(28, "No space left on device", str(folder))

    with pytest.raises(BlshError, match=r"No space left on device; check the path .* --cache"):
        Cache(tmp_path).step("kind", MODULE, {}, build)


def test_keys_change_with_the_source_and_that_of_imported_modules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`views` imports `blsh_trainer.stft`, not `blsh_codegen`."""
    names = blsh_evaluation.cache._reachable("blsh_evaluation.views")
    assert {"blsh_evaluation.views", "blsh_trainer.stft", "blsh_trainer.model_file"} <= names
    assert "blsh_codegen.export" not in names
    before = source_stamp.__wrapped__("blsh_evaluation.views")
    path = blsh_evaluation.cache._source_path

    def changed(name: str) -> Path:
        return path("blsh_trainer.audio" if name == "blsh_trainer.stft" else name)

    monkeypatch.setattr(blsh_evaluation.cache, "_source_path", changed)
    assert source_stamp.__wrapped__("blsh_evaluation.views") != before


def test_what_the_dead_have_begun_is_swept(tmp_path: Path) -> None:
    pid = int(subprocess.check_output([sys.executable, "-c", "import os; print(os.getpid())"]))
    dead, alive, done = (tmp_path / name for name in (f".{pid}-a", f".{os.getpid()}-b", "kind-c"))
    for folder in (dead, alive, done):
        folder.mkdir()
    Cache(tmp_path).sweep()
    assert sorted(tmp_path.iterdir()) == sorted([alive, done])
