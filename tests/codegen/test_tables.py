"""Quantised tables keep the promises that the overflow argument rests on."""

from __future__ import annotations

import numpy as np
import pytest
from blsh_codegen.tables import mirrored, quantise
from blsh_trainer.model_file import Geometry

from tests.models import PAPER, random_model


def test_projection_rows_and_features_cannot_overflow_32_bits() -> None:
    model = random_model(PAPER)
    model.bands[0].bias[:2] = [1e6, -1e6]
    band = quantise(model).bands[0]
    norms = np.linalg.norm(band.projection_q15.astype(float), axis=1)
    assert norms.max() <= 32767
    assert norms.min() > 32700  # and use the range that they have
    assert band.bias_q15[:2].tolist() == [32767, -32767]


def test_scaling_a_projection_and_its_bias_changes_nothing() -> None:
    model = random_model(PAPER)
    scaled = random_model(PAPER)
    scaled.bands[0].projection[:] *= 1e-4
    scaled.bands[0].bias[:] *= 1e-4
    one, other = quantise(model).bands[0], quantise(scaled).bands[0]
    assert np.abs(one.projection_q15.astype(int) - other.projection_q15).max() <= 1
    assert np.abs(one.bias_q15.astype(int) - other.bias_q15).max() <= 1


def test_mel_weights_sum_to_at_most_one() -> None:
    geometry = Geometry(8000, 128, 32, features="mel")
    bank = quantise(random_model(geometry)).filterbank
    assert bank is not None
    sums = np.add.reduceat(
        bank.weights_q15.astype(int), np.r_[0, np.cumsum(bank.n_weights.astype(int))[:-1]]
    )
    assert sums.max() <= 32768
    assert (bank.first_bin + bank.n_weights <= geometry.n_bins).all()


@pytest.mark.parametrize("hop", [16, 32, 64])
def test_windows_overlap_to_one(hop: int) -> None:
    tables = quantise(random_model(Geometry(8000, 128, hop)))
    product = mirrored(tables.window_q15) / 32768 * (mirrored(tables.synthesis_q14) / 16384)
    # Each of the up to 8 products is off by at most half a unit of Q14.
    assert np.abs(product.reshape(-1, hop).sum(axis=0) - 1).max() < 8 * 2**-15


def test_output_shift_counts_the_fractional_bits() -> None:
    shifts = {
        n: quantise(random_model(Geometry(16000, n, n // 4))).output_shift for n in (64, 1024)
    }
    assert shifts == {64: 8, 1024: 4}
