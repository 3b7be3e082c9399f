"""Lossless compression of the dictionary's masks, with random access.

Mask levels are taken in chunks of as many consecutive bins as fit a byte, and each chunk is coded
with one of two canonical Huffman codes: the one for chunks that follow a high level, or the one
for chunks that follow a low level. Masks come in runs, so knowing how the previous chunk ended is
worth more than any finer model that a microcontroller could afford. Every mask starts at a byte;
an index of one 32-bit offset for eight masks and one byte for each mask's length finds it.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from blsh_trainer.mask_symbols import (
    COUNTED_MASKS,
    LEVELS_PER_SYMBOL,
    N_CONTEXTS,
    mask_symbols,
    symbol_contexts,
)

UInt8Array = npt.NDArray[np.uint8]

MAX_CODE_BITS = 15
MASKS_PER_OFFSET = 8

PEEKED_BYTES = 4
"""What a decoder reads from the byte in which a chunk's code begins: whole words."""


@dataclass(frozen=True)
class HuffmanCode:
    """A canonical Huffman code: shorter codes first, equal lengths in order of ``symbols``.

    Attributes:
        counts: ``(MAX_CODE_BITS + 1,)`` uint16, number of codes of each length in bits.
        limits: ``(MAX_CODE_BITS + 1,)`` uint16: written from the top of `MAX_CODE_BITS` bits, all
            codes of up to ``n`` bits are below ``limits[n]``.
        offsets: ``(MAX_CODE_BITS + 1,)`` int16: a code of ``n`` bits plus ``offsets[n]`` is its
            place in ``symbols``.
        symbols: Chunk values, uint8, in order of code.
    """

    counts: npt.NDArray[np.uint16]
    limits: npt.NDArray[np.uint16]
    offsets: npt.NDArray[np.int16]
    symbols: UInt8Array

    @property
    def nbytes(self) -> int:
        """Size of what decoding needs."""
        return self.limits.nbytes + self.offsets.nbytes + self.symbols.nbytes


@dataclass(frozen=True)
class CompressedMasks:
    """The masks of one band.

    Attributes:
        mask_bits: Bits a level.
        n_bins: Levels a mask.
        codes: One Huffman code a context.
        stream: All masks' coded chunks, most significant bit first.
        offsets: Byte offset of every `MASKS_PER_OFFSET`-th mask.
        lengths: ``(T,)`` length of each mask in bytes.
    """

    mask_bits: int
    n_bins: int
    codes: tuple[HuffmanCode, ...]
    stream: UInt8Array
    offsets: npt.NDArray[np.uint32]
    lengths: npt.NDArray[np.uint16]

    @property
    def levels_per_chunk(self) -> int:
        """Number of consecutive levels coded together."""
        return levels_per_chunk(self.mask_bits)

    @property
    def bits_per_bin(self) -> float:
        """Average cost of a mask level in bits, index and codes included."""
        tables = sum(code.nbytes for code in self.codes)
        total = self.stream.nbytes + self.offsets.nbytes + self.lengths.nbytes + tables
        return 8.0 * total / (self.lengths.size * self.n_bins)


def levels_per_chunk(mask_bits: int) -> int:
    """Number of levels of ``mask_bits`` bits that are coded as one symbol."""
    return LEVELS_PER_SYMBOL[mask_bits]


def longest_mask_bytes(n_bins: int, mask_bits: int) -> int:
    """Most bytes that a coded mask of a shape can take, whatever its levels and the codes."""
    n_chunks = -(-n_bins // levels_per_chunk(mask_bits))
    return -(-n_chunks * MAX_CODE_BITS // 8)


def mask_scratch_words(n_bins: int, mask_bits: int, neighbours: int) -> int:
    """32-bit words in which the runtime decodes and adds up K masks.

    Up to `COUNTED_MASKS` of one bit are decoded side by side, a bit a level. Else there are sums of
    a byte a bin, of whole symbols, and behind them a mask of one bit.
    """
    if mask_bits == 1 and neighbours <= COUNTED_MASKS:
        return neighbours * -(-n_bins // 32)
    sums = (n_bins + 7) // 4
    return sums + (-(-n_bins // 32) + 1 if mask_bits == 1 else 0)


def with_room_to_decode(masks: Sequence[CompressedMasks]) -> UInt8Array:
    """Several bands' streams, one after another, with zeros behind them.

    Where streams come from a blob, the runtime does not decode them to find out whether they end:
    it looks whether the longest codes of all would fit, from the beginning of any mask.
    """
    start, end = 0, 0
    for one in masks:
        n_chunks = -(-one.n_bins // one.levels_per_chunk)
        longest = (n_chunks - 1) * MAX_CODE_BITS // 8 + PEEKED_BYTES
        last = start + one.stream.size - int(one.lengths[-1])
        end = max(end, last + longest)
        start += one.stream.size
    padding = np.zeros(max(0, end - start), np.uint8)
    return np.concatenate([*(one.stream for one in masks), padding])


def compress(masks: UInt8Array, mask_bits: int) -> CompressedMasks:
    """Compress ``(T, n)`` uint8 mask levels."""
    chunks = mask_symbols(masks, mask_bits)
    contexts = symbol_contexts(chunks, mask_bits)
    n_symbols = 1 << (mask_bits * levels_per_chunk(mask_bits))
    codes = []
    code_bits = np.zeros((N_CONTEXTS, n_symbols), np.uint32)
    code_lengths = np.zeros((N_CONTEXTS, n_symbols), np.int64)
    for context in range(N_CONTEXTS):
        frequencies = np.bincount(chunks[contexts == context], minlength=n_symbols)
        code_lengths[context] = _limited_code_lengths(frequencies, MAX_CODE_BITS)
        code = _canonical_code(code_lengths[context])
        code_bits[context, code.symbols] = _code_words(code)
        codes.append(code)
    stream, lengths = _pack(code_bits[contexts, chunks], code_lengths[contexts, chunks])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return CompressedMasks(
        mask_bits=mask_bits,
        n_bins=masks.shape[1],
        codes=tuple(codes),
        stream=stream,
        offsets=starts[::MASKS_PER_OFFSET].astype(np.uint32),
        lengths=lengths.astype(np.uint16),
    )


def decompress(compressed: CompressedMasks, entry: int) -> UInt8Array:
    """``(n,)`` levels of one mask, decoded exactly as the C runtime does."""
    block = entry - entry % MASKS_PER_OFFSET
    start = int(compressed.offsets[block // MASKS_PER_OFFSET])
    start += int(compressed.lengths[block:entry].sum())
    bits = np.unpackbits(np.pad(compressed.stream[start:], (0, PEEKED_BYTES)))
    weights = 1 << np.arange(MAX_CODE_BITS)[::-1]
    per_chunk, width = compressed.levels_per_chunk, compressed.mask_bits
    levels: list[int] = []
    position, context = 0, 0
    while len(levels) < compressed.n_bins:
        code = compressed.codes[context]
        ahead = int(bits[position : position + MAX_CODE_BITS] @ weights)
        length = 1
        while ahead >= code.limits[length]:
            length += 1
        position += length
        place = (ahead >> (MAX_CODE_BITS - length)) + int(code.offsets[length])
        chunk = int(code.symbols[place])
        levels += [(chunk >> (width * i)) & ((1 << width) - 1) for i in range(per_chunk)]
        context = chunk >> (width * per_chunk - 1)
    return np.array(levels[: compressed.n_bins], np.uint8)


def _limited_code_lengths(
    frequencies: npt.NDArray[np.int64], max_bits: int
) -> npt.NDArray[np.int64]:
    """Optimal code lengths of at most ``max_bits``, by package-merge (Larmore, Hirschberg 1990).

    Symbols of frequency 0 get length 0, but for some where there are fewer than two others: every
    run of bits is then the beginning of a code, on which decoders may rely.
    """
    lengths = np.zeros(frequencies.size, np.int64)
    used = np.flatnonzero(frequencies).tolist()
    if len(used) < 2:
        unused = (symbol for symbol in range(frequencies.size) if symbol not in used)
        lengths[[*used, *unused][:2]] = 1
        return lengths
    leaves = sorted((int(frequencies[symbol]), (symbol,)) for symbol in used)
    packages: list[tuple[int, tuple[int, ...]]] = []
    for _ in range(max_bits):
        merged = list(heapq.merge(leaves, packages))
        packages = [
            (a[0] + b[0], a[1] + b[1]) for a, b in zip(merged[::2], merged[1::2], strict=False)
        ]
    for _, symbols in packages[: len(used) - 1]:
        for symbol in symbols:
            lengths[symbol] += 1
    return lengths


def _canonical_code(lengths: npt.NDArray[np.int64]) -> HuffmanCode:
    order = np.lexsort((np.arange(lengths.size), lengths))
    counts = np.bincount(lengths[lengths > 0], minlength=MAX_CODE_BITS + 1)
    limits, offsets = np.zeros_like(counts), np.zeros_like(counts)
    next_code, place = 0, 0
    for length in range(1, MAX_CODE_BITS + 1):
        next_code *= 2
        offsets[length] = place - next_code
        next_code += counts[length]
        place += counts[length]
        limits[length] = next_code << (MAX_CODE_BITS - length)
    return HuffmanCode(
        counts=counts.astype(np.uint16),
        limits=limits.astype(np.uint16),
        offsets=offsets.astype(np.int16),
        symbols=order[lengths[order] > 0].astype(np.uint8),
    )


def _code_words(code: HuffmanCode) -> npt.NDArray[np.uint32]:
    """Code word of each of ``code.symbols``."""
    lengths = np.repeat(np.arange(MAX_CODE_BITS + 1), code.counts)
    return (np.arange(lengths.size) - code.offsets[lengths]).astype(np.uint32)


def _pack(
    words: npt.NDArray[np.uint32], lengths: npt.NDArray[np.int64]
) -> tuple[UInt8Array, npt.NDArray[np.int64]]:
    """Concatenate code words; every row starts at a byte. Returns the bytes and rows' lengths."""
    rows = []
    for row_words, row_lengths in zip(words.tolist(), lengths.tolist(), strict=True):
        value, n_bits = 0, 0
        for word, length in zip(row_words, row_lengths, strict=True):
            value = value << length | word
            n_bits += length
        n_bytes = (n_bits + 7) // 8
        rows.append((value << (8 * n_bytes - n_bits)).to_bytes(n_bytes, "big"))
    row_bytes = np.array([len(row) for row in rows], np.int64)
    return np.frombuffer(b"".join(rows), np.uint8), row_bytes
