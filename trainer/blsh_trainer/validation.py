"""What a model scores on mixtures that its training never hears, as the model file keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import click

from blsh_trainer.corpus import Recordings
from blsh_trainer.denoiser import denoise
from blsh_trainer.errors import BlshError
from blsh_trainer.holdout import SECONDS, SNR_DB, Split, hold_out, validation_mixtures
from blsh_trainer.mixing import Mixture
from blsh_trainer.model_file import Model
from blsh_trainer.quality import Denoise, mean_scores

MIXTURES = 24
"""Few enough that scoring them takes well under a minute."""

_NO_FIGURES = (
    "The model carries no figures of its quality: validation holds out whole folders, so give each "
    "talker and each noise type a folder of its own"
)


def split_for_validation(recordings: Recordings, seed: int, wanted: bool) -> Split:
    """Talkers and noise types to learn from, and others to validate on.

    The validation part is empty where it is not wanted, and where there is nothing to hold out.
    """
    nothing = replace(recordings, speech=(), noise=())
    if not wanted:
        return Split(recordings, nothing)
    try:
        return hold_out(recordings, seed)
    except BlshError:
        return Split(recordings, nothing)


def mixtures_of(split: Split, rate: int, seed: int) -> list[Mixture]:
    """The validation mixtures of a split; none where its validation part is empty."""
    if not split.validation.speech:
        return []
    return validation_mixtures(split.validation, rate, seed, MIXTURES)


def validated(model: Model, mixtures: Sequence[Mixture], wanted: bool = True) -> Model:
    """A model with its scores in its training record; as it is where there are no mixtures.

    If they were wanted, that is said on standard error.
    """
    if not mixtures:
        if wanted:
            click.echo(f"{_NO_FIGURES}, or ask for none with --no-validation", err=True)
        return model
    record = validation_record(mixtures, model.geometry.rate, partial(denoise, model))
    return replace(model, training={**model.training, "validation": record})


def validation_record(
    mixtures: Sequence[Mixture], rate: int, denoised: Denoise, **conditions: Any
) -> dict[str, Any]:
    """Mean scores before and after denoising, and of what.

    Args:
        mixtures: What is denoised.
        rate: Sampling rate in Hz.
        denoised: The denoiser.
        **conditions: Further entries of the record.
    """
    return {
        "mixtures": len(mixtures),
        "seconds": SECONDS,
        "snr_db": SNR_DB,
        **conditions,
        "unprocessed": mean_scores(mixtures, lambda samples: samples, rate),
        "denoised": mean_scores(mixtures, denoised, rate),
    }
