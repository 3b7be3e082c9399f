"""Mask compression is lossless, gives random access and is worth its code."""

from __future__ import annotations

import numpy as np
import pytest
from blsh_codegen.masks import MAX_CODE_BITS, compress, decompress
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays


@given(st.data(), st.integers(1, 4), st.integers(1, 30), st.integers(1, 40))
def test_every_mask_comes_back_on_its_own(
    data: st.DataObject, mask_bits: int, n_entries: int, n_bins: int
) -> None:
    levels = st.integers(0, (1 << mask_bits) - 1)
    masks = data.draw(arrays(np.uint8, (n_entries, n_bins), elements=levels))
    compressed = compress(masks, mask_bits)
    for entry in range(n_entries):
        assert np.array_equal(decompress(compressed, entry), masks[entry])


def test_masks_in_runs_take_half_a_bit_a_bin_and_noise_little_more_than_one() -> None:
    rng = np.random.default_rng(0)
    runs = np.cumsum(rng.random((2000, 513)) < 0.1, axis=1).astype(np.uint8) % 2
    noise = rng.integers(0, 2, (2000, 513), dtype=np.uint8)
    # The entropy of the runs is H(0.1) = 0.469 bits a bin; index and code tables come on top.
    assert compress(runs, 1).bits_per_bin < 0.60
    assert compress(noise, 1).bits_per_bin < 1.08


@pytest.mark.parametrize("mask_bits", [1, 2, 3, 4])
def test_constant_masks(mask_bits: int) -> None:
    for level in (0, (1 << mask_bits) - 1):
        masks = np.full((20, 33), level, np.uint8)
        compressed = compress(masks, mask_bits)
        assert np.array_equal(decompress(compressed, 13), masks[13])


def test_code_lengths_obey_their_limit_on_the_most_skewed_frequencies() -> None:
    chunks = np.concatenate([np.full(min(1 << n, 1 << 18), n) for n in range(24)])
    masks = np.unpackbits(chunks.astype(np.uint8)[:, None], axis=1, bitorder="little")
    compressed = compress(masks, 1)
    for code in compressed.codes:
        assert code.counts.size == MAX_CODE_BITS + 1
        kraft = sum(int(count) / 2**length for length, count in enumerate(code.counts) if length)
        assert kraft <= 1
