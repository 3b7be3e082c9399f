"""Mask levels of dictionary entries, and how many bits they take once they are compressed.

Exported masks are coded in symbols of several consecutive levels, each by one of two codes: which
one, the last level of the symbol before decides (`blsh_codegen.masks`). So a level off the nearest
can pay, where it costs little error and saves bits. The levels that minimise

    sum of weight * (level / top - gain)**2  +  slope * bits

are found exactly for given code lengths, by the Viterbi algorithm over the two codes; code lengths
and levels are improved in turn, as in entropy-constrained quantisation (Chou, Lookabaugh and Gray
1989) with the trellis of Ramchandran and Vetterli (1994).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from blsh_trainer.mask_symbols import (
    LEVELS_PER_SYMBOL,
    N_CONTEXTS,
    mask_symbols,
    symbol_contexts,
)

FloatArray = npt.NDArray[np.float32]
UInt8Array = npt.NDArray[np.uint8]

ROUNDS = 6
LONGEST_CODE = 15.0
"""Bits that a symbol which does not occur counts."""
_ENTRIES_AT_ONCE = 512
_IMPOSSIBLE = np.float32(1e30)


def nearest_levels(gains: FloatArray, mask_bits: int) -> UInt8Array:
    """The level nearest to each gain in [0, 1]: uint8 from 0 to ``2**mask_bits - 1``."""
    top = (1 << mask_bits) - 1
    return np.clip(np.rint(gains * np.float32(top)), 0, top).astype(np.uint8)


def code_lengths(levels: UInt8Array, mask_bits: int) -> FloatArray:
    """Bits of each symbol in a code that is ideal for some masks.

    Args:
        levels: ``(T, n)``.
        mask_bits: Bits a level.

    Returns:
        ``(N_CONTEXTS, S)``, `LONGEST_CODE` at most.
    """
    symbols = mask_symbols(levels, mask_bits)
    contexts = symbol_contexts(symbols, mask_bits)
    n_symbols = 1 << (mask_bits * LEVELS_PER_SYMBOL[mask_bits])
    counts = np.bincount((contexts * n_symbols + symbols).ravel(), minlength=2 * n_symbols)
    counts = counts.reshape(N_CONTEXTS, n_symbols)
    totals = counts.sum(axis=1, keepdims=True)
    share = np.maximum(counts, 2.0**-LONGEST_CODE) / np.maximum(totals, 1)
    return np.minimum(-np.log2(share), LONGEST_CODE).astype(np.float32)


def coded_bits(levels: UInt8Array, mask_bits: int, lengths: FloatArray) -> float:
    """Bits of some masks with given code lengths."""
    symbols = mask_symbols(levels, mask_bits)
    return float(lengths[symbol_contexts(symbols, mask_bits), symbols].sum(dtype=np.float64))


def squared_error(
    levels: UInt8Array, gains: FloatArray, weights: FloatArray, mask_bits: int
) -> float:
    """``sum weights * (level / top - gain)**2``."""
    off = levels / ((1 << mask_bits) - 1) - gains
    return float(np.sum(weights * off * off, dtype=np.float64))


def economical_levels(
    gains: FloatArray, weights: FloatArray, mask_bits: int, slope: float
) -> UInt8Array:
    """Levels that trade error against bits.

    Args:
        gains: ``(T, n)`` float32 in [0, 1].
        weights: ``(T, n)`` float32, how much each squared error counts.
        mask_bits: Bits a level, 1 to 4.
        slope: Error that a bit is worth; 0 for the nearest levels.

    Returns:
        ``(T, n)`` uint8.
    """
    levels = nearest_levels(gains, mask_bits)
    if slope <= 0:
        return levels
    for _ in range(ROUNDS):
        bits = np.float32(slope) * code_lengths(levels, mask_bits)
        parts = [
            _cheapest_levels(gains[rows], weights[rows], mask_bits, bits)
            for rows in _parts(gains.shape[0])
        ]
        levels = np.concatenate(parts)
    return levels


def _parts(n_entries: int) -> list[slice]:
    return [slice(i, i + _ENTRIES_AT_ONCE) for i in range(0, n_entries, _ENTRIES_AT_ONCE)]


def _cheapest_levels(
    gains: FloatArray, weights: FloatArray, mask_bits: int, bits: FloatArray
) -> UInt8Array:
    """The levels of least error and ``bits[context, symbol]``, by the Viterbi algorithm.

    A symbol's top bit is the context of the next, so that after each symbol two ways are left to
    follow: the best that end in one half of the symbols, and in the other.
    """
    per_symbol = LEVELS_PER_SYMBOL[mask_bits]
    n_entries, n_bins = gains.shape
    n_places, n_symbols = -(-n_bins // per_symbol), bits.shape[1]
    half = n_symbols // 2
    chosen = np.empty((n_places, N_CONTEXTS, n_entries), np.int64)
    came_from = np.empty((n_places, N_CONTEXTS, n_entries), np.int64)
    so_far = np.stack([np.zeros(n_entries, np.float32), np.full(n_entries, _IMPOSSIBLE)])
    for place in range(n_places):
        bins = slice(place * per_symbol, (place + 1) * per_symbol)
        error = _symbol_errors(gains[:, bins], weights[:, bins], mask_bits)
        # (contexts before, entries, contexts after, symbols of that half)
        cost = (error + bits[:, None, :]).reshape(N_CONTEXTS, n_entries, N_CONTEXTS, half)
        best = cost.argmin(axis=-1)
        reached = so_far[:, :, None] + np.take_along_axis(cost, best[..., None], axis=-1)[..., 0]
        before = reached.argmin(axis=0)
        so_far = np.take_along_axis(reached, before[None], axis=0)[0].T
        came_from[place] = before.T
        chosen[place] = np.take_along_axis(best, before[None], axis=0)[0].T
        chosen[place, 1] += half
    symbols = np.empty((n_entries, n_places), np.int64)
    entry, context = np.arange(n_entries), so_far.argmin(axis=0)
    for place in reversed(range(n_places)):
        symbols[:, place] = chosen[place, context, entry]
        context = came_from[place, context, entry]
    shifts = mask_bits * np.arange(per_symbol)
    levels = (symbols[:, :, None] >> shifts) & ((1 << mask_bits) - 1)
    return levels.reshape(n_entries, -1)[:, :n_bins].astype(np.uint8)


def _symbol_errors(gains: FloatArray, weights: FloatArray, mask_bits: int) -> FloatArray:
    """``(T, S)`` error of each symbol for ``(T, m)`` gains and weights of its bins.

    Where the bins end before the symbol does, its further levels have to repeat the last.
    """
    per_symbol, n_levels = LEVELS_PER_SYMBOL[mask_bits], 1 << mask_bits
    levels = np.arange(n_levels, dtype=np.float32) / np.float32(n_levels - 1)
    symbols = np.arange(1 << (mask_bits * per_symbol))
    n_bins = gains.shape[1]
    error = np.zeros((gains.shape[0], symbols.size), np.float32)
    for place in range(n_bins):
        off = weights[:, place, None] * (levels - gains[:, place, None]) ** 2
        error += off[:, (symbols >> (mask_bits * place)) & (n_levels - 1)]
    last = (symbols >> (mask_bits * (n_bins - 1))) & (n_levels - 1)
    for place in range(n_bins, per_symbol):
        error[:, ((symbols >> (mask_bits * place)) & (n_levels - 1)) != last] = _IMPOSSIBLE
    return error
