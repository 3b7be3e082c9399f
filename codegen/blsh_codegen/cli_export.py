"""The ``blsh-export`` command."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from blsh_trainer.model_file import load_model

from blsh_codegen.console import Command, json_option, print_json, print_table
from blsh_codegen.export import default_model, export_model
from blsh_codegen.prefix import DEFAULT_PREFIX
from blsh_codegen.targets import TARGETS, find_target


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--target", required=True, help=f"Processor: {', '.join(TARGETS)}.")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="Model file of blsh-train.  [default: the bundled model]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder to write.  [default: PREFIX-TARGET]",
)
@click.option(
    "--prefix",
    metavar="NAME",
    default=DEFAULT_PREFIX,
    show_default=True,
    help="What the names of the C, its files and packages begin with: exports with different "
    "prefixes can be linked into one image.",
)
@click.option("--force", is_flag=True, help="Replace the folder whatever is in it.")
@json_option
@click.version_option(package_name="blsh")
def export(
    target: str,
    model: Path | None,
    output: Path | None,
    prefix: str,
    force: bool,
    as_json: bool,
) -> None:
    """Export a denoiser as a folder of fixed-point C99."""
    chosen = find_target(target)
    loaded = load_model(model or default_model())
    folder = output or Path(f"{prefix}-{chosen.name}")
    done = export_model(loaded, chosen, folder, force=force, prefix=prefix)
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
