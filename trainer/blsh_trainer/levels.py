"""The level front end of condensed models, in float: log levels of grid cells, tracked over time.

A grid cell is a run of STFT bins. Its level is the base-2 logarithm of its power on the runtime's
scale, so that one unit is 3 dB. What is hashed is each cell's level above the frame's mean, and
above what trackers remember of it: the frame before, a noise floor that falls fast and rises
slowly, or the noise as earlier gains tell it. All of these leave the microphone's gain out.
Precision follows the spectra's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from blsh_trainer.condensed_model import (
    FEATURE_CLIP,
    LEVEL_FULL_SCALE,
    LEVEL_ONE,
)
from blsh_trainer.model_file import Geometry
from blsh_trainer.stft import ComplexArray

FloatArray = npt.NDArray[np.float32]
RealArray = npt.NDArray[np.floating]
GridArray = npt.NDArray[np.uint16]

SINGLE_BINS_HZ = 1500.0
UPPER_CELLS = 40


def make_grid(
    geometry: Geometry,
    single_bins_hz: float = SINGLE_BINS_HZ,
    upper_cells: int = UPPER_CELLS,
) -> GridArray:
    """Cells of one bin up to a frequency, so that harmonics are told apart, mel-spaced above.

    Args:
        geometry: Sampling rate and frame.
        single_bins_hz: Up to where each bin is a cell of its own.
        upper_cells: Number of cells from there to Nyquist, fewer where bins are too few.

    Returns:
        ``(G + 1,)`` uint16 edges from 0 to ``n_bins``.
    """
    n_bins, bin_hz = geometry.n_bins, geometry.rate / geometry.frame
    single = min(max(1, round(single_bins_hz / bin_hz)), n_bins - 1)
    mel = 2595 * np.log10(1 + np.array([single * bin_hz, geometry.rate / 2]) / 700)
    edges_hz = 700 * (10 ** (np.linspace(mel[0], mel[1], upper_cells + 1)[1:] / 2595) - 1)
    upper = np.rint(edges_hz / bin_hz).astype(int)
    upper = np.maximum(upper, single + 1 + np.arange(upper_cells))
    edges = np.concatenate([np.arange(single + 1), np.minimum(upper, n_bins)])
    edges[-1] = n_bins
    return np.unique(edges).astype(np.uint16)


def cell_sums(values: npt.NDArray[np.floating], grid: GridArray) -> npt.NDArray[np.floating]:
    """``(..., n_bins)`` summed over the bins of each cell: ``(..., G)``."""
    sums: npt.NDArray[np.floating] = np.add.reduceat(values, grid[:-1].astype(np.intp), axis=-1)
    return sums


def cell_levels(spectra: ComplexArray, grid: GridArray) -> RealArray:
    """Levels of grid cells; never below 0, the power of one unit of the runtime's spectrum.

    Args:
        spectra: ``(..., n_bins)`` STFT of samples in [-1, 1).
        grid: ``(G + 1,)`` edges.

    Returns:
        ``(..., G)`` log2 of power.
    """
    frame = 2 * (spectra.shape[-1] - 1)
    scaled = spectra * np.float32(LEVEL_FULL_SCALE / frame)
    power = cell_sums(scaled.real**2 + scaled.imag**2, grid)
    levels: RealArray = np.log2(np.maximum(power, 1))
    return levels


def tracked(levels: RealArray, rise: int, fall: int, warm: int) -> RealArray:
    """What a tracker has remembered of each cell before each frame.

    A one-pole smoother that moves by ``2**-rise`` of the way up and ``2**-fall`` of the way down.
    In the warm-up it follows; after that it starts fast and slows down to its own pace.

    Args:
        levels: ``(..., F, G)``.
        rise: Shift of a step upwards.
        fall: Shift of a step downwards.
        warm: Frames of warm-up (see `blsh_trainer.condensed_model.warm_up_frames`).

    Returns:
        ``(..., F, G)``.
    """
    out = np.empty_like(levels)
    state = levels[..., 0, :].copy()
    for n in range(levels.shape[-2]):
        level = levels[..., n, :]
        if n < warm:
            state = level.copy()
        out[..., n, :] = state
        if n >= warm:
            step = level - state
            state = state + step * np.where(step < 0, 2.0**-fall, 2.0 ** -min(rise, n - warm))
            state = state.astype(levels.dtype)
    return out


def level_features(levels: RealArray, trackers: Sequence[tuple[int, int]], warm: int) -> RealArray:
    """What is hashed, in units of log2 of power.

    Args:
        levels: ``(..., F, G)`` of whole streams from their start.
        trackers: Rise and fall of each tracker.
        warm: As in `tracked`.

    Returns:
        ``(..., F, G, 1 + len(trackers))``: the level above the frame's mean, then above each
        tracker.
    """
    kinds = [levels - levels.mean(axis=-1, keepdims=True)]
    kinds += [levels - tracked(levels, rise, fall, warm) for rise, fall in trackers]
    return clipped_features(np.stack(kinds, axis=-1)).astype(levels.dtype)


def noise_features(
    levels: RealArray,
    shifts: Sequence[int],
    warm: int,
    gains_of: Callable[[int, RealArray], RealArray],
) -> RealArray:
    """Levels above noise trackers, which follow a cell by ``(1 - gain) / 2**shift`` a frame.

    Args:
        levels: ``(..., F, G)`` of whole streams from their start.
        shifts: Shift of each of R noise trackers.
        warm: Frames in which they just follow.
        gains_of: From a frame's number and its ``(..., G, R)`` features to its ``(..., G)`` gains;
            called for each frame in order.

    Returns:
        ``(..., F, G, R)``.
    """
    pace = 2.0 ** -np.array(shifts, levels.dtype)
    out = np.empty((*levels.shape, len(shifts)), levels.dtype)
    noise = np.empty((*levels.shape[:-2], levels.shape[-1], len(shifts)), levels.dtype)
    for n in range(levels.shape[-2]):
        level = levels[..., n, :, None]
        if n < warm:
            noise[...] = level
        ahead = clipped_features(level - noise)
        noise += (1 - gains_of(n, ahead))[..., None] * ahead * pace
        out[..., n, :, :] = ahead
    return out


def clipped_features(features: RealArray) -> RealArray:
    """Features within ``+-FEATURE_CLIP / LEVEL_ONE``."""
    clip = FEATURE_CLIP / LEVEL_ONE
    return np.clip(features, -clip, clip)


def ideal_gains(
    speech: ComplexArray, noisy: ComplexArray, grid: GridArray
) -> tuple[FloatArray, FloatArray]:
    """The real gains of cells that leave the least squared error, and how much each cell matters.

    With one gain g for a cell the error is ``sum |S - g X|^2 = const + sum |X|^2 (g - g*)^2`` with
    ``g* = sum Re(S X^*) / sum |X|^2``: the noisy power is the weight of a squared gain error.

    Args:
        speech: ``(F, n_bins)`` spectra S.
        noisy: ``(F, n_bins)`` spectra X.
        grid: ``(G + 1,)`` edges.

    Returns:
        ``(F, G)`` gains clipped to [0, 1], and ``(F, G)`` noisy power, both float32.
    """
    power = cell_sums(np.abs(noisy) ** 2, grid)
    cross = cell_sums((speech * noisy.conj()).real, grid)
    gains = np.clip(cross / np.maximum(power, 1e-20), 0, 1)
    return gains.astype(np.float32), power.astype(np.float32)
