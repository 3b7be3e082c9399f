"""Progress bars on stderr, and none where stderr is not a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

Report = Callable[[float, str], None]


@contextmanager
def progress_bar(label: str, total: float | None, *, counted: bool = True) -> Iterator[Report]:
    """A bar for the duration of a block.

    Args:
        label: What is being done.
        total: What ``done`` will reach, or ``None`` where that is not known.
        counted: Show ``done/total`` as whole numbers.

    Yields:
        A function of how much is done and of a short text to show behind the bar.
    """
    console = Console(stderr=True)
    counts = [MofNCompleteColumn()] if counted else []
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *counts,
        TextColumn("{task.fields[status]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(label, total=total, status="")

        def report(done: float, status: str) -> None:
            progress.update(task, completed=done, status=status)

        yield report
