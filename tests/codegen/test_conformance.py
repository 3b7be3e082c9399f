"""The exported C equals the reference at every stage, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from blsh_codegen.conformance import STAGES, Comparison
from blsh_codegen.emulator import emulation_unavailable_reason
from blsh_codegen.engines import EmulatedEngine, runtime_sources
from blsh_codegen.layout import lay_out
from blsh_codegen.library_cache import open_library
from blsh_codegen.reference import GainSettings, default_settings, process
from blsh_codegen.runtime import Runtime, RuntimeLibrary
from blsh_codegen.tables import quantise
from blsh_codegen.targets import find_target
from blsh_codegen.toolchain import compile_shared, firmware_unavailable_reason
from blsh_trainer.model_file import Geometry, Model

from tests.codegen.folders import compare_engine, compare_on_host, exported
from tests.models import (
    CONDENSED_MODELS,
    PAPER,
    BandSpec,
    general_model,
    random_condensed_model,
    random_model,
    typical_condensed_model,
)

MODELS = {
    "paper": random_model(PAPER, (BandSpec(513, n_bits=150, n_entries=300, neighbours=10),)),
    "general": general_model(),
    "mel": random_model(Geometry(8000, 256, 64, features="mel")),
    "shortest frame": random_model(Geometry(8000, 64, 16)),
    "longest frame": random_model(Geometry(48000, 4096, 512)),
    "half-overlapping": random_model(Geometry(16000, 512, 256)),
    "shortest hop": random_model(Geometry(8000, 64, 8)),
    "all neighbours": random_model(
        Geometry(8000, 64, 16), (BandSpec(33, n_entries=255, neighbours=255, mask_bits=4),)
    ),
    "constant masks": random_model(
        Geometry(8000, 64, 16), (BandSpec(2, mask_bits=2), BandSpec(33, n_entries=9))
    ),
    "sine window": random_model(Geometry(8000, 128, 32, window="sine")),
    **CONDENSED_MODELS,
    "typical condensed": typical_condensed_model(),
}
MODELS["constant masks"].bands[0].masks[:] = 3


@pytest.mark.parametrize("target", ["generic", "cortex-m4"])
@pytest.mark.parametrize("name", MODELS)
def test_host_equals_reference(name: str, target: str, tmp_path: Path) -> None:
    """For the M4 the port's portable equivalents of its instructions are what is compiled."""
    folder = exported(MODELS[name], tmp_path / "export", target)
    for comparison in compare_on_host(folder, MODELS[name], tmp_path / "work"):
        assert comparison.difference is None, str(comparison.difference)


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
@pytest.mark.parametrize("target", ["cortex-m4", "cortex-m0plus", "riscv32imc"])
@pytest.mark.parametrize("name", ["general", "mel", "three layers", "wide masks"])
def test_emulated_target_equals_reference(
    name: str, target: str, compiler: str, tmp_path: Path
) -> None:
    chosen = find_target(target)
    assert compiler in ("zig", "gcc")
    reason = emulation_unavailable_reason(chosen) or firmware_unavailable_reason(chosen, compiler)
    if reason is not None:
        pytest.skip(reason)
    model = MODELS[name]
    folder = exported(model, tmp_path / "export", target)
    engine = EmulatedEngine(folder, quantise(model), chosen, tmp_path, compiler)
    for comparison in compare_engine(engine, model, frames=16):
        assert comparison.difference is None, str(comparison.difference)


def test_runtime_streams_are_independent_and_restart(tmp_path: Path) -> None:
    """Two streams of one library, interleaved hop by hop, and one started over."""
    model = general_model()
    tables = quantise(model)
    folder = exported(model, tmp_path / "export")
    state_bytes = lay_out(tables).long_state_bytes
    library = RuntimeLibrary.compile(folder, 32, state_bytes, tmp_path / "blsh.so")
    one, two = Runtime(library), Runtime(library)
    rng = np.random.default_rng(0)
    a, b = rng.integers(-9999, 9999, (2, 32 * 40)).astype(np.int16)
    expected_a, expected_b = (process(tables, x).output.ravel() for x in (a, b))
    mixed = [(one.process(a[n : n + 32]), two.process(b[n : n + 32])) for n in range(0, a.size, 32)]
    assert np.array_equal(np.concatenate([x for x, _ in mixed]), expected_a)
    assert np.array_equal(np.concatenate([y for _, y in mixed]), expected_b)
    one.reset()
    assert np.array_equal(one.process(b), expected_b)
    assert one.latency_samples == 96


SETTINGS = """
    int blsh_set_gain_floor(void *state, int16_t floor_q15);
    int blsh_set_gain_release(void *state, int16_t release_q15);
"""


@pytest.mark.parametrize("model", [general_model(), random_condensed_model()])
def test_settings_change_the_gains_as_in_the_reference(model: Model, tmp_path: Path) -> None:
    """Until the stream is started over."""
    tables = quantise(model)
    hop = model.geometry.hop
    folder = exported(model, tmp_path / "export")
    state_bytes = lay_out(tables).long_state_bytes
    library = RuntimeLibrary.compile(folder, hop, state_bytes, tmp_path / "blsh.so")
    api = SETTINGS if model.condensed else SETTINGS.split(";")[0] + ";"
    _, settings = open_library(api, tmp_path / "blsh.so")
    stream = Runtime(library)
    samples = np.random.default_rng(0).integers(-9999, 9999, hop * 30).astype(np.int16)
    assert settings.blsh_set_gain_floor(stream._state, 20000) == 0
    asked = GainSettings(20000, default_settings(tables).release_q15)
    if model.condensed:
        assert settings.blsh_set_gain_release(stream._state, 32767) == 0
        asked = GainSettings(20000, 32767)
    expected = process(tables, samples, asked)
    assert expected.gain_q15.min() == 20000
    assert np.array_equal(stream.process(samples), expected.output.ravel())
    stream.reset()
    assert np.array_equal(stream.process(samples), process(tables, samples).output.ravel())


def test_settings_refuse_what_is_out_of_range(tmp_path: Path) -> None:
    folder = exported(random_condensed_model(), tmp_path / "export")
    built = compile_shared(runtime_sources(folder), [folder], tmp_path / "blsh.so")
    ffi, library = open_library(
        SETTINGS + "int blsh_init(void *state); const char *blsh_status_text(int status);",
        built.path,
    )
    state = ffi.new("int64_t[]", 1000)
    for setting in (library.blsh_set_gain_floor, library.blsh_set_gain_release):
        assert setting(ffi.NULL, 0) == -1
        assert setting(ffi.new("int64_t[]", 1000), 0) == -2
    assert library.blsh_init(state) == 0
    for setting in (library.blsh_set_gain_floor, library.blsh_set_gain_release):
        before = bytes(ffi.buffer(state))
        assert (setting(state, -1), setting(state, -32768)) == (-3, -3)
        assert bytes(ffi.buffer(state)) == before
        assert (setting(state, 0), setting(state, 32767)) == (0, 0)
    assert ffi.string(library.blsh_status_text(-3)) == b"a number is out of its range"


def first_stage(comparisons: Sequence[Comparison]) -> str:
    """The earliest stage at which any signal shows a difference."""
    stages = [c.difference.stage for c in comparisons if c.difference is not None]
    return min(stages, key=STAGES.index)


FLIPS = {
    "blsh_window.h": ("blsh_window_q15[65] = {", "windowed frame"),
    "blsh_twiddle.h": ("blsh_twiddle_q15[128] = {", "spectrum"),
    "blsh_filterbank.h": ("blsh_magnitude_q15[8] = {", "features"),
    "blsh_projection.h": ("blsh_bias_q15[195] = {", "hash code"),
    "blsh_codes.h": ("blsh_codes[361] = {", "neighbour index"),
    "blsh_masks.h": ("blsh_gain_q15[273] = {", "gain"),
}


CONDENSED_FLIPS = {
    "blsh_levels.h": ("blsh_log2_q8[128] = {", "levels"),
    "blsh_projection.h": ("blsh_hash_weights[18048] = {", "hash code"),
    "blsh_codes.h": ("blsh_code_inversions[5] = {", "neighbour index"),
    "blsh_masks.h": ("blsh_gain_of_votes_q15[721] = {", "gain"),
}


def stage_of_a_flipped_bit(
    model: Model, header: str, anchor: str, work: Path, part: float = 0.5
) -> str:
    """Where a bit turned in the middle, or another part, of a table is noticed first."""
    folder = exported(model, work / "export")
    text = (folder / header).read_text()
    start = text.index(anchor) + len(anchor)
    numbers = text[start : text.index("}", start)].split(",")
    place = int(part * len(numbers))
    number = numbers[place].strip()
    bit = 64 if "_q8" in anchor or "weights" in anchor else 4096
    flipped = f"0x{int(number[:-1], 16) ^ 1:08X}u" if "u" in number else str(int(number) ^ bit)
    numbers[place] = f" {flipped}"
    (folder / header).write_text(text[:start] + ",".join(numbers) + text[text.index("}", start) :])
    return first_stage(compare_on_host(folder, model, work / "work"))


@pytest.mark.parametrize("header", FLIPS)
def test_one_flipped_bit_in_a_table_is_caught_at_its_stage(header: str, tmp_path: Path) -> None:
    anchor, stage = FLIPS[header]
    part = 0.98 if "gain" in anchor else 0.5  # gains of the last band, whose few are all used
    assert stage_of_a_flipped_bit(general_model(), header, anchor, tmp_path, part) == stage


@pytest.mark.parametrize("header", CONDENSED_FLIPS)
def test_one_flipped_bit_in_a_condensed_table_is_caught(header: str, tmp_path: Path) -> None:
    anchor, stage = CONDENSED_FLIPS[header]
    model = CONDENSED_MODELS["three layers"]
    assert stage_of_a_flipped_bit(model, header, anchor, tmp_path) == stage


OPERATORS = [
    ("blsh_frame.c", "*samples++ * *window", "*samples++ + *window", "windowed frame"),
    ("blsh_fft.c", "(a.im >> 1) + t.im", "(a.im >> 1) - t.im", "spectrum"),
    ("blsh_features.c", "return a > b ? a : b", "return a > b ? b : a", "features"),
    ("blsh_features.c", "root += 2 * bit", "root += bit", "feature norm"),
    ("blsh_hash.c", "sum >= 0", "sum > 0", "hash code"),
    ("blsh_nearest.c", "code[n] ^ inversions[n]", "code[n]", "neighbour index"),
    ("blsh_gain.c", "counts.twos, 1, 0x", "counts.twos, 2, 0x", "gain"),
    ("blsh_gain.c", "2 * blsh_mulw(spectrum[0]", "1 * blsh_mulw(spectrum[0]", "output"),
    ("blsh_frame.c", "+ half) >>", "- half) >>", "output"),
    ("blsh_levels.c", "word |= word == 0", "word |= 2", "levels"),
    ("blsh_levels.c", "ahead < 0 ?", "ahead < -256 ?", "features"),
    ("blsh_levels.c", "(tracked >> 8)", "(tracked / 256 + 1)", "features"),
    ("blsh_project.c", "(word >> 1)", "(word >> 2)", "hash code"),
    ("blsh_nearest.c", "d < distance[n - 1]", "d <= distance[n - 1]", "neighbour index"),
    ("blsh_nearest.c", "n_ones & 1u", "n_ones & 256u", "neighbour index"),
    ("blsh_votes.c", "weight_of[farther]", "weight_of[0]", "votes"),
    ("blsh_votes.c", "(*sums++ * reciprocal) >> 16", "*sums++ * 16 / total", "votes"),
    ("blsh_votes.c", "return a > b ? a : b", "return a > b ? b : a", "gain"),
]


@pytest.mark.parametrize(("source", "right", "wrong", "stage"), OPERATORS)
def test_one_changed_operator_is_caught_at_its_stage(
    source: str, right: str, wrong: str, stage: str, tmp_path: Path
) -> None:
    condensed = source in ("blsh_levels.c", "blsh_project.c", "blsh_nearest.c", "blsh_votes.c")
    condensed = condensed and "inversions" not in right
    model = MODELS["three layers" if condensed else "general"]
    folder = exported(model, tmp_path / "export")
    text = (folder / source).read_text()
    assert text.count(right) == 1
    (folder / source).write_text(text.replace(right, wrong))
    assert first_stage(compare_on_host(folder, model, tmp_path / "work")) == stage
