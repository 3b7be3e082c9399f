"""What `blsh-train` does for the paper's models, between the options and the model file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from blsh_trainer.boosting import BoostedHashing, Round
from blsh_trainer.corpus import Recordings, TrainingFrames, find_recordings
from blsh_trainer.dictionary import CLUSTER_ROUNDS, DictionarySize, check_neighbours
from blsh_trainer.errors import INTERRUPTED
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
from blsh_trainer.validation import mixtures_of, split_for_validation, validated


def train_blsh(
    speech: tuple[Path, ...],
    noise: tuple[Path, ...],
    output: Path,
    resume: Path | None,
    as_json: bool,
    choices: dict[str, Any],
    given: set[str],
    validation: bool = True,
) -> int:
    """Train a model of the paper's kind and write it; returns the command's exit code.

    Args:
        speech: Folders of speech.
        noise: Folders of noise.
        output: Model file to write.
        resume: Model to go on from.
        as_json: Print one JSON object.
        choices: Values of `TrainingOptions`.
        given: Those of them that the user gave.
        validation: Hold out talkers and noise types, and score the model on them.

    Raises:
        BlshError: The recordings, options or files do not allow it.
    """
    resumed = None if resume is None else load_model(resume)
    if resumed is not None:
        for name, value in recorded_options(resumed, str(resume)).items():
            if name not in given:
                choices[name] = value
    options = TrainingOptions(**{**choices, "snr": tuple(choices["snr"])})
    options.check()
    split = split_for_validation(find_recordings(speech, noise), options.seed, validation)
    recordings = split.training
    if resumed is not None:
        check_resumable(resumed, options, recordings.fingerprint, str(resume))
    estimator = new_estimator(options, resumed)
    try:
        frames = _collect(recordings, options)
        check_dictionary(options, frames)
        interrupted = _learn(estimator, frames, options)
        held_out = [] if interrupted else mixtures_of(split, options.rate, options.seed)
    except KeyboardInterrupt:
        click.echo("Interrupted before the first projection was learned; nothing saved.", err=True)
        return INTERRUPTED
    model = _build(estimator, frames, options, recordings.fingerprint)
    if not interrupted:
        model = validated(model, held_out, validation)
    sha256 = save_model(model, output)
    _report(model, output, sha256, interrupted, as_json)
    if interrupted:
        click.echo(
            f"Interrupted: {output} has {model.bands[0].n_bits} of {options.projections} "
            f"projections. To go on, repeat the command with --resume {output}",
            err=True,
        )
        return INTERRUPTED
    return 0


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


def _build(
    estimator: BoostedHashing, frames: TrainingFrames, options: TrainingOptions, fingerprint: str
) -> Model:
    if options.sampling == "random":
        return build_model(estimator, frames, options, fingerprint)
    with progress_bar("Clustering", CLUSTER_ROUNDS) as report:
        return build_model(
            estimator, frames, options, fingerprint, lambda done: report(done, "of all frames")
        )


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
        "validation": training.get("validation"),
        "interrupted": interrupted,
    }
    if as_json:
        click.echo(json.dumps(fields, indent=2))
        return
    click.echo(
        f"{output}: {band.n_bits} projections, {band.n_entries} dictionary entries, "
        f"K = {band.neighbours}, from {training['seconds'] / 60:.1f} min of mixtures"
    )
