"""Quality of the exported C itself, on the validation mixtures of a model's training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from blsh_trainer.audio import INT16_FULL_SCALE, to_int16
from blsh_trainer.corpus import find_recordings
from blsh_trainer.errors import BlshError
from blsh_trainer.mixing import Mixture
from blsh_trainer.model_file import Model
from blsh_trainer.quality import Denoise, mean_scores
from blsh_trainer.validation import mixtures_of, split_for_validation

from blsh_codegen.denoise import compiled_runtime, denoise_samples
from blsh_codegen.provenance import VALIDATION


def fixed_point_scores(model: Model, mixtures: Sequence[Mixture]) -> dict[str, float]:
    """Mean scores of the exported C, compiled for this machine, by measure.

    Args:
        model: The model.
        mixtures: Speech and noise at its rate.

    Raises:
        BlshError: There is no C compiler.
    """
    return mean_scores(mixtures, exported_denoiser(model), model.geometry.rate)


def exported_denoiser(model: Model) -> Denoise:
    """The exported C, compiled for this machine, on samples in [-1, 1).

    Raises:
        BlshError: There is no C compiler.
    """
    library = compiled_runtime(model)

    def denoise(noisy: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return denoise_samples(library, to_int16(noisy)).astype(np.float32) / np.float32(
            INT16_FULL_SCALE
        )

    return denoise


def held_out_mixtures(model: Model, speech: Sequence[Path], noise: Sequence[Path]) -> list[Mixture]:
    """The validation mixtures of a model's training, drawn again.

    Args:
        model: What `blsh-train` wrote.
        speech: The folders of its training.
        noise: Likewise.

    Raises:
        BlshError: The model was not validated, or on other recordings.
    """
    record = model.training
    options = record.get("options")
    seed = options.get("seed") if isinstance(options, dict) else None
    if VALIDATION not in record or not isinstance(seed, int):
        raise BlshError(
            "--speech, --noise: the model's training held nothing out to validate on; leave the "
            "options away, or train it again without --no-validation"
        )
    split = split_for_validation(find_recordings(speech, noise), seed, wanted=True)
    if split.training.fingerprint != record.get("fingerprint"):
        raise BlshError(
            "--speech, --noise: the model was trained on other recordings, so that these may be "
            "what it has learned from; give the folders that blsh-train was given"
        )
    return mixtures_of(split, model.geometry.rate, seed)
