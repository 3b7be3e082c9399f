"""How commands talk: tables for people, one JSON object for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import click
from blsh_trainer.errors import INTERRUPTED, BlshError
from blsh_trainer.streams import escape_what_cannot_be_encoded
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table


class Command(click.Command):
    """A command that ends with 130 on Ctrl-C and in one line where output cannot be written."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        escape_what_cannot_be_encoded()
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted: nothing was changed", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            raise
        except OSError as error:
            where = error.filename or "output"
            raise BlshError(
                f"{where}: {error.strerror}; check the path and the room there"
            ) from error


class FiniteRange(click.FloatRange):
    """A range of numbers that NaN is not in."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read the number."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


def json_option(function: Any) -> Any:
    """The ``--json`` option that every command has."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON object and nothing else."
    )(function)


def print_json(fields: Mapping[str, Any]) -> None:
    """Print an object on stdout."""
    click.echo(json.dumps(fields, indent=2))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout; all columns but the first are aligned to the right.

    Args:
        title: Line above it.
        columns: Headings; no heading line where all are empty.
        rows: Cells.
    """
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE,
        show_header=any(columns),
        pad_edge=False,
    )
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left")
    for row in rows:
        table.add_row(*row)
    Console(soft_wrap=True).print(table)
