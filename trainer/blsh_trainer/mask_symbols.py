"""The symbols that the masks of the paper's models are compressed in.

A symbol holds several consecutive levels. It has one of two codes, which one the last level of the
symbol before decides: masks come in runs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
UInt8Array = npt.NDArray[np.uint8]

LEVELS_PER_SYMBOL = {1: 8, 2: 4, 3: 2, 4: 2}
"""Levels that a symbol of the compressed masks of bands holds, by bits a level."""

N_CONTEXTS = 2

COUNTED_MASKS = 15
"""Masks of one bit a level that the runtime adds up in counters of four bits."""


def mask_symbols(levels: UInt8Array, mask_bits: int) -> IntArray:
    """``(T, C)`` symbols of ``(T, n)`` levels.

    The first level is in the lowest bits; the last one is repeated to fill its symbol.
    """
    per_symbol = LEVELS_PER_SYMBOL[mask_bits]
    padding = -levels.shape[1] % per_symbol
    padded = np.pad(levels, ((0, 0), (0, padding)), mode="edge").astype(np.int64)
    padded = padded.reshape(levels.shape[0], -1, per_symbol)
    symbols: IntArray = (padded << (mask_bits * np.arange(per_symbol))).sum(axis=-1)
    return symbols


def symbol_contexts(symbols: IntArray, mask_bits: int) -> IntArray:
    """Which code each of ``(T, C)`` symbols has: the top bit of the one before, 0 for the first."""
    contexts = np.zeros_like(symbols)
    contexts[:, 1:] = symbols[:, :-1] >> (mask_bits * LEVELS_PER_SYMBOL[mask_bits] - 1)
    return contexts
