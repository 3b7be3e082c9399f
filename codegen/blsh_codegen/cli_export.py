"""The ``blsh-export`` command."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from blsh_trainer.model_file import Model, load_model

from blsh_codegen.console import Command, json_option, print_json, print_table
from blsh_codegen.export import BLOB, default_model, export_model
from blsh_codegen.targets import TARGETS, find_target
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
    help=f"Folder to write, or file.  [default: blsh-TARGET, or {BLOB}]",
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
    force: bool,
    as_json: bool,
) -> None:
    """Export a denoiser as a folder of fixed-point C99."""
    if (target is None) == (firmware is None):
        raise click.UsageError("give either '--target' or '--blob-only'", ctx)
    if firmware is not None:
        loaded = load_model(model or default_model())
        _export_blob(loaded, firmware, output or Path(BLOB), force=force, as_json=as_json)
    else:
        assert target is not None
        chosen = find_target(target)
        loaded = load_model(model or default_model())
        folder = output or Path(f"blsh-{chosen.name}")
        done = export_model(loaded, chosen, folder, force=force)
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
