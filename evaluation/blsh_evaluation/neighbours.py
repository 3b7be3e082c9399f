"""The systems that average the masks of similar training frames.

Frames and codes stay on disk; what a system holds in memory are the codes and masks of its
dictionary.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from blsh_codegen.batch_search import CodeIndex
from blsh_trainer.features import frame_features, mel_filterbank

from blsh_evaluation.artefacts import choose_subset, leading_bits
from blsh_evaluation.frame_store import FrameStore
from blsh_evaluation.system import Estimator
from blsh_evaluation.views import MixtureView

FloatArray = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.int64]

_ENTRY_BLOCK = 16384


@dataclass(frozen=True)
class Dictionary:
    """A random subset of the training frames.

    Attributes:
        frames: Step that has all frames.
        share: Of the frames, 1 for all of them.
        draw: Which of the random subsets.
        seed: Of the draws.
    """

    frames: str
    share: float
    draw: int
    seed: int

    @property
    def label(self) -> str:
        """Its size as the tables say it."""
        return f"{self.share:.0%}"


@dataclass(frozen=True)
class CosineNeighbours:
    """K nearest training frames by cosine similarity (Algorithm 1 of the paper, no hashing).

    Attributes:
        dictionary: The frames to compare with.
        neighbours: K.
        mels: Mel filters that the magnitudes pass first; 0 for the magnitudes themselves.
        rate: Sampling rate in Hz.
    """

    dictionary: Dictionary
    neighbours: int
    mels: int
    rate: int

    @property
    def name(self) -> str:
        """What the tables call it."""
        return f"KNN {'mel' if self.mels else 'STFT'}, {self.dictionary.label}"

    def load(self, cache: Path) -> Estimator:
        """Open the dictionary; its frames are read block by block while it runs."""
        store, index, masks = _dictionary(cache, self.dictionary)

        def estimate(view: MixtureView) -> FloatArray:
            bank = self._filterbank(view)
            query = _compared(view.features, bank)
            nearest = nearest_by_cosine(query, store.features, index, bank, self.neighbours)
            return view.masked(mean_mask(masks, nearest, store.n_bins))

        return estimate

    def _filterbank(self, view: MixtureView) -> FloatArray | None:
        return mel_filterbank(self.rate, view.geometry.frame, self.mels) if self.mels else None


@dataclass(frozen=True)
class HashedNeighbours:
    """K nearest training frames by Hamming distance of their codes.

    Attributes:
        method: ``"BLSH"`` or ``"LSH"``.
        projections: Step that has the projections.
        codes: Step that has the codes of all frames.
        dictionary: The frames to compare with.
        n_bits: L; the first so many projections are used.
        neighbours: K.
    """

    method: str
    projections: str
    codes: str
    dictionary: Dictionary
    n_bits: int
    neighbours: int

    @property
    def name(self) -> str:
        """What the tables call it."""
        return f"{self.method}, {self.dictionary.label}"

    def load(self, cache: Path) -> Estimator:
        """Index the dictionary's codes."""
        store, index, masks = _dictionary(cache, self.dictionary)
        projections = cache / self.projections / "projections.npz"
        all_codes = np.load(cache / self.codes / "codes.npy", mmap_mode="r")
        codes = leading_bits(all_codes[index], self.n_bits)
        search = CodeIndex(codes, self.n_bits)

        def estimate(view: MixtureView) -> FloatArray:
            query = leading_bits(view.codes(projections), self.n_bits)
            nearest, _ = search.search(query, self.neighbours)
            return view.masked(mean_mask(masks, nearest, store.n_bins))

        return estimate


def nearest_by_cosine(
    query: FloatArray,
    frames: FloatArray,
    entries: IndexArray,
    bank: FloatArray | None,
    neighbours: int,
) -> IndexArray:
    """K entries with the largest cosine similarity, in no order.

    Args:
        query: ``(F, D)`` L2-normalised.
        frames: ``(N, n_bins)`` L2-normalised magnitudes, read block by block.
        entries: ``(T,)`` which of them are compared.
        bank: ``(D, n_bins)`` mel filters that the entries pass; ``None`` where D is n_bins.
        neighbours: K, at most T.

    Returns:
        ``(F, K)`` indices into the entries.
    """
    best = np.full((query.shape[0], neighbours), -np.inf, np.float32)
    index = np.zeros((query.shape[0], neighbours), np.int64)
    for start in range(0, entries.size, _ENTRY_BLOCK):
        block = _compared(np.asarray(frames[entries[start : start + _ENTRY_BLOCK]]), bank)
        similarity = np.concatenate([best, query @ block.T], axis=1)
        found = np.argpartition(-similarity, neighbours - 1, axis=1)[:, :neighbours]
        best = np.take_along_axis(similarity, found, axis=1)
        before = np.take_along_axis(index, np.minimum(found, neighbours - 1), axis=1)
        index = np.where(found < neighbours, before, found - neighbours + start)
    return index


def mean_mask(masks: npt.NDArray[np.uint8], nearest: IndexArray, n_bins: int) -> FloatArray:
    """Mean of the neighbours' ideal binary masks.

    Args:
        masks: ``(T, ceil(n_bins / 8))`` uint8, packed by ``numpy.packbits``.
        nearest: ``(F, K)`` indices into them.
        n_bins: Bins a mask.

    Returns:
        ``(F, n_bins)`` gains in [0, 1].
    """
    total = np.zeros((nearest.shape[0], n_bins), np.uint16)
    for column in nearest.T:
        total += np.unpackbits(masks[column], axis=1, count=n_bins)
    return total.astype(np.float32) / np.float32(nearest.shape[1])


def _compared(features: FloatArray, bank: FloatArray | None) -> FloatArray:
    """What cosine similarity compares: L2-normalised magnitudes, or their mel bands likewise."""
    if bank is None:
        return features
    return np.asarray(frame_features(features, bank), np.float32)


@lru_cache(maxsize=2)
def _dictionary(
    cache: Path, dictionary: Dictionary
) -> tuple[FrameStore, IndexArray, npt.NDArray[np.uint8]]:
    """The frames, which of them are entries, and the entries' masks.

    Kept for the next system, which has the same dictionary more often than not.
    """
    store = FrameStore.open(cache / dictionary.frames)
    index = choose_subset(store.n_frames, dictionary.share, dictionary.draw, dictionary.seed)
    return store, index, store.masks[index]
