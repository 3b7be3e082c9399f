"""Processes that tests interrupt as Ctrl-C in a terminal does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

# Shells start background jobs with interrupts ignored, and that is inherited: the tests may run so.
_HEEDING_INTERRUPTS = (
    "import os, signal, sys;"
    "signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


@contextmanager
def interruptible(command: Sequence[str | Path]) -> Iterator[subprocess.Popen[str]]:
    """Start a command in a process group of its own; what is left of it in the end is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HEEDING_INTERRUPTS, *command],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def interrupt(process: subprocess.Popen[str]) -> str:
    """Send the interrupt to the whole group, wait, and return what was written to stderr."""
    os.killpg(process.pid, signal.SIGINT)
    return process.communicate(timeout=60)[1]
