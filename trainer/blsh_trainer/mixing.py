"""Seeded mixtures of speech and noise, one after another."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from blsh_trainer.audio import read_mono
from blsh_trainer.errors import BlshError

FloatArray = npt.NDArray[np.float32]
Read = Callable[[Path, int], FloatArray]

CROSS_FADE_SECONDS = 0.05
MIN_MINUTES, MAX_MINUTES = 0.001, 100_000.0


@dataclass(frozen=True)
class Mixture:
    """Speech and noise at a signal-to-noise ratio; their sum is what a microphone hears.

    Attributes:
        speech: ``(n,)`` float32.
        noise: ``(n,)`` float32, scaled to the wanted ratio.
        snr_db: Ratio of their powers over the whole clip in dB.
    """

    speech: FloatArray
    noise: FloatArray
    snr_db: float

    @property
    def noisy(self) -> FloatArray:
        """Their sum."""
        return self.speech + self.noise


def extended(noise: FloatArray, n_samples: int, fade: int) -> FloatArray:
    """Repeat a recording until it has ``n_samples``, its ends cross-faded at equal power.

    Args:
        noise: ``(n,)`` recording.
        n_samples: Length wanted, in samples.
        fade: Overlap in samples; at most half the recording is used.
    """
    fade = min(fade, noise.size // 2)
    if noise.size >= n_samples:
        return noise
    period = noise.size - fade
    repeats = -(-(n_samples - fade) // period)
    ramp = np.sin(np.pi / 2 * (np.arange(fade) + 0.5) / max(fade, 1)).astype(np.float32)
    faded = noise.copy()
    faded[:fade] *= ramp
    faded[noise.size - fade :] *= ramp[::-1]
    out = np.zeros(repeats * period + fade, np.float32)
    for i in range(repeats):
        out[i * period : i * period + noise.size] += faded
    out[:fade] = noise[:fade]
    return out[:n_samples]


def excerpt(noise: FloatArray, n_samples: int, fade: int, rng: np.random.Generator) -> FloatArray:
    """A random stretch of ``n_samples`` of a recording, looped where it is too short."""
    start = int(rng.integers(noise.size))
    if noise.size - start >= n_samples:
        return noise[start : start + n_samples]
    return extended(noise, n_samples + start, fade)[start:]


def mix_at(speech: FloatArray, noise: FloatArray, snr_db: float) -> Mixture:
    """Scale noise so that the power ratio to speech is ``snr_db``; both ``(n,)`` and not silent."""
    speech_power = float(np.mean(speech.astype(np.float64) ** 2))
    noise_power = float(np.mean(noise.astype(np.float64) ** 2))
    gain = np.sqrt(speech_power / max(noise_power, 1e-20) * 10 ** (-snr_db / 10))
    return Mixture(speech, (noise * np.float32(gain)).astype(np.float32), snr_db)


def by_folder(paths: Iterable[Path]) -> dict[Path, list[Path]]:
    """Files by the folder that holds them, a talker or a noise type, in order of appearance."""
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        folders.setdefault(path.parent, []).append(path)
    return folders


def draw_mixtures(
    speech: Sequence[Path],
    noise: Sequence[Path],
    *,
    rate: int,
    snrs_db: Sequence[float],
    minutes: float | None,
    rng: np.random.Generator,
    read: Read = read_mono,
) -> Iterator[Mixture]:
    """Pair every speech file with a random stretch of noise.

    Noise is drawn by type (its folder) first, so that a type with many recordings is not heard
    more often than others. With ``minutes`` the speech is gone through again, with other noise,
    until that much has been given out.

    Args:
        speech: Speech files.
        noise: Noise files.
        rate: Sampling rate in Hz that everything is converted to.
        snrs_db: Signal-to-noise ratios; each mixture draws one.
        minutes: Minutes of mixtures, or ``None`` for one pass through the speech.
        rng: Source of all choices.
        read: Samples of a file at a rate in Hz; another function may give parts of recordings.

    Raises:
        BlshError: A file cannot be used.
    """
    types = by_folder(noise)
    folders = sorted(types)
    read_noise = lru_cache(maxsize=256)(lambda path: read(path, rate))
    fade = round(CROSS_FADE_SECONDS * rate)
    left = np.inf if minutes is None else round(minutes * 60 * rate)
    while left > 0:
        for index in rng.permutation(len(speech)):
            clip = read(speech[index], rate)[: int(min(left, 2**62))]
            folder = types[folders[rng.integers(len(folders))]]
            recording = read_noise(folder[rng.integers(len(folder))])
            part = excerpt(recording, clip.size, fade, rng)
            snr_db = float(rng.choice(np.asarray(snrs_db, np.float64)))
            if clip.any() and part.any():
                yield mix_at(clip, part, snr_db)
            left -= clip.size
            if left <= 0:
                return
        if minutes is None:
            return


def check_minutes(minutes: float | None) -> None:
    """Raise `BlshError` where a time limit leaves next to nothing or never ends."""
    if minutes is None or (math.isfinite(minutes) and MIN_MINUTES <= minutes <= MAX_MINUTES):
        return
    raise BlshError(f"--minutes {minutes:g}: must be {MIN_MINUTES:g} to {MAX_MINUTES:.0f}")
