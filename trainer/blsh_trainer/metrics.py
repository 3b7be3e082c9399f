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


class BssReference:
    """True speech and noise, to score any number of estimates of one mixture against.

    The Gram matrix of the delayed sources does not depend on the estimate and is factored once.

    Args:
        speech: ``(n,)`` true speech.
        noise: ``(n,)`` true noise.
        taps: Length of the allowed distortion filter in samples.
    """

    def __init__(self, speech: Signal, noise: Signal, taps: int = 512) -> None:
        if speech.shape != noise.shape:
            raise ValueError("speech, noise and estimate must have the same length")
        sources = np.stack([speech, noise]).astype(np.float64)
        # Scaled to unit norm, which changes no ratio, for a well-conditioned Gram matrix.
        sources /= np.maximum(np.linalg.norm(sources, axis=1, keepdims=True), 1e-300)
        self._n_samples, self._taps = speech.size, taps
        self._n_fft = fft.next_fast_len(speech.size + taps, real=True)
        self._spectra = fft.rfft(sources, self._n_fft)
        gram = _gram(self._spectra, self._n_fft, taps)
        self._speech_alone = _Explained(gram[:taps, :taps])
        self._both = _Explained(gram)

    def evaluate(self, estimate: Signal) -> BssEval:
        """BSS_Eval v3 of one estimate (Vincent, Gribonval and Fevotte 2006).

        The estimate is projected onto the delayed copies of the speech, and of speech and noise,
        by least squares; what remains is distortion.

        Args:
            estimate: ``(n,)`` what a denoiser gave.
        """
        if estimate.shape != (self._n_samples,):
            raise ValueError("speech, noise and estimate must have the same length")
        exact = estimate.astype(np.float64)
        spectrum = fft.rfft(exact, self._n_fft)
        lags = fft.irfft(self._spectra.conj() * spectrum, self._n_fft)
        cross = lags[:, : self._taps].reshape(-1)
        total = float(np.sum(exact**2))
        target = self._speech_alone.energy(cross[: self._taps])
        both = self._both.energy(cross)
        return BssEval(
            sdr=_ratio_db(target, total - target),
            sir=_ratio_db(target, both - target),
            sar=_ratio_db(both, total - both),
        )


def bss_eval(speech: Signal, noise: Signal, estimate: Signal, taps: int = 512) -> BssEval:
    """BSS_Eval v3 of a single estimate; see `BssReference`."""
    return BssReference(speech, noise, taps).evaluate(estimate)


def si_sdr(speech: Signal, estimate: Signal | npt.NDArray[np.int16]) -> float:
    """Scale-invariant SDR in dB (Le Roux et al. 2019)."""
    s, y = speech.astype(np.float64), estimate.astype(np.float64)
    energy = float(s @ s)
    target = float(s @ y) ** 2 / max(energy, 1e-300)
    return _ratio_db(target, float(y @ y) - target)


def _gram(spectra: npt.NDArray[np.complex128], n_fft: int, taps: int) -> DoubleArray:
    """Gram matrix of all delayed sources, from their correlations by FFT."""
    n_sources = spectra.shape[0]
    gram = np.empty((n_sources * taps, n_sources * taps))
    for i in range(n_sources):
        for j in range(n_sources):
            lags = fft.irfft(spectra[i].conj() * spectra[j], n_fft)
            # Entry (a, b): sum of s_i delayed by a with s_j delayed by b, the lag a - b.
            column = lags[:taps]
            row = np.concatenate([lags[:1], lags[:-taps:-1]])
            block = linalg.toeplitz(column, row)
            gram[i * taps : (i + 1) * taps, j * taps : (j + 1) * taps] = block
    return gram


class _Explained:
    """Energy of projections onto the delayed sources of a Gram matrix: ``c^T G^-1 c``."""

    def __init__(self, gram: DoubleArray) -> None:
        # A silent or band-limited source leaves directions without energy: a floor 100 dB down.
        floor = 1e-10 * max(float(np.diag(gram).max()), 1e-300)
        self._gram = gram
        try:
            loaded = gram + floor * np.eye(gram.shape[0])
            self._factor = linalg.cho_factor(loaded, check_finite=False)
        except linalg.LinAlgError:
            self._factor = None

    def energy(self, cross: DoubleArray) -> float:
        """Of the projection whose products with the delayed sources are ``cross``."""
        if self._factor is None:
            return float(cross @ linalg.lstsq(self._gram, cross)[0])
        return float(cross @ linalg.cho_solve(self._factor, cross, check_finite=False))


def _ratio_db(signal: float, rest: float) -> float:
    floor = 1e-12 * max(signal, rest, 1e-300)
    return float(10 * np.log10(max(signal, floor) / max(rest, floor)))
