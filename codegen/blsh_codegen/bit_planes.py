"""Codes as the searches of both kinds of model count them: bit-sliced, 32 codes at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

UInt32Array = npt.NDArray[np.uint32]

LANES = 32
"""Codes of a block: bit j of each of its planes belongs to code j."""

MIN_COUNTERS = 6
"""Planes of a counter that the search keeps in registers."""


def code_bits(codes: UInt32Array) -> npt.NDArray[np.uint8]:
    """``(T, 32 W)`` bits of ``(T, W)`` codes: bit l is bit ``l % 32`` of word ``l // 32``."""
    octets = np.ascontiguousarray(codes, "<u4").view(np.uint8)
    return np.unpackbits(octets, axis=1, bitorder="little")


def bit_planes(bits: npt.NDArray[np.uint8]) -> UInt32Array:
    """``(ceil(T / 32), P)`` planes of ``(T, P)`` bits; the last block is filled up with zeros."""
    lanes = np.pad(bits, ((0, -bits.shape[0] % LANES), (0, 0)))
    by_plane = lanes.reshape(-1, LANES, lanes.shape[1]).swapaxes(1, 2)
    packed = np.packbits(np.ascontiguousarray(by_plane), axis=2, bitorder="little")
    return packed.view("<u4")[..., 0].astype(np.uint32)


def majority_bits(codes: UInt32Array) -> UInt32Array:
    """``(W,)`` bits that are one in most of ``(T, W)`` codes.

    The search takes time with the ones of the query alone; where queries are like entries, as they
    should be, storing these bits inverted leaves at most half of them.
    """
    mostly = 2 * code_bits(codes).sum(axis=0, dtype=np.int64) > codes.shape[0]
    return np.packbits(mostly, bitorder="little").view("<u4").astype(np.uint32)


def sliced_codes(codes: UInt32Array, n_planes: int) -> tuple[UInt32Array, int, int]:
    """Codes as the search counts them.

    With ``s`` the number of ones in common with a query of ``n`` ones, a code of ``m`` ones is at
    distance ``n + base - (2 (s + start) + m % 2)``.

    Args:
        codes: ``(T, W)`` uint32.
        n_planes: Bits of a code; those beyond are 0.

    Returns:
        ``(ceil(T / 32), P)`` uint32 blocks of one plane for each bit of a code, one of ``m % 2``
        and one for each bit of ``start``; bit j of each belongs to code j of the block. Then
        ``base`` and the number of bits of ``start``, enough for ``s + start``.
    """
    bits = code_bits(codes)[:, :n_planes]
    n_ones = bits.sum(axis=1, dtype=np.int64)
    half = (n_ones + 1) // 2
    most = int(half.max())
    start = most - half
    n_counters = max(int((start + n_ones).max()).bit_length(), MIN_COUNTERS)
    columns = [bits, n_ones[:, None] & 1, (start[:, None] >> np.arange(n_counters)) & 1]
    return bit_planes(np.concatenate(columns, axis=1).astype(np.uint8)), 2 * most, n_counters


def most_counters(n_bits: int) -> int:
    """Bits of ``start`` (see `sliced_codes`) that codes of ``n_bits`` bits can need."""
    # start + s is largest for the code with the most ones, all of them in common: it is at most L.
    return max(n_bits.bit_length(), MIN_COUNTERS)
