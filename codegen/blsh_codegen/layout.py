"""What an export costs in memory, and how its tables are laid out for C."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blsh_codegen.masks import CompressedMasks, compress
from blsh_codegen.tables import BandTables, Int16Array, Tables


@dataclass(frozen=True)
class BandLayout:
    """One band's tables as the C headers hold them.

    Attributes:
        n_bits: L.
        row_length: Weights in a projection row, padded to an even number.
        row_padded: Whether the last weight of each row is padding.
        first_feature: Feature under the first weight.
        rows_q15: ``(L, row_length)`` int16.
        bias_q15: ``(L,)`` int16.
        n_entries: T.
        n_words: W.
        neighbours: K.
        codes: ``(T, W)`` uint32.
        first_bin: First STFT bin of the masks.
        masks: The compressed masks.
        mask_lengths: Bytes of each mask, in the type that the export uses.
        gain_q15: Gain for each sum of levels.
    """

    n_bits: int
    row_length: int
    row_padded: bool
    first_feature: int
    rows_q15: Int16Array
    bias_q15: Int16Array
    n_entries: int
    n_words: int
    neighbours: int
    codes: npt.NDArray[np.uint32]
    first_bin: int
    masks: CompressedMasks
    mask_lengths: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    gain_q15: Int16Array


@dataclass(frozen=True)
class Layout:
    """An export's tables and sizes.

    Attributes:
        bands: One `BandLayout` a band.
        feature_capacity: int16 features that the state has room for: paired loads may read one
            beyond the last.
        max_code_words: Most words of any band's code.
        max_neighbours: Largest K.
        state_bytes: Size of ``blsh_state_t``, the RAM of one stream.
        flash_bytes: Bytes of constant data by header, in the order of the signal path.
    """

    bands: tuple[BandLayout, ...]
    feature_capacity: int
    max_code_words: int
    max_neighbours: int
    state_bytes: int
    flash_bytes: dict[str, int]

    @property
    def table_bytes(self) -> int:
        """Flash taken by all tables."""
        return sum(self.flash_bytes.values())

    @property
    def mask_length_type(self) -> str:
        """C type of a mask's length in bytes."""
        return "uint8_t" if self.bands[0].mask_lengths.itemsize == 1 else "uint16_t"


def lay_out(tables: Tables) -> Layout:
    """Compress the masks, pad the rows and add up the sizes."""
    compressed = [compress(band.masks, band.mask_bits) for band in tables.bands]
    longest = max(int(masks.lengths.max()) for masks in compressed)
    bands = tuple(
        _band_layout(
            band, masks, masks.lengths.astype(np.uint8) if longest <= 255 else masks.lengths
        )
        for band, masks in zip(tables.bands, compressed, strict=True)
    )
    capacity = (tables.n_features + 2) // 2 * 2
    max_words = max(band.n_words for band in bands)
    max_neighbours = max(band.neighbours for band in bands)
    return Layout(
        bands=bands,
        feature_capacity=capacity,
        max_code_words=max_words,
        max_neighbours=max_neighbours,
        state_bytes=_state_bytes(tables, capacity, max_words, max_neighbours),
        flash_bytes=_flash_bytes(tables, bands),
    )


def _band_layout(
    band: BandTables,
    masks: CompressedMasks,
    mask_lengths: npt.NDArray[np.uint8] | npt.NDArray[np.uint16],
) -> BandLayout:
    row_padded = band.projection_q15.shape[1] % 2 == 1
    rows = np.pad(band.projection_q15, ((0, 0), (0, int(row_padded))))
    return BandLayout(
        n_bits=band.n_bits,
        row_length=rows.shape[1],
        row_padded=row_padded,
        first_feature=band.feature_range[0],
        rows_q15=rows,
        bias_q15=band.bias_q15,
        n_entries=band.n_entries,
        n_words=band.n_words,
        neighbours=band.neighbours,
        codes=band.codes,
        first_bin=band.bins[0],
        masks=masks,
        mask_lengths=mask_lengths,
        gain_q15=band.gain_q15,
    )


def _state_bytes(tables: Tables, capacity: int, max_words: int, max_neighbours: int) -> int:
    """Size of ``blsh_state_t``, field by field in its order; a C assertion checks it."""
    frame, hop = tables.geometry.frame, tables.geometry.hop
    words = (frame - hop) + frame + 1 + max_words + max_neighbours
    halfwords = max_neighbours + (frame - hop) + tables.geometry.n_bins + capacity
    return 4 * words + (2 * halfwords + 3) // 4 * 4


def _flash_bytes(tables: Tables, bands: tuple[BandLayout, ...]) -> dict[str, int]:
    filterbank = 2 * tables.magnitude_q15.size
    if tables.filterbank is not None:
        bank = tables.filterbank
        filterbank += bank.first_bin.nbytes + bank.n_weights.nbytes + bank.weights_q15.nbytes
    return {
        "blsh_window.h": tables.window_q15.nbytes + tables.synthesis_q14.nbytes,
        "blsh_twiddle.h": tables.twiddle_q15.nbytes,
        "blsh_filterbank.h": filterbank,
        "blsh_projection.h": sum(b.rows_q15.nbytes + b.bias_q15.nbytes for b in bands),
        "blsh_codes.h": sum(b.codes.nbytes for b in bands),
        "blsh_masks.h": sum(_mask_bytes(b) for b in bands),
    }


def _mask_bytes(band: BandLayout) -> int:
    masks = band.masks
    huffman = sum(code.counts.nbytes + code.symbols.nbytes for code in masks.codes)
    index = masks.offsets.nbytes + band.mask_lengths.nbytes
    return masks.stream.nbytes + index + huffman + band.gain_q15.nbytes
