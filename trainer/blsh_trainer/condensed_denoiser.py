"""The float reference of condensed models: what one does before it is quantised."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from blsh_trainer.condensed_model import Condensed, warm_up_frames
from blsh_trainer.hashing import nearest, unpack_codes
from blsh_trainer.levels import cell_levels, level_features
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


def cell_votes(condensed: Condensed, bits: npt.NDArray[np.bool_]) -> FloatArray:
    """``(F, G)`` votes: sums of the weighted mean mask levels of the nearest entries."""
    votes = np.zeros((bits.shape[0], condensed.n_cells), np.float32)
    for dictionary in condensed.dictionaries:
        low, high = (32 * word for word in dictionary.words)
        entries = unpack_codes(dictionary.codes, high - low)
        index, distance = nearest(bits[:, low:high], entries, dictionary.neighbours)
        weights = dictionary.weights[distance - distance[:, :1]]
        weights = weights / weights.sum(axis=1, keepdims=True)
        levels = dictionary.masks.astype(np.float32)[index]
        votes[:, slice(*dictionary.cells)] += np.einsum("fk,fkc->fc", weights, levels)
    return votes


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
    features = level_features(levels, condensed.trackers, warm)
    votes = cell_votes(condensed, condensed_bits(condensed, features))
    gains = 1 / (1 + np.exp(-(condensed.vote_scale * votes + condensed.vote_offset)))
    smooth = released(gains.astype(np.float32), condensed.gain_floor, condensed.gain_release)
    widths = condensed.grid[1:].astype(np.intp) - condensed.grid[:-1]
    return np.repeat(smooth, widths, axis=1)
