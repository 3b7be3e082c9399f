"""The integer reference: the one definition of the denoiser's arithmetic.

Integers in, integers out. The C runtime equals these functions bit for bit at every stage, on
every input; ``docs/contract.md`` states the same in prose, with the argument why nothing
overflows. Right shifts are arithmetic (they round towards minus infinity). Functions work on the
last axis, so any number of frames can be processed at once. What a condensed model does between
spectrum and gains is in `blsh_codegen.condensed_reference`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blsh_codegen.condensed_reference import (
    CondensedTrace,
    analyse,
    bin_gains,
    cell_gains,
    cell_levels,
)
from blsh_codegen.fixed_point import Int64Array, bit_length
from blsh_codegen.neighbours import nearest_codes
from blsh_codegen.tables import BandTables, Filterbank, Tables, mirrored

Int16Array = npt.NDArray[np.int16]

NORM_BITS = 15
COMPONENT_BITS = 14

_FRAMES_AT_ONCE = 512


@dataclass(frozen=True)
class BandTrace:
    """What one band computes in a run of F frames.

    Attributes:
        code: ``(F, W)`` uint32 hash codes.
        index: ``(F, K)`` indices of the nearest dictionary entries, nearest first.
        distance: ``(F, K)`` their Hamming distances in bits.
    """

    code: npt.NDArray[np.uint32]
    index: Int64Array
    distance: Int64Array


@dataclass(frozen=True)
class Trace:
    """Every stage of the contract for a run of F frames.

    Attributes:
        windowed: ``(F, N)`` windowed frames, Q15 times the input's scale.
        spectrum: ``(F, N)`` packed spectra (see `forward_fft`).
        features: ``(F, n_features)`` block-normalised features.
        norm: ``(F,)`` their L2 norms; empty for a condensed model.
        bands: One `BandTrace` a band; none for a condensed model.
        gain_q15: ``(F, N/2 + 1)`` mask gains in Q15.
        output: ``(F, hop)`` int16 output samples.
        condensed: What only a condensed model has, else ``None``.
    """

    windowed: Int64Array
    spectrum: Int64Array
    features: Int64Array
    norm: Int64Array
    bands: tuple[BandTrace, ...]
    gain_q15: Int64Array
    output: Int16Array
    condensed: CondensedTrace | None = None


@dataclass(frozen=True)
class GainSettings:
    """What applications may set while a stream runs.

    Attributes:
        floor_q15: Least gain, 0 to 32767.
        release_q15: Least part of a cell's gain in the frame before, 0 to 32767; of no effect
            unless the model is a condensed one.
    """

    floor_q15: int = 0
    release_q15: int = 0


def default_settings(tables: Tables) -> GainSettings:
    """The settings with which a stream starts."""
    if tables.condensed is None:
        return GainSettings()
    return GainSettings(tables.condensed.gain_floor_q15, tables.condensed.gain_release_q15)


def process(tables: Tables, samples: Int16Array, settings: GainSettings | None = None) -> Trace:
    """Denoise a signal from a fresh state.

    Args:
        tables: The quantised model.
        samples: ``(F * hop,)`` int16. The output is late by ``frame - hop`` samples.
        settings: In place of the model's own (see `default_settings`).

    Returns:
        The trace of all F frames.
    """
    settings = settings or default_settings(tables)
    windowed = window_frames(_frames(tables, samples), tables.window_q15)
    spectrum = forward_fft(windowed, tables.twiddle_q15)
    if tables.condensed is None:
        features, norm, bands, gain_q15 = _search_bands(tables, spectrum, settings)
        condensed = None
    else:
        condensed = analyse(
            tables.condensed,
            cell_levels(spectrum, tables.condensed),
            tables.geometry.frame,
            tables.geometry.hop,
        )
        features, norm, bands = condensed.features, np.zeros(0, np.int64), ()
        gain_q15 = _condensed_gains(tables, condensed, settings)
    synthesised = _synthesise(tables, spectrum, gain_q15)
    output = overlap_add(synthesised, tables.geometry.hop, tables.output_shift)
    return Trace(windowed, spectrum, features, norm, bands, gain_q15, output, condensed)


def denoise(
    tables: Tables, samples: Int16Array, settings: GainSettings | None = None
) -> Int16Array:
    """Output of `process`, and no more, for a signal of any length, without the latency.

    Takes little memory beyond the signal's gains: some hundred frames go through at a time
    wherever a stage does not depend on the frames before.

    Args:
        tables: The quantised model.
        samples: ``(n,)`` int16.
        settings: In place of the model's own (see `default_settings`).

    Returns:
        ``(n,)`` int16, in time with the input.
    """
    settings = settings or default_settings(tables)
    frame, hop = tables.geometry.frame, tables.geometry.hop
    latency = frame - hop
    padding = latency + -(samples.size + latency) % hop
    frames = _frames(tables, np.pad(samples, (0, padding)))
    pieces = [
        slice(start, start + _FRAMES_AT_ONCE) for start in range(0, len(frames), _FRAMES_AT_ONCE)
    ]

    def spectra(piece: slice) -> Int64Array:
        windowed = window_frames(frames[piece], tables.window_q15)
        return forward_fft(windowed, tables.twiddle_q15)

    gain_q15 = None
    if tables.condensed is not None:
        levels = [cell_levels(spectra(piece), tables.condensed) for piece in pieces]
        condensed = analyse(tables.condensed, np.concatenate(levels), frame, hop)
        gain_q15 = _condensed_gains(tables, condensed, settings)
    synthesised: npt.NDArray[np.signedinteger] = np.empty(frames.shape, np.int32)
    for piece in pieces:
        spectrum = spectra(piece)
        if gain_q15 is None:
            gains = _search_bands(tables, spectrum, settings)[3]
        else:
            gains = gain_q15[piece]
        synthesised[piece] = _synthesise(tables, spectrum, gains)
    output = overlap_add(synthesised, hop, tables.output_shift).reshape(-1)
    return output[latency : latency + samples.size]


def _frames(tables: Tables, samples: Int16Array) -> Int16Array:
    """``(F, N)`` overlapping frames of ``(F * hop,)`` samples."""
    frame, hop = tables.geometry.frame, tables.geometry.hop
    if samples.dtype != np.int16 or samples.ndim != 1 or samples.size % hop:
        raise ValueError(f"samples must be a 1-D int16 array of whole hops of {hop}")
    padded = np.concatenate([np.zeros(frame - hop, np.int16), samples])
    return np.lib.stride_tricks.sliding_window_view(padded, frame)[::hop]


def _search_bands(
    tables: Tables, spectrum: Int64Array, settings: GainSettings
) -> tuple[Int64Array, Int64Array, tuple[BandTrace, ...], Int64Array]:
    """Features, norms, what the bands find, and gains."""
    magnitude = bin_magnitudes(spectrum, tables.magnitude_q15)
    features, norm = normalised_features(magnitude, tables.filterbank)
    bands = []
    gains = []
    for band in tables.bands:
        code = hash_codes(features, norm, band)
        index, distance = nearest_codes(code, band.codes, band.neighbours)
        bands.append(BandTrace(code, index, distance))
        gains.append(mask_gains(index, band))
    gain_q15 = np.maximum(np.concatenate(gains, axis=-1), settings.floor_q15)
    return features, norm, tuple(bands), gain_q15


def _condensed_gains(tables: Tables, trace: CondensedTrace, settings: GainSettings) -> Int64Array:
    """``(F, N/2 + 1)`` gains of a condensed model."""
    assert tables.condensed is not None
    gains = cell_gains(
        trace.votes, tables.condensed.gain_q15, settings.floor_q15, settings.release_q15
    )
    return bin_gains(gains, tables.condensed.grid)


def _synthesise(tables: Tables, spectrum: Int64Array, gain_q15: Int64Array) -> Int64Array:
    """Spectra and gains to frames that are ready to be overlapped and added."""
    masked = apply_gains(spectrum, gain_q15)
    return synthesis_frames(inverse_fft(masked, tables.twiddle_q15), tables.synthesis_q14)


def mulw(a: npt.ArrayLike, w: npt.ArrayLike) -> Int64Array:
    """Product of a 32-bit and a 16-bit integer without its 16 lowest bits (SMULWB)."""
    return (np.asarray(a, np.int64) * np.asarray(w, np.int64)) >> 16


def window_frames(frames: Int16Array, window_q15: Int16Array) -> Int64Array:
    """``(..., N)`` int16 samples times the analysis window; below 2**30 in magnitude."""
    return frames.astype(np.int64) * mirrored(window_q15)


def complex_fft(z: npt.NDArray[np.int64], twiddle_q15: Int16Array) -> tuple[Int64Array, Int64Array]:
    """Radix-2 decimation-in-time FFT that halves in every stage.

    Args:
        z: ``(2, ..., H)`` real and imaginary parts.
        twiddle_q15: Table for frames of ``N = 2 H`` samples (see `Tables`).

    Returns:
        Real and imaginary parts of the DFT divided by H, in natural order.
    """
    n_points = z.shape[-1]
    order = _bit_reversed(n_points)
    re, im = z[0][..., order], z[1][..., order]
    re, im = _first_two_stages(re, im)
    span = 4
    while span < n_points:
        cos, sin = twiddle_q15[:: n_points // span].astype(np.int64).T
        re = re.reshape(*re.shape[:-1], -1, 2, span)
        im = im.reshape(*im.shape[:-1], -1, 2, span)
        a_re, b_re, a_im, b_im = re[..., 0, :], re[..., 1, :], im[..., 0, :], im[..., 1, :]
        u = mulw(b_re, cos) + mulw(b_im, sin)  # -Re(b w) / 2
        v = mulw(b_im, cos) - mulw(b_re, sin)  # -Im(b w) / 2
        shape = (*re.shape[:-3], n_points)
        re = np.stack([(a_re >> 1) - u, (a_re >> 1) + u], axis=-2).reshape(shape)
        im = np.stack([(a_im >> 1) - v, (a_im >> 1) + v], axis=-2).reshape(shape)
        span *= 2
    return re, im


def _bit_reversed(n_points: int) -> npt.NDArray[np.intp]:
    order: npt.NDArray[np.intp] = np.zeros(1, np.intp)
    while order.size < n_points:
        order = np.concatenate([2 * order, 2 * order + 1])
    return order


def _first_two_stages(re: Int64Array, im: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Stages of span 1 and 2, whose twiddles 1 and -i need no multiplication."""
    shape = re.shape
    a_re, b_re, c_re, d_re = np.moveaxis(re.reshape(*shape[:-1], -1, 4) >> 1, -1, 0)
    a_im, b_im, c_im, d_im = np.moveaxis(im.reshape(*shape[:-1], -1, 4) >> 1, -1, 0)
    ab_re, ab_im = (a_re + b_re) >> 1, (a_im + b_im) >> 1
    a_b_re, a_b_im = (a_re - b_re) >> 1, (a_im - b_im) >> 1
    cd_re, cd_im = (c_re + d_re) >> 1, (c_im + d_im) >> 1
    c_d_re, c_d_im = (c_re - d_re) >> 1, (c_im - d_im) >> 1
    out_re = [ab_re + cd_re, a_b_re + c_d_im, ab_re - cd_re, a_b_re - c_d_im]
    out_im = [ab_im + cd_im, a_b_im - c_d_re, ab_im - cd_im, a_b_im + c_d_re]
    return np.stack(out_re, -1).reshape(shape), np.stack(out_im, -1).reshape(shape)


def forward_fft(windowed: Int64Array, twiddle_q15: Int16Array) -> Int64Array:
    """Spectrum of real frames, divided by N.

    Even samples are the real and odd samples the imaginary part of an FFT of H = N/2 points,
    whose result is split into the spectra of the two.

    Returns:
        ``(..., N)`` packed: real and imaginary parts of bins 1 to H - 1 at 2k and 2k + 1; the
        real values of DC and Nyquist at 0 and 1. Magnitudes are at most 2**30.
    """
    n_points = windowed.shape[-1] // 2
    re, im = complex_fft(np.stack([windowed[..., 0::2], windowed[..., 1::2]]), twiddle_q15)
    packed = np.empty_like(windowed)
    packed[..., 0] = (re[..., 0] >> 1) + (im[..., 0] >> 1)
    packed[..., 1] = (re[..., 0] >> 1) - (im[..., 0] >> 1)
    k = np.arange(1, n_points // 2 + 1)
    j = n_points - k
    cos, sin = twiddle_q15[k].astype(np.int64).T
    even_re = (re[..., k] >> 1) + (re[..., j] >> 1)
    even_im = (im[..., k] >> 1) - (im[..., j] >> 1)
    odd_re = (im[..., k] >> 1) + (im[..., j] >> 1)
    odd_im = (re[..., j] >> 1) - (re[..., k] >> 1)
    u = mulw(odd_re, cos) + mulw(odd_im, sin)
    v = mulw(odd_im, cos) - mulw(odd_re, sin)
    packed[..., 2 * k] = (even_re >> 1) - u
    packed[..., 2 * k + 1] = (even_im >> 1) - v
    packed[..., 2 * j] = (even_re >> 1) + u
    packed[..., 2 * j + 1] = -((even_im >> 1) + v)
    return packed


def inverse_fft(packed: Int64Array, twiddle_q15: Int16Array) -> Int64Array:
    """Inverse of `forward_fft`, divided by H = N/2: ``(..., N)`` samples."""
    n_points = packed.shape[-1] // 2
    re, im = packed[..., 0::2], packed[..., 1::2]
    z = np.empty((2, *packed.shape[:-1], n_points), np.int64)
    z[0, ..., 0] = re[..., 0] + im[..., 0]
    z[1, ..., 0] = re[..., 0] - im[..., 0]
    k = np.arange(1, n_points // 2 + 1)
    j = n_points - k
    cos, sin = twiddle_q15[k].astype(np.int64).T
    even_re, even_im = re[..., k] + re[..., j], im[..., k] - im[..., j]
    diff_re, diff_im = re[..., k] - re[..., j], im[..., k] + im[..., j]
    u = mulw(diff_re, cos) - mulw(diff_im, sin)  # -Re(odd) / 2
    v = mulw(diff_im, cos) + mulw(diff_re, sin)  # -Im(odd) / 2
    z[0][..., k] = even_re + 2 * v
    z[1][..., k] = even_im - 2 * u
    z[0][..., j] = even_re - 2 * v
    z[1][..., j] = -even_im - 2 * u
    # Swapping real and imaginary parts before and after turns the forward FFT into the inverse.
    odd, even = complex_fft(z[::-1], twiddle_q15)
    return np.stack([even, odd], axis=-1).reshape(packed.shape)


def bin_magnitudes(spectrum: Int64Array, magnitude_q15: Int16Array) -> Int64Array:
    """Magnitudes of a packed spectrum, to 0.24 % and a power of two common to the frame.

    Returns:
        ``(..., N/2 + 1)``, below 2**15. The largest component of the frame has 14 bits.
    """
    n_points = spectrum.shape[-1] // 2
    size = spectrum ^ (spectrum >> 63)  # absolute value, less one where negative
    zero = np.zeros_like(size[..., :1])
    re = np.concatenate([size[..., 0::2], size[..., 1:2]], axis=-1)
    im = np.concatenate([zero, size[..., 3::2], zero], axis=-1)
    assert re.shape[-1] == im.shape[-1] == n_points + 1
    bits = bit_length(np.bitwise_or.reduce(size, axis=-1, keepdims=True))
    right, left = np.maximum(bits - COMPONENT_BITS, 0), np.maximum(COMPONENT_BITS - bits, 0)
    re, im = (re >> right) << left, (im >> right) << left
    high, low = np.maximum(re, im), np.minimum(re, im)
    weights = magnitude_q15.astype(np.int64)
    magnitude: Int64Array = high * weights[0, 0] + low * weights[0, 1]
    for along, across in weights[1:]:
        magnitude = np.maximum(magnitude, high * along + low * across)
    return magnitude >> 15


def normalised_features(
    magnitude: Int64Array, filterbank: Filterbank | None
) -> tuple[Int64Array, Int64Array]:
    """Features whose L2 norm has at most 15 bits, and that norm.

    Returns:
        ``(..., n_features)`` features and ``(...)`` their norm, rounded down.
    """
    features = magnitude if filterbank is None else _mel_features(magnitude, filterbank)
    power = (features * features).sum(axis=-1, keepdims=True)
    # The smallest shift that brings the sum of squares below 2**30.
    shift = np.maximum(bit_length(power) - 2 * NORM_BITS + 1, 0) >> 1
    features = features >> shift
    return features, _integer_sqrt((features * features).sum(axis=-1))


def _mel_features(magnitude: Int64Array, filterbank: Filterbank) -> Int64Array:
    features = np.empty((*magnitude.shape[:-1], filterbank.first_bin.size), np.int64)
    start = 0
    for m, (first, count) in enumerate(
        zip(filterbank.first_bin.tolist(), filterbank.n_weights.tolist(), strict=True)
    ):
        weights = filterbank.weights_q15[start : start + count].astype(np.int64)
        features[..., m] = (magnitude[..., first : first + count] @ weights) >> 15
        start += count
    return features


def _integer_sqrt(values: Int64Array) -> Int64Array:
    """Square root rounded down; exact because float64 holds the operand and root exactly."""
    return np.floor(np.sqrt(values.astype(np.float64))).astype(np.int64)


def hash_codes(features: Int64Array, norm: Int64Array, band: BandTables) -> npt.NDArray[np.uint32]:
    """``(..., W)`` hash codes: bit l % 32 of word l // 32 is ``p_l . x + b_l |x| >= 0``."""
    low, high = band.feature_range
    projected = features[..., low:high] @ band.projection_q15.astype(np.int64).T
    bits = projected + norm[..., None] * band.bias_q15.astype(np.int64) >= 0
    padding = 32 * band.n_words - band.n_bits
    bits = np.pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, padding)])
    words = bits.reshape(*bits.shape[:-1], band.n_words, 32).astype(np.uint32)
    code: npt.NDArray[np.uint32] = (words << np.arange(32, dtype=np.uint32)).sum(-1, np.uint32)
    return code


def mask_gains(index: Int64Array, band: BandTables) -> Int64Array:
    """``(F, n)`` gains in Q15: the mean of the neighbours' mask levels, 32767 for all ones."""
    level_sums = band.masks[index].sum(axis=-2, dtype=np.int64)
    gain_q15: Int64Array = band.gain_q15.astype(np.int64)[level_sums]
    return gain_q15


def apply_gains(spectrum: Int64Array, gain_q15: Int64Array) -> Int64Array:
    """A packed spectrum times the gains of its bins."""
    nyquist = gain_q15.shape[-1] - 1
    component_gain = np.repeat(gain_q15[..., :nyquist], 2, axis=-1)
    component_gain[..., 1] = gain_q15[..., nyquist]
    return 2 * mulw(spectrum, component_gain)


def synthesis_frames(samples: Int64Array, synthesis_q14: Int16Array) -> Int64Array:
    """Inverse FFT output times the synthesis window."""
    return mulw(samples, mirrored(synthesis_q14))


def overlap_add(synthesised: npt.NDArray[np.signedinteger], hop: int, shift: int) -> Int16Array:
    """``(F, N)`` frames to ``(F, hop)`` samples: sum, round half up, saturate."""
    n_frames, frame = synthesised.shape
    blocks = frame // hop
    total = np.zeros((n_frames + blocks - 1, hop), np.int64)
    for block in range(blocks):
        total[block : block + n_frames] += synthesised[:, block * hop : (block + 1) * hop]
    rounded = (total[:n_frames] + (1 << (shift - 1))) >> shift
    output: Int16Array = np.clip(rounded, -32768, 32767).astype(np.int16)
    return output
