"""The kernels one by one: table layouts, port operations, the search, and what they cost."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from blsh_codegen.bit_planes import majority_bits
from blsh_codegen.engines import runtime_sources
from blsh_codegen.interleaving import interleaved_rows, interleaved_rows_s8
from blsh_codegen.layout import lay_out
from blsh_codegen.library_cache import open_library
from blsh_codegen.neighbours import nearest_codes
from blsh_codegen.reference import forward_fft, mask_gains, mulw
from blsh_codegen.tables import quantise, twiddles_q15
from blsh_codegen.targets import find_target
from blsh_codegen.toolchain import (
    compile_shared,
    firmware_unavailable_reason,
    template_folder,
)
from blsh_codegen.usage import measure_usage
from blsh_trainer.model_file import Model

from tests.codegen.folders import exported
from tests.models import PAPER, SMALL, BandSpec, random_model

RUNTIME = template_folder() / "runtime"
Codes = npt.NDArray[np.uint32]


def test_four_rows_alternate_and_the_rest_follow() -> None:
    rows = np.arange(6 * 8, dtype=np.int16).reshape(6, 8)
    laid_out = interleaved_rows(rows).ravel()
    assert laid_out[:16].tolist() == [*rows[0, :4], *rows[1, :4], *rows[2, :4], *rows[3, :4]]
    assert laid_out[16:20].tolist() == rows[0, 4:].tolist()
    assert np.array_equal(laid_out[32:], rows[4:].ravel())


def random_codes(rng: np.random.Generator, n_codes: int, n_bits: int) -> Codes:
    """Random codes with few ones in later bits; bits beyond the last are 0."""
    bits = rng.random((n_codes, -(-n_bits // 32) * 32)) < rng.random(-(-n_bits // 32) * 32)
    bits[:, n_bits:] = False
    packed = np.packbits(bits, axis=1, bitorder="little")
    return packed.view("<u4").astype(np.uint32)


SEARCH_SOURCE = """
#include "blsh_stages.h"
void search(const uint32_t *code, uint32_t *scratch, uint32_t *index, uint16_t *distance)
{
    static blsh_state_t state;
    (void)blsh_init(&state);
    blsh_search(state.model, 0, code, scratch, index, distance);
}
"""
SEARCH_API = """
    void search(const uint32_t *code, uint32_t *scratch, uint32_t *index, uint16_t *distance);
"""


def searched_model(codes: Codes, n_bits: int, neighbours: int) -> Model:
    """A model with a given dictionary."""
    model = random_model(SMALL, (BandSpec(65, n_bits=n_bits, n_entries=1, neighbours=1),))
    masks = np.zeros((codes.shape[0], 65), np.uint8)
    band = dataclasses.replace(model.bands[0], neighbours=neighbours, codes=codes, masks=masks)
    return dataclasses.replace(model, bands=(band,))


def compiled_with(folder: Path, source: str, api: str, work: Path) -> Any:
    """An exported folder and C that calls its kernels, as (ffi, library)."""
    path = work / "kernels.c"
    path.write_text(source)
    built = compile_shared([*runtime_sources(folder), path], [folder], work / "kernels.so")
    assert built.warnings == ()
    return open_library(api, built.path)


def search(library: Any, ffi: Any, query: Codes, scratch_words: int, neighbours: int) -> Any:
    """Indices and distances that the C finds."""
    code = ffi.new("uint32_t[]", query.tolist())
    scratch = ffi.new("uint32_t[]", scratch_words)
    index, distance = ffi.new("uint32_t[]", neighbours), ffi.new("uint16_t[]", neighbours)
    library.search(code, scratch, index, distance)
    return list(index), list(distance)


@pytest.mark.parametrize("target", ["generic", "cortex-m4", "cortex-m55"])
@pytest.mark.parametrize(
    ("n_bits", "n_codes", "neighbours"),
    [
        (1, 1, 1),
        (1, 100, 7),
        (7, 33, 33),
        (8, 64, 10),
        (16, 200, 10),
        (17, 31, 5),
        (33, 500, 10),
        (64, 95, 95),
        (150, 1000, 10),
        (150, 1000, 255),
        (300, 400, 20),
    ],
)
def test_search_equals_sorting_all_distances(
    n_bits: int, n_codes: int, neighbours: int, target: str, tmp_path: Path
) -> None:
    """Short codes have many equal distances; queries from the dictionary have a distance of 0."""
    rng = np.random.default_rng(n_bits + n_codes)
    codes = random_codes(rng, n_codes, n_bits)
    codes[n_codes // 2 :] = codes[rng.integers(0, n_codes, n_codes - n_codes // 2)]
    model = searched_model(codes, n_bits, neighbours)
    folder = exported(model, tmp_path / "export", target)
    ffi, library = compiled_with(folder, SEARCH_SOURCE, SEARCH_API, tmp_path)
    queries = np.concatenate([codes[:5], random_codes(rng, 10, n_bits)])
    all_ones = np.packbits(np.arange(32 * codes.shape[1]) < n_bits, bitorder="little").view("<u4")
    unlike = all_ones ^ majority_bits(codes)  # all planes are added up
    queries = np.concatenate([queries, ~queries[:1] & all_ones, [unlike], [all_ones]])
    index, distance = nearest_codes(queries, codes, neighbours)
    scratch_words = lay_out(quantise(model)).scratch_words
    for n, query in enumerate(queries):
        found = search(library, ffi, query, scratch_words, neighbours)
        assert found == (index[n].tolist(), distance[n].tolist())


MASKS_SOURCE = """
#include "blsh_stages.h"
void mask_gains(unsigned band, const uint32_t *index, uint32_t *scratch, int16_t *gain)
{
    static blsh_state_t state;
    (void)blsh_init(&state);
    blsh_mask_gains(state.model, band, index, scratch, 0, gain);
}
"""
MASKS_API = """
    void mask_gains(unsigned band, const uint32_t *index, uint32_t *scratch, int16_t *gain);
"""


@pytest.mark.parametrize("changes", [0.0, 0.02, 0.1, 0.5])
@pytest.mark.parametrize("target", ["generic", "cortex-m4"])
def test_masks_of_one_bit_are_averaged_as_they_are(
    target: str, changes: float, tmp_path: Path
) -> None:
    """Runs of all lengths, from masks of a few levels that never change to noise."""
    rng = np.random.default_rng(int(100 * changes))
    specs = tuple(
        BandSpec(end, n_entries=40, neighbours=k)
        for end, k in ((1, 1), (9, 15), (40, 2), (72, 15), (104, 16), (137, 31), (513, 10))
    )
    model = random_model(PAPER, specs)
    for band in model.bands:
        turns = rng.random(band.masks.shape) < changes
        turns[:, 0] = rng.random(turns.shape[0]) < 0.5
        band.masks[:] = np.cumsum(turns, axis=1) % 2
    folder = exported(model, tmp_path / "export", target)
    ffi, library = compiled_with(folder, MASKS_SOURCE, MASKS_API, tmp_path)
    tables = quantise(model)
    scratch = ffi.new("uint32_t[]", lay_out(tables).scratch_words)
    gain = ffi.new("int16_t[]", PAPER.n_bins)
    for _ in range(20):
        expected = []
        for n, band in enumerate(tables.bands):
            chosen = rng.integers(0, band.n_entries, (1, band.neighbours))
            library.mask_gains(n, ffi.new("uint32_t[]", chosen[0].tolist()), scratch, gain)
            expected += mask_gains(chosen, band)[0].tolist()
        assert list(gain) == expected


PORT_SOURCE = """
#include "blsh_port.h"
int32_t port_mulw(int32_t a, int16_t w) { return blsh_mulw(a, w); }
unsigned port_wide(void) { return BLSH_WIDE; }
void port_half_product(const int32_t *z, const int16_t *w, size_t stride, int32_t *out)
{
    blsh_store_wide(out, 0, blsh_half_product(blsh_load_wide(z, 0), blsh_load_twiddle(w, stride)));
}
void port_spaced(int32_t *from, int32_t *to, size_t k, int step)
{
    blsh_store_spaced(to, k, step, blsh_load_spaced(from, k, step));
}
int32_t port_dot(const int16_t *a, const int16_t *b, size_t n) { return blsh_dot_s16(a, b, n); }
void port_dot4_s8(const int8_t *weights, const int16_t *x, size_t n, int32_t *sums)
{
    blsh_dot4_s8(weights, x, n, -128 * blsh_sum_s16(x, n), sums);
}
uint64_t port_add_power(uint64_t sum, int32_t re, int32_t im)
{
    return blsh_add_power(sum, re, im);
}
int32_t port_clip_feature(int32_t value) { return blsh_clip_feature(value); }
uint32_t port_load_halves(const uint16_t *halves) { return blsh_load_halves(halves); }
unsigned port_leading_zeros(uint32_t word) { return blsh_leading_zeros(word); }
size_t port_take_complex(const int32_t *from, int32_t *out)
{
    const int32_t *next = from;
    const blsh_complex_t value = blsh_take_complex(&next);
    out[0] = value.re;
    out[1] = value.im;
    return (size_t)(next - from);
}
void port_dot4(const int16_t *weights, const int16_t *x, size_t n, int32_t *sums)
{
    blsh_dot4_s16(weights, x, n, sums);
}
size_t port_take_two(const uint32_t *from, uint32_t *out)
{
    const uint32_t *next = from;
    blsh_take_two(&next, out, out + 1);
    return (size_t)(next - from);
}
unsigned port_trailing_zeros(uint32_t word) { return blsh_trailing_zeros(word); }
uint32_t port_peek(const uint8_t *bytes) { return blsh_peek_24(bytes) >> 8; }
"""
PORT_API = """
    int32_t port_mulw(int32_t a, int16_t w);
    unsigned port_wide(void);
    void port_half_product(const int32_t *z, const int16_t *w, size_t stride, int32_t *out);
    void port_spaced(int32_t *from, int32_t *to, size_t k, int step);
    int32_t port_dot(const int16_t *a, const int16_t *b, size_t n);
    void port_dot4(const int16_t *weights, const int16_t *x, size_t n, int32_t *sums);
    void port_dot4_s8(const int8_t *weights, const int16_t *x, size_t n, int32_t *sums);
    uint64_t port_add_power(uint64_t sum, int32_t re, int32_t im);
    int32_t port_clip_feature(int32_t value);
    uint32_t port_load_halves(const uint16_t *halves);
    unsigned port_leading_zeros(uint32_t word);
    size_t port_take_complex(const int32_t *from, int32_t *out);
    size_t port_take_two(const uint32_t *from, uint32_t *out);
    unsigned port_trailing_zeros(uint32_t word);
    uint32_t port_peek(const uint8_t *bytes);
"""


@pytest.fixture(params=["generic", "cortex_m4", "cortex_m55", "riscv_zbb"])
def port(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A port's operations, compiled for this machine."""
    (tmp_path / "blsh_config.h").write_text(
        f'#define BLSH_PORT_HEADER "blsh_port_{request.param}.h"\n'
    )
    (tmp_path / "port.c").write_text(PORT_SOURCE)
    built = compile_shared([tmp_path / "port.c"], [tmp_path, RUNTIME], tmp_path / "port.so")
    return open_library(PORT_API, built.path)


INT32_EDGES = (-(2**31), -(2**31) + 1, -65536, -1, 0, 1, 65535, 65536, 2**31 - 1)
INT16_EDGES = (-32768, -32767, -1, 0, 1, 32767)


def test_port_products(port: Any) -> None:
    ffi, library = port
    for a in INT32_EDGES:
        for w in INT16_EDGES:
            assert library.port_mulw(a, w) == (a * w) >> 16
    rng = np.random.default_rng(0)
    wide = library.port_wide()
    twiddles = twiddles_q15(64)
    out = ffi.new("int32_t[]", 2 * wide)
    for stride in (1, 2, 4):
        for z in rng.integers(-(2**30), 2**30, (50, wide, 2)):
            k = int(rng.integers(0, 32 - stride * (wide - 1)))
            pairs = ffi.new("int16_t[]", twiddles[k:].ravel().tolist())
            library.port_half_product(ffi.new("int32_t[]", z.ravel().tolist()), pairs, stride, out)
            expected = []
            for (re, im), (cos, sin) in zip(z.tolist(), twiddles[k::stride].tolist(), strict=False):
                expected += [mulw(re, cos) + mulw(im, sin), mulw(im, cos) - mulw(re, sin)]
            assert list(out) == expected


@pytest.mark.parametrize("step", [-1, 1, 4])
def test_port_spaced_numbers(port: Any, step: int) -> None:
    ffi, library = port
    values = np.arange(1, 65).reshape(32, 2)
    out = ffi.new("int32_t[64]")
    library.port_spaced(ffi.new("int32_t[64]", values.ravel().tolist()), out, 9, step)
    expected = np.zeros_like(values)
    chosen = [9 + n * step for n in range(library.port_wide())]
    expected[chosen] = values[chosen]
    assert list(out) == expected.ravel().tolist()


def test_port_dot_products(port: Any) -> None:
    ffi, library = port
    rng = np.random.default_rng(1)
    for n in (4, 8, 20, 32):
        rows = rng.integers(-8000, 8000, (4, n)).astype(np.int16)
        x = rng.integers(-8000, 8000, n).astype(np.int16)
        features = ffi.new("int16_t[]", x.tolist())
        expected = (rows.astype(np.int64) @ x.astype(np.int64)).tolist()
        for row, dot in zip(rows, expected, strict=True):
            assert library.port_dot(ffi.new("int16_t[]", row.tolist()), features, n) == dot
        sums = ffi.new("int32_t[4]")
        weights = ffi.new("int16_t[]", interleaved_rows(rows).ravel().tolist())
        library.port_dot4(weights, features, n, sums)
        assert list(sums) == expected


def test_port_dot_products_of_bytes(port: Any) -> None:
    ffi, library = port
    rng = np.random.default_rng(2)
    for n, low, high in (
        *((4, -127, 127), (8, -128, 127), (44, -128, 127)),
        *((2048, 127, 127), (2048, -128, -128)),
    ):
        rows = rng.integers(low, high + 1, (4, n)).astype(np.int8)
        x = rng.integers(-4095, 4096, n).astype(np.int16)
        x[: n // 2] = 4095
        features, sums = ffi.new("int16_t[]", x.tolist()), ffi.new("int32_t[4]")
        weights = ffi.new("int8_t[]", interleaved_rows_s8(rows).ravel().tolist())
        library.port_dot4_s8(weights, features, n, sums)
        assert list(sums) == (rows.astype(np.int64) @ x.astype(np.int64)).tolist()


def test_port_powers_and_features(port: Any) -> None:
    ffi, library = port
    parts = (-(2**15), -(2**15) + 1, -1, 0, 1, 2**15 - 1)
    for re in parts:
        for im in parts:
            for total in (0, 2**31, 2**43):
                assert library.port_add_power(total, re, im) == total + re * re + im * im
    for value in (*range(-4100, -4090), -(2**31), -1, 0, 1, *range(4090, 4100), 2**31 - 1):
        assert library.port_clip_feature(value) == min(max(value, -4095), 4095)
    out = ffi.new("int32_t[2]")
    assert library.port_take_complex(ffi.new("int32_t[2]", [-7, 2**31 - 1]), out) == 2
    assert list(out) == [-7, 2**31 - 1]
    assert library.port_load_halves(ffi.new("uint16_t[2]", [0xFFFE, 0x8001])) == 0x8001FFFE


def test_port_words_and_bits(port: Any) -> None:
    ffi, library = port
    out = ffi.new("uint32_t[2]")
    assert library.port_take_two(ffi.new("uint32_t[2]", [7, 2**32 - 1]), out) == 2
    assert list(out) == [7, 2**32 - 1]
    for n in range(32):
        for above in (0, 0xA5A5A5A5, 0xFFFFFFFF):
            word = ((above << n) | (1 << n)) & 0xFFFFFFFF
            assert library.port_trailing_zeros(word) == n
            assert library.port_leading_zeros(int(f"{word:032b}"[::-1], 2)) == n
    assert library.port_peek(ffi.new("uint8_t[4]", [0x80, 0x01, 0xFE, 0x55])) == 0x8001FE


@pytest.mark.parametrize("frame", [512, 1024])
def test_fft_is_within_80_db_of_double_precision(frame: int) -> None:
    """Its bar; 16-bit twiddles leave 89 dB at full scale."""
    rng = np.random.default_rng(frame)
    samples = np.rint(rng.standard_normal(frame) * 2**27).astype(np.int64)
    packed = forward_fft(samples, twiddles_q15(frame))
    exact = np.fft.rfft(samples.astype(np.float64)) / frame
    bins = packed[2::2] + 1j * packed[3::2]
    error = np.sum(np.abs(bins - exact[1:-1]) ** 2)
    assert 10 * np.log10(np.sum(np.abs(exact[1:-1]) ** 2) / error) > 80


def test_the_papers_configuration_stays_within_its_budget(tmp_path: Path) -> None:
    """RAM, code, stack, and instructions of the kernels that do not depend on the data."""
    target = find_target("cortex-m4")
    compiler = "gcc" if firmware_unavailable_reason(target, "gcc") is None else "zig"
    reason = firmware_unavailable_reason(target, compiler)
    if reason is not None:
        pytest.skip(reason)
    model = random_model(PAPER, (BandSpec(513, n_bits=150, n_entries=512, neighbours=10),))
    tables = quantise(model)
    layout = lay_out(tables)
    assert layout.state_bytes <= 12 * 1024
    folder = exported(model, tmp_path / "export", target.name)
    samples = np.random.default_rng(0).integers(-9999, 9999, 256 * 6).astype(np.int16)
    usage = measure_usage(folder, tables, layout, target, samples, tmp_path, compiler=compiler)
    macs = 150 * 513 * PAPER.rate / PAPER.hop
    assert usage.stages["projection"] / macs < 1.5
    assert usage.stack_bytes <= 1024
    small = measure_usage(
        folder, tables, layout, target, samples[:256], tmp_path, compiler=compiler, optimise="-Os"
    )
    assert small.runtime_code_bytes <= 8 * 1024


@pytest.mark.parametrize("target", ["cortex-m0plus", "riscv32imc"])
def test_small_cores_call_no_long_arithmetic(target: str, tmp_path: Path) -> None:
    """64-bit products and signed divisions would be calls of the compiler's library."""
    chosen = find_target(target)
    reason = firmware_unavailable_reason(chosen, "zig")
    if reason is not None:
        pytest.skip(reason)
    model = random_model()
    tables = quantise(model)
    folder = exported(model, tmp_path / "export", target)
    samples = np.random.default_rng(0).integers(-9999, 9999, 32 * 8).astype(np.int16)
    usage = measure_usage(folder, tables, lay_out(tables), chosen, samples, tmp_path)
    called = {name for name, count in usage.functions.items() if count > 0}
    helpers = {"__aeabi_lmul", "__muldi3", "__aeabi_idiv", "__divsi3", "__aeabi_ldivmod"}
    assert not called & helpers
