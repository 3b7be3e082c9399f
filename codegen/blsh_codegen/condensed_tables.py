"""Quantise a condensed model to the integer tables that the reference and the C runtime share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from blsh_trainer.condensed_model import (
    LEVEL_ONE,
    Condensed,
    CondensedDictionary,
    HashGroup,
)

Int16Array = npt.NDArray[np.int16]

MANTISSA_BITS = 7
"""Bits of a power below its leading one that a level depends on."""

WEIGHT_MAX = 127
BIAS_MAX = 1 << 30
VOTE_WEIGHT_ONE = 255
VOTE_ONE = 16
"""Steps of a vote that make a mask level: Q4."""

GAIN_ONE = 32767


@dataclass(frozen=True)
class HashTables:
    """One group of projections.

    Attributes:
        feature_range: Half-open range of features that are hashed.
        projection: ``(L, D)`` int8; the largest weight of each row is 127 or -127.
        bias: ``(L,)`` int32, in units of products of weights and features.
    """

    feature_range: tuple[int, int]
    projection: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]


@dataclass(frozen=True)
class DictionaryTables:
    """One dictionary.

    Attributes:
        cells: Half-open range of cells that the masks cover.
        words: Half-open range of words of the frame's code that are compared.
        neighbours: K.
        codes: ``(T, n_words)`` uint32.
        masks: ``(T, n_cells)`` uint8 levels.
        weights_q8: ``(32 * n_words + 1,)`` uint8, weight by distance beyond the nearest, of 255.
    """

    cells: tuple[int, int]
    words: tuple[int, int]
    neighbours: int
    codes: npt.NDArray[np.uint32]
    masks: npt.NDArray[np.uint8]
    weights_q8: npt.NDArray[np.uint8]

    @property
    def n_entries(self) -> int:
        """T."""
        return int(self.codes.shape[0])


@dataclass(frozen=True)
class CondensedTables:
    """The integer tables of a condensed model.

    Attributes:
        grid: ``(G + 1,)`` uint16 edges of the cells in bins.
        log2_q8: ``(128,)`` uint8, ``256 log2(1 + (i + 0.5) / 128)``.
        trackers: Rise and fall shift of each tracker.
        hashes: One entry a group.
        dictionaries: One entry a dictionary.
        mask_bits: Bits a mask level.
        gain_q15: Gain for each sum of votes in Q4.
        gain_floor_q15: Default of the least gain.
        gain_release_q15: Default of the least part of the gain before.
        noise_trackers: Shift of each noise tracker.
    """

    grid: npt.NDArray[np.uint16]
    log2_q8: npt.NDArray[np.uint8]
    trackers: tuple[tuple[int, int], ...]
    hashes: tuple[HashTables, ...]
    dictionaries: tuple[DictionaryTables, ...]
    mask_bits: int
    gain_q15: Int16Array
    gain_floor_q15: int
    gain_release_q15: int
    noise_trackers: tuple[int, ...]

    @property
    def n_cells(self) -> int:
        """G."""
        return int(self.grid.size) - 1

    @property
    def n_kinds(self) -> int:
        """Features a cell."""
        return 1 + len(self.trackers) + len(self.noise_trackers)

    @property
    def n_features(self) -> int:
        """Length of a frame's feature vector."""
        return self.n_cells * self.n_kinds

    @property
    def n_words(self) -> int:
        """32-bit words of a frame's code."""
        return sum(group.bias.size for group in self.hashes) // 32


def quantise_condensed(condensed: Condensed) -> CondensedTables:
    """Quantise checked tables (see `blsh_trainer.condensed_model.check_condensed`)."""
    max_votes = condensed.layers * ((1 << condensed.mask_bits) - 1) * VOTE_ONE
    return CondensedTables(
        grid=condensed.grid.astype(np.uint16),
        log2_q8=log2_mantissas_q8(),
        trackers=condensed.trackers,
        hashes=tuple(_hash_tables(group) for group in condensed.hashes),
        dictionaries=tuple(_dictionary_tables(one) for one in condensed.dictionaries),
        mask_bits=condensed.mask_bits,
        gain_q15=vote_gains_q15(max_votes, condensed.vote_scale, condensed.vote_offset),
        gain_floor_q15=_part_q15(condensed.gain_floor),
        gain_release_q15=_part_q15(condensed.gain_release),
        noise_trackers=condensed.noise_trackers,
    )


def log2_mantissas_q8() -> npt.NDArray[np.uint8]:
    """Fraction of the level by the bits after the leading one, at the middle of their range."""
    mantissa = 1 + (np.arange(1 << MANTISSA_BITS) + 0.5) / (1 << MANTISSA_BITS)
    return np.minimum(np.rint(LEVEL_ONE * np.log2(mantissa)), LEVEL_ONE - 1).astype(np.uint8)


def vote_gains_q15(max_votes: int, scale: float, offset: float) -> Int16Array:
    """``(max_votes + 1,)`` gains for votes in Q4: a logistic function."""
    argument = scale * np.arange(max_votes + 1) / VOTE_ONE + offset
    gains = GAIN_ONE / (1 + np.exp(-np.clip(argument, -500, 500)))
    return np.rint(gains).astype(np.int16)


def _part_q15(part: float) -> int:
    return min(round(part * (1 << 15)), GAIN_ONE)


def _hash_tables(group: HashGroup) -> HashTables:
    projection = group.projection.astype(np.float64)
    scale = WEIGHT_MAX / np.abs(projection).max(axis=1)
    bias = np.clip(np.rint(group.bias * scale * LEVEL_ONE), -BIAS_MAX, BIAS_MAX)
    return HashTables(
        feature_range=group.feature_range,
        projection=np.rint(projection * scale[:, None]).astype(np.int8),
        bias=bias.astype(np.int32),
    )


def _dictionary_tables(dictionary: CondensedDictionary) -> DictionaryTables:
    return DictionaryTables(
        cells=dictionary.cells,
        words=dictionary.words,
        neighbours=dictionary.neighbours,
        codes=dictionary.codes,
        masks=dictionary.masks,
        weights_q8=np.rint(VOTE_WEIGHT_ONE * dictionary.weights.astype(np.float64)).astype(
            np.uint8
        ),
    )
