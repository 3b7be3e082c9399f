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
    GAIN_ONE,
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
STEP_SHIFT = 7
"""From features in Q8 times gains in Q15 to noise trackers in Q16."""


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

    A frame at a time where noise trackers need the gains of the frame before.

    Args:
        tables: The quantised model.
        levels: ``(F, G)`` levels of the cells (see `cell_levels`).
        frame: Frame in samples.
        hop: Hop in samples.
    """
    warm_up = warm_up_frames(frame, hop)
    known = cell_features(levels, tables.trackers, warm_up)
    if not tables.noise_trackers:
        return _voted(tables, levels, known)
    noise = np.zeros((levels.shape[1], len(tables.noise_trackers)), np.int64)
    traces = []
    for n, level in enumerate(levels):
        if n < warm_up:
            noise[:] = level[:, None] << 8
        ahead = clipped(level[:, None] - (noise >> 8))
        features = np.concatenate([known[n], ahead], axis=-1)
        traces.append(_voted(tables, level[None], features[None]))
        gains = tables.gain_q15.astype(np.int64)[traces[-1].votes[0]]
        noise = followed_noise(noise, ahead, gains, tables.noise_trackers)
    return _joined(traces, levels)


def _voted(tables: CondensedTables, levels: Int64Array, cells: Int64Array) -> CondensedTrace:
    """The trace of ``(F, G, kinds)`` features of frames."""
    features = cells.reshape(cells.shape[0], -1)
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


def _joined(traces: list[CondensedTrace], levels: Int64Array) -> CondensedTrace:
    """The trace of all frames from those of each."""
    return CondensedTrace(
        levels=levels,
        features=np.concatenate([one.features for one in traces]),
        code=np.concatenate([one.code for one in traces]),
        index=tuple(map(np.concatenate, zip(*(one.index for one in traces), strict=True))),
        distance=tuple(map(np.concatenate, zip(*(one.distance for one in traces), strict=True))),
        votes=np.concatenate([one.votes for one in traces]),
    )


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
    """``(F, G, kinds)`` features in Q8 of the ``(F, G)`` levels of a signal's frames.

    Those that levels alone decide.
    """
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
    return clipped(features)


def followed_noise(
    noise: Int64Array, ahead: Int64Array, gains: Int64Array, shifts: tuple[int, ...]
) -> Int64Array:
    """Noise trackers after a frame.

    Args:
        noise: ``(G, R)`` noise trackers in Q16.
        ahead: ``(G, R)`` features above them in Q8.
        gains: ``(G,)`` gains in Q15 that the cells' votes give.
        shifts: Shift of each noise tracker.
    """
    step = (GAIN_ONE + 1 - gains[:, None]) * ahead
    return noise + (step >> (np.array(shifts) + STEP_SHIFT))


def clipped(features: Int64Array) -> Int64Array:
    """Features within the range that is hashed."""
    return np.clip(features, -FEATURE_CLIP, FEATURE_CLIP)


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
