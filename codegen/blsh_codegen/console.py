"""How commands talk: tables for people, one JSON object for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table


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
