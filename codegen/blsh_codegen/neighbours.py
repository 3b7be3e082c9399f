"""The K nearest codes of a dictionary, as both references define them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from blsh_codegen.bit_planes import code_bits

CodeArray = npt.NDArray[np.uint32]
Int64Array = npt.NDArray[np.int64]

_DISTANCES_AT_ONCE = 1 << 22


def nearest_codes(
    code: CodeArray, dictionary: CodeArray, neighbours: int
) -> tuple[Int64Array, Int64Array]:
    """K nearest codes of a dictionary, by Hamming distance and then by index (Algorithm 1).

    Args:
        code: ``(F, W)`` uint32 queries.
        dictionary: ``(T, W)`` uint32 codes.
        neighbours: K.

    Returns:
        ``(F, K)`` indices and distances, nearest first; equal distances in order of index.
    """
    n_entries = dictionary.shape[0]
    index = np.empty((code.shape[0], neighbours), np.int64)
    distance = np.empty_like(index)
    entries = _signs(dictionary).T
    step = max(1, _DISTANCES_AT_ONCE // n_entries)
    for start in range(0, code.shape[0], step):
        part = slice(start, start + step)
        signs = _signs(code[part])
        # The dot product of signs is the number of equal bits less that of different ones.
        distances = (signs.shape[1] - signs @ entries).astype(np.int64) >> 1
        order = distances * n_entries + np.arange(n_entries)
        if neighbours < n_entries:
            order = np.partition(order, neighbours - 1, axis=1)[:, :neighbours]
        order.sort(axis=1)
        index[part], distance[part] = order % n_entries, order // n_entries
    return index, distance


def _signs(codes: CodeArray) -> npt.NDArray[np.float32]:
    """Bits as 1 and -1; sums of them are exact in float32."""
    return np.asarray(2 * code_bits(codes).astype(np.float32) - 1, np.float32)
