"""The ``blsh-export`` command."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from blsh_trainer.errors import BlshError
from blsh_trainer.model_file import Model, load_model
from click.core import ParameterSource
from rich.console import Console

from blsh_codegen.assess import fixed_point_scores, held_out_mixtures
from blsh_codegen.bench import run_benchmark
from blsh_codegen.console import Command, json_option, print_json, print_table
from blsh_codegen.export import default_model, export_model
from blsh_codegen.manifest import BLOB
from blsh_codegen.prefix import DEFAULT_PREFIX
from blsh_codegen.report import Evidence
from blsh_codegen.targets import TARGETS, Target, find_target
from blsh_codegen.toolchain import FirmwareCompiler
from blsh_codegen.update import export_blob


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--target", help=f"Processor, required: {', '.join(TARGETS)}.")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="Model file of blsh-train.  [default: the bundled model]",
)
@click.option(
    "--blob-only",
    "firmware",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="In place of --target: write the model as a blob alone, for firmware that has the export "
    "in FOLDER compiled in.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help=f"Folder to write, or file.  [default: PREFIX-TARGET, or {BLOB}]",
)
@click.option(
    "--prefix",
    metavar="NAME",
    default=DEFAULT_PREFIX,
    show_default=True,
    help="What the names of the C, its files and packages begin with: exports with different "
    "prefixes can be linked into one image.",
)
@click.option(
    "--measure",
    type=click.Choice(["zig", "gcc"]),
    is_flag=False,
    flag_value="zig",
    help="Count instructions for the report on the emulated core, compiled by zig or gcc.",
)
@click.option(
    "--speech",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Speech of the model's training, to score the exported C for the report on what was held "
    "out; needs --noise; may be repeated.",
)
@click.option(
    "--noise",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Noise of the model's training, likewise.",
)
@click.option("--force", is_flag=True, help="Replace the folder or file whatever is in it.")
@json_option
@click.version_option(package_name="blsh")
@click.pass_context
def export(
    ctx: click.Context,
    target: str | None,
    model: Path | None,
    firmware: Path | None,
    output: Path | None,
    prefix: str,
    measure: FirmwareCompiler | None,
    speech: tuple[Path, ...],
    noise: tuple[Path, ...],
    force: bool,
    as_json: bool,
) -> None:
    """Export a denoiser as a folder of fixed-point C99.

    REPORT.md and report.html in it say what it costs and what it is worth. Costs are estimates
    unless --measure counts them; what quantisation costs in quality is measured on a made-up clip,
    and with --speech and --noise on the validation mixtures of the training.
    """
    if (target is None) == (firmware is None):
        raise click.UsageError("give either '--target' or '--blob-only'", ctx)
    if bool(speech) != bool(noise):
        raise BlshError("--speech, --noise: give both, as to blsh-train")
    loaded = load_model(model or default_model())
    if firmware is not None:
        for name in ("prefix", "measure", "speech"):
            if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
                raise BlshError(f"--{name}: is for whole exports, not for --blob-only")
        _export_blob(loaded, firmware, output or Path(BLOB), force=force, as_json=as_json)
        return
    assert target is not None
    chosen = find_target(target)
    folder = output or Path(f"{prefix}-{chosen.name}")
    evidence = _evidence(loaded, chosen, measure, speech, noise)
    done = export_model(loaded, chosen, folder, force=force, prefix=prefix, evidence=evidence)
    if as_json:
        print_json(asdict(done))
        return
    print_table(
        f"Exported for {done.target}",
        ("", ""),
        (
            ("folder", str(folder)),
            ("model", done.model_sha256[:16]),
            ("files", str(len(done.files))),
            ("flash", f"{done.flash_bytes:,} bytes"),
            ("RAM", f"{done.ram_bytes:,} bytes a stream"),
            ("latency", f"{done.latency_samples} samples"),
        ),
    )
    click.echo(f"Next: blsh-verify {folder}")


def _export_blob(model: Model, firmware: Path, output: Path, *, force: bool, as_json: bool) -> None:
    done = export_blob(model, firmware, output, force=force)
    if as_json:
        print_json(asdict(done))
        return
    print_table(
        f"Exported for the firmware of {firmware}",
        ("", ""),
        (
            ("file", str(output)),
            ("model", done.model_sha256[:16]),
            ("length", f"{done.bytes:,} bytes"),
        ),
    )


def _evidence(
    model: Model,
    target: Target,
    compiler: FirmwareCompiler | None,
    speech: tuple[Path, ...],
    noise: tuple[Path, ...],
) -> Evidence:
    """What the options ask to be measured."""
    usage = scores = None
    with Console(stderr=True).status("measuring"):
        if compiler is not None:
            usage = run_benchmark(model, target, compiler=compiler).usage
        if speech:
            scores = fixed_point_scores(model, held_out_mixtures(model, speech, noise))
    return Evidence(usage, scores)
