"""The ``blsh-bench`` command."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal

import click
from blsh_trainer.model_file import load_model
from rich.console import Console

from blsh_codegen.bench import PEERS, Benchmark, run_benchmark
from blsh_codegen.console import Command, FiniteRange, json_option, print_json, print_table
from blsh_codegen.export import default_model
from blsh_codegen.targets import TARGETS, find_target

_FUNCTIONS_SHOWN = 12


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--target",
    default="cortex-m4",
    show_default=True,
    help=f"Processor: {', '.join(name for name, one in TARGETS.items() if one.emulated)}.",
)
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="Model file of blsh-train.  [default: the bundled model]",
)
@click.option(
    "--compiler",
    type=click.Choice(["zig", "gcc"]),
    default="zig",
    show_default=True,
    help="Cross compiler: the ziglang package's, or the target's gcc on PATH.",
)
@click.option(
    "--optimise",
    type=click.Choice(["-O1", "-O2", "-O3", "-Os", "-Oz"]),
    default="-O2",
    show_default=True,
    help="The compiler's optimisation flag.",
)
@click.option(
    "--seconds",
    type=FiniteRange(min=0.1, max=60),
    default=2.0,
    show_default=True,
    help="Length of the audio.",
)
@json_option
@click.version_option(package_name="blsh")
def bench(
    target: str,
    model: Path | None,
    compiler: Literal["zig", "gcc"],
    optimise: str,
    seconds: float,
    as_json: bool,
) -> None:
    """Count what a denoiser executes, second by second of audio, on an emulated core."""
    chosen = find_target(target)
    loaded = load_model(model or default_model())
    with Console(stderr=True).status("compiling and counting"):
        done = run_benchmark(loaded, chosen, seconds=seconds, compiler=compiler, optimise=optimise)
    if as_json:
        print_json(_report(done))
    else:
        _print_report(done)


def _report(done: Benchmark) -> dict[str, object]:
    usage = done.usage
    total = usage.instructions_per_second
    return {
        "target": done.target,
        "model_sha256": done.model_sha256,
        "seconds": done.seconds,
        "latency_samples": done.latency_samples,
        **asdict(usage),
        "stages": {name: round(count / total, 4) for name, count in usage.stages.items()},
        "stage_instructions_per_second": usage.stages,
        "clock_hz": done.clock_hz,
        "peers": [asdict(peer) for peer in PEERS],
    }


def _print_report(done: Benchmark) -> None:
    usage = done.usage
    total = usage.instructions_per_second
    print_table(
        f"{done.target}, {usage.compiler}, {done.seconds:g} s of noisy speech: "
        "million executed instructions per second of audio",
        ("stage", "M instr/s", "share"),
        [
            *((name, _millions(n), f"{n / total:.1%}") for name, n in usage.stages.items()),
            ("total", _millions(total), ""),
        ],
    )
    print_table("Profile by function", ("function", "M instr/s", "share"), _profile_rows(done))
    print_table("Flash", ("", "bytes"), [(name, f"{n:,}") for name, n in _flash(done).items()])
    print_table("Cost", ("", ""), _cost_rows(done))
    own = (f"BLSH, {done.target}", _millions(total), _kib(usage.flash_bytes), _kib(usage.ram_bytes))
    peers = [
        (p.name, _millions(p.instructions_per_second), _kib(p.flash_bytes), _kib(p.ram_bytes))
        for p in PEERS
    ]
    columns = ("denoiser", "M instr/s", "flash, KiB", "RAM, KiB")
    print_table(
        "Beside others, constants measured on an emulated Cortex-M4", columns, [own, *peers]
    )


def _profile_rows(done: Benchmark) -> list[tuple[str, str, str]]:
    total = done.usage.instructions_per_second
    functions = list(done.usage.functions.items())
    rows = [(name, _millions(n), f"{n / total:.1%}") for name, n in functions[:_FUNCTIONS_SHOWN]]
    rest = sum(n for _, n in functions[_FUNCTIONS_SHOWN:])
    if rest:
        rows.append(("others", _millions(rest), f"{rest / total:.1%}"))
    return rows


def _flash(done: Benchmark) -> dict[str, int]:
    return {**done.usage.flash, "total": done.usage.flash_bytes}


def _cost_rows(done: Benchmark) -> list[tuple[str, str]]:
    usage = done.usage
    cycles = usage.estimated_cycles_per_second
    estimate = (
        "no model of this core" if cycles is None else f"{_millions(cycles)} million a second"
    )
    clock = f"{done.clock_hz / 1e6:.1f} MHz" + (" at one cycle each" if cycles is None else "")
    bound = usage.static_stack_bytes
    chain = " > ".join(usage.stack_chain)
    return [
        ("instructions a dictionary code", f"{usage.instructions_per_code:.2f}"),
        ("RAM of a stream", f"{usage.ram_bytes:,} bytes"),
        ("stack, painted", f"{usage.stack_bytes:,} bytes"),
        ("stack, bound from the code", "none" if bound is None else f"{bound:,} bytes"),
        ("its call chain", chain or "none"),
        ("cycles, an estimate without flash wait states", estimate),
        ("clock for real time, likewise", clock),
    ]


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f}"


def _kib(size: int) -> str:
    return f"{size / 1024:.0f}"
