"""The dictionary: which training frames its entries stand for, hashed, with their masks.

Entries are a random sample of the frames, as in the paper, or clusters of them in code space: each
entry's code is the one with the least Hamming distance to its frames, bit by bit what most of them
have, and each frame belongs to the entry with the nearest code (k-modes; Huang 1998).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blsh_trainer.errors import BlshError
from blsh_trainer.hashing import bit_signs

FloatArray = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.int64]
BitArray = npt.NDArray[np.bool_]

CLUSTER_ROUNDS = 8
_FRAMES_AT_ONCE = 8192


@dataclass(frozen=True)
class DictionarySize:
    """How many training frames become dictionary entries: a count or a share of all frames.

    Attributes:
        count: Number of entries, or ``None``.
        share: Share of the frames in (0, 1], used where ``count`` is ``None``.
    """

    count: int | None
    share: float = 0.0

    @classmethod
    def parse(cls, text: str) -> DictionarySize:
        """Read ``"1%"`` or ``"4096"``.

        Raises:
            BlshError: The text is neither.
        """
        advice = f"--dictionary {text}: give a number of entries such as 4096, or a share like 1%"
        try:
            if text.strip().endswith("%"):
                share = float(text.strip()[:-1]) / 100
                if not 0 < share <= 1:
                    raise BlshError(advice)
                return cls(None, share)
            count = int(text)
        except ValueError as error:
            raise BlshError(advice) from error
        if count < 1:
            raise BlshError(advice)
        return cls(count)

    def entries(self, n_frames: int) -> int:
        """T, for ``n_frames`` training frames.

        Raises:
            BlshError: More entries than frames.
        """
        if self.count is None:
            return max(1, math.floor(self.share * n_frames))
        if self.count > n_frames:
            raise BlshError(
                f"--dictionary {self.count}: there are only {n_frames} training frames; "
                "ask for fewer entries or give more speech"
            )
        return self.count


def choose_entries(n_frames: int, n_entries: int, rng: np.random.Generator) -> IndexArray:
    """Indices of ``n_entries`` different frames, each equally likely, in ascending order."""
    return np.sort(rng.choice(n_frames, n_entries, replace=False)).astype(np.int64)


def cluster(
    bits: BitArray,
    first: IndexArray,
    on_round: Callable[[int], None] | None = None,
) -> tuple[BitArray, IndexArray]:
    """Clusters of frames with codes alike.

    Args:
        bits: ``(N, L)`` codes of the frames.
        first: ``(T,)`` frames whose codes the clusters start with.
        on_round: Called with the number of rounds done.

    Returns:
        ``(T, L)`` codes of the clusters, none of them empty, and ``(N,)`` cluster of each frame.
    """
    signs = bit_signs(bits)
    codes = signs[first]
    for done in range(CLUSTER_ROUNDS):
        label = _nearest_codes(signs, codes)
        balance = _sums_of(signs, label, first.size)
        # A bit that is as often 0 as 1 stays.
        codes = np.where(balance == 0, codes, np.sign(balance)).astype(np.float32)
        if on_round is not None:
            on_round(done + 1)
    return codes > 0, label


def _sums_of(values: FloatArray, label: IndexArray, n_clusters: int) -> FloatArray:
    """``(T, n)`` sums of ``(N, n)`` values by cluster."""
    order = np.argsort(label, kind="stable")
    starts = np.searchsorted(label[order], np.arange(n_clusters))
    return np.add.reduceat(values[order], starts, axis=0)


def _nearest_codes(signs: FloatArray, codes: FloatArray) -> IndexArray:
    """The cluster of each frame; those left empty take the frames that fit theirs the least."""
    label = np.empty(signs.shape[0], np.int64)
    agreement = np.empty(signs.shape[0], np.float32)
    for start in range(0, signs.shape[0], _FRAMES_AT_ONCE):
        part = slice(start, start + _FRAMES_AT_ONCE)
        agreements = signs[part] @ codes.T
        label[part] = agreements.argmax(axis=1)
        agreement[part] = agreements.max(axis=1)
    counts = np.bincount(label, minlength=codes.shape[0])
    misfits = iter(np.argsort(agreement, kind="stable").tolist())
    for empty in np.flatnonzero(counts == 0).tolist():
        frame = next(frame for frame in misfits if counts[label[frame]] > 1)
        counts[label[frame]] -= 1
        counts[empty] += 1
        label[frame] = empty
    return label


def check_neighbours(neighbours: int, n_entries: int) -> None:
    """Raise `BlshError` where K is impossible for a dictionary of T entries."""
    if not 1 <= neighbours <= 255:
        raise BlshError(f"--neighbours {neighbours}: must be 1 to 255")
    if neighbours > n_entries:
        raise BlshError(
            f"--neighbours {neighbours}: the dictionary has only {n_entries} entries; "
            "lower --neighbours or raise --dictionary"
        )
