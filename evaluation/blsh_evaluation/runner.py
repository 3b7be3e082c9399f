"""Tasks over all cores, with Ctrl-C and crashes in mind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

from blsh_trainer.errors import INTERRUPTED, BlshError
from threadpoolctl import threadpool_limits

from blsh_evaluation.tasks import Task

_PATIENCE_SECONDS = 5.0


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
        with _interrupts_held_back():
            running = {pool.submit(_run, task): place for place, task in enumerate(tasks)}
        folders: dict[int, Path] = {}
        for done in as_completed(running):
            place = running[done]
            folders[place] = _result(done)
            on_done(tasks[place])
        return [folders[place] for place in range(len(tasks))]
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        _end(multiprocessing.active_children())
        raise
    finally:
        pool.shutdown()


def _end(processes: Sequence[BaseProcess]) -> None:
    """Have workers clean up and leave, or leave as they are after some seconds."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        process.kill()


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Have processes that start meanwhile never hear of Ctrl-C, which is this one's business."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _enter_worker() -> None:
    threadpool_limits(1)
    signal.signal(signal.SIGTERM, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    """Unwind what is being done, which ends the commands that it started and removes its files."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def _run(task: Task) -> Path:
    try:
        return task.run()
    except SystemExit:
        os._exit(INTERRUPTED)  # and not on to the next task


def _result(done: Future[Path]) -> Path:
    try:
        return done.result()
    except BrokenProcessPool as error:
        raise BlshError(
            "--jobs: a process was ended from outside, by a lack of memory perhaps; repeat the "
            "command, with fewer --jobs, to go on from here"
        ) from error
