"""The ``blsh-verify`` command."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from blsh_codegen.conformance import STAGES
from blsh_codegen.console import Command, json_option, print_json, print_table
from blsh_codegen.usage import Usage
from blsh_codegen.verify import TABLES, EngineResult, verify_folder

DEFAULT_FRAMES = 48


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--frames",
    type=click.IntRange(min=8, max=100_000),
    default=DEFAULT_FRAMES,
    show_default=True,
    help="Length of each test signal in hops.",
)
@json_option
@click.version_option(package_name="blsh")
def verify(directory: Path, frames: int, as_json: bool) -> None:
    """Compile an exported folder and compare it with the reference, bit for bit.

    Exits with 1 when any stage differs on any engine.
    """
    with Console(stderr=True).status("compiling and comparing"):
        results, skipped = verify_folder(directory, frames)
    bit_exact = all(result.bit_exact for result in results)
    if as_json:
        print_json(_report(results, skipped, bit_exact))
    else:
        _print_report(results, skipped)
    if not bit_exact:
        raise SystemExit(1)


def _report(
    results: list[EngineResult], skipped: dict[str, str], bit_exact: bool
) -> dict[str, object]:
    differences = [r.first_difference for r in results if r.first_difference is not None]
    return {
        "bit_exact": bit_exact,
        "engines": [result.engine for result in results],
        "frames": sum(c.frames for result in results for c in result.comparisons),
        "stages": list(STAGES),
        "first_difference": asdict(differences[0]) if differences else None,
        "failures": [result.failure for result in results if result.failure is not None],
        "skipped": skipped,
        "usage": {r.engine: asdict(r.usage) for r in results if r.usage is not None},
    }


def _print_report(results: list[EngineResult], skipped: dict[str, str]) -> None:
    compared = [result for result in results if result.comparisons]
    rows = []
    for columns in zip(*(result.comparisons for result in compared), strict=True):
        outcomes = ["equal" if c.difference is None else "DIFFERS" for c in columns]
        rows.append((columns[0].signal, *outcomes))
    frames = max((c.frames for result in compared for c in result.comparisons), default=0)
    title = f"Every stage against the reference, {frames} frames a signal"
    print_table(title, ("", *(result.engine for result in compared)), rows)
    for result in results:
        if not result.comparisons and result.failure is None:
            told = "as the model gives them" if result.engine == TABLES else "self-test passed"
            click.echo(f"{result.engine}: {told}")
    for name, reason in skipped.items():
        click.echo(f"skipped {name}: {reason}")
    for result in results:
        if result.usage is not None:
            _print_usage(result.engine, result.usage)
    for result in results:
        problem = result.failure or result.first_difference
        if problem is not None:
            click.echo(f"NOT BIT-EXACT: {problem}")
    if all(result.bit_exact for result in results):
        click.echo(f"bit-exact on {', '.join(result.engine for result in results)}")


def _print_usage(engine: str, usage: Usage) -> None:
    rows = [(stage, f"{count / 1e6:.2f}") for stage, count in usage.stages.items()]
    rows += [
        ("total", f"{usage.instructions_per_second / 1e6:.2f}"),
        ("instructions a dictionary code", f"{usage.instructions_per_code:.1f}"),
        ("runtime code, bytes", f"{usage.runtime_code_bytes:,}"),
        ("stack painted, bytes", f"{usage.stack_bytes:,}"),
    ]
    title = f"Cost on {engine} ({usage.compiler}), million instructions a second of audio"
    print_table(title, ("", ""), rows)
