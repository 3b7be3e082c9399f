"""Small random models for tests of the code generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
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
