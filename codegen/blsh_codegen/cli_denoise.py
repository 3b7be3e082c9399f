"""The ``blsh-denoise`` command."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click
from blsh_trainer.audio import read_audio, write_wav
from blsh_trainer.errors import BlshError
from blsh_trainer.model_file import load_model
from rich.console import Console

from blsh_codegen.console import Command, json_option, print_json
from blsh_codegen.denoise import compiled_runtime, denoise_recording, denoise_stream
from blsh_codegen.export import default_model

PIPE = "-"


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("source", metavar="IN")
@click.argument("destination", metavar="OUT")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="Model file of blsh-train.  [default: the bundled model]",
)
@json_option
@click.version_option(package_name="blsh")
def denoise(source: str, destination: str, model: Path | None, as_json: bool) -> None:
    """Take the noise out of a recording with the exported C.

    IN is a WAV, FLAC or OGG file of any rate and number of channels, OUT a WAV file of the same.
    With - for both, raw little-endian 16-bit mono samples at the model's rate go from standard
    input to standard output as they arrive.
    """
    if (source == PIPE) != (destination == PIPE):
        raise BlshError("IN and OUT: give - for both (raw samples) or a file for both")
    if as_json and source == PIPE:
        raise BlshError("--json: standard output carries the samples; leave one of them out")
    if destination != PIPE and Path(destination).suffix.lower() not in ("", ".wav"):
        raise BlshError(
            f"{destination}: the output is a WAV file; give it a name that ends in .wav"
        )
    loaded = load_model(model or default_model())
    rate = loaded.geometry.rate
    if source == PIPE:
        denoise_stream(compiled_runtime(loaded), sys.stdin.buffer, sys.stdout.buffer, rate)
        return
    recording = read_audio(source, allow_silence=True)
    with Console(stderr=True).status("denoising"):
        library = compiled_runtime(loaded)
        started = time.perf_counter()
        clean = denoise_recording(library, recording, rate)
        seconds = time.perf_counter() - started
    write_wav(destination, clean.samples, clean.rate)
    audio_seconds = recording.samples.shape[0] / recording.rate
    if as_json:
        print_json(
            {
                "input": source,
                "output": destination,
                "model_sha256": loaded.sha256,
                "audio_seconds": round(audio_seconds, 3),
                "seconds": round(seconds, 3),
            }
        )
        return
    speed = recording.samples.shape[1] * audio_seconds / max(seconds, 1e-9)
    click.echo(f"{destination}: {audio_seconds:.1f} s denoised, {speed:.0f} times real time")
