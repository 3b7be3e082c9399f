"""Quantise a model to the integer tables that the reference and the C runtime share.

Every scaling decision of the fixed-point denoiser is taken here, once; ``docs/contract.md`` says
why each fits its integer type.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from blsh_trainer.model_file import Band, Geometry, Model

from blsh_codegen.condensed_tables import CondensedTables, quantise_condensed

Int16Array = npt.NDArray[np.int16]
FloatArray = npt.NDArray[np.float64]

Q14_ONE = 1 << 14
Q15_ONE = 1 << 15
INT16_MAX = Q15_ONE - 1

_MAGNITUDE_DIRECTIONS = 4


@dataclass(frozen=True)
class Filterbank:
    """Mel filters as runs of weights.

    Attributes:
        first_bin: ``(M,)`` uint16, first STFT bin of each filter.
        n_weights: ``(M,)`` uint16, number of consecutive bins in each filter.
        weights_q15: All filters' weights in Q15, one filter after another.
    """

    first_bin: npt.NDArray[np.uint16]
    n_weights: npt.NDArray[np.uint16]
    weights_q15: Int16Array


@dataclass(frozen=True)
class BandTables:
    """The integer tables of one band.

    Attributes:
        bins: Half-open range of STFT bins that the masks cover.
        feature_range: Half-open range of features that are hashed.
        neighbours: K.
        mask_bits: Bits a mask level.
        projection_q15: ``(L, D)`` int16; each row's L2 norm is at most 32767.
        bias_q15: ``(L,)`` int16, in the same scale as its row.
        codes: ``(T, W)`` uint32.
        masks: ``(T, n)`` uint8 levels.
        gain_q15: ``(K * (2**mask_bits - 1) + 1,)`` int16: gain for each sum of K mask levels.
    """

    bins: tuple[int, int]
    feature_range: tuple[int, int]
    neighbours: int
    mask_bits: int
    projection_q15: Int16Array
    bias_q15: Int16Array
    codes: npt.NDArray[np.uint32]
    masks: npt.NDArray[np.uint8]
    gain_q15: Int16Array

    @property
    def n_bits(self) -> int:
        """L, the length of a hash code in bits."""
        return int(self.projection_q15.shape[0])

    @property
    def n_words(self) -> int:
        """W, the number of 32-bit words of a hash code."""
        return int(self.codes.shape[1])

    @property
    def n_entries(self) -> int:
        """T, the number of dictionary entries."""
        return int(self.codes.shape[0])


@dataclass(frozen=True)
class Tables:
    """A quantised model.

    Attributes:
        geometry: Framing of the model.
        model_sha256: Identity of the model the tables were made from.
        window_q15: ``(N/2 + 1,)`` int16, first half and middle of the symmetric analysis window.
        synthesis_q14: ``(N/2 + 1,)`` int16, likewise the synthesis window.
        twiddle_q15: ``(N/2, 2)`` int16, ``-cos`` and ``-sin`` of ``2 pi k / N``. Stored negated
            because Q15 holds -1.0 but not +1.0.
        magnitude_q15: ``(4, 2)`` int16, weights of the larger and smaller component.
        filterbank: Mel filters, or ``None`` for other features.
        bands: One entry a band; none for a condensed model.
        condensed: The tables of a condensed model, else ``None``.
    """

    geometry: Geometry
    model_sha256: str
    window_q15: Int16Array
    synthesis_q14: Int16Array
    twiddle_q15: Int16Array
    magnitude_q15: Int16Array
    filterbank: Filterbank | None
    bands: tuple[BandTables, ...]
    condensed: CondensedTables | None = None

    @property
    def n_features(self) -> int:
        """Length of a frame's feature vector."""
        if self.condensed is not None:
            return self.condensed.n_features
        if self.filterbank is None:
            return self.geometry.n_bins
        return int(self.filterbank.first_bin.size)

    @property
    def output_shift(self) -> int:
        """Fractional bits of the overlap-add accumulator.

        The windowed frame has 15; the inverse FFT's halvings divide by N/2 and the Q14 synthesis
        window, of which 16 bits are dropped, takes 2 more.
        """
        return 13 - (self.geometry.frame // 2).bit_length() + 1


def quantise(model: Model) -> Tables:
    """Quantise a checked model (see `blsh_trainer.model_file.check_model`)."""
    frame = model.geometry.frame
    window = _WINDOWS[model.geometry.window](frame)
    window_q15 = _quantised(window[: frame // 2 + 1], Q15_ONE)
    return Tables(
        geometry=model.geometry,
        model_sha256=model.sha256,
        window_q15=window_q15,
        synthesis_q14=synthesis_window_q14(window_q15, model.geometry.hop),
        twiddle_q15=twiddles_q15(frame),
        magnitude_q15=magnitude_weights_q15(),
        filterbank=None if model.filterbank is None else _filterbank(model.filterbank),
        bands=tuple(_band_tables(band) for band in model.bands),
        condensed=None if model.condensed is None else quantise_condensed(model.condensed),
    )


def hann_window(frame: int) -> FloatArray:
    """Periodic Hann window of ``frame`` samples."""
    window: FloatArray = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame) / frame)
    return window


def sine_window(frame: int) -> FloatArray:
    """Square root of the periodic Hann window."""
    window: FloatArray = np.sin(np.pi * np.arange(frame) / frame)
    return window


_WINDOWS = {"hann": hann_window, "sine": sine_window}


def mirrored(half: Int16Array) -> Int16Array:
    """Whole periodic window from its first half and middle: ``w[n] = w[N - n]``."""
    return np.concatenate([half, half[-2:0:-1]])


def synthesis_window_q14(window_q15: Int16Array, hop: int) -> Int16Array:
    """Least-squares synthesis window for a quantised analysis window.

    ``w_s[n] = w[n] / sum_m w[n - m hop]^2`` (Griffin and Lim 1984) gives back the input exactly
    where no gain is applied. It is at most 1.21, hence Q14.
    """
    window = mirrored(window_q15) / Q15_ONE
    power = (window**2).reshape(-1, hop).sum(axis=0)
    synthesis = window / np.tile(power, window.size // hop)
    return _quantised(synthesis[: window_q15.size], Q14_ONE)


def twiddles_q15(frame: int) -> Int16Array:
    """``(N/2, 2)`` negated cosines and sines of ``2 pi k / N`` in Q15."""
    angle = 2 * np.pi * np.arange(frame // 2) / frame
    return _quantised(np.stack([-np.cos(angle), -np.sin(angle)], axis=1), Q15_ONE)


def magnitude_weights_q15() -> Int16Array:
    """Directions of the piecewise linear magnitude.

    With a >= b >= 0 the magnitude is the largest of ``a cos t + b sin t`` over all t in
    [0, 45 degrees]. Four directions leave at most 5.625 degrees between a vector and the nearest,
    an error of 0.48 %; the common factor centres it to +-0.24 %.
    """
    half_gap = np.pi / 8 / _MAGNITUDE_DIRECTIONS
    angle = half_gap * (2 * np.arange(_MAGNITUDE_DIRECTIONS) + 1)
    centred = 2 / (1 + np.cos(half_gap))
    weights = centred * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _quantised(weights, Q15_ONE)


def _quantised(values: FloatArray, one: int) -> Int16Array:
    """Round to the nearest integer multiple of ``1 / one`` and saturate to int16."""
    return np.clip(np.rint(values * one), -Q15_ONE, INT16_MAX).astype(np.int16)


def _filterbank(bank: npt.NDArray[np.float32]) -> Filterbank:
    first, count, weights = [], [], []
    for row in bank.astype(np.float64):
        # Rounding down keeps the sum of a row's weights, and so every feature, within int16.
        row_q15 = np.floor(np.minimum(row, INT16_MAX / Q15_ONE) * Q15_ONE).astype(np.int16)
        used = np.flatnonzero(row_q15)
        low, high = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 1)
        first.append(low)
        count.append(high - low)
        weights.append(row_q15[low:high])
    return Filterbank(
        first_bin=np.array(first, np.uint16),
        n_weights=np.array(count, np.uint16),
        weights_q15=np.concatenate(weights),
    )


def _band_tables(band: Band) -> BandTables:
    projection = band.projection.astype(np.float64)
    # A hash bit depends only on the direction of (p, b). Rounding D weights can lengthen a row by
    # sqrt(D) / 2, which is set aside so that the L2 norm of the row stays within int16.
    room = INT16_MAX - np.sqrt(projection.shape[1]) / 2
    scale = room / np.linalg.norm(projection, axis=1)
    max_level = (1 << band.mask_bits) - 1
    level_sums = np.arange(band.neighbours * max_level + 1)
    return BandTables(
        bins=band.bins,
        feature_range=band.feature_range,
        neighbours=band.neighbours,
        mask_bits=band.mask_bits,
        projection_q15=np.rint(projection * scale[:, None]).astype(np.int16),
        bias_q15=np.clip(np.rint(band.bias * scale), -INT16_MAX, INT16_MAX).astype(np.int16),
        codes=band.codes,
        masks=band.masks,
        gain_q15=np.rint(level_sums * (INT16_MAX / level_sums[-1])).astype(np.int16),
    )
