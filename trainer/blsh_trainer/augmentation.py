"""Mixtures for training condensed models: more variety than the recordings have by themselves.

Each mixture is a few seconds of one talker in one or two noises, these at a random speed, with
random equalisation of both, a random level and a random signal-to-noise ratio. Some noise is babble
of the training talkers, some is coloured noise made on the spot, and some mixtures are nearly
clean, so that a model learns to leave clean speech alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy import signal

from blsh_trainer.audio import read_mono
from blsh_trainer.mixing import CROSS_FADE_SECONDS, Mixture, by_folder, excerpt, extended, mix_at

FloatArray = npt.NDArray[np.float32]
_T = TypeVar("_T")

BABBLE_SHARE = 0.08
COLOURED_SHARE = 0.10
SECOND_NOISE_SHARE = 0.7
SECOND_NOISE_DB = (-12.0, 6.0)
EQUALISED_SHARE = 0.5
OTHER_SPEED_SHARE = 0.6
FASTEST = 1.4  # and slowest its inverse
# Shares of mixtures and their range of signal-to-noise ratios in dB: hard ones, easy ones, clean.
SNR_RANGES_DB = ((0.85, -6.0, 8.0), (0.10, 8.0, 30.0), (0.05, 45.0, 45.0))
LEVELS_DBFS = (-34.0, -16.0)
BABBLE_TALKERS = (3, 8)
PEAK = 0.95


class Mixer:
    """Draws augmented mixtures; the i-th depends on the seed and i alone."""

    def __init__(
        self, speech: Sequence[Path], noise: Sequence[Path], rate: int, seconds: float, seed: int
    ) -> None:
        """Sort the recordings into talkers and noise types by their folders.

        Args:
            speech: Speech files.
            noise: Noise files.
            rate: Sampling rate in Hz that everything is converted to.
            seconds: Length of each mixture.
            seed: Of all choices.
        """
        self._talkers = [files for _, files in sorted(by_folder(speech).items())]
        self._types = [files for _, files in sorted(by_folder(noise).items())]
        self._rate = rate
        self._n_samples = round(seconds * rate)
        self._seed = seed
        self._read = lru_cache(maxsize=1024)(lambda path: read_mono(path, rate))

    def mixtures(self, count: int) -> Iterator[Mixture]:
        """The first ``count`` mixtures.

        Raises:
            BlshError: A recording cannot be used.
        """
        for index in range(count):
            yield self._mixture(np.random.default_rng([self._seed, index]))

    def _mixture(self, rng: np.random.Generator) -> Mixture:
        speech = _maybe(rng, EQUALISED_SHARE, equalised, self._talk(rng))
        noise = self._noise(rng)
        if rng.random() < SECOND_NOISE_SHARE:
            level_db = rng.uniform(*SECOND_NOISE_DB)
            noise = _unit(noise) + _unit(self._noise(rng)) * np.float32(10 ** (level_db / 20))
        noise = _maybe(rng, EQUALISED_SHARE, equalised, noise)
        mixture = mix_at(_unit(speech), _unit(noise), _draw_snr_db(rng))
        peak = float(np.abs(mixture.noisy).max())
        gain = np.float32(min(10 ** (rng.uniform(*LEVELS_DBFS) / 20), PEAK / max(peak, 1e-9)))
        return Mixture(mixture.speech * gain, mixture.noise * gain, mixture.snr_db)

    def _noise(self, rng: np.random.Generator) -> FloatArray:
        made = _maybe(rng, OTHER_SPEED_SHARE, at_other_speed, self._made_noise(rng))
        fade = round(CROSS_FADE_SECONDS * self._rate)
        return extended(made, self._n_samples, fade)[: self._n_samples]

    def _made_noise(self, rng: np.random.Generator) -> FloatArray:
        kind = rng.random()
        if kind < BABBLE_SHARE:
            voices = [self._talk(rng) for _ in range(rng.integers(*BABBLE_TALKERS))]
            return np.sum([_unit(v) * np.float32(rng.uniform(0.5, 1)) for v in voices], axis=0)
        if kind < BABBLE_SHARE + COLOURED_SHARE:
            return coloured_noise(self._n_samples, self._rate, rng)
        recording = self._read(_draw(rng, _draw(rng, self._types)))
        return excerpt(recording, self._n_samples, round(CROSS_FADE_SECONDS * self._rate), rng)

    def _talk(self, rng: np.random.Generator) -> FloatArray:
        """One talker without a break: clips of theirs, one after another."""
        talker = _draw(rng, self._talkers)
        clips = [self._read(_draw(rng, talker))]
        while sum(clip.size for clip in clips) < self._n_samples:
            clips.append(self._read(_draw(rng, talker)))
        joined = np.concatenate(clips)
        start = int(rng.integers(joined.size - self._n_samples + 1))
        return joined[start : start + self._n_samples]


def equalised(samples: FloatArray, rng: np.random.Generator) -> FloatArray:
    """A random mild filter of two poles and two zeros (Valin 2018, section IV)."""
    zeros, poles = rng.uniform(-3 / 8, 3 / 8, (2, 2))
    filtered = signal.lfilter([1, *zeros], [1, *poles], samples)
    return np.asarray(filtered, np.float32)


def at_other_speed(samples: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Played up to `FASTEST` times faster or slower, its spectrum with it: another noise type.

    Linear interpolation dulls the highest frequencies a little, as another microphone would.
    """
    speed = FASTEST ** rng.uniform(-1, 1)
    places = np.arange(int((samples.size - 1) / speed)) * speed
    return np.interp(places, np.arange(samples.size), samples).astype(np.float32)


def coloured_noise(n_samples: int, rate: int, rng: np.random.Generator) -> FloatArray:
    """Stationary noise whose spectrum falls by up to 40 dB with random bumps of some 15 dB."""
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    hz = np.fft.rfftfreq(n_samples, 1 / rate)
    knots_hz = np.geomspace(60, rate / 2, 6)
    gains_db = np.cumsum(rng.normal(0, 6, 6)) + np.linspace(0, rng.uniform(-40, 5), 6)
    gain_db = np.interp(np.log(hz + 30), np.log(knots_hz), gains_db)
    return np.fft.irfft(spectrum * 10 ** (gain_db / 20), n_samples).astype(np.float32)


def _draw(rng: np.random.Generator, items: Sequence[_T]) -> _T:
    return items[int(rng.integers(len(items)))]


def _maybe(
    rng: np.random.Generator,
    share: float,
    change: Callable[[FloatArray, np.random.Generator], FloatArray],
    samples: FloatArray,
) -> FloatArray:
    return change(samples, rng) if rng.random() < share else samples


def _unit(samples: FloatArray) -> FloatArray:
    return samples / np.float32(samples.std() + 1e-9)


def _draw_snr_db(rng: np.random.Generator) -> float:
    shares = [share for share, _, _ in SNR_RANGES_DB]
    _, low, high = SNR_RANGES_DB[rng.choice(len(shares), p=shares)]
    return float(rng.uniform(low, high))
