"""How the tables of a condensed model are laid out for C."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from blsh_codegen.bit_planes import LANES, code_bits, most_counters, sliced_codes
from blsh_codegen.condensed_tables import CondensedTables, HashTables
from blsh_codegen.interleaving import interleaved_rows_s8, padded_length
from blsh_codegen.table_data import Record, TableData, total_bytes

UInt32Array = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class CodeTable(Record):
    """Where the codes of a dictionary are."""

    CTYPE: ClassVar[str] = "blsh_code_table_t"
    FORMAT: ClassVar[str] = "<I2H4B"

    first_plane: int
    n_entries: int
    base: int
    first_word: int
    n_words: int
    n_counters: int
    neighbours: int


@dataclass(frozen=True)
class VoteTable(Record):
    """Where the masks and weights of a dictionary are."""

    CTYPE: ClassVar[str] = "blsh_vote_table_t"
    FORMAT: ClassVar[str] = "<2I5H2B"

    first_mask: int
    first_weight: int
    n_weights: int
    mask_length: int
    n_sums: int
    first_cell: int
    n_cells: int
    neighbours: int
    unused: int = 0


@dataclass(frozen=True)
class HashGroupLayout(Record):
    """A group of projections."""

    CTYPE: ClassVar[str] = "blsh_hash_group_t"
    FORMAT: ClassVar[str] = "<3H"

    n_rows: int
    row_length: int
    first_feature: int


@dataclass(frozen=True)
class CondensedLayout:
    """A condensed model's tables as the C headers hold them.

    Attributes:
        cell_end: ``(G,)`` uint16, bin after each cell; Nyquist is left out.
        log2_q8: Fraction of a level by mantissa.
        tracker_shifts: Rise and fall shifts, alternating, uint8.
        noise_shifts: Shifts of the noise trackers, uint8.
        mask_bits: Bits a mask level.
        groups: One entry a group of projections.
        weights: int8, the rows of all groups (see `interleaved_rows_s8`).
        bias: int32, one a row.
        inversions: ``(n_words,)`` uint32, bits of codes that are stored inverted.
        planes: uint32, the blocks of all dictionaries.
        code_tables: One entry a dictionary.
        masks: uint16, the masks of all dictionaries (see `packed_masks`).
        vote_weights: uint8, the weights of all dictionaries; equal ones are stored once.
        vote_tables: One entry a dictionary.
        gain_q15: Gain of each sum of votes.
        gain_floor_q15: Default.
        gain_release_q15: Default.
        n_words: 32-bit words of a frame's code.
        n_cells: G.
        n_trackers: Trackers that follow levels alone.
        n_noise_trackers: Trackers that follow where gains are low.
        max_neighbours: Largest K.
    """

    cell_end: npt.NDArray[np.uint16]
    log2_q8: npt.NDArray[np.uint8]
    tracker_shifts: npt.NDArray[np.uint8]
    noise_shifts: npt.NDArray[np.uint8]
    mask_bits: int
    groups: tuple[HashGroupLayout, ...]
    weights: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    inversions: UInt32Array
    planes: UInt32Array
    code_tables: tuple[CodeTable, ...]
    masks: npt.NDArray[np.uint16]
    vote_weights: npt.NDArray[np.uint8]
    vote_tables: tuple[VoteTable, ...]
    gain_q15: npt.NDArray[np.int16]
    gain_floor_q15: int
    gain_release_q15: int
    n_words: int
    n_cells: int
    n_trackers: int
    n_noise_trackers: int
    max_neighbours: int

    @property
    def headers(self) -> dict[str, dict[str, TableData]]:
        """The trained tables by header and name, in the order of a blob."""
        return {
            "blsh_projection.h": {
                "hash_groups": self.groups,
                "hash_weights": self.weights,
                "hash_bias": self.bias,
            },
            "blsh_codes.h": {
                "code_inversions": self.inversions,
                "code_planes": self.planes,
                "code_tables": self.code_tables,
            },
            "blsh_masks.h": {
                "masks": self.masks,
                "vote_weights": self.vote_weights,
                "vote_tables": self.vote_tables,
                "gain_of_votes_q15": self.gain_q15,
            },
        }

    @property
    def flash_bytes(self) -> dict[str, int]:
        """Bytes of constant data by header."""
        tables = (self.cell_end, self.log2_q8, self.tracker_shifts, self.noise_shifts)
        levels = sum(table.nbytes for table in tables)
        trained = {name: total_bytes(tables.values()) for name, tables in self.headers.items()}
        return {"blsh_levels.h": levels, **trained}

    @property
    def scratch_words(self) -> int:
        """32-bit words of memory that stages use in turn, for any tables of this shape."""
        counters = (1 + most_counters(LANES * one.n_words) for one in self.code_tables)
        return max(*counters, *(one.n_sums for one in self.vote_tables))

    @property
    def state_words(self) -> int:
        """32-bit words of the state that only condensed models have."""
        return LANES * self.n_words + (self.n_trackers + self.n_noise_trackers) * self.n_cells

    @property
    def state_halfwords(self) -> int:
        """16-bit words of the state that only condensed models have."""
        return self.n_cells + self.n_words + 3


def lay_out_condensed(tables: CondensedTables, n_bins: int) -> CondensedLayout:
    """Arrange the tables of a condensed model.

    Args:
        tables: The quantised model.
        n_bins: Bins of the spectrum.
    """
    inversions = code_inversions(tables)
    planes, code_tables = _bit_sliced(tables, inversions)
    masks, vote_weights, vote_tables = _votes(tables)
    rows = [interleaved_rows_s8(_from_even_feature(group)).ravel() for group in tables.hashes]
    shifts = np.array(tables.trackers, np.uint8).reshape(-1)
    return CondensedLayout(
        cell_end=np.minimum(tables.grid[1:], n_bins - 1).astype(np.uint16),
        log2_q8=tables.log2_q8,
        tracker_shifts=shifts,
        noise_shifts=np.array(tables.noise_trackers, np.uint8),
        mask_bits=tables.mask_bits,
        groups=tuple(_group_layout(group) for group in tables.hashes),
        weights=np.concatenate(rows),
        bias=np.concatenate([group.bias for group in tables.hashes]),
        inversions=inversions,
        planes=planes,
        code_tables=code_tables,
        masks=masks,
        vote_weights=vote_weights,
        vote_tables=vote_tables,
        gain_q15=tables.gain_q15,
        gain_floor_q15=tables.gain_floor_q15,
        gain_release_q15=tables.gain_release_q15,
        n_words=tables.n_words,
        n_cells=tables.n_cells,
        n_trackers=len(tables.trackers),
        n_noise_trackers=len(tables.noise_trackers),
        max_neighbours=max(one.neighbours for one in tables.dictionaries),
    )


def _group_layout(group: HashTables) -> HashGroupLayout:
    n_rows, n_features = _from_even_feature(group).shape
    return HashGroupLayout(n_rows, padded_length(n_features), group.feature_range[0] // 2 * 2)


def _from_even_feature(group: HashTables) -> npt.NDArray[np.int8]:
    """Rows with a zero in front where the first feature is not at a word boundary."""
    return np.pad(group.projection, ((0, 0), (group.feature_range[0] % 2, 0)))


def code_inversions(tables: CondensedTables) -> UInt32Array:
    """``(n_words,)`` masks of the bits that are one in most entries of the dictionaries.

    The search takes time with the ones of the query alone; where queries are like entries, as they
    should be, storing these bits inverted leaves at most half of them.
    """
    balance = np.zeros(LANES * tables.n_words, np.int64)
    for one in tables.dictionaries:
        bits = code_bits(one.codes).astype(np.int64)
        part = slice(LANES * one.words[0], LANES * one.words[1])
        balance[part] += 2 * bits.sum(axis=0) - bits.shape[0]
    packed = np.packbits(balance > 0, bitorder="little")
    return packed.view("<u4").astype(np.uint32)


def _bit_sliced(
    tables: CondensedTables, inversions: UInt32Array
) -> tuple[UInt32Array, tuple[CodeTable, ...]]:
    """Blocks of all dictionaries, and where they are.

    The search numbers planes from the code's first word, so that a dictionary's first plane must
    not come before as many planes as the words before its own have bits.
    """
    sliced = [
        sliced_codes(one.codes ^ inversions[slice(*one.words)], LANES * one.codes.shape[1])
        for one in tables.dictionaries
    ]
    sizes = [blocks.size for blocks, _, _ in sliced]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    padding = max(
        LANES * one.words[0] - int(start)
        for one, start in zip(tables.dictionaries, starts, strict=True)
    )
    padding = max(padding, 0)
    planes = np.concatenate([np.zeros(padding, np.uint32), *(one.ravel() for one, _, _ in sliced)])
    code_tables = tuple(
        CodeTable(
            first_plane=padding + int(start),
            n_entries=one.n_entries,
            base=base,
            first_word=one.words[0],
            n_words=one.words[1] - one.words[0],
            n_counters=n_counters,
            neighbours=one.neighbours,
        )
        for one, start, (_, base, n_counters) in zip(
            tables.dictionaries, starts, sliced, strict=True
        )
    )
    return planes, code_tables


def levels_per_halfword(mask_bits: int) -> int:
    """Mask levels in 16 bits."""
    return 16 // mask_bits


def packed_masks(masks: npt.NDArray[np.uint8], mask_bits: int) -> npt.NDArray[np.uint16]:
    """``(T, ceil(n / levels_per_halfword))`` halfwords of levels, the first in the lowest bits."""
    per_half = levels_per_halfword(mask_bits)
    padded = np.pad(masks, ((0, 0), (0, -masks.shape[1] % per_half))).astype(np.uint16)
    levels = padded.reshape(masks.shape[0], -1, per_half)
    shifts = (mask_bits * np.arange(per_half)).astype(np.uint16)
    packed: npt.NDArray[np.uint16] = (levels << shifts).sum(axis=2, dtype=np.uint16)
    return packed


def _votes(
    tables: CondensedTables,
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8], tuple[VoteTable, ...]]:
    """Masks and weights of all dictionaries, and where they are."""
    masks: list[npt.NDArray[np.uint16]] = []
    weights = b""
    vote_tables = []
    first_mask = 0
    for one in tables.dictionaries:
        packed = packed_masks(one.masks, tables.mask_bits)
        own = _without_zeros(one.weights_q8)
        if own not in weights:
            weights += own
        pairs = -(-packed.shape[1] // 2)
        vote_tables.append(
            VoteTable(
                first_mask=first_mask,
                first_weight=weights.index(own),
                n_weights=len(own),
                mask_length=packed.shape[1],
                n_sums=2 * pairs * levels_per_halfword(tables.mask_bits),
                first_cell=one.cells[0],
                n_cells=one.cells[1] - one.cells[0],
                neighbours=one.neighbours,
            )
        )
        masks.append(packed.ravel())
        first_mask += packed.size
    # The last mask, where it is of an odd length, is read one halfword further.
    masks.append(np.zeros(1, np.uint16))
    return np.concatenate(masks), np.frombuffer(weights, np.uint8), tuple(vote_tables)


def _without_zeros(weights: npt.NDArray[np.uint8]) -> bytes:
    return weights.tobytes().rstrip(b"\0")
