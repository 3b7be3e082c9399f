"""Tasks in other processes: order, failure, death and Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from blsh_evaluation.runner import run_tasks
from blsh_trainer.errors import BlshError

from tests.interrupts import interrupt, interruptible

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Sleep:
    """Ends after some seconds."""

    seconds: float
    name: str

    @property
    def label(self) -> str:
        return self.name

    def run(self) -> Path:
        time.sleep(self.seconds)
        return Path(self.name)


@dataclass(frozen=True)
class Fail(Sleep):
    def run(self) -> Path:
        raise BlshError("a file: is damaged")


@dataclass(frozen=True)
class Die(Sleep):
    def run(self) -> Path:
        os.kill(os.getpid(), signal.SIGKILL)
        return Path()


def test_results_come_in_the_order_of_the_tasks() -> None:
    tasks = [Sleep(0.5, "slow"), Sleep(0.0, "fast"), Sleep(0.1, "third")]
    done: list[str] = []
    folders = run_tasks(tasks, 2, lambda task: done.append(task.label))
    assert folders == [Path("slow"), Path("fast"), Path("third")]
    assert sorted(done) == ["fast", "slow", "third"]


def test_a_failed_task_ends_the_run_with_its_message() -> None:
    with pytest.raises(BlshError, match="a file: is damaged"):
        run_tasks([Fail(0, "bad"), Sleep(0, "good")], 2, lambda task: None)


def test_a_process_that_is_killed_is_said() -> None:
    tasks = [Sleep(0.5, "small"), Die(0, "big"), Sleep(0, "later"), Sleep(0, "last")]
    with pytest.raises(BlshError, match=r"--jobs: a process was ended from outside"):
        run_tasks(tasks, 2, lambda task: None)


def test_ctrl_c_ends_all_processes_quietly() -> None:
    code = (
        "from tests.evaluation.test_runner import Sleep; from blsh_evaluation.runner import *\n"
        "import sys\n"
        "def main():\n"
        "    try:\n"
        "        run_tasks([Sleep(0, 'x')] + [Sleep(60, 'y')] * 3, 2,"
        " lambda t: print('one', file=sys.stderr, flush=True))\n"
        "    except KeyboardInterrupt:\n"
        "        sys.exit(130)\n"
        "if __name__ == '__main__':\n"
        "    main()\n"
    )
    script = ROOT / "build" / "interrupted_run.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}")
    began = time.monotonic()
    with interruptible([sys.executable, script]) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "one\n"
        rest = interrupt(process)
    assert process.returncode == 130
    assert "Traceback" not in rest
    assert time.monotonic() - began < 30
