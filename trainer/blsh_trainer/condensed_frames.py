"""Training frames of condensed models: features, ideal gains and how much each error matters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from blsh_trainer.condensation import Batch
from blsh_trainer.condensed_model import LEVEL_ONE, warm_up_frames
from blsh_trainer.errors import BlshError
from blsh_trainer.levels import cell_levels, ideal_gains, level_features, noise_features
from blsh_trainer.mixing import Mixture
from blsh_trainer.model_file import Geometry
from blsh_trainer.stft import stft

FloatArray = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.int64]
GainsOf = Callable[[IndexArray, FloatArray], FloatArray]
_Number = TypeVar("_Number", bound=np.generic)

# Part of the speech's energy that counts as noise in the weight of a mixture: without it, the
# errors of a nearly clean mixture would outweigh those of all others.
SPEECH_SHARE = 0.05
# Part of the loss in which all gains count the same, so that quiet cells are learned as well.
UNIFORM_WEIGHT = 0.1
_MAX_WEIGHT = 6e4  # float16 ends at 65504
_STREAMS_AT_ONCE = 512
_THREADS = 2


@dataclass(frozen=True)
class CondensedFrames:
    """Frames of noisy speech, kept in few bits.

    Features are in units of log2 of power. Those above noise trackers depend on the gains of the
    frames before, and so on who finds these: as collected, they are the ideal ones.

    Attributes:
        features: ``(N, G, k)`` float16, those that levels alone decide.
        noise: ``(N, G, r)`` float16, those above r noise trackers.
        gains: ``(N, G)`` uint8, ideal gains times 255.
        weights: ``(N, G)`` float16, weights of squared gain errors; 1 is a mixture's noise energy
            a frame.
        levels: ``(S, 1 + N / S, G)`` uint16 in steps of ``1 / LEVEL_ONE``, by stream: of the frame
            before the first as well. Empty where there is no noise tracker.
        noise_trackers: Shifts of the r noise trackers.
        mean: ``(D,)`` float32 of all features, D = G (k + r).
        scale: Root mean square of all features less their mean.
        seconds: Length of the mixtures that they come from.
    """

    features: npt.NDArray[np.float16]
    noise: npt.NDArray[np.float16]
    gains: npt.NDArray[np.uint8]
    weights: npt.NDArray[np.float16]
    levels: npt.NDArray[np.uint16]
    noise_trackers: tuple[int, ...]
    mean: FloatArray
    scale: float
    seconds: float

    @property
    def n_frames(self) -> int:
        """N."""
        return int(self.features.shape[0])

    def together(self, index: IndexArray, noise: FloatArray | None = None) -> FloatArray:
        """``(len(index), D)`` features of both sorts, above noise trackers as told or kept."""
        above = self.noise[index] if noise is None else noise
        both = np.concatenate([self.features[index], above], axis=2, dtype=np.float32)
        return both.reshape(index.size, -1)

    def standardised(self, index: IndexArray, noise: FloatArray | None = None) -> FloatArray:
        """``(len(index), D)`` features without mean, over the common scale."""
        features = self.together(index, noise)
        features -= self.mean
        features /= np.float32(self.scale)
        return features

    def ideal_gains(self, index: IndexArray) -> FloatArray:
        """``(len(index), G)`` gains in [0, 1]."""
        return self.gains[index].astype(np.float32) / np.float32(255)

    def batch(self, index: IndexArray) -> Batch:
        """What the loss of some frames is computed from; its sum is the loss a frame."""
        n_frames, n_cells = index.size, self.gains.shape[1]
        weights = self.weights[index].astype(np.float32) + np.float32(UNIFORM_WEIGHT / n_cells)
        return Batch(
            self.standardised(index), self.ideal_gains(index), weights / np.float32(n_frames)
        )

    def followed(self, gains_of: GainsOf, pool: Executor) -> CondensedFrames:
        """The frames, with noise trackers that follow these gains.

        Args:
            gains_of: From the numbers of some frames and their ``(n, G, r)`` features above the
                noise trackers to their ``(n, G)`` gains.
            pool: Threads to use; their number does not matter to the result.
        """
        n_streams, per_stream = self.levels.shape[0], self.levels.shape[1] - 1
        noise = np.empty_like(self.noise)
        by_stream = noise.reshape(n_streams, per_stream, *noise.shape[1:])

        def follow(streams: slice) -> None:
            first = per_stream * np.arange(n_streams)[streams]
            levels = self.levels[streams].astype(np.float32) / np.float32(LEVEL_ONE)

            def gains_at(n: int, ahead: npt.NDArray[np.floating]) -> FloatArray:
                if n == 0:  # of the frame before the first nothing is known, nor needed
                    return np.zeros(ahead.shape[:-1], np.float32)
                return gains_of(first + n - 1, ahead.astype(np.float32))

            by_stream[streams] = noise_features(levels, self.noise_trackers, 1, gains_at)[:, 1:]

        starts = range(0, n_streams, _STREAMS_AT_ONCE)
        list(pool.map(follow, (slice(start, start + _STREAMS_AT_ONCE) for start in starts)))
        return replace(self, noise=noise)


def collect_condensed_frames(
    mixtures: Iterable[Mixture],
    geometry: Geometry,
    grid: npt.NDArray[np.uint16],
    trackers: tuple[tuple[int, int], ...],
    noise_trackers: tuple[int, ...] = (),
    on_mixture: Callable[[float], None] | None = None,
) -> CondensedFrames:
    """Features, ideal gains and weights of all frames of some mixtures but those of the warm-up.

    Args:
        mixtures: Speech and noise, each the start of a stream, all of one length.
        geometry: Framing.
        grid: ``(G + 1,)`` edges of the cells.
        trackers: Rise and fall of each tracker.
        noise_trackers: Shift of each noise tracker.
        on_mixture: Called with the seconds done so far.

    Raises:
        BlshError: There is no mixture, or only silence.
    """
    features: list[npt.NDArray[np.float16]] = []
    gains: list[npt.NDArray[np.uint8]] = []
    weights: list[npt.NDArray[np.float16]] = []
    levels: list[npt.NDArray[np.uint16]] = []
    n_samples = 0
    warm = warm_up_frames(geometry.frame, geometry.hop)
    for mixture in mixtures:
        speech = stft(mixture.speech, geometry.frame, geometry.hop, geometry.window)
        noise = stft(mixture.noise, geometry.frame, geometry.hop, geometry.window)
        noisy = speech + noise
        found = cell_levels(noisy, grid)
        known = level_features(found, trackers, warm)
        ideal, power = ideal_gains(speech, noisy, grid)
        speech_energy, noise_energy = (float(np.sum(np.abs(x) ** 2)) for x in (speech, noise))
        unit = (noise_energy + SPEECH_SHARE * speech_energy) / len(found)
        whole = slice(warm, len(found) - warm)
        features.append(known[whole].astype(np.float16))
        gains.append(np.rint(ideal[whole] * 255).astype(np.uint8))
        relative = power[whole] / max(unit, 1e-20)
        weights.append(np.minimum(relative, _MAX_WEIGHT).astype(np.float16))
        if noise_trackers:
            with_one_before = found[warm - 1 : whole.stop]
            levels.append(np.rint(with_one_before * LEVEL_ONE).astype(np.uint16))
        n_samples += mixture.speech.size
        if on_mixture is not None:
            on_mixture(n_samples / geometry.rate)
    if not features or not any(part.any() for part in features):
        raise BlshError(
            "--speech, --noise: every mixture is silent; give recordings with sound in them"
        )
    known_features = _joined(features)
    n_frames, n_cells = known_features.shape[:2]
    return _with_ideal_noise(
        CondensedFrames(
            features=known_features,
            noise=np.zeros((n_frames, n_cells, len(noise_trackers)), np.float16),
            gains=_joined(gains),
            weights=_joined(weights),
            levels=np.stack(levels) if levels else np.zeros((0, 1, n_cells), np.uint16),
            noise_trackers=noise_trackers,
            mean=np.zeros(0, np.float32),
            scale=1.0,
            seconds=n_samples / geometry.rate,
        )
    )


def _with_ideal_noise(frames: CondensedFrames) -> CondensedFrames:
    """The frames, with noise trackers that follow the ideal gains, and their mean and scale."""
    with ThreadPoolExecutor(_THREADS) as pool:
        frames = frames.followed(lambda index, _: frames.ideal_gains(index), pool)
    sample = frames.together(np.arange(0, frames.n_frames, max(1, frames.n_frames // 50_000)))
    mean = sample.mean(axis=0)
    scale = float(np.sqrt(np.mean((sample - mean) ** 2)))
    return replace(frames, mean=mean, scale=scale)


def _joined(parts: list[npt.NDArray[_Number]]) -> npt.NDArray[_Number]:
    """Concatenate and let go of each part on the way: there may be no room for all of it twice."""
    end = sum(len(part) for part in parts)
    joined = np.empty((end, *parts[0].shape[1:]), parts[0].dtype)
    while parts:
        part = parts.pop()
        joined[end - len(part) : end] = part
        end -= len(part)
    return joined
