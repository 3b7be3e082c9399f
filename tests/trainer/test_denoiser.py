"""The float reference denoiser."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
from blsh_trainer.denoiser import denoise, denoising_mask
from blsh_trainer.features import frame_features
from blsh_trainer.model_file import Model
from blsh_trainer.stft import stft

from tests.models import general_model, random_model


def noise(n_samples: int, seed: int = 0) -> npt.NDArray[np.float32]:
    samples = 0.1 * np.random.default_rng(seed).standard_normal(n_samples)
    return samples.astype(np.float32)


def test_mask_is_the_mean_of_the_neighbours_masks_in_every_band() -> None:
    model = general_model()
    magnitude = np.abs(stft(noise(2000), model.geometry.frame, model.geometry.hop))
    gains = denoising_mask(model, magnitude)
    assert gains.shape == magnitude.shape
    features = frame_features(magnitude, model.filterbank)
    for frame in range(0, features.shape[0], 7):
        for band in model.bands:
            low, high = band.feature_range
            bits = band.projection @ features[frame, low:high] + band.bias >= 0
            distances = []
            for code in band.codes:
                stored = [(int(code[i // 32]) >> (i % 32)) & 1 for i in range(band.n_bits)]
                distances.append(sum(a != b for a, b in zip(stored, bits, strict=True)))
            nearest = sorted(range(band.n_entries), key=lambda t: (distances[t], t))
            chosen = band.masks[nearest[: band.neighbours]].astype(float)
            expected = chosen.mean(axis=0) / (2**band.mask_bits - 1)
            np.testing.assert_allclose(gains[frame, slice(*band.bins)], expected, atol=1e-6)


def open_model(model: Model) -> Model:
    """The same model with masks that let everything pass."""
    bands = [
        dataclasses.replace(band, masks=np.full_like(band.masks, (1 << band.mask_bits) - 1))
        for band in model.bands
    ]
    return dataclasses.replace(model, bands=tuple(bands))


@pytest.mark.parametrize("n_samples", [0, 1, 31, 32, 1000])
def test_output_is_aligned_and_of_the_same_length(n_samples: int) -> None:
    samples = noise(n_samples)
    result = denoise(open_model(random_model()), samples)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, samples, atol=1e-6)


def test_closed_masks_and_silence_give_silence() -> None:
    model = random_model()
    shut = dataclasses.replace(model.bands[0], masks=np.zeros_like(model.bands[0].masks))
    assert not denoise(dataclasses.replace(model, bands=(shut,)), noise(500)).any()
    assert not denoise(open_model(model), np.zeros(500, np.float32)).any()


def test_level_does_not_matter() -> None:
    model, samples = random_model(), noise(1500)
    np.testing.assert_allclose(denoise(model, 4 * samples), 4 * denoise(model, samples), atol=1e-5)
