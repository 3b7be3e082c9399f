"""The one error type that a user sees, and the exit code of an interrupt."""

from __future__ import annotations

import click

INTERRUPTED = 130  # what shells report for a command ended by Ctrl-C


class BlshError(click.ClickException):
    """A mistake in the input, reported as one line; commands exit with code 2.

    The message names the file or option, says what is wrong and what to do next.
    """

    exit_code = 2
