"""The shape of a model: all that its cost depends on, as counts that the cost is a sum of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from blsh_trainer.mask_symbols import COUNTED_MASKS, LEVELS_PER_SYMBOL
from blsh_trainer.model_file import Band, Geometry, Model

ModelKind = Literal["condensed", "bands"]

_LANES = 32
_WORD = 32


@dataclass(frozen=True)
class DictionaryShape:
    """Size of a dictionary of a condensed model.

    Attributes:
        words: Code words compared.
        entries: T.
        neighbours: K.
        cells: Cells covered.
    """

    words: int
    entries: int
    neighbours: int
    cells: int


@dataclass(frozen=True)
class Shape:
    """All that the cost of a condensed model depends on.

    Attributes:
        geometry: Framing.
        cells: G.
        kinds: Features a cell.
        noise_trackers: Those of them that are above noise trackers.
        groups: Rows and columns of each group of projections.
        dictionaries: One entry a dictionary.
        mask_bits: Bits of a mask level.
        layers: J.
    """

    geometry: Geometry
    cells: int
    kinds: int
    noise_trackers: int
    groups: tuple[tuple[int, int], ...]
    dictionaries: tuple[DictionaryShape, ...]
    mask_bits: int
    layers: int

    @property
    def kind(self) -> ModelKind:
        """Which weights apply."""
        return "condensed"

    def counts(self) -> dict[str, float]:
        """What the cost is a weighted sum of; instructions are those of a frame."""
        per_half = 16 // self.mask_bits
        blocks = [-(-one.entries // _LANES) for one in self.dictionaries]
        halves = [-(-one.cells // per_half) for one in self.dictionaries]
        both = list(zip(self.dictionaries, blocks, halves, strict=True))
        return {
            **_frame_counts(self.geometry),
            "cells": float(self.cells),
            "features": float(self.cells * self.kinds),
            "tracked": float(self.cells * (self.kinds - 1)),
            "followed": float(self.cells * self.noise_trackers),
            "macs": float(sum(rows * _padded(columns) for rows, columns in self.groups)),
            "rows": float(sum(rows for rows, _ in self.groups)),
            "words": float(sum(rows for rows, _ in self.groups) // _WORD),
            "dictionaries": float(len(self.dictionaries)),
            "planes": float(sum(_WORD * one.words * b for one, b, _ in both)),
            "blocks": float(sum(blocks)),
            "chosen": float(sum(one.neighbours * math.log2(2 * b) for one, b, _ in both)),
            "votes": float(sum(one.neighbours * h for one, _, h in both)),
            "voters": float(sum(one.neighbours for one in self.dictionaries)),
            "covered": float(sum(one.cells for one in self.dictionaries)),
            "masks": float(sum(one.entries * h for one, _, h in both)),
            "gains": float(self.layers * ((1 << self.mask_bits) - 1)),
        }


@dataclass(frozen=True)
class BandShape:
    """Size of a band of a model of the paper's kind.

    Attributes:
        bits: L.
        columns: Features projected.
        entries: T.
        neighbours: K.
        bins: Bins of a mask.
        mask_bits: Bits of a mask level.
    """

    bits: int
    columns: int
    entries: int
    neighbours: int
    bins: int
    mask_bits: int

    @property
    def symbols(self) -> int:
        """Symbols of the neighbours' masks."""
        return self.neighbours * -(-self.bins // LEVELS_PER_SYMBOL[self.mask_bits])

    @property
    def votes(self) -> int:
        """Levels of the neighbours' masks."""
        return self.neighbours * self.bins

    @property
    def is_counted(self) -> bool:
        """Whether masks are counted by full adders, and not added up a byte a bin."""
        return self.mask_bits == 1 and self.neighbours <= COUNTED_MASKS


@dataclass(frozen=True)
class BandsShape:
    """All that the cost of a model of the paper's kind depends on, but for its codes.

    Attributes:
        geometry: Framing.
        features: Features of a frame.
        filter_weights: Weights of the mel filters; 0 without.
        bands: One entry a band.
    """

    geometry: Geometry
    features: int
    filter_weights: int
    bands: tuple[BandShape, ...]

    @property
    def kind(self) -> ModelKind:
        """Which weights apply."""
        return "bands"

    def counts(self) -> dict[str, float]:
        """What the instructions of a frame are a weighted sum of."""
        blocks = [-(-one.entries // _LANES) for one in self.bands]
        return {
            **_frame_counts(self.geometry),
            "features": float(self.features),
            "filter_weights": float(self.filter_weights),
            "bands": float(len(self.bands)),
            "macs": float(sum(one.bits * _padded(one.columns) for one in self.bands)),
            "rows": float(sum(one.bits for one in self.bands)),
            "planes": float(sum(one.bits * b for one, b in zip(self.bands, blocks, strict=True))),
            "blocks": float(sum(blocks)),
            "chosen": float(
                sum(
                    one.neighbours * math.log2(2 * max(1, one.entries / one.neighbours))
                    for one in self.bands
                )
            ),
            "voters": float(sum(one.neighbours for one in self.bands)),
            "symbols": float(sum(one.symbols for one in self.bands if one.mask_bits == 1)),
            "level_symbols": float(sum(one.symbols for one in self.bands if one.mask_bits > 1)),
            "added": float(sum(one.votes for one in self.bands if not one.is_counted)),
        }


def shape_of(model: Model) -> Shape:
    """The shape of a condensed model."""
    condensed = model.condensed
    if condensed is None:
        raise ValueError("only condensed models have such a shape")
    return Shape(
        model.geometry,
        condensed.n_cells,
        condensed.n_kinds,
        len(condensed.noise_trackers),
        tuple((g.projection.shape[0], g.projection.shape[1]) for g in condensed.hashes),
        tuple(
            DictionaryShape(d.n_words, d.n_entries, d.neighbours, d.n_cells)
            for d in condensed.dictionaries
        ),
        condensed.mask_bits,
        condensed.layers,
    )


def any_shape_of(model: Model) -> Shape | BandsShape:
    """The shape of a model of either kind."""
    if model.condensed is not None:
        return shape_of(model)
    bank = model.filterbank
    return BandsShape(
        model.geometry,
        model.n_features,
        0 if bank is None else int(np.count_nonzero(bank)),
        tuple(_band_shape(band) for band in model.bands),
    )


def _band_shape(band: Band) -> BandShape:
    low, high = band.feature_range
    bins = band.bins[1] - band.bins[0]
    return BandShape(band.n_bits, high - low, band.n_entries, band.neighbours, bins, band.mask_bits)


def _frame_counts(geometry: Geometry) -> dict[str, float]:
    frame = geometry.frame
    return {
        "one": 1.0,
        "frame": float(frame),
        "fft": frame * math.log2(frame),
        "overlap": float(frame - geometry.hop),
    }


def _padded(columns: int) -> int:
    return -(-columns // 4) * 4
