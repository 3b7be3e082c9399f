"""The float reference of condensed models: what one does before it is quantised."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from blsh_trainer.condensed_model import Condensed, warm_up_frames
from blsh_trainer.hashing import nearest, unpack_codes
from blsh_trainer.levels import cell_levels, level_features, noise_features
from blsh_trainer.model_file import Geometry
from blsh_trainer.stft import ComplexArray

FloatArray = npt.NDArray[np.float32]
RealArray = npt.NDArray[np.floating]


def condensed_bits(condensed: Condensed, features: RealArray) -> npt.NDArray[np.bool_]:
    """``(F, H)`` bits of the frames' codes from ``(F, n_features)`` features."""
    parts = []
    for group in condensed.hashes:
        low, high = group.feature_range
        parts.append(features[:, low:high] @ group.projection.T + group.bias >= 0)
    return np.concatenate(parts, axis=1)


def entry_bits(condensed: Condensed) -> list[npt.NDArray[np.bool_]]:
    """``(T, 32 * n_words)`` bits of the codes of each dictionary."""
    return [unpack_codes(one.codes, 32 * one.n_words) for one in condensed.dictionaries]


def cell_votes(
    condensed: Condensed, entries: list[npt.NDArray[np.bool_]], bits: npt.NDArray[np.bool_]
) -> FloatArray:
    """``(F, G)`` votes: sums of the weighted mean mask levels of the nearest entries.

    Args:
        condensed: The model's tables.
        entries: Its `entry_bits`.
        bits: ``(F, H)`` of the frames' codes.
    """
    votes = np.zeros((bits.shape[0], condensed.n_cells), np.float32)
    for dictionary, codes in zip(condensed.dictionaries, entries, strict=True):
        low, high = (32 * word for word in dictionary.words)
        index, distance = nearest(bits[:, low:high], codes, dictionary.neighbours)
        weights = dictionary.weights[distance - distance[:, :1]]
        weights = weights / weights.sum(axis=1, keepdims=True)
        levels = dictionary.masks.astype(np.float32)[index]
        votes[:, slice(*dictionary.cells)] += np.einsum("fk,fkc->fc", weights, levels)
    return votes


def cell_gains(condensed: Condensed, levels: RealArray, warm: int) -> FloatArray:
    """``(F, G)`` gains of the ``(F, G)`` levels of a stream, neither released nor floored.

    A frame at a time where noise trackers need the gains of the frame before.
    """
    entries = entry_bits(condensed)
    known = level_features(levels, condensed.trackers, warm)

    def voted(features: RealArray) -> FloatArray:
        bits = condensed_bits(condensed, features.reshape(features.shape[0], -1))
        votes = condensed.vote_scale * cell_votes(condensed, entries, bits)
        gains: FloatArray = (1 / (1 + np.exp(-(votes + condensed.vote_offset)))).astype(np.float32)
        return gains

    if not condensed.noise_trackers:
        return voted(known)
    gains = np.empty(levels.shape, np.float32)

    def gains_of(n: int, noise: RealArray) -> FloatArray:
        gains[n] = voted(np.concatenate([known[n], noise], axis=-1)[None])[0]
        return gains[n]

    noise_features(levels, condensed.noise_trackers, warm, gains_of)
    return gains


def released(gains: FloatArray, floor: float, release: float) -> FloatArray:
    """Gains that fall no faster than by a factor of ``release`` a frame, nor below ``floor``."""
    out = np.empty_like(gains)
    before = np.zeros(gains.shape[1], np.float32)
    for n, gain in enumerate(gains):
        before = np.maximum(np.maximum(gain, np.float32(floor)), before * np.float32(release))
        out[n] = before
    return out


def condensed_mask(condensed: Condensed, geometry: Geometry, spectra: ComplexArray) -> FloatArray:
    """Gains of all bins.

    Args:
        condensed: The model's tables.
        geometry: Its framing.
        spectra: ``(F, n_bins)`` STFT of noisy speech in [-1, 1), from the start of the stream.

    Returns:
        ``(F, n_bins)`` gains in [0, 1].
    """
    warm = warm_up_frames(geometry.frame, geometry.hop)
    levels = cell_levels(spectra, condensed.grid)
    gains = cell_gains(condensed, levels, warm)
    smooth = released(gains, condensed.gain_floor, condensed.gain_release)
    widths = condensed.grid[1:].astype(np.intp) - condensed.grid[:-1]
    return np.repeat(smooth, widths, axis=1)
