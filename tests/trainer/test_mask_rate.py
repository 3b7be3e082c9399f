"""Economical mask levels: the least cost there is, and what they do to flash."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from blsh_codegen.masks import compress, decompress
from blsh_trainer.mask_rate import (
    _cheapest_levels,
    code_lengths,
    coded_bits,
    economical_levels,
    nearest_levels,
    squared_error,
)
from blsh_trainer.mask_symbols import LEVELS_PER_SYMBOL, mask_symbols, symbol_contexts

SLOPE = 0.02


@pytest.mark.parametrize(("mask_bits", "n_bins"), [(1, 9), (2, 5), (3, 3), (4, 3)])
def test_levels_have_the_least_cost_of_all(mask_bits: int, n_bins: int) -> None:
    rng = np.random.default_rng(mask_bits)
    gains, weights = rng.random((2, 3, n_bins), np.float32)
    n_symbols = 1 << (mask_bits * LEVELS_PER_SYMBOL[mask_bits])
    lengths = rng.integers(1, 16, (2, n_symbols)).astype(np.float32)
    found = _cheapest_levels(gains, weights, mask_bits, np.float32(SLOPE) * lengths)
    every = np.array(list(itertools.product(range(1 << mask_bits), repeat=n_bins)), np.uint8)

    def cost(levels: np.ndarray, entry: int) -> float:
        error = squared_error(levels, gains[entry], weights[entry], mask_bits)
        return error + SLOPE * coded_bits(levels, mask_bits, lengths)

    for entry in range(3):
        least = min(cost(one[None], entry) for one in every)
        assert cost(found[entry][None], entry) == pytest.approx(least, abs=1e-5)


@pytest.mark.parametrize("mask_bits", [1, 2, 3, 4])
def test_a_higher_slope_saves_bytes_and_costs_error(mask_bits: int) -> None:
    rng = np.random.default_rng(0)
    gains = np.clip(np.cumsum(rng.normal(0, 0.2, (300, 65)), axis=1) % 2, 0, 1).astype(np.float32)
    weights = rng.exponential(1, gains.shape).astype(np.float32)
    masks = [economical_levels(gains, weights, mask_bits, slope) for slope in (0, 0.01, 0.1)]
    assert np.array_equal(masks[0], nearest_levels(gains, mask_bits))
    compressed = [compress(one, mask_bits) for one in masks]
    sizes = [one.stream.nbytes for one in compressed]
    errors = [squared_error(one, gains, weights, mask_bits) for one in masks]
    assert sizes[0] > sizes[1] > sizes[2]
    assert errors[0] < errors[1] < errors[2]
    assert np.array_equal(decompress(compressed[2], 7), masks[2][7])


def test_ideal_lengths_are_entropies_by_context() -> None:
    levels = np.repeat(np.array([[0] * 8 + [1] * 8, [0] * 16], np.uint8), 2, axis=0)
    lengths = code_lengths(levels, 1)
    assert mask_symbols(levels, 1).tolist() == [[0, 255], [0, 255], [0, 0], [0, 0]]
    assert not symbol_contexts(mask_symbols(levels, 1), 1).any()
    # Of eight symbols after a low level six are 0 and two 255; after a high one there are none.
    assert lengths[0, 0] == pytest.approx(-np.log2(6 / 8))
    assert lengths[0, 255] == pytest.approx(2)
    assert coded_bits(levels, 1, lengths) == pytest.approx(6 * -np.log2(6 / 8) + 4)
    assert (lengths[1] == 15).all()
