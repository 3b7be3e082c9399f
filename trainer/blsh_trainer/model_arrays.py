"""Arrays of a model file: how they are packed, checked as they are read, and identified."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from blsh_trainer.condensed_model import MAX_MASK_BITS

Arrays = Mapping[str, npt.NDArray[Any]]


def packed_levels(masks: npt.NDArray[np.uint8], mask_bits: int) -> npt.NDArray[np.uint8]:
    """``(T, n)`` levels to ``(T, ceil(n * mask_bits / 8))`` bytes, low bit of a level first."""
    bits = (masks[:, :, None] >> np.arange(mask_bits, dtype=np.uint8)) & 1
    return np.packbits(bits.reshape(masks.shape[0], -1), axis=1)


def _unpacked_levels(
    packed: npt.NDArray[np.uint8], n_bins: int, mask_bits: int
) -> npt.NDArray[np.uint8]:
    """Inverse of `packed_levels`."""
    bits = np.unpackbits(packed, axis=1, count=n_bins * mask_bits)
    bits = bits.reshape(packed.shape[0], n_bins, mask_bits)
    levels: npt.NDArray[np.uint8] = (bits << np.arange(mask_bits, dtype=np.uint8)).sum(
        axis=2, dtype=np.uint8
    )
    return levels


def content_hash(arrays: Arrays) -> str:
    """Hexadecimal SHA-256 of names, types, shapes and values, whatever the byte order."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{name} {little.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(little).tobytes())
    return digest.hexdigest()


def checked_array(
    arrays: Arrays, name: str, dtype: type[np.generic], rank: int
) -> npt.NDArray[Any]:
    """An array of a type and rank, in any byte order.

    Raises:
        KeyError, ValueError: It is missing or another.
    """
    array = arrays[name]
    if array.dtype.newbyteorder("=") != dtype or array.ndim != rank:
        raise ValueError(f"{name} has type {array.dtype} and rank {array.ndim}")
    return np.ascontiguousarray(array, dtype)


def checked_levels(
    arrays: Arrays, name: str, span: tuple[int, int], mask_bits: int
) -> npt.NDArray[np.uint8]:
    """``(T, n)`` uint8 mask levels of a half-open range of n bins or cells.

    Raises:
        KeyError, ValueError: They are missing or others.
    """
    packed = checked_array(arrays, name, np.uint8, 2)
    n = span[1] - span[0]
    if not (n > 0 and 1 <= mask_bits <= MAX_MASK_BITS):
        raise ValueError(f"{name} is of {mask_bits} bits for {span[0]} to {span[1]}")
    if packed.shape[1] != (n * mask_bits + 7) // 8:
        raise ValueError(f"{name} is of the wrong size")
    return _unpacked_levels(packed, n, mask_bits)
