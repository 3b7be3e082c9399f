"""What a frame is hashed by, and what it is denoised with: features and ideal binary masks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from blsh_trainer.errors import BlshError
from blsh_trainer.model_file import Geometry

FloatArray = npt.NDArray[np.float32]
RealArray = npt.NDArray[np.floating]


def mel_filterbank(rate: int, frame: int, n_mels: int) -> FloatArray:
    """Triangular filters, equally spaced in mel from 0 Hz to Nyquist, each a weighted mean.

    A low filter may be narrower than the bins' spacing; it then takes the bin nearest its centre.

    Args:
        rate: Sampling rate in Hz.
        frame: STFT frame length in samples.
        n_mels: Number M of filters.

    Returns:
        ``(n_mels, frame // 2 + 1)`` float32, rows non-negative with sum 1.

    Raises:
        BlshError: More filters than bins, or none.
    """
    n_bins = frame // 2 + 1
    if not 1 <= n_mels <= n_bins:
        raise BlshError(f"--mels {n_mels}: must be 1 to {n_bins} with --frame {frame}")
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges_hz = 700 * (10 ** (np.linspace(0, top, n_mels + 2) / 2595) - 1)
    low, centre, high = (edges_hz[i : i + n_mels, None] for i in range(3))
    bins_hz = np.arange(n_bins)[None] * rate / frame
    bank = np.minimum((bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre))
    bank = np.maximum(bank, 0)
    empty = bank.max(axis=1) <= 0
    nearest = np.rint(centre[:, 0] * frame / rate).astype(int).clip(0, n_bins - 1)
    bank[empty, nearest[empty]] = 1
    normalised: FloatArray = (bank / bank.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalised


def make_filterbank(geometry: Geometry, n_mels: int) -> FloatArray | None:
    """The filterbank of a geometry, ``None`` for STFT features."""
    if geometry.features == "stft":
        return None
    return mel_filterbank(geometry.rate, geometry.frame, n_mels)


def frame_features(magnitude: RealArray, filterbank: FloatArray | None) -> RealArray:
    """L2-normalised features; a silent frame stays all zero.

    Args:
        magnitude: ``(F, n_bins)`` STFT magnitudes.
        filterbank: ``(M, n_bins)``, or ``None`` to use the magnitudes themselves.

    Returns:
        ``(F, n_features)`` in the precision of the magnitudes.
    """
    features = magnitude if filterbank is None else magnitude @ filterbank.T
    norm = np.linalg.norm(features, axis=1, keepdims=True)
    normalised: RealArray = (features / np.where(norm > 0, norm, 1)).astype(magnitude.dtype)
    return normalised


def ideal_binary_mask(
    speech_magnitude: RealArray, noise_magnitude: RealArray
) -> npt.NDArray[np.bool_]:
    """Ideal binary mask: true where speech is louder than noise."""
    return speech_magnitude > noise_magnitude
