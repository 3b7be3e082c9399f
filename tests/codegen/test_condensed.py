"""Condensed models: the integer reference against float formulas, and the layout of the tables."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from blsh_codegen import condensed_reference as reference
from blsh_codegen.bit_planes import sliced_codes
from blsh_codegen.condensed_layout import (
    code_inversions,
    lay_out_condensed,
    packed_masks,
)
from blsh_codegen.condensed_tables import CondensedTables, log2_mantissas_q8, vote_gains_q15
from blsh_codegen.layout import lay_out
from blsh_codegen.reference import (
    GainSettings,
    default_settings,
    denoise,
    forward_fft,
    process,
)
from blsh_codegen.tables import quantise, twiddles_q15
from blsh_codegen.targets import find_target
from blsh_codegen.toolchain import firmware_unavailable_reason
from blsh_codegen.usage import measure_usage
from blsh_trainer.condensed_model import warm_up_frames
from blsh_trainer.levels import noise_features
from blsh_trainer.model_file import Geometry, Model

from tests.codegen.folders import exported
from tests.models import (
    CONDENSED_MODELS,
    general_model,
    random_condensed_model,
    typical_condensed_model,
)

TYPICAL = typical_condensed_model()


def tables_of(model: Model) -> CondensedTables:
    condensed = quantise(model).condensed
    assert condensed is not None
    return condensed


@pytest.mark.parametrize("name", CONDENSED_MODELS)
def test_silence_stays_silent(name: str) -> None:
    model = CONDENSED_MODELS[name]
    trace = process(quantise(model), np.zeros(20 * model.geometry.hop, np.int16))
    assert not trace.output.any()
    assert trace.condensed is not None
    assert (trace.condensed.levels == 1).all()  # half a step of the mantissa, as for any power
    assert not trace.features.any()


@pytest.mark.parametrize("scale", [2**30, 1e6, 300.0])
def test_levels_are_logarithms_of_power(scale: float) -> None:
    """To 0.02 of a doubling, where the shift that a frame has in common leaves enough bits."""
    rng = np.random.default_rng(0)
    spectrum = np.zeros((200, 1024), np.int64)
    spectrum[:] = np.rint(scale / 2 * rng.uniform(-1, 1, spectrum.shape))
    spectrum[:, 2:400] = np.rint(spectrum[:, 2:400] * 2.0 ** rng.integers(-4, 1, (200, 398)))
    tables = tables_of(TYPICAL)
    levels = reference.cell_levels(spectrum, tables) / 256
    power = np.empty((200, 513))
    power[:, 0], power[:, -1] = spectrum[:, 0] ** 2.0, spectrum[:, 1] ** 2.0
    power[:, 1:-1] = spectrum[:, 2::2] ** 2.0 + spectrum[:, 3::2] ** 2.0
    cells = np.add.reduceat(power, tables.grid[:-1].astype(int), axis=1)
    exact = np.log2(np.maximum(cells, 1))
    largest = np.abs(spectrum).max(axis=1, keepdims=True)
    resolved = cells > (2.0**-6 * largest) ** 2
    assert resolved.mean() > 0.95
    # Half of a step of the mantissa is 0.006, rounding to Q8 0.002; components lose up to 2^-14 of
    # the largest.
    assert np.abs(levels - exact)[resolved].max() < 0.02


@pytest.mark.parametrize("power", [0, 1, 2, 3, 127, 128, 255, 256, 2**31, 2**32 - 1, 2**42])
def test_the_logarithm_of_any_power(power: int) -> None:
    level = int(reference.log2_q8(np.array(power), log2_mantissas_q8()))
    assert level == pytest.approx(256 * np.log2(max(power, 1)), abs=2.5)


def test_levels_fit_14_bits_at_full_scale() -> None:
    for geometry in (Geometry(8000, 64, 32), Geometry(48000, 4096, 2048)):
        spectrum = np.full((2, geometry.frame), 2**30)
        spectrum[1] = -(2**30)
        grid = np.array([0, geometry.n_bins], np.uint16)
        one_cell = dataclasses.replace(tables_of(TYPICAL), grid=grid)
        levels = reference.cell_levels(spectrum, one_cell)
        assert levels.max() < 2**15
        right = 16
        components = spectrum >> right
        assert np.abs(components).max() <= 2**15


def float_tracker(levels: np.ndarray, rise: int, fall: int, warm_up: int) -> np.ndarray:
    """The prototype's formula; levels and what it returns are in log2 units."""
    tracked = np.zeros(levels.shape[1])
    out = np.empty_like(levels)
    for n, level in enumerate(levels):
        if n < warm_up:
            tracked = level
        out[n] = tracked
        if n >= warm_up:
            ahead = level - tracked
            shift = np.where(ahead > 0, min(rise, n - warm_up), fall)
            tracked = tracked + ahead * 2.0**-shift
    return out


@pytest.mark.parametrize("shifts", [(0, 0), (6, 2), (12, 0), (8, 8)])
@pytest.mark.parametrize("warm_up", [1, 3, 7])
def test_trackers_follow_the_float_formula(shifts: tuple[int, int], warm_up: int) -> None:
    rng = np.random.default_rng(1)
    levels = np.clip(rng.normal(2000, 300, (400, 10)), 0, 15000).astype(np.int64)
    features = reference.cell_features(levels, (shifts,), warm_up).reshape(400, 10, 2)
    mean = levels.sum(axis=1, keepdims=True) // 10
    assert np.array_equal(features[..., 0], np.clip(levels - mean, -4095, 4095))
    exact = levels - 256 * float_tracker(levels / 256, *shifts, warm_up)
    assert not features[:warm_up, :, 1].any()
    # A step rounds by up to a unit of Q16, which a shift of s lets pile up to 2^s of them.
    assert np.abs(features[..., 1] - exact).max() < 1 + 2.0 ** (shifts[0] + 1) / 256


def test_a_tracker_without_shifts_gives_the_difference_of_frames() -> None:
    levels = np.random.default_rng(2).integers(0, 9000, (50, 4))
    features = reference.cell_features(levels, ((0, 0),), 1).reshape(50, 4, 2)[..., 1]
    assert np.array_equal(features[1:], np.clip(np.diff(levels, axis=0), -4095, 4095))


def test_noise_trackers_follow_the_float_formula() -> None:
    rng = np.random.default_rng(5)
    levels = np.clip(rng.normal(2000, 900, (300, 6)), 0, 15000).astype(np.int64)
    gains = rng.integers(0, 32768, levels.shape)
    shifts, found = (0, 3, 12), np.zeros((300, 6, 3), np.int64)
    noise = np.repeat(levels[0][:, None] << 8, 3, axis=1)
    for n in range(300):
        found[n] = reference.clipped(levels[n][:, None] - (noise >> 8))
        if n > 0:
            noise = reference.followed_noise(noise, found[n], gains[n], shifts)
        assert noise.min() >= 0 and noise.max() < 2**22
    exact = noise_features(levels / 256, shifts, 1, lambda n, _: gains[n] / 32768)
    # A step rounds by up to a unit of Q16, of which a shift of s lets 2^(s + 1) pile up.
    assert (np.abs(found - 256 * exact).max(axis=(0, 1)) < [2, 2, 1 + 2.0**13 / 256]).all()


def test_code_bits_are_signs_of_the_float_projections() -> None:
    model = CONDENSED_MODELS["three layers"]
    assert model.condensed is not None
    features = np.random.default_rng(3).integers(-1500, 1500, (300, model.n_features))
    code = reference.hash_code(features, tables_of(model).hashes)
    bits = np.unpackbits(code.view(np.uint8), axis=1, bitorder="little")
    sums = [
        features[:, slice(*group.feature_range)] / 256 @ group.projection.T + group.bias
        for group in model.condensed.hashes
    ]
    # Weights of 8 bits: 1/254 of the largest, over some hundred features.
    assert (bits != (np.concatenate(sums, axis=1) >= 0)).mean() < 0.01


def test_votes_are_weighted_means_and_gains_a_logistic_function_of_them() -> None:
    dictionary = tables_of(CONDENSED_MODELS["cells of one bin"]).dictionaries[0]
    rng = np.random.default_rng(4)
    index = rng.integers(0, 64, (100, 30))
    distance = np.sort(rng.integers(0, 40, (100, 30)), axis=1)
    votes = reference.dictionary_votes(index, distance, dictionary)
    weights = dictionary.weights_q8[distance - distance[:, :1]].astype(float)
    exact = np.einsum("fk,fkn->fn", weights, dictionary.masks[index].astype(float))
    exact /= weights.sum(axis=1, keepdims=True)
    # The reciprocal is short by up to one part in r, the vote cut to sixteenths.
    assert (votes / 16 <= exact).all()
    assert (votes / 16 > exact - 1 / 16 - 15 * weights.sum(axis=1, keepdims=True) / 2**20).all()
    gains = vote_gains_q15(15 * 16, 0.5, -4.0)
    expected = 1 / (1 + np.exp(-(0.5 * np.arange(241) / 16 - 4)))
    assert np.abs(gains / 32767 - expected).max() <= 0.5 / 32767
    assert vote_gains_q15(16, 1e6, -1e7).max() == 0


def test_gains_rise_at_once_and_fall_slowly_to_the_floor() -> None:
    table = np.array([0, 32767], np.int16)
    votes = np.array([[0], [1], [0], [0], [0], [0], [0]])
    gains = reference.cell_gains(votes, table, 3000, 16384)[:, 0]
    assert gains.tolist() == [3000, 32767, 16383, 8191, 4095, 3000, 3000]


def test_default_settings_come_from_the_model() -> None:
    assert default_settings(quantise(random_condensed_model())) == GainSettings(1638, 16384)
    assert default_settings(quantise(general_model())) == GainSettings(0, 0)


@pytest.mark.parametrize("model", [TYPICAL, general_model()], ids=["condensed", "bands"])
@pytest.mark.parametrize("n", [1, 5000, 600 * 512])
def test_denoise_is_process_without_the_latency(n: int, model: Model) -> None:
    tables = quantise(model)
    hop, latency = model.geometry.hop, model.geometry.frame - model.geometry.hop
    samples = np.random.default_rng(5).integers(-9999, 9999, min(n, 600 * hop)).astype(np.int16)
    padded = np.pad(samples, (0, latency + -(samples.size + latency) % hop))
    settings = GainSettings(7000, 20000)
    expected = process(tables, padded, settings).output.ravel()
    found = denoise(tables, samples, settings)
    assert np.array_equal(found, expected[latency : latency + samples.size])


@pytest.mark.parametrize(("n_codes", "n_words"), [(1, 1), (31, 2), (32, 1), (33, 8), (64, 6)])
def test_sliced_codes_give_distances(n_codes: int, n_words: int) -> None:
    """By the formula of blsh_nearest.c, on the planes as they are stored."""
    rng = np.random.default_rng(n_codes)
    codes = rng.integers(0, 2**32, (n_codes, n_words), dtype=np.uint64).astype(np.uint32)
    codes[0] = 0xFFFFFFFF
    blocks, base, n_counters = sliced_codes(codes, 32 * n_words)
    lanes = np.unpackbits(blocks.view(np.uint8), axis=1, bitorder="little")
    lanes = lanes.reshape(blocks.shape[0], -1, 32).swapaxes(1, 2).reshape(-1, blocks.shape[1])
    lanes = lanes[:n_codes].astype(np.int64)
    bits, odd = lanes[:, : 32 * n_words], lanes[:, 32 * n_words]
    start = lanes[:, 32 * n_words + 1 :] @ (1 << np.arange(n_counters))
    query = np.unpackbits(rng.integers(0, 256, 4 * n_words, dtype=np.uint8), bitorder="little")
    count = bits @ query.astype(np.int64) + start
    assert count.max() < 1 << n_counters
    distance = query.sum(dtype=np.int64) + base - (2 * count + odd)
    assert np.array_equal(distance, (bits != query).sum(axis=1))


def test_inversions_leave_few_ones() -> None:
    tables = tables_of(TYPICAL)
    inversions = code_inversions(tables)
    ones = [
        np.unpackbits((one.codes ^ inversions[slice(*one.words)]).view(np.uint8)).mean()
        for one in tables.dictionaries
    ]
    assert np.mean(ones) <= 0.5


@pytest.mark.parametrize("mask_bits", [1, 2, 3, 4])
def test_packed_masks_hold_the_levels(mask_bits: int) -> None:
    rng = np.random.default_rng(mask_bits)
    masks = rng.integers(0, 1 << mask_bits, (9, 17)).astype(np.uint8)
    packed = packed_masks(masks, mask_bits).astype(int)
    per_half = 16 // mask_bits
    for n in range(17):
        level = packed[:, n // per_half] >> (mask_bits * (n % per_half))
        assert np.array_equal(level & ((1 << mask_bits) - 1), masks[:, n])


def test_equal_weights_are_stored_once_and_without_their_zeros() -> None:
    model = random_condensed_model()
    assert model.condensed is not None
    first = model.condensed.dictionaries[0].weights
    same = tuple(dataclasses.replace(one, weights=first) for one in model.condensed.dictionaries)
    condensed = dataclasses.replace(model.condensed, dictionaries=same)
    tables = tables_of(dataclasses.replace(model, condensed=condensed))
    layout = lay_out_condensed(tables, model.geometry.n_bins)
    assert layout.vote_weights.size == np.count_nonzero(tables.dictionaries[0].weights_q8)


def test_flash_is_what_the_headers_say(tmp_path: Path) -> None:
    layout = lay_out(quantise(TYPICAL))
    folder = exported(TYPICAL, tmp_path / "export")
    for header in ("blsh_levels.h", "blsh_projection.h", "blsh_codes.h", "blsh_masks.h"):
        text = (folder / header).read_text()
        sizes = [int(line.split()[-3]) for line in text.splitlines() if line.endswith("bytes. */")]
        structs = layout.flash_bytes[header] - sum(sizes)
        assert 0 <= structs <= 20 * 34


def test_a_typical_model_stays_within_its_budget(tmp_path: Path) -> None:
    """Instructions on a Cortex-M4 as the design asks for them, RAM, code and stack."""
    target = find_target("cortex-m4")
    compiler = "gcc" if firmware_unavailable_reason(target, "gcc") is None else "zig"
    reason = firmware_unavailable_reason(target, compiler)
    if reason is not None:
        pytest.skip(reason)
    tables = quantise(TYPICAL)
    layout = lay_out(tables)
    condensed = tables_of(TYPICAL)
    assert layout.state_bytes <= 12 * 1024
    folder = exported(TYPICAL, tmp_path / "export", target.name)
    samples = np.random.default_rng(0).integers(-9999, 9999, 512 * 6).astype(np.int16)
    usage = measure_usage(folder, tables, layout, target, samples, tmp_path, compiler=compiler)
    frames = TYPICAL.geometry.rate / TYPICAL.geometry.hop
    macs = sum(group.projection.size for group in condensed.hashes)
    words = sum(one.codes.size for one in condensed.dictionaries)
    levels = sum(one.neighbours * one.masks.shape[1] for one in condensed.dictionaries)
    assert usage.stages["features"] / frames / TYPICAL.geometry.n_bins < 38
    assert usage.stages["projection"] / frames / macs < 1.5
    assert usage.stages["search"] / frames / words < 7.5
    assert usage.stages["masks"] / frames / levels < 12
    assert usage.stack_bytes <= 512
    small = measure_usage(
        folder, tables, layout, target, samples[:512], tmp_path, compiler=compiler, optimise="-Os"
    )
    assert small.runtime_code_bytes <= 8 * 1024


def test_warm_up_lasts_while_windows_reach_before_the_signal() -> None:
    assert [warm_up_frames(1024, hop) for hop in (512, 256, 128)] == [1, 3, 7]


def test_the_level_of_a_full_scale_tone_is_that_of_the_definition() -> None:
    """log2 of the squared DFT of the windowed samples, full scale being LEVEL_FULL_SCALE / N."""
    tables = quantise(TYPICAL)
    n = np.arange(1024)
    samples = np.rint(16000 * np.cos(2 * np.pi * 64 * n / 1024))
    window = np.sin(np.pi * n / 1024)
    windowed = np.rint(samples * window * 32768).astype(np.int64)[None]
    spectrum = forward_fft(windowed, twiddles_q15(1024))
    assert tables.condensed is not None
    levels = reference.cell_levels(spectrum, tables.condensed)[0] / 256
    power = np.abs(np.fft.rfft(samples / 32768 * window) * 2.0**30 / 1024) ** 2
    cells = np.add.reduceat(power, tables.condensed.grid[:-1].astype(int))
    loudest = int(np.argmax(cells))
    assert levels[loudest] == pytest.approx(np.log2(cells[loudest]), abs=0.02)
