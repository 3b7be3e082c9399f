"""Training frames of condensed models: features, ideal gains and how much each error matters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from blsh_trainer.condensation import Batch
from blsh_trainer.condensed_model import warm_up_frames
from blsh_trainer.errors import BlshError
from blsh_trainer.levels import cell_levels, ideal_gains, level_features
from blsh_trainer.mixing import Mixture
from blsh_trainer.model_file import Geometry
from blsh_trainer.stft import stft

FloatArray = npt.NDArray[np.float32]
_Number = TypeVar("_Number", bound=np.generic)

# Part of the speech's energy that counts as noise in the weight of a mixture: without it, the
# errors of a nearly clean mixture would outweigh those of all others.
SPEECH_SHARE = 0.05
# Part of the loss in which all gains count the same, so that quiet cells are learned as well.
UNIFORM_WEIGHT = 0.1
_MAX_WEIGHT = 6e4  # float16 ends at 65504


@dataclass(frozen=True)
class CondensedFrames:
    """Frames of noisy speech, kept in few bits.

    Attributes:
        features: ``(N, D)`` float16, in units of log2 of power.
        gains: ``(N, G)`` uint8, ideal gains times 255.
        weights: ``(N, G)`` float16, weights of squared gain errors; 1 is a mixture's noise energy
            a frame.
        mean: ``(D,)`` float32 of the features.
        scale: Root mean square of the features less their mean.
        seconds: Length of the mixtures that they come from.
    """

    features: npt.NDArray[np.float16]
    gains: npt.NDArray[np.uint8]
    weights: npt.NDArray[np.float16]
    mean: FloatArray
    scale: float
    seconds: float

    @property
    def n_frames(self) -> int:
        """N."""
        return int(self.features.shape[0])

    def standardised(self, index: npt.NDArray[np.int64]) -> FloatArray:
        """``(len(index), D)`` features without mean, over the common scale."""
        features = self.features[index].astype(np.float32)
        features -= self.mean
        features /= np.float32(self.scale)
        return features

    def ideal_gains(self, index: npt.NDArray[np.int64]) -> FloatArray:
        """``(len(index), G)`` gains in [0, 1]."""
        return self.gains[index].astype(np.float32) / np.float32(255)

    def batch(self, index: npt.NDArray[np.int64]) -> Batch:
        """What the loss of some frames is computed from; its sum is the loss a frame."""
        n_frames, n_cells = index.size, self.gains.shape[1]
        weights = self.weights[index].astype(np.float32) + np.float32(UNIFORM_WEIGHT / n_cells)
        return Batch(
            self.standardised(index), self.ideal_gains(index), weights / np.float32(n_frames)
        )


def collect_condensed_frames(
    mixtures: Iterable[Mixture],
    geometry: Geometry,
    grid: npt.NDArray[np.uint16],
    trackers: tuple[tuple[int, int], ...],
    on_mixture: Callable[[float], None] | None = None,
) -> CondensedFrames:
    """Features, ideal gains and weights of all frames of some mixtures but those of the warm-up.

    Args:
        mixtures: Speech and noise, each the start of a stream.
        geometry: Framing.
        grid: ``(G + 1,)`` edges of the cells.
        trackers: Rise and fall of each tracker.
        on_mixture: Called with the seconds done so far.

    Raises:
        BlshError: There is no mixture, or only silence.
    """
    features: list[npt.NDArray[np.float16]] = []
    gains: list[npt.NDArray[np.uint8]] = []
    weights: list[npt.NDArray[np.float16]] = []
    n_samples = 0
    warm = warm_up_frames(geometry.frame, geometry.hop)
    for mixture in mixtures:
        speech = stft(mixture.speech, geometry.frame, geometry.hop, geometry.window)
        noise = stft(mixture.noise, geometry.frame, geometry.hop, geometry.window)
        noisy = speech + noise
        levels = cell_levels(noisy, grid)
        found = level_features(levels, trackers, warm)
        ideal, power = ideal_gains(speech, noisy, grid)
        speech_energy, noise_energy = (float(np.sum(np.abs(x) ** 2)) for x in (speech, noise))
        unit = (noise_energy + SPEECH_SHARE * speech_energy) / len(levels)
        whole = slice(warm, len(levels) - warm)
        features.append(found[whole].astype(np.float16))
        gains.append(np.rint(ideal[whole] * 255).astype(np.uint8))
        relative = power[whole] / max(unit, 1e-20)
        weights.append(np.minimum(relative, _MAX_WEIGHT).astype(np.float16))
        n_samples += mixture.speech.size
        if on_mixture is not None:
            on_mixture(n_samples / geometry.rate)
    if not features or not any(part.any() for part in features):
        raise BlshError(
            "--speech, --noise: every mixture is silent; give recordings with sound in them"
        )
    every = _joined(features)
    sample = every[:: max(1, len(every) // 50_000)].astype(np.float32)
    mean = sample.mean(axis=0)
    return CondensedFrames(
        features=every,
        gains=_joined(gains),
        weights=_joined(weights),
        mean=mean,
        scale=float(np.sqrt(np.mean((sample - mean) ** 2))),
        seconds=n_samples / geometry.rate,
    )


def _joined(parts: list[npt.NDArray[_Number]]) -> npt.NDArray[_Number]:
    """Concatenate and let go of each part on the way: there may be no room for all of it twice."""
    end = sum(len(part) for part in parts)
    joined = np.empty((end, *parts[0].shape[1:]), parts[0].dtype)
    while parts:
        part = parts.pop()
        joined[end - len(part) : end] = part
        end -= len(part)
    return joined
