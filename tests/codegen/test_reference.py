"""The integer reference computes what the contract says it does."""

from __future__ import annotations

import numpy as np
import pytest
from blsh_codegen import reference
from blsh_codegen.neighbours import nearest_codes
from blsh_codegen.tables import mirrored, quantise
from blsh_trainer.model_file import Geometry, Model
from hypothesis import given
from hypothesis import strategies as st

from tests.models import PAPER, SMALL, BandSpec, general_model, random_model


@pytest.fixture(scope="module")
def paper() -> Model:
    return random_model(PAPER, (BandSpec(513, n_bits=150, n_entries=200, neighbours=10),))


def snr_db(expected: np.ndarray, actual: np.ndarray) -> float:
    error = np.sum(np.abs(actual - expected) ** 2.0)
    return float(10 * np.log10(np.sum(np.abs(expected) ** 2.0) / error)) if error else np.inf


def test_mulw_is_the_floor_of_the_product_over_2_16() -> None:
    a = np.array([1, -1, 65536, -65536, 2**31 - 1, -(2**31)])
    assert reference.mulw(a, 1).tolist() == [0, -1, 1, -1, 32767, -32768]
    assert reference.mulw(-(2**31), -32768) == 2**30


@pytest.mark.parametrize("frame", [64, 128, 256, 512, 1024, 2048, 4096])
@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_fft_and_inverse_have_over_80_db_against_double_precision(frame: int, scale: float) -> None:
    tables = quantise(random_model(Geometry(16000, frame, frame // 4)))
    rng = np.random.default_rng(frame)
    samples = rng.integers(-32768, 32768, (20, frame)) * scale
    windowed = np.rint(samples).astype(np.int64) * mirrored(tables.window_q15)
    spectrum = reference.forward_fft(windowed, tables.twiddle_q15)
    exact = np.fft.rfft(windowed)[:, 1:-1] / frame
    assert snr_db(exact, spectrum[:, 2::2] + 1j * spectrum[:, 3::2]) > 80
    if scale == 1.0:
        back = reference.inverse_fft(spectrum, tables.twiddle_q15)
        assert snr_db(windowed / (frame / 2), back) > 80


def test_dc_and_nyquist_are_the_first_two_numbers_of_a_packed_spectrum() -> None:
    tables = quantise(random_model(SMALL))
    constant = np.full((1, 128), 1 << 20)
    alternating = constant * np.where(np.arange(128) % 2, -1, 1)
    assert reference.forward_fft(constant, tables.twiddle_q15)[0, :2].tolist() == [1 << 20, 0]
    assert reference.forward_fft(alternating, tables.twiddle_q15)[0, :2].tolist() == [0, 1 << 20]


def test_nothing_leaves_32_bits_on_the_worst_frames() -> None:
    tables = quantise(random_model(PAPER))
    n = np.arange(1024)
    rng = np.random.default_rng(1)
    worst = [np.full(1024, -32768), np.where(n % 2, 32767, -32768), np.where(n & 2, 32767, -32768)]
    worst += [rng.choice([-32768, 32767], 1024) for _ in range(50)]
    worst += [np.where(np.cos(np.pi * k * n / 512) >= 0, 32767, -32768) for k in range(1, 512, 17)]
    windowed = reference.window_frames(np.array(worst, np.int16), tables.window_q15)
    spectrum = reference.forward_fft(windowed, tables.twiddle_q15)
    gains = rng.choice([0, 32767], (len(worst), 513))
    masked = reference.apply_gains(spectrum, gains)
    inverse = reference.inverse_fft(masked, tables.twiddle_q15)
    for values, bits in ((windowed, 30), (spectrum, 30.01), (masked, 30.01), (inverse, 30.6)):
        assert np.abs(values).max() < 2**bits


def test_magnitudes_are_within_a_quarter_of_a_percent() -> None:
    tables = quantise(random_model(PAPER))
    angle = np.linspace(0, 2 * np.pi, 511)
    spectrum = np.zeros((1, 1024), np.int64)
    spectrum[0, 2::2] = np.rint(1e8 * np.cos(angle))
    spectrum[0, 3::2] = np.rint(1e8 * np.sin(angle))
    magnitude = reference.bin_magnitudes(spectrum, tables.magnitude_q15)[0, 1:-1]
    scale = 1e8 / 2 ** (27 - 14)
    assert np.abs(magnitude / scale - 1).max() < 0.0025 + 1 / scale


@given(st.integers(0, 2**30 - 1))
def test_integer_square_root_is_exact(value: int) -> None:
    root = int(reference._integer_sqrt(np.array(value)))
    assert root * root <= value < (root + 1) ** 2


def test_features_and_norm_fit_15_bits_and_scaling_the_input_by_2_changes_no_bit(
    paper: Model,
) -> None:
    tables = quantise(paper)
    rng = np.random.default_rng(2)
    samples = rng.integers(-8000, 8000, 256 * 8).astype(np.int16)
    quiet, loud = reference.process(tables, samples), reference.process(tables, 4 * samples)
    assert np.sqrt((loud.features**2).sum(axis=1)).max() < 2**15
    # Rounding in the FFT is relative to full scale, so a handful of bits may flip.
    flipped = np.unpackbits((quiet.bands[0].code ^ loud.bands[0].code).view(np.uint8)).mean()
    assert flipped < 0.001


def test_bit_is_one_where_the_projection_is_zero() -> None:
    model = random_model(SMALL)
    trace = reference.process(quantise(model), np.zeros(64, np.int16))
    assert (trace.bands[0].code == [[0xFFFFFFFF, 0x0000FFFF]]).all()


def test_equal_distances_go_to_the_lowest_index() -> None:
    dictionary = np.array([[7], [3], [1], [3], [1]], np.uint32)
    index, distance = nearest_codes(np.array([[1]], np.uint32), dictionary, 4)
    assert index.tolist() == [[2, 4, 1, 3]]
    assert distance.tolist() == [[0, 0, 1, 1]]


def test_gain_is_the_mean_of_mask_levels() -> None:
    tables = quantise(general_model())
    band = tables.bands[1]
    index = np.arange(band.neighbours)[None]
    gains = reference.mask_gains(index, band)
    expected = band.masks[index[0]].mean(axis=0) / 15 * 32767
    assert np.abs(gains - expected).max() <= 0.5


@pytest.mark.parametrize("hop_divisor", [2, 4, 8])
@pytest.mark.parametrize("frame", [64, 512, 4096])
def test_all_pass_masks_give_the_input_back(frame: int, hop_divisor: int) -> None:
    geometry = Geometry(16000, frame, frame // hop_divisor)
    model = random_model(geometry, (BandSpec(geometry.n_bins, n_entries=4, neighbours=4),))
    model.bands[0].masks[:] = 1
    samples = np.random.default_rng(3).integers(-3276, 3277, frame * 6).astype(np.int16)
    tables = quantise(model)
    output = reference.process(tables, samples).output.ravel()
    latency = frame - geometry.hop
    # Each overlapping frame is truncated to the accumulator's fractional bits, then all rounded.
    tolerance = max(1, hop_divisor / 2**tables.output_shift)
    error = np.abs(output[latency:].astype(int) - samples[: output.size - latency])
    assert error.max() <= tolerance


def test_silence_gives_silence_and_full_scale_saturates() -> None:
    tables = quantise(general_model())
    assert not reference.process(tables, np.zeros(32 * 20, np.int16)).output.any()
    model = random_model(SMALL, (BandSpec(65, n_entries=3, neighbours=1),))
    model.bands[0].masks[:] = 1
    square = np.where(np.arange(32 * 40) % 24 < 12, 32767, -32768).astype(np.int16)
    output = reference.process(quantise(model), square).output.ravel()[96:].astype(int)
    assert np.abs(output - square[: output.size]).max() < 64


def test_samples_must_be_whole_hops() -> None:
    with pytest.raises(ValueError, match="whole hops"):
        reference.process(quantise(random_model()), np.zeros(33, np.int16))
