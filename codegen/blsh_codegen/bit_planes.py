"""Codes as bits, and bits of 32 codes as words: the planes that searches count."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LANES = 32
"""Codes of a block: bit j of each of its planes belongs to code j."""


def code_bits(codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
    """``(T, 32 W)`` bits of ``(T, W)`` codes: bit l is bit ``l % 32`` of word ``l // 32``."""
    octets = np.ascontiguousarray(codes, "<u4").view(np.uint8)
    return np.unpackbits(octets, axis=1, bitorder="little")


def bit_planes(bits: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """``(ceil(T / 32), P)`` planes of ``(T, P)`` bits; the last block is filled up with zeros."""
    lanes = np.pad(bits, ((0, -bits.shape[0] % LANES), (0, 0)))
    by_plane = lanes.reshape(-1, LANES, lanes.shape[1]).swapaxes(1, 2)
    packed = np.packbits(np.ascontiguousarray(by_plane), axis=2, bitorder="little")
    return packed.view("<u4")[..., 0].astype(np.uint32)
