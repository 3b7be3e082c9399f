"""The integer reference of a condensed model, from the spectrum to the gains.

What comes before and after, and the conventions, are those of `blsh_codegen.reference`. Each
function works on all frames of a signal at once; trackers and the release of gains, which remember
earlier frames, go through them in order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from blsh_trainer.condensed_model import FEATURE_CLIP, LEVEL_ONE, warm_up_frames

from blsh_codegen.condensed_tables import (
    MANTISSA_BITS,
    CondensedTables,
    DictionaryTables,
    HashTables,
)
from blsh_codegen.fixed_point import Int64Array, bit_length
from blsh_codegen.neighbours import CodeArray, nearest_codes

COMPONENT_BITS = 15
RECIPROCAL_BITS = 20
VOTE_SHIFT = 16
MAX_FRAMES_COUNTED = 255


@dataclass(frozen=True)
class CondensedTrace:
    """What a condensed model computes between spectrum and gains in a run of F frames.

    Attributes:
        levels: ``(F, G)`` levels of the cells in Q8.
        features: ``(F, n_features)`` features in Q8.
        code: ``(F, n_words)`` uint32 codes.
        index: For each dictionary ``(F, K)`` indices of the nearest entries, nearest first.
        distance: For each dictionary ``(F, K)`` their Hamming distances in bits.
        votes: ``(F, G)`` sums of votes in Q4.
    """

    levels: Int64Array
    features: Int64Array
    code: CodeArray
    index: tuple[Int64Array, ...]
    distance: tuple[Int64Array, ...]
    votes: Int64Array


def analyse(tables: CondensedTables, levels: Int64Array, frame: int, hop: int) -> CondensedTrace:
    """From the levels of all frames of a signal to the votes on its cells.

    Args:
        tables: The quantised model.
        levels: ``(F, G)`` levels of the cells (see `cell_levels`).
        frame: Frame in samples.
        hop: Hop in samples.
    """
    features = cell_features(levels, tables.trackers, warm_up_frames(frame, hop))
    code = hash_code(features, tables.hashes)
    votes = np.zeros_like(levels)
    found = []
    for dictionary in tables.dictionaries:
        compared = code[:, slice(*dictionary.words)]
        index, distance = nearest_codes(compared, dictionary.codes, dictionary.neighbours)
        votes[:, slice(*dictionary.cells)] += dictionary_votes(index, distance, dictionary)
        found.append((index, distance))
    index_of, distance_of = zip(*found, strict=True)
    return CondensedTrace(levels, features, code, index_of, distance_of, votes)


def cell_levels(spectrum: Int64Array, tables: CondensedTables) -> Int64Array:
    """``(..., G)`` base-2 logarithms of the cells' power in Q8, of a packed spectrum."""
    size = np.bitwise_or.reduce(spectrum ^ (spectrum >> 63), axis=-1, keepdims=True)
    right = np.maximum(bit_length(size) - COMPONENT_BITS, 0)
    power = (spectrum >> right) ** 2
    bins = np.concatenate(
        [power[..., :1], power[..., 2::2] + power[..., 3::2], power[..., 1:2]], axis=-1
    )
    cells = np.add.reduceat(bins, tables.grid[:-1].astype(np.intp), axis=-1)
    return log2_q8(cells, tables.log2_q8) + 2 * LEVEL_ONE * right


def log2_q8(power: Int64Array, mantissas_q8: npt.NDArray[np.uint8]) -> Int64Array:
    """Base-2 logarithm in Q8 of powers below 2**52; 0 and 1 count the same."""
    power = np.maximum(power, 1)
    exponent = bit_length(power) - 1
    mantissa = (power << MANTISSA_BITS >> exponent) & ((1 << MANTISSA_BITS) - 1)
    level: Int64Array = LEVEL_ONE * exponent + mantissas_q8[mantissa]
    return level


def cell_features(
    levels: Int64Array, trackers: tuple[tuple[int, int], ...], warm_up: int
) -> Int64Array:
    """``(F, n_features)`` features in Q8 of the ``(F, G)`` levels of a signal's frames."""
    features = np.empty((*levels.shape, 1 + len(trackers)), np.int64)
    mean = levels.sum(axis=-1, keepdims=True) // levels.shape[-1]
    features[..., 0] = levels - mean
    for kind, (rise, fall) in enumerate(trackers, start=1):
        tracked = np.zeros(levels.shape[-1], np.int64)
        for n, level in enumerate(levels):
            seen = min(n, MAX_FRAMES_COUNTED)
            target = level << 8
            if seen < warm_up:
                tracked = target
            features[n, :, kind] = level - (tracked >> 8)
            if seen >= warm_up:
                ahead = target - tracked
                shift = np.where(ahead < 0, fall, min(rise, seen - warm_up))
                tracked = tracked + (ahead >> shift)
    flat = features.reshape(levels.shape[0], -1)
    clipped: Int64Array = np.clip(flat, -FEATURE_CLIP, FEATURE_CLIP)
    return clipped


def hash_code(features: Int64Array, hashes: tuple[HashTables, ...]) -> CodeArray:
    """``(F, n_words)`` codes: bit l % 32 of word l // 32 is ``p_l . x + b_l >= 0``."""
    # Sums are below 2**31, which float64 holds exactly, and its products are the faster ones.
    exact = features.astype(np.float64)
    sums = [
        exact[:, slice(*group.feature_range)] @ group.projection.T.astype(np.float64) + group.bias
        for group in hashes
    ]
    bits = np.concatenate(sums, axis=1) >= 0
    packed = np.packbits(bits, axis=1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u4").astype(np.uint32)


def dictionary_votes(
    index: Int64Array, distance: Int64Array, dictionary: DictionaryTables
) -> Int64Array:
    """``(F, n_cells)`` weighted means of the neighbours' mask levels in Q4."""
    weights = dictionary.weights_q8[distance - distance[:, :1]].astype(np.int64)
    levels = dictionary.masks[index].astype(np.int64)
    sums = np.einsum("fk,fkn->fn", weights, levels)
    reciprocal = (1 << RECIPROCAL_BITS) // weights.sum(axis=1, keepdims=True)
    return (sums * reciprocal) >> VOTE_SHIFT


def cell_gains(
    votes: Int64Array, gain_q15: npt.NDArray[np.int16], floor_q15: int, release_q15: int
) -> Int64Array:
    """``(F, G)`` gains of the cells in Q15 for the votes of a signal's frames."""
    gains = np.maximum(gain_q15.astype(np.int64)[votes], floor_q15)
    for n in range(1, gains.shape[0]):
        np.maximum(gains[n], (gains[n - 1] * release_q15) >> 15, out=gains[n])
    return gains


def bin_gains(gains: Int64Array, grid: npt.NDArray[np.uint16]) -> Int64Array:
    """``(F, N/2 + 1)`` gains of the bins: those of their cells."""
    edges = grid.astype(np.int64)
    return np.repeat(gains, edges[1:] - edges[:-1], axis=-1)
