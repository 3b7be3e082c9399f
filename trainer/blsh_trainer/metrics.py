"""Separation quality: BSS_Eval v3 and SI-SDR. All figures in dB."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft, linalg

Signal = npt.NDArray[np.floating]
DoubleArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BssEval:
    """Source to distortion, interference and artefacts ratios in dB."""

    sdr: float
    sir: float
    sar: float


def bss_eval(speech: Signal, noise: Signal, estimate: Signal, taps: int = 512) -> BssEval:
    """BSS_Eval v3 of one estimate (Vincent, Gribonval and Fevotte 2006).

    The estimate is projected onto the delayed copies of the speech, and of speech and noise, by
    least squares; what remains is distortion.

    Args:
        speech: ``(n,)`` true speech.
        noise: ``(n,)`` true noise.
        estimate: ``(n,)`` what the denoiser gave.
        taps: Length of the allowed distortion filter in samples.
    """
    if not speech.shape == noise.shape == estimate.shape:
        raise ValueError("speech, noise and estimate must have the same length")
    sources = np.stack([speech, noise]).astype(np.float64)
    # Scaled to unit norm, which changes no ratio, for a well-conditioned Gram matrix.
    sources /= np.maximum(np.linalg.norm(sources, axis=1, keepdims=True), 1e-300)
    gram, cross = _normal_equations(sources, estimate.astype(np.float64), taps)
    total = float(np.sum(estimate.astype(np.float64) ** 2))
    target = _explained(gram[:taps, :taps], cross[:taps])
    both = _explained(gram, cross)
    return BssEval(
        sdr=_ratio_db(target, total - target),
        sir=_ratio_db(target, both - target),
        sar=_ratio_db(both, total - both),
    )


def si_sdr(speech: Signal, estimate: Signal | npt.NDArray[np.int16]) -> float:
    """Scale-invariant SDR in dB (Le Roux et al. 2019)."""
    s, y = speech.astype(np.float64), estimate.astype(np.float64)
    energy = float(s @ s)
    target = float(s @ y) ** 2 / max(energy, 1e-300)
    return _ratio_db(target, float(y @ y) - target)


def _normal_equations(
    sources: DoubleArray, estimate: DoubleArray, taps: int
) -> tuple[DoubleArray, DoubleArray]:
    """Gram matrix of all delayed sources and its right-hand side, from correlations by FFT."""
    n_sources, n_samples = sources.shape
    n_fft = fft.next_fast_len(n_samples + taps, real=True)
    spectra = fft.rfft(sources, n_fft)
    estimate_spectrum = fft.rfft(estimate, n_fft)
    gram = np.empty((n_sources * taps, n_sources * taps))
    for i in range(n_sources):
        for j in range(n_sources):
            lags = fft.irfft(spectra[i].conj() * spectra[j], n_fft)
            # Entry (a, b): sum of s_i delayed by a with s_j delayed by b, the lag a - b.
            column = lags[:taps]
            row = np.concatenate([lags[:1], lags[:-taps:-1]])
            block = linalg.toeplitz(column, row)
            gram[i * taps : (i + 1) * taps, j * taps : (j + 1) * taps] = block
    cross = fft.irfft(spectra.conj() * estimate_spectrum, n_fft)[:, :taps].reshape(-1)
    return gram, cross


def _explained(gram: DoubleArray, cross: DoubleArray) -> float:
    """Energy of the projection, ``cross^T gram^-1 cross``."""
    # A silent or band-limited source leaves directions without energy: a floor 100 dB down.
    loaded = gram + 1e-10 * max(float(np.diag(gram).max()), 1e-300) * np.eye(gram.shape[0])
    try:
        factor = linalg.cho_factor(loaded, check_finite=False)
        return float(cross @ linalg.cho_solve(factor, cross, check_finite=False))
    except linalg.LinAlgError:
        return float(cross @ linalg.lstsq(gram, cross)[0])


def _ratio_db(signal: float, rest: float) -> float:
    floor = 1e-12 * max(signal, rest, 1e-300)
    return float(10 * np.log10(max(signal, floor) / max(rest, floor)))
