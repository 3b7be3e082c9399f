"""The level front end in float."""

from __future__ import annotations

import numpy as np
import pytest
from blsh_trainer.condensed_model import warm_up_frames
from blsh_trainer.levels import (
    cell_levels,
    cell_sums,
    ideal_gains,
    level_features,
    make_grid,
    noise_features,
    tracked,
)
from blsh_trainer.model_file import Geometry
from blsh_trainer.stft import istft, stft

GEOMETRY = Geometry(16000, 1024, 512, "levels", "sine")


@pytest.mark.parametrize("frame", [64, 256, 512, 1024, 4096])
@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_cells_tile_the_bins(frame: int, rate: int) -> None:
    grid = make_grid(Geometry(rate, frame, frame // 2, "levels", "sine")).astype(int)
    assert grid[0] == 0 and grid[-1] == frame // 2 + 1
    widths = np.diff(grid)
    assert widths.min() >= 1
    assert widths[-1] >= widths[0]


def test_low_cells_are_single_bins_and_high_ones_widen() -> None:
    grid = make_grid(GEOMETRY).astype(int)
    assert (np.diff(grid)[:96] == 1).all()
    assert grid.size - 1 == 136


def test_a_level_is_the_logarithm_of_power_on_the_scale_of_the_runtime() -> None:
    spectra = np.zeros((1, 513), np.complex64)
    spectra[0, 100] = 2 + 2j
    grid = make_grid(GEOMETRY)
    level = cell_levels(spectra, grid)
    cell = int(np.searchsorted(grid, 100, side="right")) - 1
    assert level[0, cell] == pytest.approx(2 * (30 - 10) + 3)
    assert np.count_nonzero(level) == 1


def test_the_features_leave_the_microphone_gain_out() -> None:
    rng = np.random.default_rng(0)
    samples = 0.1 * rng.standard_normal(16000).astype(np.float32)
    grid, warm = make_grid(GEOMETRY), warm_up_frames(1024, 512)
    one, other = (
        level_features(
            cell_levels(stft(x, 1024, 512, "sine"), grid), ((0, 0), (3, 3), (7, 1)), warm
        )
        for x in (samples, samples / 4)
    )
    assert np.abs(one - other)[warm:-1].max() < 1e-3


def test_a_tracker_follows_then_falls_fast_and_rises_slowly() -> None:
    levels = np.array([[10.0], [10.0], [2.0], [10.0], [10.0], [10.0]], np.float32)
    before = tracked(levels, rise=2, fall=1, warm=1)[:, 0]
    # Frame 0 is warm-up; 8 down is halved; up by 1, 1/2 and then 1/4 of the way at most.
    assert before.tolist() == [10, 10, 10, 6, 7, 7.75]


def test_shifts_of_zero_give_the_frame_before() -> None:
    levels = np.random.default_rng(0).random((5, 3)).astype(np.float32)
    before = tracked(levels, 0, 0, 1)
    assert np.abs(before[2:] - levels[1:-1]).max() < 1e-6


def test_a_noise_tracker_follows_as_far_as_gains_are_low() -> None:
    levels = np.array([[10.0], [10.0], [2.0], [2.0], [2.0], [90.0]], np.float32)
    gains = np.array([[0.0], [1.0], [1.0], [0.0], [0.5], [0.0]], np.float32)
    ahead = noise_features(levels, (1, 0), 1, lambda n, _: gains[n])
    # Speech does not move it; noise by half of the way, or all of it, and half noise by half.
    assert ahead[:, 0, 0].tolist() == [0, 0, -8, -8, -4, 15.99609375]
    assert ahead[:, 0, 1].tolist() == [0, 0, -8, -8, 0, 15.99609375]


def test_the_ideal_gains_have_the_least_error() -> None:
    rng = np.random.default_rng(1)
    speech, noise = (
        (rng.standard_normal((4, 513)) + 1j * rng.standard_normal((4, 513))).astype(np.complex64)
        for _ in range(2)
    )
    grid = make_grid(GEOMETRY)
    noisy = speech + noise
    gains, power = ideal_gains(speech, noisy, grid)
    assert (power >= 0).all() and gains.min() >= 0 and gains.max() <= 1

    def error(offset: float) -> float:
        moved = np.repeat(np.clip(gains + offset, 0, 1), np.diff(grid.astype(int)), axis=1)
        return float(np.sum(np.abs(speech - moved * noisy) ** 2))

    assert error(0) < error(0.01) and error(0) < error(-0.01)
    assert cell_sums(np.ones((1, 513)), grid).sum() == 513


def test_the_sine_window_gives_the_signal_back() -> None:
    samples = np.random.default_rng(2).standard_normal(5000).astype(np.float32)
    back = istft(stft(samples, 1024, 512, "sine"), samples.size, 1024, 512, "sine")
    assert np.abs(back - samples).max() < 1e-5
