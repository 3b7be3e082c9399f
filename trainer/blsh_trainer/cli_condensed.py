"""What `blsh-train --preset` and `--fit` do, between the options and the model file."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click

from blsh_trainer.checkpoint import check_checkpoint, load_checkpoint, save_checkpoint
from blsh_trainer.condensed_frames import CondensedFrames
from blsh_trainer.condensed_options import CondensedOptions
from blsh_trainer.condensed_plan import make_plan
from blsh_trainer.condensed_training import (
    TrainingState,
    build_condensed,
    collect,
    start,
    train_condensed,
)
from blsh_trainer.corpus import Recordings, find_recordings
from blsh_trainer.cost_model import Cost, estimated_cost
from blsh_trainer.errors import INTERRUPTED, BlshError
from blsh_trainer.fitting import Fit, Trial, fit_options
from blsh_trainer.holdout import Split, hold_out, validation_mixtures
from blsh_trainer.model_file import Model, save_model
from blsh_trainer.pareto import load_trials, pareto_table, write_pareto
from blsh_trainer.presets import PRESETS, Budget, at_rate
from blsh_trainer.progress import progress_bar
from blsh_trainer.validation import mixtures_of, split_for_validation, validated

CHECKPOINT_STEPS = 1000
Resumed = tuple[TrainingState, CondensedOptions, str]


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        speech: Folders of speech.
        noise: Folders of noise.
        output: Model file to write.
        target: Core that the cost is estimated for.
        choices: Options that replace those of a preset.
        preset: Name of the preset, or ``None``.
        budget: What to fit, or ``None``.
        resume: Checkpoint to go on from.
        as_json: Print one JSON object.
        validation: Hold out talkers and noise types, and score the model on them.
    """

    speech: tuple[Path, ...]
    noise: tuple[Path, ...]
    output: Path
    target: str
    choices: dict[str, Any]
    preset: str | None = None
    budget: Budget | None = None
    resume: Path | None = None
    as_json: bool = False
    validation: bool = True

    @property
    def checkpoint(self) -> Path:
        """Where an interrupted training is kept."""
        return self.output.with_name(self.output.name + ".checkpoint")


def train_preset(request: Request) -> int:
    """Train a condensed model of a preset and write it; returns the command's exit code.

    Raises:
        BlshError: The recordings, options or files do not allow it.
    """
    recordings = find_recordings(request.speech, request.noise)
    resumed = _resumed(request)
    if resumed is not None:
        state, options, _ = resumed
    elif request.preset is not None:
        state, options = None, _chosen(PRESETS[request.preset].options, request.choices)
    else:
        raise BlshError("--preset: name one of " + ", ".join(PRESETS))
    options.check()
    split = split_for_validation(recordings, options.seed, request.validation)
    _check_recordings(request, resumed, split.training)
    try:
        held_out = mixtures_of(split, options.rate, options.seed)
        frames = _mix(split.training, options)
    except KeyboardInterrupt:
        click.echo("Interrupted before the first step; nothing saved.", err=True)
        return INTERRUPTED
    model = _learn(request, options, frames, split.training, state)
    if model is None:
        return INTERRUPTED
    model = validated(model, held_out, request.validation)
    _finish(request, model, estimated_cost(model, request.target))
    return 0


def fit_budget(request: Request) -> int:
    """Search for the best model within a budget and write it; returns the command's exit code.

    With a checkpoint of the winner's training the search is over: its trials are read from where
    they were written before that training began.

    Raises:
        BlshError: As `train_preset`, or nothing fits.
    """
    assert request.budget is not None
    recordings = find_recordings(request.speech, request.noise)
    resumed = _resumed(request)
    base = _chosen(CondensedOptions(), request.choices) if resumed is None else resumed[1]
    base.check()
    split = hold_out(recordings, base.seed)
    _check_recordings(request, resumed, split.training)
    try:
        if resumed is None:
            found = _search(request, split, base, request.budget)
            write_pareto(request.output, found)
        else:
            found = Fit(
                base, request.budget, load_trials(request.output),
                tuple(validation_mixtures(split.validation, base.rate, base.seed)),
            )  # fmt: skip
        frames = _mix(split.training, found.options)
    except KeyboardInterrupt:
        click.echo("Interrupted while searching; nothing saved.", err=True)
        return INTERRUPTED
    state = None if resumed is None else resumed[0]
    model = _learn(request, found.options, frames, split.training, state)
    if model is None:
        return INTERRUPTED
    final = found.scored(model, request.target)
    if request.validation:
        model = validated(model, mixtures_of(split, base.rate, base.seed))
    _finish(request, model, final.best.cost, final, write_pareto(request.output, final))
    return 0


def _search(request: Request, split: Split, base: CondensedOptions, budget: Budget) -> Fit:
    with progress_bar("Fitting", None, counted=False) as bar:

        def show(trial: Trial | None, text: str) -> None:
            bar(0, text)
            if trial is not None and not request.as_json:
                click.echo(f"  {trial}")

        return fit_options(split, base, budget, request.target, show)


def _resumed(request: Request) -> Resumed | None:
    """Where an interrupted training was; ``None`` where none goes on."""
    if request.resume is None:
        return None
    state, before, fingerprint = load_checkpoint(request.resume)
    options = replace(before, **request.choices)
    if replace(options, steps=0) != replace(before, steps=0):
        raise BlshError(
            f"--resume {request.resume}: only --steps may change; leave other options away"
        )
    return state, options, fingerprint


def _check_recordings(request: Request, resumed: Resumed | None, training: Recordings) -> None:
    if resumed is not None and resumed[2] != training.fingerprint:
        raise BlshError(
            f"--resume {request.resume}: belongs to other recordings; give the same --speech, "
            "--noise and --no-validation"
        )


def _chosen(options: CondensedOptions, choices: dict[str, Any]) -> CondensedOptions:
    return replace(at_rate(options, choices.get("rate", options.rate)), **choices)


def _mix(recordings: Recordings, options: CondensedOptions) -> CondensedFrames:
    with progress_bar("Mixing", options.minutes * 60, counted=False) as bar:
        return collect(recordings, options, lambda seconds: bar(seconds, f"{seconds / 60:.1f} min"))


def _learn(
    request: Request,
    options: CondensedOptions,
    frames: CondensedFrames,
    recordings: Recordings,
    state: TrainingState | None,
) -> Model | None:
    """Train to the end, leaving checkpoints; ``None`` where interrupted."""
    plan = make_plan(options, frames)
    if state is None:
        state = start(options, plan, frames)
    elif request.resume is not None:
        check_checkpoint(state, plan, request.resume)
    began, latest = time.monotonic(), state
    try:
        with progress_bar("Learning", options.steps) as bar:

            def on_step(now: TrainingState, loss: float) -> None:
                nonlocal latest
                latest = now
                bar(now.step, f"loss {loss:.4f}")
                if now.step % CHECKPOINT_STEPS == 0 and now.step < options.steps:
                    save_checkpoint(request.checkpoint, now, options, recordings.fingerprint)

            state = train_condensed(state, options, plan, frames, on_step)
    except KeyboardInterrupt:
        save_checkpoint(request.checkpoint, latest, options, recordings.fingerprint)
        click.echo(
            f"Interrupted: {latest.step} of {options.steps} steps are in {request.checkpoint}. To "
            f"go on, repeat the command with --resume {request.checkpoint}",
            err=True,
        )
        return None
    return build_condensed(state, options, plan, frames).with_record(
        preset=request.preset,
        fingerprint=recordings.fingerprint,
        learning_seconds=round(time.monotonic() - began, 1),
    )


def _finish(
    request: Request,
    model: Model,
    cost: Cost,
    fit: Fit | None = None,
    written: tuple[Path, ...] = (),
) -> None:
    """Write the model, which makes the checkpoint needless, and tell the user."""
    sha256 = save_model(model, request.output)
    request.checkpoint.unlink(missing_ok=True)
    training = model.training
    fields: dict[str, Any] = {
        "model": str(request.output),
        "sha256": sha256,
        "method": "condensed",
        "options": training["options"],
        "frames": training["frames"],
        "minutes": round(training["seconds"] / 60, 2),
        "loss": training["loss"][-1] if training["loss"] else None,
        "validation": training.get("validation"),
        "estimated_cost": {"target": request.target, **asdict(cost)},
        "interrupted": False,
    }
    if fit is not None:
        fields["trials"] = [trial.record() for trial in fit.trials]
        fields["written"] = [str(path) for path in written]
    if request.as_json:
        click.echo(json.dumps(fields, indent=2))
        return
    if fit is not None:
        click.echo(pareto_table(fit))
    condensed = model.condensed
    assert condensed is not None
    click.echo(
        f"{request.output}: {32 * condensed.n_words}-bit codes, {len(condensed.dictionaries)} "
        f"dictionaries of {condensed.dictionaries[0].n_entries} entries, from "
        f"{training['seconds'] / 60:.0f} min of mixtures"
    )
    click.echo(f"Estimated on {request.target}: {cost}; blsh-bench measures it")
    for path in written:
        click.echo(f"Also written: {path}")
