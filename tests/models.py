"""Small random models for tests of the code generator."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from blsh_trainer.condensed_model import Condensed, CondensedDictionary, HashGroup
from blsh_trainer.model_file import Band, Geometry, Model, code_words

PAPER = Geometry()
SMALL = Geometry(rate=8000, frame=128, hop=32)


@dataclass(frozen=True)
class BandSpec:
    """What a random band looks like; bins are given as the band's upper edge."""

    end_bin: int
    n_bits: int = 48
    n_entries: int = 60
    neighbours: int = 5
    mask_bits: int = 1
    feature_range: tuple[int, int] | None = None


def random_model(
    geometry: Geometry = SMALL,
    specs: tuple[BandSpec, ...] | None = None,
    *,
    n_mels: int = 20,
    seed: int = 0,
) -> Model:
    """A model with random projections, codes, and masks that come in runs as real ones do."""
    rng = np.random.default_rng(seed)
    filterbank = None
    if geometry.features == "mel":
        filterbank = rng.random((n_mels, geometry.n_bins)).astype(np.float32)
        filterbank[rng.random(filterbank.shape) < 0.5] = 0
        filterbank[:, :2] = 1
        filterbank /= filterbank.sum(axis=1, keepdims=True)
    n_features = geometry.n_bins if filterbank is None else n_mels
    bands = []
    start = 0
    for spec in specs or (BandSpec(geometry.n_bins),):
        bands.append(_random_band(rng, start, spec, n_features))
        start = spec.end_bin
    return Model(geometry, tuple(bands), filterbank, {"seed": seed})


def _random_band(rng: np.random.Generator, start: int, spec: BandSpec, n_features: int) -> Band:
    low, high = spec.feature_range or (0, n_features)
    words = code_words(spec.n_bits)
    bits = rng.integers(0, 2, (spec.n_entries, 32 * words), dtype=np.uint64)
    bits[:, spec.n_bits :] = 0
    codes = (bits.reshape(spec.n_entries, words, 32) << np.arange(32, dtype=np.uint64)).sum(axis=2)
    n_bins = spec.end_bin - start
    levels = rng.integers(0, 1 << spec.mask_bits, (spec.n_entries, -(-n_bins // 4)))
    return Band(
        bins=(start, spec.end_bin),
        feature_range=(low, high),
        neighbours=spec.neighbours,
        mask_bits=spec.mask_bits,
        projection=rng.standard_normal((spec.n_bits, high - low)).astype(np.float32),
        bias=(0.5 * rng.standard_normal(spec.n_bits)).astype(np.float32),
        beta=np.ones(spec.n_bits, np.float32),
        codes=codes.astype(np.uint32),
        masks=np.repeat(levels, 4, axis=1)[:, :n_bins].astype(np.uint8),
    )


def general_model(seed: int = 0) -> Model:
    """Three bands of different shapes and 1-, 3- and 4-bit masks; odd feature ranges."""
    specs = (
        BandSpec(9, n_bits=31, n_entries=40, neighbours=1, mask_bits=3, feature_range=(0, 21)),
        BandSpec(30, n_bits=64, n_entries=17, neighbours=17, mask_bits=4, feature_range=(7, 40)),
        BandSpec(65, n_bits=100, n_entries=33, neighbours=8, mask_bits=1, feature_range=(1, 65)),
    )
    return random_model(SMALL, specs, seed=seed)


CONDENSED = Geometry(rate=8000, frame=128, hop=64, features="levels", window="sine")


@dataclass(frozen=True)
class CondensedSpec:
    """What a random condensed model looks like.

    Attributes:
        n_cells: Cells, of uneven widths.
        trackers: Rise and fall shifts.
        noise_trackers: Shifts.
        groups: Rows and feature range of each hash group; ``None``: all features.
        entries: Entries of the dictionaries, in turn.
        neighbours: Neighbours of the dictionaries, in turn.
        words: Words that the dictionaries compare, in turn; ``None``: all.
        layers: Layers of dictionaries.
        width: Cells of a dictionary; those of each layer start elsewhere.
        tail: Part of the weights that is not 0.
    """

    n_cells: int = 30
    trackers: tuple[tuple[int, int], ...] = ((0, 0), (6, 2))
    noise_trackers: tuple[int, ...] = ()
    groups: tuple[tuple[int, tuple[int, int] | None], ...] = ((32, None), (64, (3, 60)))
    entries: tuple[int, ...] = (64,)
    neighbours: tuple[int, ...] = (4,)
    words: tuple[tuple[int, int] | None, ...] = (None,)
    layers: int = 1
    width: int = 7
    mask_bits: int = 3
    tail: float = 0.3
    gain_floor: float = 0.05
    gain_release: float = 0.5


def random_condensed_model(
    geometry: Geometry = CONDENSED, spec: CondensedSpec | None = None, *, seed: int = 0
) -> Model:
    """A condensed model with random tables, in whose codes many bits are equal."""
    spec = spec or CondensedSpec()
    rng = np.random.default_rng(seed)
    inner = 1 + rng.choice(geometry.n_bins - 1, spec.n_cells - 1, replace=False)
    grid = np.concatenate([[0], np.sort(inner), [geometry.n_bins]]).astype(np.uint16)
    n_features = spec.n_cells * (1 + len(spec.trackers) + len(spec.noise_trackers))
    hashes = []
    for n_rows, feature_range in spec.groups:
        low, high = feature_range or (0, n_features)
        projection = rng.standard_normal((n_rows, high - low)).astype(np.float32)
        bias = (3 * rng.standard_normal(n_rows)).astype(np.float32)
        hashes.append(HashGroup((low, high), projection, bias))
    n_words = sum(group.n_words for group in hashes)
    dictionaries = []
    for layer in range(spec.layers):
        edges = list(range(spec.width * (layer + 1) // (spec.layers + 1), spec.n_cells, spec.width))
        edges = sorted({0, *edges, spec.n_cells})
        for cells in pairwise(edges):
            n = len(dictionaries)
            words = spec.words[n % len(spec.words)] or (0, n_words)
            n_entries = spec.entries[n % len(spec.entries)]
            neighbours = min(spec.neighbours[n % len(spec.neighbours)], n_entries)
            dictionaries.append(_random_dictionary(rng, cells, words, n_entries, neighbours, spec))
    condensed = Condensed(
        grid=grid,
        trackers=spec.trackers,
        noise_trackers=spec.noise_trackers,
        hashes=tuple(hashes),
        dictionaries=tuple(dictionaries),
        mask_bits=spec.mask_bits,
        vote_scale=8 / (spec.layers * (1 << spec.mask_bits)),
        vote_offset=-4.0,
        gain_floor=spec.gain_floor,
        gain_release=spec.gain_release,
    )
    return Model(geometry, (), None, {"seed": seed}, condensed)


def _random_dictionary(
    rng: np.random.Generator,
    cells: tuple[int, int],
    words: tuple[int, int],
    n_entries: int,
    neighbours: int,
    spec: CondensedSpec,
) -> CondensedDictionary:
    n_words = words[1] - words[0]
    codes = rng.integers(0, 2**32, (n_entries, n_words), dtype=np.uint64)
    codes |= rng.integers(0, 2**32, n_words, dtype=np.uint64)
    codes[n_entries // 2 :] = codes[rng.integers(0, n_entries, n_entries - n_entries // 2)]
    weights = np.sort(rng.random(32 * n_words + 1))[::-1].astype(np.float32)
    weights[round(spec.tail * weights.size) :] = 0
    weights[0] = 1
    return CondensedDictionary(
        cells=cells,
        words=words,
        neighbours=neighbours,
        codes=codes.astype(np.uint32),
        masks=rng.integers(0, 1 << spec.mask_bits, (n_entries, cells[1] - cells[0])).astype(
            np.uint8
        ),
        weights=weights,
    )


CONDENSED_MODELS: dict[str, Model] = {
    "one layer": random_condensed_model(spec=CondensedSpec(noise_trackers=(3, 0))),
    "three layers": random_condensed_model(
        Geometry(8000, 256, 64, "levels", "hann"),
        CondensedSpec(
            n_cells=41,
            trackers=((0, 0), (6, 2), (12, 0)),
            groups=((32, (0, 50)), (96, (49, 164)), (32, None)),
            entries=(33, 64, 100, 5),
            neighbours=(4, 8, 3),
            words=((0, 1), (1, 4), None, (2, 5)),
            layers=3,
            width=9,
            mask_bits=4,
            gain_release=0.9,
        ),
        seed=1,
    ),
    "every entry votes": random_condensed_model(
        Geometry(8000, 64, 8, "levels", "sine"),
        CondensedSpec(
            n_cells=20,
            trackers=(),
            groups=((32, None),),
            entries=(31, 1, 255),
            neighbours=(255,),
            mask_bits=1,
            tail=1.0,
            gain_floor=0.0,
            gain_release=0.0,
        ),
        seed=2,
    ),
    "wide masks": random_condensed_model(
        Geometry(16000, 512, 256, "levels", "sine"),
        CondensedSpec(
            n_cells=90,
            trackers=((8, 3),),
            noise_trackers=(12,),
            groups=((64, (10, 100)), (192, (0, 269))),
            entries=(70,),
            neighbours=(40, 70),
            layers=2,
            width=40,
            mask_bits=2,
            tail=0.8,
        ),
        seed=3,
    ),
    "cells of one bin": random_condensed_model(
        Geometry(8000, 64, 32, "levels", "sine"),
        CondensedSpec(
            n_cells=33,
            trackers=(),
            noise_trackers=(2,),
            entries=(64, 32),
            mask_bits=4,
            neighbours=(30,),
            width=40,
        ),
        seed=4,
    ),
}


def typical_condensed_model(
    n_groups: int = 6, n_words: int = 6, neighbours: int = 6, mask_bits: int = 4, seed: int = 0
) -> Model:
    """A random model of the size of trained ones: 136 cells, 32 dictionaries of 64 entries."""
    spec = CondensedSpec(
        n_cells=136,
        trackers=((0, 0), (7, 2)),
        noise_trackers=(3,),
        groups=tuple((32, (24 * n, 24 * n + 228)) for n in range(n_groups)),
        neighbours=(neighbours,),
        words=((0, n_words),),
        layers=4,
        width=18,
        mask_bits=mask_bits,
    )
    return random_condensed_model(Geometry(16000, 1024, 512, "levels", "sine"), spec, seed=seed)
