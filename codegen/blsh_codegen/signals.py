"""Test signals on which the C must equal the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from blsh_trainer.model_file import Geometry
from blsh_trainer.synthetic import synthetic_noise, synthetic_speech

SEED = 2020
_NOISY_PEAK = 0.3


@dataclass(frozen=True)
class Signal:
    """A named test signal.

    Attributes:
        name: What the table of results calls it.
        samples: int16, a whole number of hops.
    """

    name: str
    samples: npt.NDArray[np.int16]


@dataclass(frozen=True)
class Clip:
    """Speech in noise, of which the speech is known.

    Attributes:
        speech: ``(n,)`` float64, on the scale of the noisy samples.
        noisy: ``(n,)`` int16, a whole number of hops.
    """

    speech: npt.NDArray[np.float64]
    noisy: npt.NDArray[np.int16]


def noisy_clip(geometry: Geometry, frames: int) -> Clip:
    """The noisy speech of `conformance_signals`, pink noise at 0 dB, with its speech."""
    speech, noise = _speech_and_noise(np.random.default_rng(SEED), geometry, frames)
    scale = _scale(speech + noise, _NOISY_PEAK)
    return Clip(speech.astype(np.float64) * scale, _int16(speech + noise, _NOISY_PEAK))


def conformance_signals(geometry: Geometry, frames: int) -> tuple[Signal, ...]:
    """Speech, noise, silence, full-scale squares, single impulses and random integers.

    Args:
        geometry: Frame, hop and rate of the model.
        frames: Length of each signal in hops.
    """
    rng = np.random.default_rng(SEED)
    n = frames * geometry.hop
    speech, noise = _speech_and_noise(rng, geometry, frames)
    return (
        Signal("speech", _int16(speech, 0.5)),
        Signal("noisy speech", _int16(speech + noise, _NOISY_PEAK)),
        Signal("noise", _int16(noise, 0.1)),
        Signal("quiet noise", _int16(noise, 0.0003)),
        Signal("silence", np.zeros(n, np.int16)),
        Signal("full-scale square", _square(n, geometry.frame)),
        Signal("impulses", _impulses(rng, n, geometry.frame)),
        Signal("random integers", rng.integers(-32768, 32768, n).astype(np.int16)),
    )


def _speech_and_noise(
    rng: np.random.Generator, geometry: Geometry, frames: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    # The talker needs 8 kHz to speak at; at a lower rate the same samples are a slower voice.
    rate = max(geometry.rate, 8000)
    seconds = frames * geometry.hop / rate
    speech = synthetic_speech(seconds, rate, rng)
    return speech, synthetic_noise("pink", seconds, rate, rng)


def _scale(samples: npt.NDArray[np.floating], peak: float) -> float:
    """What brings the largest sample to a part of full scale."""
    return 32767 * peak / max(float(np.abs(samples).max()), 1e-9)


def _int16(samples: npt.NDArray[np.floating], peak: float) -> npt.NDArray[np.int16]:
    scaled = samples * _scale(samples, peak)
    rounded: npt.NDArray[np.int16] = np.rint(scaled).astype(np.int16)
    return rounded


def _square(n: int, frame: int) -> npt.NDArray[np.int16]:
    """Square waves whose period doubles from 2 samples to a frame and on to a constant."""
    octaves = np.array_split(np.arange(n), frame.bit_length())
    parts = [np.where((part >> octave) & 1, -32768, 32767) for octave, part in enumerate(octaves)]
    return np.concatenate(parts).astype(np.int16)


def _impulses(rng: np.random.Generator, n: int, frame: int) -> npt.NDArray[np.int16]:
    """Lone samples of every size, at every phase of the frame, far enough apart to stay alone."""
    samples = np.zeros(n, np.int16)
    places = np.arange(frame // 2, n, frame + 7)
    sizes = np.concatenate([[32767, -32768, 1, -1], rng.integers(-32768, 32768, places.size)])
    samples[places] = sizes[: places.size]
    return samples
