"""How the tables of a model of bands are laid out for C."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from blsh_codegen.bit_planes import majority_bits, most_counters, sliced_codes
from blsh_codegen.interleaving import interleaved_rows
from blsh_codegen.masks import (
    CompressedMasks,
    compress,
    longest_mask_bytes,
    mask_scratch_words,
    with_room_to_decode,
)
from blsh_codegen.table_data import Record, TableData, total_bytes
from blsh_codegen.tables import BandTables, Int16Array


@dataclass(frozen=True)
class Projection(Record):
    """Where the projections of a band are."""

    CTYPE: ClassVar[str] = "blsh_projection_t"
    FORMAT: ClassVar[str] = "<2I4H"

    first_weight: int
    first_bias: int
    n_bits: int
    row_length: int
    first_feature: int
    unused: int = 0


@dataclass(frozen=True)
class Dictionary(Record):
    """Where the codes of a band are."""

    CTYPE: ClassVar[str] = "blsh_dictionary_t"
    FORMAT: ClassVar[str] = "<3I4H"

    first_plane: int
    first_inversion: int
    n_entries: int
    n_bits: int
    base: int
    neighbours: int
    n_counters: int


@dataclass(frozen=True)
class MaskTable(Record):
    """Where the masks of a band are."""

    CTYPE: ClassVar[str] = "blsh_mask_table_t"
    FORMAT: ClassVar[str] = "<6I2H4B"

    first_byte: int
    first_offset: int
    first_length: int
    symbols_after_low: int
    symbols_after_high: int
    first_gain: int
    first_bin: int
    n_bins: int
    mask_bits: int
    levels_per_symbol: int
    neighbours: int
    unused: int = 0


@dataclass(frozen=True)
class BandLayout:
    """One band's tables.

    Attributes:
        n_bits: L.
        row_length: Weights in a projection row, padded to whole groups.
        row_padding: How many of them are padding.
        first_feature: Feature under the first weight.
        rows_q15: ``(L, row_length)`` int16 (see `interleaved_rows`).
        bias_q15: ``(L,)`` int16.
        n_entries: T.
        n_words: W.
        neighbours: K.
        inversions: ``(W,)`` uint32, bits that are stored inverted.
        planes: ``(ceil(T / 32), P)`` uint32, the bit-sliced codes (see `sliced_codes`).
        base: What makes counts distances.
        n_counters: Planes of a block with which counting begins.
        first_bin: First STFT bin of the masks.
        masks: The compressed masks.
        gain_q15: Gain for each sum of levels.
    """

    n_bits: int
    row_length: int
    row_padding: int
    first_feature: int
    rows_q15: Int16Array
    bias_q15: Int16Array
    n_entries: int
    n_words: int
    neighbours: int
    inversions: npt.NDArray[np.uint32]
    planes: npt.NDArray[np.uint32]
    base: int
    n_counters: int
    first_bin: int
    masks: CompressedMasks
    gain_q15: Int16Array


@dataclass(frozen=True)
class BandsLayout:
    """The tables of all bands as the C headers hold them: one array of each kind for all bands.

    Attributes:
        bands: One entry a band.
        has_long_masks: Masks may be longer than 255 bytes.
        projections: One entry a band.
        projection_q15: The rows of all bands.
        bias_q15: The biases of all bands.
        dictionaries: One entry a band.
        codes: The planes of all bands.
        code_inversions: Bits of each band's code that are stored inverted.
        mask_tables: One entry a band.
        huffman_limits: Two codes' a band.
        huffman_offsets: Two codes' a band.
        huffman_symbols: Two codes' a band.
        mask_stream: The coded masks of all bands, and zeros for the longest that could be.
        mask_offsets: Byte offset of every eighth mask in its band's part of the stream.
        mask_lengths: Bytes of each mask.
        gain_q15: Gain for each sum of levels, band by band.
    """

    bands: tuple[BandLayout, ...]
    has_long_masks: bool
    projections: tuple[Projection, ...]
    projection_q15: Int16Array
    bias_q15: Int16Array
    dictionaries: tuple[Dictionary, ...]
    codes: npt.NDArray[np.uint32]
    code_inversions: npt.NDArray[np.uint32]
    mask_tables: tuple[MaskTable, ...]
    huffman_limits: npt.NDArray[np.uint16]
    huffman_offsets: npt.NDArray[np.int16]
    huffman_symbols: npt.NDArray[np.uint8]
    mask_stream: npt.NDArray[np.uint8]
    mask_offsets: npt.NDArray[np.uint32]
    mask_lengths: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    gain_q15: Int16Array

    @property
    def headers(self) -> dict[str, dict[str, TableData]]:
        """The tables by header and name, in the order of a blob."""
        return {
            "blsh_projection.h": {
                "projections": self.projections,
                "projection_q15": self.projection_q15,
                "bias_q15": self.bias_q15,
            },
            "blsh_codes.h": {
                "dictionaries": self.dictionaries,
                "codes": self.codes,
                "code_inversions": self.code_inversions,
            },
            "blsh_masks.h": {
                "mask_tables": self.mask_tables,
                "huffman_limits": self.huffman_limits,
                "huffman_offsets": self.huffman_offsets,
                "huffman_symbols": self.huffman_symbols,
                "mask_stream": self.mask_stream,
                "mask_offsets": self.mask_offsets,
                "mask_lengths": self.mask_lengths,
                "gain_q15": self.gain_q15,
            },
        }

    @property
    def flash_bytes(self) -> dict[str, int]:
        """Bytes of constant data by header."""
        return {name: total_bytes(tables.values()) for name, tables in self.headers.items()}

    @property
    def scratch_words(self) -> int:
        """The search has the places of a query's ones, and counters; masks are added up."""
        return max(
            max(
                band.n_bits + 1 + most_counters(band.n_bits),
                mask_scratch_words(band.masks.n_bins, band.masks.mask_bits, band.neighbours),
            )
            for band in self.bands
        )


def lay_out_bands(tables: tuple[BandTables, ...]) -> BandsLayout:
    """Compress the masks, pad the rows, slice the codes, and put what is alike together."""
    bands = tuple(_band_layout(band) for band in tables)
    masks = [band.masks for band in bands]
    codes = [code for one in masks for code in one.codes]
    starts = _Starts(bands)
    # By the longest that masks of this shape can be, so that a retrained model has the same type.
    is_long = any(longest_mask_bytes(one.n_bins, one.mask_bits) > 255 for one in masks)
    lengths = np.concatenate([one.lengths for one in masks])
    return BandsLayout(
        bands=bands,
        has_long_masks=is_long,
        projections=tuple(starts.projection(n) for n in range(len(bands))),
        projection_q15=np.concatenate([band.rows_q15.ravel() for band in bands]),
        bias_q15=np.concatenate([band.bias_q15 for band in bands]),
        dictionaries=tuple(starts.dictionary(n) for n in range(len(bands))),
        codes=np.concatenate([band.planes.ravel() for band in bands]),
        code_inversions=np.concatenate([band.inversions for band in bands]),
        mask_tables=tuple(starts.mask_table(n) for n in range(len(bands))),
        huffman_limits=np.concatenate([code.limits for code in codes]),
        huffman_offsets=np.concatenate([code.offsets for code in codes]),
        huffman_symbols=np.concatenate([code.symbols for code in codes]),
        mask_stream=with_room_to_decode(masks),
        mask_offsets=np.concatenate([one.offsets for one in masks]),
        mask_lengths=lengths if is_long else lengths.astype(np.uint8),
        gain_q15=np.concatenate([band.gain_q15 for band in bands]),
    )


class _Starts:
    """Where each band's part of each array begins."""

    def __init__(self, bands: tuple[BandLayout, ...]) -> None:
        self._bands = bands
        self._weights = _starts(band.rows_q15.size for band in bands)
        self._rows = _starts(band.n_bits for band in bands)
        self._planes = _starts(band.planes.size for band in bands)
        self._inversions = _starts(band.inversions.size for band in bands)
        self._bytes = _starts(band.masks.stream.size for band in bands)
        self._offsets = _starts(band.masks.offsets.size for band in bands)
        self._entries = _starts(band.n_entries for band in bands)
        self._symbols = _starts(code.symbols.size for band in bands for code in band.masks.codes)
        self._gains = _starts(band.gain_q15.size for band in bands)

    def projection(self, n: int) -> Projection:
        band = self._bands[n]
        return Projection(
            self._weights[n], self._rows[n], band.n_bits, band.row_length, band.first_feature
        )

    def dictionary(self, n: int) -> Dictionary:
        band = self._bands[n]
        return Dictionary(
            first_plane=self._planes[n],
            first_inversion=self._inversions[n],
            n_entries=band.n_entries,
            n_bits=band.n_bits,
            base=band.base,
            neighbours=band.neighbours,
            n_counters=band.n_counters,
        )

    def mask_table(self, n: int) -> MaskTable:
        band = self._bands[n]
        return MaskTable(
            first_byte=self._bytes[n],
            first_offset=self._offsets[n],
            first_length=self._entries[n],
            symbols_after_low=self._symbols[2 * n],
            symbols_after_high=self._symbols[2 * n + 1],
            first_gain=self._gains[n],
            first_bin=band.first_bin,
            n_bins=band.masks.n_bins,
            mask_bits=band.masks.mask_bits,
            levels_per_symbol=band.masks.levels_per_chunk,
            neighbours=band.neighbours,
        )


def _starts(sizes: Iterable[int]) -> list[int]:
    return list(accumulate(sizes, initial=0))


def _band_layout(band: BandTables) -> BandLayout:
    rows = interleaved_rows(band.projection_q15)
    inversions = majority_bits(band.codes)
    planes, base, n_counters = sliced_codes(band.codes ^ inversions, band.n_bits)
    return BandLayout(
        n_bits=band.n_bits,
        row_length=rows.shape[1],
        row_padding=rows.shape[1] - band.projection_q15.shape[1],
        first_feature=band.feature_range[0],
        rows_q15=rows,
        bias_q15=band.bias_q15,
        n_entries=band.n_entries,
        n_words=band.n_words,
        neighbours=band.neighbours,
        inversions=inversions,
        planes=planes,
        base=base,
        n_counters=n_counters,
        first_bin=band.bins[0],
        masks=compress(band.masks, band.mask_bits),
        gain_q15=band.gain_q15,
    )
