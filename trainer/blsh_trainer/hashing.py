"""Hash codes: signs of projections, packed into words, compared by Hamming distance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from blsh_trainer.model_file import code_words

FloatArray = npt.NDArray[np.float32]
RealArray = npt.NDArray[np.floating]
CodeArray = npt.NDArray[np.uint32]
IndexArray = npt.NDArray[np.int64]

_QUERY_BLOCK_ELEMENTS = 1 << 23


def hash_bits(
    features: RealArray,
    projection: FloatArray,
    bias: FloatArray,
    feature_range: tuple[int, int] | None = None,
) -> npt.NDArray[np.bool_]:
    """Bits ``p_l . x + b_l >= 0``; all of them set for a silent frame, whose norm is zero.

    Args:
        features: ``(F, n_features)`` L2-normalised features.
        projection: ``(L, D)``.
        bias: ``(L,)``, in units of the norm of all features.
        feature_range: Half-open range of the D features that are projected; all by default.

    Returns:
        ``(F, L)`` booleans.
    """
    low, high = feature_range or (0, features.shape[1])
    projected = features[:, low:high] @ projection.T
    norm = features.any(axis=1, keepdims=True)  # 1, or 0 where there is nothing to normalise
    bits: npt.NDArray[np.bool_] = projected + norm * bias >= 0
    return bits


def bit_signs(bits: npt.NDArray[np.bool_]) -> FloatArray:
    """Bits to -1 and +1."""
    return np.where(bits, np.float32(1), np.float32(-1))


def pack_codes(bits: npt.NDArray[np.bool_]) -> CodeArray:
    """``(F, L)`` bits to ``(F, code_words(L))`` uint32, bit l at bit ``l % 32`` of word l // 32."""
    n_frames, n_bits = bits.shape
    padded = np.zeros((n_frames, 32 * code_words(n_bits)), np.uint8)
    padded[:, :n_bits] = bits
    packed = np.packbits(padded, axis=1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u4").astype(np.uint32)


def unpack_codes(codes: CodeArray, n_bits: int) -> npt.NDArray[np.bool_]:
    """Inverse of `pack_codes`."""
    as_bytes = np.ascontiguousarray(codes.astype("<u4")).view(np.uint8)
    return np.unpackbits(as_bytes, axis=1, count=n_bits, bitorder="little").astype(np.bool_)


def nearest(
    query: npt.NDArray[np.bool_], dictionary: npt.NDArray[np.bool_], neighbours: int
) -> tuple[IndexArray, IndexArray]:
    """K nearest entries by Hamming distance (Algorithm 1), equal distances by index.

    Args:
        query: ``(F, L)`` bits.
        dictionary: ``(T, L)`` bits.
        neighbours: K, at most T.

    Returns:
        ``(F, K)`` indices and distances in bits, nearest first.
    """
    n_entries, n_bits = dictionary.shape
    signs = np.ascontiguousarray(bit_signs(dictionary).T)
    index = np.empty((query.shape[0], neighbours), np.int64)
    distance = np.empty_like(index)
    block = max(1, _QUERY_BLOCK_ELEMENTS // n_entries)
    for start in range(0, query.shape[0], block):
        # Exact in float32: integers of magnitude L. Products of signs sum to L - 2 distance.
        agreement = bit_signs(query[start : start + block]) @ signs
        distances = (n_bits - agreement).astype(np.int64) // 2
        keys = distances * n_entries + np.arange(n_entries)
        best = np.sort(np.partition(keys, neighbours - 1, axis=1)[:, :neighbours], axis=1)
        distance[start : start + block], index[start : start + block] = np.divmod(best, n_entries)
    return index, distance
