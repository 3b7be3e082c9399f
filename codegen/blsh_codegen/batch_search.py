"""Nearest hash codes on the machine that trains and measures, as fast as it can find them."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

import cffi
import numpy as np
import numpy.typing as npt
from blsh_trainer import __version__
from blsh_trainer.model_file import code_words

from blsh_codegen.library_cache import cached_library, open_library
from blsh_codegen.toolchain import compile_shared, find_host_compiler, template_folder

CodeArray = npt.NDArray[np.uint32]
IndexArray = npt.NDArray[np.int64]

VARIANTS = ("portable", "avx2", "avx512")
"""Kinds of processor that the C is compiled for, in the order in which they are better."""

MAX_BITS = 1024
MAX_NEIGHBOURS = 255

_MAX_CODES = 2**32 - 1
_LANES = 16
_CACHE_LINE_BYTES = 64
_API = """
    int blsh_batch_search_has(unsigned variant);
    void blsh_batch_search(unsigned variant, const uint32_t *blocks, size_t n_codes,
                           size_t n_words, const uint32_t *queries, size_t n_queries,
                           size_t neighbours, int64_t *index, int64_t *distance);
"""


class CodeIndex:
    """Hash codes, to be searched exhaustively for those nearest to others.

    The results are those of `blsh_trainer.hashing.nearest` and of the exported `blsh_search`. The
    search runs on one thread, without Python's lock, and any number of threads may call it.

    Args:
        codes: ``(T, W)`` uint32, as `blsh_trainer.hashing.pack_codes` packs them: W words of 32
            bits hold the L bits of each of T >= 1 codes, bits beyond the last are 0.
        n_bits: L, 1 to `MAX_BITS`.
        variant: One of `available_variants`; the best of them when not given.

    Raises:
        ValueError: Codes of another shape or type, bits beyond the last, or a variant that this
            processor cannot run.
        BlshError: There is no C compiler.
    """

    def __init__(self, codes: CodeArray, n_bits: int, *, variant: str | None = None) -> None:
        if not 1 <= n_bits <= MAX_BITS:
            raise ValueError(f"codes of {n_bits} bits: only 1 to {MAX_BITS} can be searched")
        available = available_variants()
        if variant is not None and variant not in available:
            raise ValueError(f"no variant {variant!r} here: choose from {', '.join(available)}")
        self.n_bits = n_bits
        self._check(codes)
        self.n_codes = codes.shape[0]
        if not 1 <= self.n_codes <= _MAX_CODES:
            raise ValueError(f"{self.n_codes} codes: only 1 to {_MAX_CODES} can be searched")
        self._variant = VARIANTS.index(variant or available[-1])
        self._blocks = _blocks(codes)

    def search(self, query: CodeArray, neighbours: int) -> tuple[IndexArray, IndexArray]:
        """K nearest codes by Hamming distance, equal distances by index.

        Args:
            query: ``(F, W)`` uint32 codes of L bits.
            neighbours: K, 1 to `MAX_NEIGHBOURS` and at most T.

        Returns:
            ``(F, K)`` int64 indices and distances in bits, nearest first.

        Raises:
            ValueError: Another K, or queries of another shape or type or with bits beyond the last.
        """
        most = min(MAX_NEIGHBOURS, self.n_codes)
        if not 1 <= neighbours <= most:
            raise ValueError(f"{neighbours} neighbours of {self.n_codes} codes: 1 to {most} can be")
        self._check(query)
        queries = np.ascontiguousarray(query)
        n_queries, n_words = queries.shape
        index = np.empty((n_queries, neighbours), np.int64)
        distance = np.empty_like(index)
        ffi, library = _library()
        library.blsh_batch_search(
            self._variant,
            ffi.from_buffer("uint32_t[]", self._blocks),
            self.n_codes,
            n_words,
            ffi.from_buffer("uint32_t[]", queries),
            n_queries,
            neighbours,
            ffi.from_buffer("int64_t[]", index),
            ffi.from_buffer("int64_t[]", distance),
        )
        return index, distance

    def _check(self, codes: CodeArray) -> None:
        n_words = code_words(self.n_bits)
        if codes.dtype != np.uint32 or codes.ndim != 2 or codes.shape[1] != n_words:
            raise ValueError(
                f"{codes.dtype} of shape {codes.shape}: codes of {self.n_bits} bits are uint32 of "
                f"shape (n, {n_words})"
            )
        if self.n_bits % 32 and (codes[:, -1] >> np.uint32(self.n_bits % 32)).any():
            raise ValueError(f"codes of {self.n_bits} bits have ones beyond their last bit")


def available_variants() -> tuple[str, ...]:
    """Those of `VARIANTS` that this processor can run, the best last.

    Raises:
        BlshError: There is no C compiler.
    """
    _, library = _library()
    return tuple(name for n, name in enumerate(VARIANTS) if library.blsh_batch_search_has(n))


def _blocks(codes: CodeArray) -> CodeArray:
    """``(ceil(T / 16), W, 16)`` words of ``(T, W)`` codes, from the start of a cache line."""
    n_codes, n_words = codes.shape
    n_blocks = -(-n_codes // _LANES)
    line_words = _CACHE_LINE_BYTES // codes.itemsize
    memory = np.zeros(n_blocks * n_words * _LANES + line_words, np.uint32)
    start = -memory.ctypes.data % _CACHE_LINE_BYTES // codes.itemsize
    blocks = memory[start : memory.size - line_words + start].reshape(n_blocks, n_words, _LANES)
    whole = n_codes // _LANES
    blocks[:whole] = codes[: whole * _LANES].reshape(whole, _LANES, n_words).swapaxes(1, 2)
    if whole < n_blocks:
        rest = codes[whole * _LANES :]
        blocks[whole, :, : rest.shape[0]] = rest.T
    return blocks


@functools.cache
def _library() -> tuple[cffi.FFI, Any]:
    """The compiled search, from the cache where it is there."""
    folder = template_folder() / "host"
    sources = sorted(folder.glob("*.[ch]"))
    compiler = find_host_compiler()
    digest = hashlib.sha256(f"{__version__} {compiler}".encode())
    for path in sources:
        digest.update(path.read_bytes())

    def build(path: Path) -> None:
        compile_shared([folder / "blsh_batch_search.c"], [folder], path, compiler=compiler)

    key = f"search-{digest.hexdigest()[:32]}"
    return cached_library(key, lambda path: open_library(_API, path), build)
