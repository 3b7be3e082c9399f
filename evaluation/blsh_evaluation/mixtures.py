"""The mixtures of a test: drawn once, read when they are needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from blsh_trainer.errors import BlshError
from blsh_trainer.mixing import Mixture

from blsh_evaluation.protocol import Protocol
from blsh_evaluation.recordings import Part, in_turn

SECONDS = 5.0
"""Longer utterances are cut."""
MIN_VARIETY = 0.5
"""Different utterances that a test needs for each of its mixtures."""


@dataclass(frozen=True)
class MixtureSpec:
    """Which speech is mixed with which noise.

    Attributes:
        speech: The utterance.
        noise: The recording of noise, repeated where it is shorter.
        n_samples: Length of the mixture.
        noise_start: First sample of the noise.
        talker: Name of the talker.
        noise_type: Name of the noise type.
    """

    speech: Part
    noise: Part
    n_samples: int
    noise_start: int
    talker: str
    noise_type: str

    def read(self, snr_db: float, rate: int) -> Mixture:
        """The mixture, speech at a standard deviation of 0.1, lower where it would clip.

        Args:
            snr_db: Ratio of the standard deviations in dB.
            rate: Sampling rate in Hz, that of the drawing.
        """
        clip = self.speech.read(rate).astype(np.float64)[: self.n_samples]
        sound = _long_enough(self.noise.read(rate), self.n_samples).astype(np.float64)
        sound = sound[self.noise_start : self.noise_start + self.n_samples]
        clip = clip / (clip.std() + 1e-9)
        sound = sound / (sound.std() + 1e-9) * 10 ** (-snr_db / 20)
        level = min(0.1, 0.95 / np.abs(clip + sound).max())
        return Mixture(
            (clip * level).astype(np.float32), (sound * level).astype(np.float32), snr_db
        )


def draw_specs(protocol: Protocol, count: int, rate: int, *, seed: int = 7) -> list[MixtureSpec]:
    """Pair talkers and noise types in turn, both in a random order.

    On a corpus that says nothing of genders these are the mixtures by which the denoisers of this
    project are compared everywhere, for ``seed`` 7.

    Args:
        protocol: Closed or open.
        count: How many mixtures.
        rate: Sampling rate in Hz.
        seed: Of all choices.

    Raises:
        BlshError: A recording cannot be read or is silent, or there are too few utterances.
    """
    rng = np.random.default_rng(seed)
    talkers = in_turn(sorted(protocol.speech.parts), protocol.speech.genders, rng)
    types = in_turn(sorted(protocol.noise.parts), {}, rng)
    longest = round(SECONDS * rate)
    specs = []
    for i in range(count):
        talker, noise_type = talkers[i % len(talkers)], types[i % len(types)]
        speech = _choice(protocol.speech.parts[talker], rng)
        n_samples = min(speech.read(rate).size, longest)
        noise = _choice(protocol.noise.parts[noise_type], rng)
        room = _long_enough(noise.read(rate), n_samples).size - n_samples
        start = int(rng.integers(0, room))
        spec = MixtureSpec(speech, noise, n_samples, start, talker, noise_type)
        _check_sound(spec, rate)
        specs.append(spec)
    _check_variety(protocol, specs)
    return specs


def _check_sound(spec: MixtureSpec, rate: int) -> None:
    mixture = spec.read(0.0, rate)
    for samples, path in ((mixture.speech, spec.speech.path), (mixture.noise, spec.noise.path)):
        if not samples.any():
            raise BlshError(f"{path}: the stretch that the test draws is silent; remove the file")


def _check_variety(protocol: Protocol, specs: Sequence[MixtureSpec]) -> None:
    """Raise `BlshError` where utterances recur so often that they are no sample of anything."""
    utterances = len({spec.speech for spec in specs})
    if utterances < MIN_VARIETY * len(specs):
        side = "train" if protocol.name == "closed" else "test"
        raise BlshError(
            f"--speech-{side}: the {protocol.name} test finds {utterances} utterances for its "
            f"{len(specs)} mixtures and needs {math.ceil(MIN_VARIETY * len(specs))}; give more "
            "talkers or recordings"
        )


def _choice(parts: tuple[Part, ...], rng: np.random.Generator) -> Part:
    return parts[int(rng.integers(len(parts)))]


def _long_enough(noise: npt.NDArray[np.float32], n_samples: int) -> npt.NDArray[np.float32]:
    """Noise repeated until there is more of it than asked for."""
    if noise.size > n_samples:
        return noise
    return np.tile(noise, n_samples // noise.size + 2)
