"""The float reference denoiser (Algorithm 1): what a model does before it is quantised."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from blsh_trainer.condensed_denoiser import condensed_mask
from blsh_trainer.features import frame_features
from blsh_trainer.hashing import hash_bits, nearest, unpack_codes
from blsh_trainer.model_file import Band, Model
from blsh_trainer.stft import istft, stft

FloatArray = npt.NDArray[np.float32]
RealArray = npt.NDArray[np.floating]


def band_mask(features: RealArray, band: Band) -> FloatArray:
    """Mean of the masks of the K nearest dictionary entries.

    Args:
        features: ``(F, n_features)`` L2-normalised features of whole frames.
        band: The band.

    Returns:
        ``(F, n)`` gains in [0, 1] for the band's bins.
    """
    bits = hash_bits(features, band.projection, band.bias, band.feature_range)
    dictionary = unpack_codes(band.codes, band.n_bits)
    index, _ = nearest(bits, dictionary, band.neighbours)
    level_sums = np.zeros((features.shape[0], band.masks.shape[1]), np.int64)
    for column in index.T:
        level_sums += band.masks[column]
    full = band.neighbours * ((1 << band.mask_bits) - 1)
    return (level_sums / full).astype(np.float32)


def denoising_mask(model: Model, magnitude: RealArray) -> FloatArray:
    """Gains of all bins: ``(F, n_bins)`` from ``(F, n_bins)`` magnitudes of noisy speech."""
    features = frame_features(magnitude, model.filterbank)
    return np.concatenate([band_mask(features, band) for band in model.bands], axis=1)


def denoise(model: Model, samples: RealArray) -> RealArray:
    """Denoise a signal.

    Args:
        model: A checked model.
        samples: ``(n,)`` at the model's rate.

    Returns:
        ``(n,)`` aligned with the input; float64 for samples in float64, else float32. In float64
        no decision hangs on the order in which a machine adds up.
    """
    if samples.size == 0:
        return np.zeros(0, np.float32)
    geometry = model.geometry
    spectra = stft(samples, geometry.frame, geometry.hop, geometry.window)
    if model.condensed is not None:
        spectra *= condensed_mask(model.condensed, geometry, spectra)
    else:
        spectra *= denoising_mask(model, np.abs(spectra))
    return istft(spectra, samples.size, geometry.frame, geometry.hop, geometry.window)
