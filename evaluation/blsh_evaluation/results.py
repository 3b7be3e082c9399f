"""What an evaluation found, as the report and ``results.json`` take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from blsh_evaluation.profiles import Profile

DoubleArray = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.float32]

OWN_NAMES = ("unprocessed", "oracle", "KNN", "LSH", "BLSH")
"""What the names of the evaluation's own systems begin with."""
BLSH, LSH, LSH_FIXED = "BLSH", "LSH", "LSH, same projections"
CURVE_METHODS = (BLSH, LSH, LSH_FIXED)
"""`LSH` draws its projections anew with each dictionary; `LSH_FIXED` keeps the first."""


@dataclass(frozen=True)
class Table:
    """All systems in one condition.

    Attributes:
        protocol: ``"closed"`` or ``"open"``.
        snr_db: Signal-to-noise ratio in dB.
        scores: By system ``(mixtures, len(MEASURES))``, NaN for what is not installed.
    """

    protocol: str
    snr_db: float
    scores: Mapping[str, DoubleArray]


@dataclass(frozen=True)
class Curves:
    """Quality over L for random dictionaries.

    Attributes:
        protocol: ``"closed"`` or ``"open"``.
        snr_db: Signal-to-noise ratio in dB.
        sdr: ``(mixtures, len(CURVE_METHODS), shares, draws, len(curve_bits))`` in dB.
        si_sdr: Likewise.
    """

    protocol: str
    snr_db: float
    sdr: DoubleArray
    si_sdr: DoubleArray


@dataclass(frozen=True)
class Similarities:
    """Self-similarity of the frames of one mixture.

    Attributes:
        original: ``(n, n)`` by cosine.
        by_method: By method and L, ``(n, n)`` share of bits that two frames have in common.
    """

    original: FloatArray
    by_method: Mapping[str, Mapping[int, FloatArray]]


@dataclass(frozen=True)
class Corpus:
    """What was learned from and tested on.

    Attributes:
        folders: By role.
        fingerprint: SHA-256 of recordings and split.
        training_minutes: Of mixtures.
        training_frames: Of them.
        talkers: By test.
        noise_types: By test.
        genders_known: Whether both tests alternate genders.
    """

    folders: Mapping[str, str]
    fingerprint: str
    training_minutes: float
    training_frames: int
    talkers: Mapping[str, int]
    noise_types: Mapping[str, int]
    genders_known: bool


@dataclass(frozen=True)
class Results:
    """Everything.

    Attributes:
        profile: Extent.
        corpus: Recordings.
        options: Of the training, as the trainer records them.
        tables: By condition.
        curves: By test.
        similarities: Figure 2.
        epsilon: ``(L,)`` weighted errors of the boosted bits.
        beta: ``(L,)`` their coefficients.
        sounds: FLAC files of one open mixture by system.
        guests: Systems that were trained elsewhere.
    """

    profile: Profile
    corpus: Corpus
    options: Mapping[str, Any]
    tables: tuple[Table, ...]
    curves: tuple[Curves, ...]
    similarities: Similarities
    epsilon: DoubleArray
    beta: DoubleArray
    sounds: Mapping[str, bytes]
    guests: tuple[str, ...] = ()

    def table(self, protocol: str, snr_db: float) -> Table:
        """One condition's."""
        return next(t for t in self.tables if (t.protocol, t.snr_db) == (protocol, snr_db))
