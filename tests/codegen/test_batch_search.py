"""The batch search finds what the reference and the runtime find, on any processor and compiler."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from blsh_codegen import batch_search
from blsh_codegen.batch_search import VARIANTS, CodeIndex, available_variants
from blsh_codegen.layout import lay_out
from blsh_codegen.library_cache import open_library
from blsh_codegen.tables import quantise
from blsh_codegen.toolchain import (
    HostCompiler,
    compile_shared,
    template_folder,
    zig_command,
    ziglang_available,
)
from blsh_trainer.errors import BlshError
from blsh_trainer.hashing import nearest, pack_codes
from hypothesis import given
from hypothesis import strategies as st

from tests.codegen.folders import exported
from tests.codegen.test_clean_c import C99, COMPILERS, run
from tests.codegen.test_kernels import (
    SEARCH_API,
    SEARCH_SOURCE,
    compiled_with,
    search,
    searched_model,
)

SOURCE = template_folder() / "host" / "blsh_batch_search.c"
Bits = npt.NDArray[np.bool_]

needs_zig = pytest.mark.skipif(not ziglang_available(), reason="ziglang is not installed")


def random_bits(rng: np.random.Generator, n_codes: int, n_bits: int) -> Bits:
    return rng.random((n_codes, n_bits)) < 0.5


def clustered_bits(rng: np.random.Generator, n_codes: int, n_bits: int) -> Bits:
    """Noisy copies of a few codes: many equal distances, many equal codes."""
    centres = random_bits(rng, 5, n_bits)
    copies: Bits = centres[rng.integers(0, 5, n_codes)] ^ (rng.random((n_codes, n_bits)) < 0.02)
    return copies


def assert_equal_to_reference(query: Bits, dictionary: Bits, neighbours: int) -> None:
    """Every variant that this processor has against `blsh_trainer.hashing.nearest`."""
    expected = nearest(query, dictionary, neighbours)
    for variant in available_variants():
        index = CodeIndex(pack_codes(dictionary), dictionary.shape[1], variant=variant)
        found = index.search(pack_codes(query), neighbours)
        for got, wanted in zip(found, expected, strict=True):
            assert got.dtype == np.int64
            assert np.array_equal(got, wanted), variant


def test_portable_variant_is_everywhere_and_the_others_in_order() -> None:
    available = available_variants()
    assert available[0] == "portable"
    assert available == tuple(name for name in VARIANTS if name in available)


@pytest.mark.parametrize("kind", [random_bits, clustered_bits])
@pytest.mark.parametrize("n_bits", [1, 31, 32, 33, 64, 150, 160, 992, 993, 1024])
@pytest.mark.parametrize(
    ("n_codes", "neighbours"),
    [(1, 1), (15, 15), (16, 1), (17, 10), (255, 255), (513, 10), (1000, 255)],
)
def test_search_equals_the_reference(
    n_codes: int, neighbours: int, n_bits: int, kind: Callable[..., Bits]
) -> None:
    """Whole blocks, one more, one less; queries in groups of eight and what is left of one."""
    rng = np.random.default_rng([n_codes, n_bits])
    dictionary = kind(rng, n_codes, n_bits)
    query = np.concatenate([dictionary[:3], ~dictionary[:1], random_bits(rng, 9, n_bits)])
    assert_equal_to_reference(query, dictionary, neighbours)


@given(st.integers(1, 300), st.integers(1, 100), st.integers(0, 20), st.integers(1, 255), st.data())
def test_search_equals_the_reference_for_any_shape(
    n_codes: int, n_bits: int, n_queries: int, neighbours: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    dictionary = clustered_bits(rng, n_codes, n_bits)
    query = clustered_bits(rng, n_queries, n_bits)
    assert_equal_to_reference(query, dictionary, min(neighbours, n_codes))


@pytest.mark.parametrize("neighbours", [1, 10, 255])
@pytest.mark.parametrize("n_bits", [1, 160, 1024])
def test_equal_codes_come_in_order(n_bits: int, neighbours: int) -> None:
    dictionary = np.ones((700, n_bits), np.bool_)
    query = np.stack([dictionary[0], ~dictionary[0]])
    assert_equal_to_reference(query, dictionary, neighbours)


@pytest.mark.parametrize("neighbours", [1, 10, 255])
@pytest.mark.parametrize("repeats", [1, 3, 300])
def test_ever_nearer_codes(repeats: int, neighbours: int) -> None:
    """Every code is nearer than those before: more candidates than there is room for."""
    ones = np.repeat(np.arange(1024, -1, -1), repeats)[-4000:]
    dictionary = np.arange(1024) < ones[:, None]
    query = np.stack([np.zeros(1024, np.bool_), np.ones(1024, np.bool_)])
    assert_equal_to_reference(query, dictionary, neighbours)


@pytest.mark.parametrize(("n_bits", "n_codes", "neighbours"), [(32, 500, 10), (150, 1000, 255)])
def test_search_equals_the_runtimes(
    n_bits: int, n_codes: int, neighbours: int, tmp_path: Path
) -> None:
    """The C that is exported for devices, compiled for this machine."""
    rng = np.random.default_rng(n_bits)
    codes = pack_codes(clustered_bits(rng, n_codes, n_bits))
    query = np.concatenate([codes[:5], pack_codes(random_bits(rng, 10, n_bits))])
    model = searched_model(codes, n_bits, neighbours)
    folder = exported(model, tmp_path / "export")
    ffi, library = compiled_with(folder, SEARCH_SOURCE, SEARCH_API, tmp_path)
    scratch_words = lay_out(quantise(model)).scratch_words
    index, distance = CodeIndex(codes, n_bits).search(query, neighbours)
    for n, code in enumerate(query):
        found = search(library, ffi, code, scratch_words, neighbours)
        assert found == (index[n].tolist(), distance[n].tolist())


def test_any_memory_layout_and_no_queries() -> None:
    rng = np.random.default_rng(0)
    dictionary, query = random_bits(rng, 100, 96), random_bits(rng, 20, 96)
    codes, queries = np.asfortranarray(pack_codes(dictionary)), pack_codes(query)[::-2]
    index, distance = CodeIndex(codes, 96).search(queries, 7)
    expected = nearest(query[::-2], dictionary, 7)
    assert np.array_equal(index, expected[0])
    assert np.array_equal(distance, expected[1])
    index, distance = CodeIndex(codes, 96).search(queries[:0], 7)
    assert index.shape == distance.shape == (0, 7)


def test_the_codes_are_copied() -> None:
    codes = np.arange(64, dtype=np.uint32)[:, None]
    index = CodeIndex(codes, 6)
    codes[:] = 0
    assert index.search(np.full((1, 1), 63, np.uint32), 1)[0] == 63


def test_threads_search_at_once() -> None:
    rng = np.random.default_rng(1)
    dictionary, query = random_bits(rng, 5000, 160), random_bits(rng, 40, 160)
    index, queries = CodeIndex(pack_codes(dictionary), 160), pack_codes(query)
    expected = nearest(query, dictionary, 10)[0]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda q: index.search(q[None], 10)[0][0], queries))
    assert np.array_equal(found, expected)


CODES = np.zeros((20, 2), np.uint32)


@pytest.mark.parametrize(
    ("codes", "n_bits", "variant", "message"),
    [
        (CODES, 0, None, "only 1 to 1024"),
        (np.zeros((1, 33), np.uint32), 1025, None, "only 1 to 1024"),
        (CODES, 32, None, r"shape \(n, 1\)"),
        (CODES[0], 64, None, r"shape \(n, 2\)"),
        (CODES.astype(np.int64), 64, None, "int64 of shape"),
        (CODES.astype(">u4"), 64, None, ">u4 of shape"),
        (CODES[:0], 64, None, "0 codes"),
        (CODES + np.uint32(2), 33, None, "beyond their last bit"),
        (CODES, 64, "abacus", "no variant 'abacus'"),
    ],
)
def test_wrong_codes_are_refused(
    codes: npt.NDArray[np.uint32], n_bits: int, variant: str | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        CodeIndex(codes, n_bits, variant=variant)


def test_wrong_queries_are_refused() -> None:
    index = CodeIndex(CODES, 63)
    for neighbours in (0, 21):
        with pytest.raises(ValueError, match="neighbours of 20 codes: 1 to 20"):
            index.search(CODES, neighbours)
    with pytest.raises(ValueError, match="1 to 255"):
        CodeIndex(np.zeros((300, 2), np.uint32), 63).search(CODES, 256)
    with pytest.raises(ValueError, match="beyond their last bit"):
        index.search(~CODES, 1)
    with pytest.raises(ValueError, match=r"shape \(n, 2\)"):
        index.search(CODES[:, :1], 1)


SEARCH_IN_A_PROCESS = (
    sys.executable,
    "-c",
    "import numpy as np; from blsh_codegen.batch_search import CodeIndex;"
    "codes = np.arange(99, dtype=np.uint32)[:, None];"
    "assert CodeIndex(codes, 32).search(codes[98:], 1)[0] == 98",
)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The cache folder of a search that is not compiled yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    batch_search._library.cache_clear()
    yield tmp_path / "blsh"
    batch_search._library.cache_clear()


@needs_zig
def test_ziglangs_compiler_gives_the_same(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = available_variants()
    batch_search._library.cache_clear()
    monkeypatch.setenv("CC", " ".join(zig_command()))
    rng = np.random.default_rng(2)
    assert_equal_to_reference(random_bits(rng, 9, 150), clustered_bits(rng, 1000, 150), 10)
    assert available_variants() == before
    assert len(list(empty_cache.glob("search-*.so"))) == 2


def test_a_damaged_library_is_built_again(empty_cache: Path) -> None:
    """Processes of their own: one that has loaded a library does not look at the file again."""
    subprocess.run(SEARCH_IN_A_PROCESS, check=True)
    (library,) = empty_cache.glob("search-*.so")
    whole = library.read_bytes()
    for damaged in (b"", whole[:100]):
        library.write_bytes(damaged)
        subprocess.run(SEARCH_IN_A_PROCESS, check=True)
        assert library.stat().st_size == len(whole)


def test_a_missing_compiler_is_one_line(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(BlshError, match="no-such-compiler"):
        CodeIndex(CODES, 64)


def test_processes_may_start_at_once(empty_cache: Path) -> None:
    started = [subprocess.Popen(SEARCH_IN_A_PROCESS) for _ in range(3)]
    assert [process.wait(timeout=300) for process in started] == [0] * 3
    assert [path.suffix for path in empty_cache.iterdir()] == [".so"]


@pytest.mark.parametrize(
    "compiler", [name for name, (_, flags) in COMPILERS.items() if flags == C99]
)
@pytest.mark.parametrize("optimise", ["-O0", "-O2", "-O3"])
def test_no_compiler_warns(compiler: str, optimise: str, tmp_path: Path) -> None:
    command, flags = COMPILERS[compiler]
    done = run([*command, *flags, optimise, "-c", SOURCE, "-o", tmp_path / "search.o"])
    assert (done.returncode, done.stderr.strip()) == (0, ""), done.stderr


@needs_zig
@pytest.mark.parametrize("target", ["aarch64-linux-musl", "x86-linux-musl", "riscv64-linux-musl"])
def test_other_processors_have_the_portable_variant(target: str, tmp_path: Path) -> None:
    cross = ("-target", target, "-O2", "-c", SOURCE, "-o", tmp_path / "search.o")
    done = run([*zig_command(), *C99, *cross])
    assert (done.returncode, done.stderr.strip()) == (0, ""), done.stderr


@needs_zig
def test_libraries_are_not_for_this_very_processor(tmp_path: Path) -> None:
    """One in a home directory may be opened on another machine."""
    (tmp_path / "has.c").write_text(
        "int has_avx(void);\nint has_avx(void)\n{\n#ifdef __AVX__\n    return 1;\n"
        "#else\n    return 0;\n#endif\n}\n"
    )
    zig = HostCompiler("zig cc", zig_command())
    built = compile_shared([tmp_path / "has.c"], [], tmp_path / "has.so", compiler=zig)
    assert open_library("int has_avx(void);", built.path)[1].has_avx() == 0


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not on PATH")
def test_sanitizers_find_nothing(tmp_path: Path) -> None:
    """Candidates beyond their room, the last block, one query and nine."""
    (tmp_path / "main.c").write_text(SANITIZED)
    program = tmp_path / "search"
    flags = ("-std=c99", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    done = run(["gcc", *flags, tmp_path / "main.c", SOURCE, "-o", program])
    assert done.returncode == 0, done.stderr
    done = run([program])
    assert (done.returncode, done.stderr) == (0, "")


SANITIZED = """
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
int blsh_batch_search_has(unsigned variant);
void blsh_batch_search(unsigned variant, const uint32_t *blocks, size_t n_codes, size_t n_words,
                       const uint32_t *queries, size_t n_queries, size_t neighbours,
                       int64_t *index, int64_t *distance);
int main(void)
{
    const size_t n_words = 32, n_codes = 1021, n_blocks = (n_codes + 15) / 16;
    uint32_t *blocks = calloc(n_blocks * 16 * n_words, 4), *queries = calloc(9 * n_words, 4);
    int64_t *index = calloc(9 * 255, 8), *distance = calloc(9 * 255, 8);
    unsigned variant;
    size_t code, bit, k;
    int wrong = 0;

    for (code = 0; code < n_codes; code++) {
        for (bit = 0; bit < 1024 - code; bit++) {
            blocks[(code / 16 * n_words + bit / 32) * 16 + code % 16] |= 1u << bit % 32;
        }
    }
    for (variant = 0; variant < 3; variant++) {
        for (k = 1; k < 256 && blsh_batch_search_has(variant); k += 127) {
            blsh_batch_search(variant, blocks, n_codes, n_words, queries, 9, k, index, distance);
            wrong |= index[0] != 1020 || distance[0] != 4 || index[9 * k - 1] != 1021 - (int64_t)k;
        }
    }
    free(blocks);
    free(queries);
    free(index);
    free(distance);
    return wrong;
}
"""
