"""The command `blsh-train`."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from blsh_trainer.boosting import BoostedHashing, Round
from blsh_trainer.corpus import Recordings, TrainingFrames, find_recordings
from blsh_trainer.dictionary import DictionarySize, check_neighbours
from blsh_trainer.errors import INTERRUPTED, BlshError
from blsh_trainer.files import destination
from blsh_trainer.model_file import Model, load_model, save_model
from blsh_trainer.progress import progress_bar
from blsh_trainer.training import (
    TrainingOptions,
    build_model,
    check_resumable,
    collect_frames,
    learn,
    new_estimator,
    recorded_options,
)

_DEFAULT = TrainingOptions()


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.option(
    "--speech", required=True, multiple=True, type=click.Path(path_type=Path), metavar="DIR",
    help="Folder of clean speech: WAV, FLAC or OGG of any rate; may be repeated.",
)  # fmt: skip
@click.option(
    "--noise", required=True, multiple=True, type=click.Path(path_type=Path), metavar="DIR",
    help="Folder of noise; each sub-folder is a type, drawn equally often; may be repeated.",
)  # fmt: skip
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="MODEL",
    help="Model file to write (.npz).",
)  # fmt: skip
@click.option("--projections", default=_DEFAULT.projections, help="L, bits of a hash code.")
@click.option(
    "--dictionary", default=_DEFAULT.dictionary, metavar="SIZE",
    help="Entries: a count, or a share of the training frames such as 1%.",
)  # fmt: skip
@click.option("--neighbours", default=_DEFAULT.neighbours, help="K, masks averaged a frame.")
@click.option(
    "--method", type=click.Choice(["blsh", "lsh"]), default=_DEFAULT.method,
    help="Boosted or random projections.",
)  # fmt: skip
@click.option(
    "--distance", type=click.Choice(["squared", "cross-entropy"]), default=_DEFAULT.distance,
    help="Distance between the similarity of frames and that of their bits.",
)  # fmt: skip
@click.option(
    "--target", type=click.Choice(["scaled", "raw"]), default=_DEFAULT.target,
    help="Similarity that boosting aims at: that of the frames as in the paper (raw), or the same "
    "with the likely neighbours spread over the upper half; see docs/training.md.",
)  # fmt: skip
@click.option("--features", type=click.Choice(["stft", "mel"]), default=_DEFAULT.features)
@click.option("--mels", default=_DEFAULT.mels, help="Mel filters, for --features mel.")
@click.option("--frame", default=_DEFAULT.frame, help="Frame in samples, a power of two.")
@click.option("--hop", default=_DEFAULT.hop, help="Hop in samples, a power of two.")
@click.option("--rate", default=_DEFAULT.rate, help="Sampling rate of the model in Hz.")
@click.option(
    "--snr", type=float, multiple=True, default=_DEFAULT.snr, metavar="DB",
    help="Signal-to-noise ratio of the mixtures in dB; repeat to draw from several.",
)  # fmt: skip
@click.option(
    "--minutes", type=float, default=None,
    help="Minutes of mixtures; without it, each speech file once.",
)  # fmt: skip
@click.option("--seed", default=_DEFAULT.seed, help="Seed of everything random.")
@click.option(
    "--resume", type=click.Path(path_type=Path), metavar="MODEL",
    help="Go on from a model of the same recordings; all its options become the defaults. "
    "--projections, --dictionary and --neighbours may change.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.version_option(package_name="blsh")
@click.pass_context
def train(
    context: click.Context,
    /,
    speech: tuple[Path, ...],
    noise: tuple[Path, ...],
    output: Path,
    resume: Path | None,
    as_json: bool,
    **choices: Any,
) -> None:
    """Train a denoising model from clean speech and noise.

    Boosting follows Algorithm 2 of Kim, Yang and Kim (ICASSP 2020), with another --target by
    default.

    Ctrl-C while projections are learned saves those learned so far as a model; --resume goes on.
    """
    resumed = None if resume is None else load_model(resume)
    if resumed is not None:
        for name, value in recorded_options(resumed, str(resume)).items():
            if context.get_parameter_source(name) is ParameterSource.DEFAULT:
                choices[name] = value
    options = TrainingOptions(**{**choices, "snr": tuple(choices["snr"])})
    options.check()
    check_writable(output)
    recordings = find_recordings(speech, noise)
    if resumed is not None:
        check_resumable(resumed, options, recordings.fingerprint, str(resume))
    estimator = new_estimator(options, resumed)
    try:
        frames = _collect(recordings, options)
        check_dictionary(options, frames)
        interrupted = _learn(estimator, frames, options)
    except KeyboardInterrupt:
        click.echo("Interrupted before the first projection was learned; nothing saved.", err=True)
        context.exit(INTERRUPTED)
    model = build_model(estimator, frames, options, recordings.fingerprint)
    sha256 = save_model(model, output)
    _report(model, output, sha256, interrupted, as_json)
    if interrupted:
        click.echo(
            f"Interrupted: {output} has {model.bands[0].n_bits} of {options.projections} "
            f"projections. To go on, repeat the command with --resume {output}",
            err=True,
        )
        context.exit(INTERRUPTED)


def check_writable(output: Path) -> None:
    """Raise `BlshError` where a file cannot be written, before any work is done for it."""
    try:
        with tempfile.TemporaryFile(dir=destination(output).parent):
            pass
    except IsADirectoryError as error:
        raise BlshError(
            f"-o {output}: is a folder; give the name of a file such as model.npz"
        ) from error
    except OSError as error:
        raise BlshError(
            f"-o {output}: cannot write there ({error.strerror}); "
            "choose another path or make the folder"
        ) from error


def check_dictionary(options: TrainingOptions, frames: TrainingFrames) -> None:
    """Raise `BlshError` where the dictionary is impossible for the frames there are."""
    n_entries = DictionarySize.parse(options.dictionary).entries(frames.features.shape[0])
    check_neighbours(options.neighbours, n_entries)


def _collect(recordings: Recordings, options: TrainingOptions) -> TrainingFrames:
    total = None if options.minutes is None else options.minutes * 60
    with progress_bar("Mixing", total, counted=False) as report:
        return collect_frames(
            recordings, options, lambda seconds: report(seconds, f"{seconds / 60:.1f} min")
        )


def _learn(estimator: BoostedHashing, frames: TrainingFrames, options: TrainingOptions) -> bool:
    """Learn until done or until Ctrl-C; true for the latter, which needs a projection to save."""
    with progress_bar("Boosting", options.projections) as report:

        def show(done: Round) -> None:
            report(
                done.index + 1,
                f"loss {done.loss:.4f}  epsilon {done.error:.3f}  beta {done.coefficient:.3f}",
            )

        try:
            learn(estimator, frames, options, show)
        except KeyboardInterrupt:
            if estimator.bias_.size == 0:
                raise
            return True
    return False


def _report(model: Model, output: Path, sha256: str, interrupted: bool, as_json: bool) -> None:
    band, training = model.bands[0], model.training
    fields = {
        "model": str(output),
        "sha256": sha256,
        "method": training["options"]["method"],
        "projections": band.n_bits,
        "dictionary": band.n_entries,
        "neighbours": band.neighbours,
        "frames": training["frames"],
        "minutes": round(training["seconds"] / 60, 2),
        "epsilon": training["epsilon"],
        "geometry": dataclasses.asdict(model.geometry),
        "interrupted": interrupted,
    }
    if as_json:
        click.echo(json.dumps(fields, indent=2))
        return
    click.echo(
        f"{output}: {band.n_bits} projections, {band.n_entries} dictionary entries, "
        f"K = {band.neighbours}, from {training['seconds'] / 60:.1f} min of mixtures"
    )
