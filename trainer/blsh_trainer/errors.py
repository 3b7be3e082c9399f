"""The one error type that a user sees, and the exit code of an interrupt."""

from __future__ import annotations

import click

INTERRUPTED = 130  # what shells report for a command ended by Ctrl-C


class BlshError(click.ClickException):
    """A mistake in the input, reported as one line; commands exit with code 2.

    The message names the file or option, says what is wrong and what to do next. Characters that
    cannot be shown in a line, which names of files may hold, are escaped.
    """

    exit_code = 2

    def __init__(self, message: str) -> None:
        shown = (c if c.isprintable() else repr(c)[1:-1] for c in message)
        super().__init__("".join(shown))
