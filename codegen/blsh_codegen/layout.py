"""What an export costs in memory, and how its tables are laid out for C."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blsh_codegen.condensed_layout import CondensedLayout, lay_out_condensed
from blsh_codegen.condensed_tables import CondensedTables
from blsh_codegen.masks import MAX_CODE_BITS, CompressedMasks, compress
from blsh_codegen.tables import BandTables, Int16Array, Tables

ROWS_TOGETHER = 4
WEIGHTS_TOGETHER = 4
PLANES_TOGETHER = 8


@dataclass(frozen=True)
class BandLayout:
    """One band's tables as the C headers hold them.

    Attributes:
        n_bits: L.
        row_length: Weights in a projection row, padded to a multiple of `WEIGHTS_TOGETHER`.
        row_padding: How many of them are padding.
        first_feature: Feature under the first weight.
        rows_q15: ``(L, row_length)`` int16 (see `interleaved_rows`).
        bias_q15: ``(L,)`` int16.
        n_entries: T.
        n_words: W.
        neighbours: K.
        planes: ``(ceil(T / 32), P)`` uint32, the bit-sliced codes (see `bit_sliced`).
        plane_bits: ``(P,)`` uint16, bit of the code that each plane holds.
        first_bin: First STFT bin of the masks.
        masks: The compressed masks.
        mask_lengths: Bytes of each mask, in the type that the export uses.
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
    planes: npt.NDArray[np.uint32]
    plane_bits: npt.NDArray[np.uint16]
    first_bin: int
    masks: CompressedMasks
    mask_lengths: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    gain_q15: Int16Array


@dataclass(frozen=True)
class Layout:
    """An export's tables and sizes.

    Attributes:
        bands: One `BandLayout` a band; none for a condensed model.
        feature_capacity: int16 features that the state has room for: the padding of the
            projection's rows is multiplied by up to three beyond the last.
        max_code_words: Most words of any band's code.
        scratch_words: 32-bit words of memory that stages use in turn.
        max_neighbours: Largest K.
        state_bytes: Size of ``blsh_state_t``, the RAM of one stream.
        flash_bytes: Bytes of constant data by header, in the order of the signal path.
        condensed: The tables of a condensed model, else ``None``.
    """

    bands: tuple[BandLayout, ...]
    feature_capacity: int
    max_code_words: int
    scratch_words: int
    max_neighbours: int
    state_bytes: int
    flash_bytes: dict[str, int]
    condensed: CondensedLayout | None = None

    @property
    def n_entries(self) -> int:
        """Dictionary entries of all bands or dictionaries."""
        if self.condensed is not None:
            return sum(one.n_entries for one in self.condensed.code_tables)
        return sum(band.n_entries for band in self.bands)

    @property
    def table_bytes(self) -> int:
        """Flash taken by all tables."""
        return sum(self.flash_bytes.values())

    @property
    def mask_code_bits(self) -> int:
        """Longest Huffman code of the masks."""
        return MAX_CODE_BITS

    @property
    def mask_length_type(self) -> str:
        """C type of a mask's length in bytes."""
        is_short = all(band.mask_lengths.itemsize == 1 for band in self.bands)
        return "uint8_t" if is_short else "uint16_t"


def lay_out(tables: Tables) -> Layout:
    """Compress the masks, pad the rows and add up the sizes."""
    if tables.condensed is not None:
        return _lay_out_condensed(tables, tables.condensed)
    compressed = [compress(band.masks, band.mask_bits) for band in tables.bands]
    longest = max(int(masks.lengths.max()) for masks in compressed)
    bands = tuple(
        _band_layout(
            band, masks, masks.lengths.astype(np.uint8) if longest <= 255 else masks.lengths
        )
        for band, masks in zip(tables.bands, compressed, strict=True)
    )
    capacity = tables.n_features + WEIGHTS_TOGETHER - 1
    max_words = max(band.n_words for band in bands)
    max_neighbours = max(band.neighbours for band in bands)
    scratch = max(_scratch_words(band) for band in bands)
    return Layout(
        bands=bands,
        feature_capacity=capacity,
        max_code_words=max_words,
        scratch_words=scratch,
        max_neighbours=max_neighbours,
        state_bytes=_state_bytes(tables, capacity, max_words + scratch, max_neighbours),
        flash_bytes=_flash_bytes(tables, bands),
    )


def _lay_out_condensed(tables: Tables, condensed: CondensedTables) -> Layout:
    layout = lay_out_condensed(condensed, tables.geometry.n_bins)
    capacity = tables.n_features + WEIGHTS_TOGETHER - 1
    words = layout.n_words + layout.scratch_words + layout.state_words
    return Layout(
        bands=(),
        feature_capacity=capacity,
        max_code_words=layout.n_words,
        scratch_words=layout.scratch_words,
        max_neighbours=layout.max_neighbours,
        state_bytes=_state_bytes(
            tables, capacity + layout.state_halfwords, words, layout.max_neighbours
        ),
        flash_bytes=_shared_flash_bytes(tables) | layout.flash_bytes,
        condensed=layout,
    )


def _band_layout(
    band: BandTables,
    masks: CompressedMasks,
    mask_lengths: npt.NDArray[np.uint8] | npt.NDArray[np.uint16],
) -> BandLayout:
    row_padding = -band.projection_q15.shape[1] % WEIGHTS_TOGETHER
    rows = np.pad(band.projection_q15, ((0, 0), (0, row_padding)))
    planes, plane_bits = bit_sliced(band.codes, band.n_bits)
    return BandLayout(
        n_bits=band.n_bits,
        row_length=rows.shape[1],
        row_padding=row_padding,
        first_feature=band.feature_range[0],
        rows_q15=interleaved_rows(rows),
        bias_q15=band.bias_q15,
        n_entries=band.n_entries,
        n_words=band.n_words,
        neighbours=band.neighbours,
        planes=planes,
        plane_bits=plane_bits,
        first_bin=band.bins[0],
        masks=masks,
        mask_lengths=mask_lengths,
        gain_q15=band.gain_q15,
    )


def interleaved_rows(rows: Int16Array) -> Int16Array:
    """Rows as `blsh_hash` multiplies them: four at a time, four weights of each.

    In each whole group of four rows, the first four weights of each of them come first, then the
    next four of each and so on. Rows left over stay as they are.
    """
    n_groups, n_runs = rows.shape[0] // ROWS_TOGETHER, rows.shape[1] // WEIGHTS_TOGETHER
    n_grouped = n_groups * ROWS_TOGETHER
    groups = rows[:n_grouped].reshape(n_groups, ROWS_TOGETHER, n_runs, WEIGHTS_TOGETHER)
    grouped = groups.swapaxes(1, 2).reshape(n_grouped, rows.shape[1])
    return np.concatenate([grouped, rows[n_grouped:]])


def bit_sliced(
    codes: npt.NDArray[np.uint32], n_bits: int
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint16]]:
    """Codes as `blsh_search` counts them: a word for each bit position of 32 codes, a plane.

    Planes come in the order of their variance over the dictionary, largest first: the earlier the
    search meets the bits in which codes differ, the earlier it can leave a block. Of each two
    planes the second is stored as its XOR with the first, a step that the search's adders save.

    Args:
        codes: ``(T, W)`` uint32.
        n_bits: L.

    Returns:
        ``(ceil(T / 32), P)`` uint32 planes, bit j of each belonging to code j of the block, and
        ``(P,)`` uint16, which bit of a code each plane holds. P is L rounded up to a multiple of
        `PLANES_TOGETHER`; codes and planes that do not exist are 0.
    """
    n_codes = codes.shape[0]
    n_planes = -(-n_bits // PLANES_TOGETHER) * PLANES_TOGETHER
    code_bytes = np.ascontiguousarray(codes, "<u4").view(np.uint8)
    bits = np.unpackbits(code_bytes, axis=1, bitorder="little")[:, :n_planes]
    ones = bits.sum(axis=0, dtype=np.int64)
    plane_bits = np.argsort(-ones * (n_codes - ones), kind="stable")
    padded = np.pad(bits[:, plane_bits], ((0, -n_codes % 32), (0, 0)))
    by_plane = padded.reshape(-1, 32, n_planes).swapaxes(1, 2)
    words = np.packbits(np.ascontiguousarray(by_plane), axis=2, bitorder="little")
    planes = words.view("<u4")[..., 0].astype(np.uint32)
    planes[:, 1::2] ^= planes[:, 0::2]
    return planes, plane_bits.astype(np.uint16)


def _scratch_words(band: BandLayout) -> int:
    """The search spreads the query to a word a plane; masks are added up in a byte a bin.

    Masks are decoded in symbols of at most eight levels, which may reach beyond the last bin.
    """
    return max(band.planes.shape[1], (band.masks.n_bins + 7) // 4)


def _state_bytes(tables: Tables, capacity: int, other_words: int, max_neighbours: int) -> int:
    """Size of ``blsh_state_t``, field by field in its order; a C assertion checks it."""
    frame, hop = tables.geometry.frame, tables.geometry.hop
    words = (frame - hop) + frame + 1 + other_words + max_neighbours
    halfwords = max_neighbours + (frame - hop) + tables.geometry.n_bins + capacity + 1
    return 4 * words + (2 * halfwords + 3) // 4 * 4


def _shared_flash_bytes(tables: Tables) -> dict[str, int]:
    return {
        "blsh_window.h": tables.window_q15.nbytes + tables.synthesis_q14.nbytes,
        "blsh_twiddle.h": tables.twiddle_q15.nbytes,
    }


def _flash_bytes(tables: Tables, bands: tuple[BandLayout, ...]) -> dict[str, int]:
    filterbank = 2 * tables.magnitude_q15.size
    if tables.filterbank is not None:
        bank = tables.filterbank
        filterbank += bank.first_bin.nbytes + bank.n_weights.nbytes + bank.weights_q15.nbytes
    return _shared_flash_bytes(tables) | {
        "blsh_filterbank.h": filterbank,
        "blsh_projection.h": sum(b.rows_q15.nbytes + b.bias_q15.nbytes for b in bands),
        "blsh_codes.h": sum(b.planes.nbytes + b.plane_bits.nbytes for b in bands),
        "blsh_masks.h": sum(_mask_bytes(b) for b in bands),
    }


def _mask_bytes(band: BandLayout) -> int:
    masks = band.masks
    huffman = sum(code.nbytes for code in masks.codes)
    index = masks.offsets.nbytes + band.mask_lengths.nbytes
    return masks.stream.nbytes + index + huffman + band.gain_q15.nbytes
