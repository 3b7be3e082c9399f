"""What an export costs in memory, and how its tables are laid out for C."""

from __future__ import annotations

from dataclasses import dataclass

from blsh_codegen.band_layout import BandLayout, BandsLayout, lay_out_bands
from blsh_codegen.condensed_layout import CondensedLayout, lay_out_condensed
from blsh_codegen.condensed_tables import CondensedTables
from blsh_codegen.interleaving import WEIGHTS_TOGETHER
from blsh_codegen.masks import MAX_CODE_BITS
from blsh_codegen.table_data import TableData
from blsh_codegen.tables import Tables

TARGET_POINTER_BYTES, LONG_POINTER_BYTES = 4, 8


@dataclass(frozen=True)
class Layout:
    """An export's tables and sizes.

    Attributes:
        feature_capacity: int16 features that the state has room for: the padding of the
            projection's rows is multiplied by up to three beyond the last.
        max_code_words: Most words of any band's code.
        scratch_words: 32-bit words of memory that stages use in turn.
        max_neighbours: Largest K.
        state_bytes: Size of ``blsh_state_t``, the RAM of one stream, on a 32-bit processor.
        long_state_bytes: The same where pointers have 64 bits, as on the machines of tests.
        flash_bytes: Bytes of constant data by header, in the order of the signal path.
        banded: The tables of a model of bands, else ``None``.
        condensed: The tables of a condensed model, else ``None``.
    """

    feature_capacity: int
    max_code_words: int
    scratch_words: int
    max_neighbours: int
    state_bytes: int
    long_state_bytes: int
    flash_bytes: dict[str, int]
    banded: BandsLayout | None = None
    condensed: CondensedLayout | None = None

    @property
    def bands(self) -> tuple[BandLayout, ...]:
        """One `BandLayout` a band; none for a condensed model."""
        return () if self.banded is None else self.banded.bands

    @property
    def trained(self) -> dict[str, TableData]:
        """The trained tables by name, in the order of a blob."""
        layout = self.condensed if self.condensed is not None else self.banded
        assert layout is not None
        return {name: one for tables in layout.headers.values() for name, one in tables.items()}

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
        return "uint16_t" if self.banded is not None and self.banded.has_long_masks else "uint8_t"


def lay_out(tables: Tables) -> Layout:
    """Compress the masks, pad the rows and add up the sizes."""
    if tables.condensed is not None:
        return _lay_out_condensed(tables, tables.condensed)
    banded = lay_out_bands(tables.bands)
    capacity = tables.n_features + WEIGHTS_TOGETHER - 1
    max_words = max(band.n_words for band in banded.bands)
    max_neighbours = max(band.neighbours for band in banded.bands)
    state, long_state = _state_bytes(
        tables, capacity, max_words + banded.scratch_words, max_neighbours
    )
    return Layout(
        feature_capacity=capacity,
        max_code_words=max_words,
        scratch_words=banded.scratch_words,
        max_neighbours=max_neighbours,
        state_bytes=state,
        long_state_bytes=long_state,
        flash_bytes=_shared_flash_bytes(tables) | _filterbank_bytes(tables) | banded.flash_bytes,
        banded=banded,
    )


def _lay_out_condensed(tables: Tables, condensed: CondensedTables) -> Layout:
    layout = lay_out_condensed(condensed, tables.geometry.n_bins)
    capacity = tables.n_features + WEIGHTS_TOGETHER - 1
    words = layout.n_words + layout.scratch_words + layout.state_words
    state, long_state = _state_bytes(
        tables, capacity + layout.state_halfwords, words, layout.max_neighbours
    )
    return Layout(
        feature_capacity=capacity,
        max_code_words=layout.n_words,
        scratch_words=layout.scratch_words,
        max_neighbours=layout.max_neighbours,
        state_bytes=state,
        long_state_bytes=long_state,
        flash_bytes=_shared_flash_bytes(tables) | layout.flash_bytes,
        condensed=layout,
    )


def _state_bytes(
    tables: Tables, capacity: int, other_words: int, max_neighbours: int
) -> tuple[int, int]:
    """Size of ``blsh_state_t``, field by field in its order, with short and with long pointers.

    It begins with a pointer. A C assertion checks both.
    """
    frame, hop = tables.geometry.frame, tables.geometry.hop
    words = (frame - hop) + frame + 1 + other_words + max_neighbours
    halfwords = max_neighbours + (frame - hop) + tables.geometry.n_bins + capacity + 1
    numbers = 4 * words + 2 * halfwords
    short, long = TARGET_POINTER_BYTES, LONG_POINTER_BYTES
    return -(-(short + numbers) // short) * short, -(-(long + numbers) // long) * long


def _shared_flash_bytes(tables: Tables) -> dict[str, int]:
    return {
        "blsh_window.h": tables.window_q15.nbytes + tables.synthesis_q14.nbytes,
        "blsh_twiddle.h": tables.twiddle_q15.nbytes,
    }


def _filterbank_bytes(tables: Tables) -> dict[str, int]:
    filterbank = 2 * tables.magnitude_q15.size
    if tables.filterbank is not None:
        bank = tables.filterbank
        filterbank += bank.first_bin.nbytes + bank.n_weights.nbytes + bank.weights_q15.nbytes
    return {"blsh_filterbank.h": filterbank}
