"""The condensed model: what replaces the bands where codes and masks of the entries are learned.

A frame's spectrum becomes one level a cell, a cell being a run of STFT bins; levels, less the
frame's mean and less what trackers remember of each cell, are the features. Groups of projections
hash ranges of the features, and all groups' bits together are the frame's code. Many small
dictionaries each compare some words of the code and vote, by the masks of their nearest entries,
on the gains of some cells.

What float training and fixed point have to agree on:

* **Levels.** The level of a cell is ``log2`` of the sum of ``|X|**2`` over its bins, in steps of
  ``1 / LEVEL_ONE``, and at least 0. X is the DFT of the windowed frame times
  ``LEVEL_FULL_SCALE / frame``, where samples reach from -1 to 1. Levels that lie more than about
  30 below that of the frame's largest component are not resolved: power is rounded down.
* **Features**, for each cell one of each kind in turn: its level less the mean level of all cells,
  then, for each tracker and then for each noise tracker, its level less the tracker's value before
  this frame. All are clipped to ``+-FEATURE_CLIP / LEVEL_ONE``.
* **Trackers.** A tracker takes over the level in the first `warm_up_frames` frames, whose windows
  still reach before the signal, so that its features are 0. From then on, ``d`` being the level
  less the tracker, each frame adds ``d / 2**fall_shift`` where d is negative, else
  ``d / 2**min(rise_shift, n)``, n being the number of frames since the warm-up: it rises as an
  average would until it has seen as many frames as its time constant. Shifts of (0, 0) give the
  difference from the frame before.
* **Noise trackers** follow a cell as far as the model takes it for noise: from the gain g that the
  cell's votes give, before it is released or raised to the floor, and the noise tracker's own
  feature x each frame adds ``(1 - g) x / 2**shift``. In the warm-up they follow like the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blsh_trainer.errors import BlshError

FloatArray = npt.NDArray[np.float32]

LEVEL_ONE = 256
"""Steps of a level, and so of a feature, that double the power."""

LEVEL_FULL_SCALE = 1 << 30
"""What a windowed sample of full scale counts where levels are taken."""

FEATURE_CLIP = 4095
"""Largest size of a feature, in steps of ``1 / LEVEL_ONE``."""

MAX_TRACKER_SHIFT = 12
MAX_TRACKERS = 16  # of both sorts
MAX_HASH_FEATURES = 2048
MAX_CODE_WORDS = 128
MAX_LAYERS = 16
MAX_ENTRIES = 65535
MAX_NEIGHBOURS = 255
MAX_VOTE_SIZE = 1e6
MAX_MASK_BITS = 4


def warm_up_frames(frame: int, hop: int) -> int:
    """Frames whose windows reach before the signal, and over which trackers just follow."""
    return frame // hop - 1


@dataclass(frozen=True)
class HashGroup:
    """Projections that share a range of features.

    Attributes:
        feature_range: Half-open range of features that are hashed, at most `MAX_HASH_FEATURES` from
            the even one on with or before which it starts.
        projection: ``(L, D)`` float32, one projection a row, L a multiple of 32.
        bias: ``(L,)`` float32 in units of the features. Bit l of the group's words is 1 where
            ``projection[l] @ x + bias[l] >= 0``.
    """

    feature_range: tuple[int, int]
    projection: FloatArray
    bias: FloatArray

    @property
    def n_words(self) -> int:
        """32-bit words that the group adds to a frame's code."""
        return int(self.projection.shape[0]) // 32


@dataclass(frozen=True)
class CondensedDictionary:
    """Learned codes, and what each of them says of the masks of a range of cells.

    Attributes:
        cells: Half-open range of grid cells that the masks cover.
        words: Half-open range of words of a frame's code that are compared.
        neighbours: K, the number of nearest codes that vote.
        codes: ``(T, n_words)`` uint32.
        masks: ``(T, n_cells)`` uint8 levels, 0 to ``2**mask_bits - 1``.
        weights: ``(32 * n_words + 1,)`` float32, the weight of a neighbour by how many bits
            farther than the nearest it is: 1 first, never increasing, never negative.
    """

    cells: tuple[int, int]
    words: tuple[int, int]
    neighbours: int
    codes: npt.NDArray[np.uint32]
    masks: npt.NDArray[np.uint8]
    weights: FloatArray

    @property
    def n_cells(self) -> int:
        """Number of cells that the masks cover."""
        return self.cells[1] - self.cells[0]

    @property
    def n_words(self) -> int:
        """Number of words that are compared."""
        return self.words[1] - self.words[0]

    @property
    def n_entries(self) -> int:
        """T, the number of entries."""
        return int(self.codes.shape[0])


@dataclass(frozen=True)
class Condensed:
    """A condensed model's tables.

    The votes on a cell are the sum, over the dictionaries that cover it, of the weighted mean of
    their neighbours' mask levels. Its gain is ``1 / (1 + exp(-(vote_scale votes + vote_offset)))``,
    but no less than `gain_floor`, nor than `gain_release` times the cell's gain one frame ago.

    Attributes:
        grid: ``(G + 1,)`` uint16 edges, strictly increasing from 0 to the number of bins: cell g
            is bins ``grid[g]`` to ``grid[g + 1] - 1``.
        trackers: Rise and fall shift of each tracker, 0 to `MAX_TRACKER_SHIFT`.
        hashes: Groups of projections; their words follow each other in a frame's code.
        dictionaries: Each cell is covered by the same number of them.
        mask_bits: Bits a mask level, 1 to 4.
        vote_scale: Steepness of the gain, above 0, at most `MAX_VOTE_SIZE`.
        vote_offset: Its offset, within +-`MAX_VOTE_SIZE`.
        gain_floor: Least gain, from 0 to below 1; a default, which applications may change.
        gain_release: Least part of the gain of the frame before, likewise.
        noise_trackers: Shift of each noise tracker, 0 to `MAX_TRACKER_SHIFT`.
    """

    grid: npt.NDArray[np.uint16]
    trackers: tuple[tuple[int, int], ...]
    hashes: tuple[HashGroup, ...]
    dictionaries: tuple[CondensedDictionary, ...]
    mask_bits: int
    vote_scale: float
    vote_offset: float
    gain_floor: float = 0.0
    gain_release: float = 0.0
    noise_trackers: tuple[int, ...] = ()

    @property
    def n_cells(self) -> int:
        """G, the number of cells."""
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
        return sum(group.n_words for group in self.hashes)

    @property
    def layers(self) -> int:
        """J, the number of dictionaries that cover each cell (see `check_condensed`)."""
        return sum(dictionary.n_cells for dictionary in self.dictionaries) // self.n_cells


def check_condensed(condensed: Condensed, n_bins: int) -> None:
    """Raise `BlshError` where a condensed model breaks a promise of its classes."""
    grid = condensed.grid
    if grid.ndim != 1 or grid.size < 2 or grid[0] != 0 or grid[-1] != n_bins:
        raise BlshError(f"model: the grid must have edges from 0 to {n_bins}")
    if not (np.diff(grid.astype(np.int64)) > 0).all():
        raise BlshError("model: the grid's edges must increase strictly")
    _check_trackers(condensed)
    _check_numbers(condensed)
    if not condensed.hashes or not condensed.dictionaries:
        raise BlshError("model: a condensed model needs a hash group and a dictionary at least")
    for index, group in enumerate(condensed.hashes):
        _check_group(group, condensed.n_features, f"model: hash group {index}")
    if condensed.n_words > MAX_CODE_WORDS:
        raise BlshError(
            f"model: codes of {32 * condensed.n_words} bits, must be at most {32 * MAX_CODE_WORDS}"
        )
    covered = np.zeros(condensed.n_cells, np.int64)
    for index, dictionary in enumerate(condensed.dictionaries):
        _check_dictionary(dictionary, condensed, f"model: dictionary {index}")
        covered[slice(*dictionary.cells)] += 1
    if covered.min() != covered.max() or covered.max() > MAX_LAYERS:
        raise BlshError(
            f"model: {covered.min()} to {covered.max()} dictionaries cover a cell; every cell must "
            f"be covered by the same number of them, 1 to {MAX_LAYERS}"
        )


def _check_trackers(condensed: Condensed) -> None:
    n_trackers = len(condensed.trackers) + len(condensed.noise_trackers)
    if n_trackers > MAX_TRACKERS:
        raise BlshError(f"model: {n_trackers} trackers, at most {MAX_TRACKERS}")
    for shifts in condensed.trackers:
        if len(shifts) != 2 or not all(0 <= shift <= MAX_TRACKER_SHIFT for shift in shifts):
            raise BlshError(f"model: tracker shifts {shifts} are not two of 0 to 12")
    for shift in condensed.noise_trackers:
        if not 0 <= shift <= MAX_TRACKER_SHIFT:
            raise BlshError(f"model: the noise tracker's shift {shift} is not 0 to 12")


def _check_numbers(condensed: Condensed) -> None:
    if not 1 <= condensed.mask_bits <= MAX_MASK_BITS:
        raise BlshError(f"model: mask_bits {condensed.mask_bits} is not 1 to {MAX_MASK_BITS}")
    if not 0 < condensed.vote_scale <= MAX_VOTE_SIZE:
        raise BlshError(
            f"model: vote_scale {condensed.vote_scale} is not above 0 and at most {MAX_VOTE_SIZE:g}"
        )
    if not abs(condensed.vote_offset) <= MAX_VOTE_SIZE:
        raise BlshError(
            f"model: vote_offset {condensed.vote_offset} is not within +-{MAX_VOTE_SIZE:g}"
        )
    for name in ("gain_floor", "gain_release"):
        if not 0 <= getattr(condensed, name) < 1:
            raise BlshError(f"model: {name} {getattr(condensed, name)} is not from 0 to below 1")


def _check_group(group: HashGroup, n_features: int, where: str) -> None:
    low, high = group.feature_range
    if not 0 <= low < high <= n_features:
        raise BlshError(f"{where}: empty or out-of-range features {low}:{high}")
    if high - low // 2 * 2 > MAX_HASH_FEATURES:
        raise BlshError(
            f"{where}: hashes features {low}:{high}, at most {MAX_HASH_FEATURES} from an even one"
        )
    n_rows = int(group.projection.shape[0])
    for name, shape in {"projection": (n_rows, high - low), "bias": (n_rows,)}.items():
        if getattr(group, name).shape != shape:
            raise BlshError(f"{where}: {name} has shape {getattr(group, name).shape}, not {shape}")
        if not np.isfinite(getattr(group, name)).all():
            raise BlshError(f"{where}: {name} holds NaN or infinity")
    if n_rows < 32 or n_rows % 32:
        raise BlshError(f"{where}: L = {n_rows} projections, must be a multiple of 32")
    if not (np.abs(group.projection).max(axis=1) > 0).all():
        raise BlshError(f"{where}: a projection is all zero")


def _check_dictionary(dictionary: CondensedDictionary, condensed: Condensed, where: str) -> None:
    for name, end in (("cells", condensed.n_cells), ("words", condensed.n_words)):
        low, high = getattr(dictionary, name)
        if not 0 <= low < high <= end:
            raise BlshError(f"{where}: empty or out-of-range {name} {low}:{high}")
    n_entries = dictionary.n_entries
    expected = {
        "codes": (n_entries, dictionary.n_words),
        "masks": (n_entries, dictionary.n_cells),
        "weights": (32 * dictionary.n_words + 1,),
    }
    for name, shape in expected.items():
        found = getattr(dictionary, name).shape
        if found != shape:
            raise BlshError(f"{where}: {name} has shape {found}, not {shape}")
    if not 1 <= n_entries <= MAX_ENTRIES:
        raise BlshError(f"{where}: T = {n_entries} entries, must be 1 to {MAX_ENTRIES}")
    if not 1 <= dictionary.neighbours <= min(n_entries, MAX_NEIGHBOURS):
        raise BlshError(
            f"{where}: K = {dictionary.neighbours} neighbours is impossible with T = {n_entries} "
            f"dictionary entries (1 <= K <= min(T, {MAX_NEIGHBOURS}))"
        )
    if int(dictionary.masks.max()) >= 1 << condensed.mask_bits:
        raise BlshError(f"{where}: a mask level exceeds {condensed.mask_bits} bits")
    weights = dictionary.weights
    if not np.isfinite(weights).all() or weights[0] != 1 or weights[-1] < 0:
        raise BlshError(f"{where}: weights must go from 1 to no less than 0")
    if (np.diff(weights) > 0).any():
        raise BlshError(f"{where}: weights must not increase with the distance")
