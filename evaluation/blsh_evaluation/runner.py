"""Tasks over all cores, with Ctrl-C and crashes in mind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import FrameType

from blsh_trainer.errors import INTERRUPTED, BlshError
from threadpoolctl import threadpool_limits

from blsh_evaluation.tasks import Task


def run_tasks(tasks: Sequence[Task], jobs: int, on_done: Callable[[Task], None]) -> list[Path]:
    """Run tasks, several at a time; those that the cache has take no time.

    Args:
        tasks: What is to be done.
        jobs: How many at a time, each in a process with one thread.
        on_done: Called after each.

    Returns:
        The folder of each task's result, in the order of the tasks.

    Raises:
        BlshError: A task failed, or its process was ended from outside.
        KeyboardInterrupt: Ctrl-C; the tasks at hand are lost, those done before are kept.
    """
    # Not forked: the libraries' threads would not survive it.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, max(len(tasks), 1)), context, _enter_worker)
    try:
        running = {pool.submit(_run, task): place for place, task in enumerate(tasks)}
        folders: dict[int, Path] = {}
        for done in as_completed(running):
            place = running[done]
            folders[place] = _result(done, tasks[place])
            on_done(tasks[place])
        return [folders[place] for place in range(len(tasks))]
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            if process.pid is not None:
                os.kill(process.pid, signal.SIGINT)
        raise
    finally:
        pool.shutdown()


def _run(task: Task) -> Path:
    return task.run()


def _result(done: Future[Path], task: Task) -> Path:
    try:
        return done.result()
    except BrokenProcessPool as error:
        raise BlshError(
            f"{task.label}: its process was ended from outside, by a lack of memory perhaps; "
            "repeat the command, with fewer --jobs, to go on from here"
        ) from error


def _enter_worker() -> None:
    signal.signal(signal.SIGINT, _leave)
    threadpool_limits(1)


def _leave(number: int, frame: FrameType | None) -> None:
    """End a worker without a traceback; what it was about to make is cleaned up on the way."""
    sys.exit(INTERRUPTED)
