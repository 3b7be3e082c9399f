"""What a model does to a clip of the project's own making: spectrograms and what rounding costs.

No recording is needed, and everything is the same to the byte on every machine: the reference is
integer, and the float denoiser runs in double precision, where no decision hangs on the order in
which a machine adds up.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from blsh_trainer.denoiser import denoise as denoise_float
from blsh_trainer.metrics import si_sdr
from blsh_trainer.model_file import Geometry, Model

from blsh_codegen import reference
from blsh_codegen.signals import noisy_clip
from blsh_codegen.spectrogram import LEVELS, STEP_DB, spectrogram
from blsh_codegen.tables import Tables

SECONDS = 3.0
_MOST_FRAMES = 256
_FULL_SCALE = 32768.0


@dataclass(frozen=True)
class Picture:
    """A spectrogram.

    Attributes:
        title: What it shows.
        png: The file.
    """

    title: str
    png: bytes

    @property
    def data_uri(self) -> str:
        """The file as a link that holds it."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True)
class ClipReport:
    """The clip before and after.

    Attributes:
        seconds: Length of the clip.
        unprocessed_db: SI-SDR of the noisy speech.
        float_db: SI-SDR of what the float denoiser makes of it.
        fixed_db: SI-SDR of what the exported C makes of it.
        agreement_db: Power of the float denoiser's output over that of the C's deviation from it;
            ``None`` where they are equal, or the output is silent.
        range_db: What the pictures' colours span.
        picture_seconds: Time that the pictures span.
        nyquist_hz: Frequency at their upper edge.
        pictures: Before and after.
    """

    seconds: float
    unprocessed_db: float
    float_db: float
    fixed_db: float
    agreement_db: float | None
    range_db: int
    picture_seconds: float
    nyquist_hz: float
    pictures: tuple[Picture, ...]


def clip_report(model: Model, tables: Tables) -> ClipReport:
    """Denoise the clip by the integer reference and by the float denoiser.

    Args:
        model: The model.
        tables: The same, quantised.
    """
    geometry = model.geometry
    clip = noisy_clip(geometry, clip_frames(geometry))
    fixed = reference.denoise(tables, clip.noisy)
    floating = denoise_float(model, clip.noisy / _FULL_SCALE) * _FULL_SCALE
    before, after = spectrogram(tables, clip.noisy), spectrogram(tables, fixed)
    top = int(before.bits.max())
    return ClipReport(
        seconds=clip.noisy.size / geometry.rate,
        unprocessed_db=si_sdr(clip.speech, clip.noisy),
        float_db=si_sdr(clip.speech, floating),
        fixed_db=si_sdr(clip.speech, fixed),
        agreement_db=_agreement_db(floating, fixed),
        range_db=STEP_DB * LEVELS,
        picture_seconds=before.seconds,
        nyquist_hz=before.nyquist_hz,
        pictures=(Picture("Before", before.png(top)), Picture("After", after.png(top))),
    )


def clip_frames(geometry: Geometry) -> int:
    """Hops of the clip: `SECONDS`, less where hops are short, but a few frames at least."""
    wanted = min(round(SECONDS * geometry.rate / geometry.hop), _MOST_FRAMES)
    return max(wanted, 4 * geometry.frame // geometry.hop)


def _agreement_db(floating: npt.NDArray[np.floating], fixed: npt.NDArray[np.int16]) -> float | None:
    power, error = float(np.sum(floating**2)), float(np.sum((fixed - floating) ** 2))
    return None if power == 0 or error == 0 else 10 * math.log10(power / error)
