"""Denoisers of other makes, by a command."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from blsh_evaluation.cache import Cache
from blsh_evaluation.conditions import Condition
from blsh_evaluation.external import Command, ExternalTask, aligned
from blsh_evaluation.runner import run_tasks
from blsh_evaluation.system import Unprocessed
from blsh_evaluation.tasks import TableTask, read_rows, read_sound
from blsh_evaluation.views import MixtureView
from blsh_trainer.errors import BlshError

COPY = """
import pathlib, shutil, sys
for path in pathlib.Path(sys.argv[1]).glob("*.wav"):
    shutil.copy(path, sys.argv[2])
"""


def command(tmp_path: Path, script: str) -> Command:
    path = tmp_path / "script.py"
    path.write_text(script)
    return Command.parse(f"mine={shlex.quote(sys.executable)} {path} {{in}} {{out}}")


def test_a_command_that_copies_scores_as_the_mixture(
    conditions: list[Condition], tmp_path: Path
) -> None:
    task = ExternalTask(Cache(tmp_path / "cache"), conditions[1], command(tmp_path, COPY))
    folder = task.run()
    unprocessed = TableTask(Cache(tmp_path / "cache"), conditions[1], Unprocessed()).run()
    separation = slice(0, 4)  # PESQ can tell 16-bit rounding
    expected = read_rows(unprocessed)[:, separation]
    expected[:, 2] = read_rows(folder)[:, 2]  # SAR: without artefacts it is that of the rounding
    assert read_rows(folder)[:, separation] == pytest.approx(expected, abs=0.01)
    assert read_sound(folder).startswith(b"fLaC")


def test_a_changed_script_is_run_again(conditions: list[Condition], tmp_path: Path) -> None:
    """A command is known by the contents of the files that it names."""
    before = command(tmp_path, COPY).key()
    assert command(tmp_path, COPY).key() == before
    assert command(tmp_path, COPY + "\n").key() != before


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("raise SystemExit('no licence')", r"--system mine: the command ended with 1: no licence"),
        ("pass", r"--system mine: the command wrote no 0000\.wav"),
    ],
)
def test_failures_name_the_system(
    conditions: list[Condition], tmp_path: Path, script: str, message: str
) -> None:
    task = ExternalTask(Cache(tmp_path / "cache"), conditions[1], command(tmp_path, script))
    with pytest.raises(BlshError, match=message):
        task.run()
    assert list((tmp_path / "cache").iterdir()) == []


def test_ctrl_c_ends_the_command_too(conditions: list[Condition], tmp_path: Path) -> None:
    """What it was doing would go on without anybody waiting for it."""
    running = tmp_path / "running"
    script = (
        "import os, pathlib, sys, time\n"
        f"pathlib.Path({str(running)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )
    task = ExternalTask(Cache(tmp_path / "cache"), conditions[1], command(tmp_path, script))

    def interrupt_when_running() -> None:
        while not (running.exists() and running.read_text()):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_when_running).start()
    with pytest.raises(KeyboardInterrupt):
        run_tasks([task], 1, lambda done: None)
    deadline = time.monotonic() + 20
    while Path(f"/proc/{running.read_text()}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_missing_program_is_said(conditions: list[Condition], tmp_path: Path) -> None:
    task = ExternalTask(
        Cache(tmp_path / "cache"), conditions[1], Command.parse("x=./nowhere {in} {out}")
    )
    with pytest.raises(BlshError, match=r"--system x: \./nowhere cannot be started"):
        task.run()


@pytest.mark.parametrize("text", ["", "name", "=./a {in} {out}", "name=./a {in}", "n=./a '{in}"])
def test_commands_need_a_name_and_folders(text: str) -> None:
    with pytest.raises(BlshError, match="--system"):
        Command.parse(text)


@pytest.mark.parametrize("delay", [0, 1, 700])
def test_delay_is_taken_out(conditions: list[Condition], delay: int) -> None:
    view: MixtureView = next(conditions[1].views())
    noisy = view.mixture.noisy
    late = np.concatenate([np.zeros(delay, np.float32), 0.5 * noisy])
    assert np.array_equal(aligned(view, late), 0.5 * noisy)
