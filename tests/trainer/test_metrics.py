"""BSS_Eval and SI-SDR against their definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from blsh_trainer.audio import read_mono
from blsh_trainer.metrics import BssReference, bss_eval, si_sdr
from blsh_trainer.mixing import Mixture, excerpt, mix_at
from blsh_trainer.stft import istft, stft
from blsh_trainer.synthetic import synthetic_noise, synthetic_speech


def delayed(x: np.ndarray, taps: int) -> np.ndarray:  # type: ignore[type-arg]
    """All delayed copies of a signal as columns, zeros around."""
    matrix = np.zeros((x.size + taps - 1, taps))
    for tap in range(taps):
        matrix[tap : tap + x.size, tap] = x
    return matrix


@pytest.mark.parametrize("seed", range(5))
def test_bss_eval_equals_direct_least_squares(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, taps = 200, 8
    speech, noise, artefact = (rng.standard_normal(n) for _ in range(3))
    estimate = np.convolve(speech, [0.7, 0.2])[:n] + 0.3 * noise + 0.2 * artefact
    padded = np.concatenate([estimate, np.zeros(taps - 1)])
    one, both = delayed(speech, taps), np.hstack([delayed(speech, taps), delayed(noise, taps)])
    target = one @ np.linalg.lstsq(one, padded)[0]
    explained = both @ np.linalg.lstsq(both, padded)[0]

    def db(a: np.ndarray, b: np.ndarray) -> float:  # type: ignore[type-arg]
        return float(10 * np.log10((a @ a) / (b @ b)))

    result = bss_eval(speech, noise, estimate, taps)
    # The diagonal loading of 1e-10 costs less than this.
    assert result.sdr == pytest.approx(db(target, padded - target), abs=1e-5)
    assert result.sir == pytest.approx(db(target, explained - target), abs=1e-5)
    assert result.sar == pytest.approx(db(explained, padded - explained), abs=1e-5)


def test_bss_eval_allows_filtering_and_si_sdr_allows_scaling() -> None:
    rng = np.random.default_rng(0)
    speech, noise = rng.standard_normal(2000), rng.standard_normal(2000)
    echoed = np.convolve(speech, [1, 0, 0.5])[:2000]
    assert bss_eval(speech, noise, echoed, 16).sdr > 25
    assert si_sdr(speech, echoed) < 10
    assert si_sdr(speech, -3 * speech) > 100
    assert si_sdr(speech, speech + noise) == pytest.approx(0, abs=0.5)


REAL = Path(__file__).parents[3] / "shared/corpus"


def real_mixtures() -> Iterator[Mixture]:
    speech, noise = (sorted((REAL / kind / "test").rglob("*.flac")) for kind in ("speech", "noise"))
    rng = np.random.default_rng(0)
    for n in range(3):
        clip = read_mono(speech[40 * n], 16000)[:48000]
        yield mix_at(clip, excerpt(read_mono(noise[5 * n], 16000), clip.size, 800, rng), 0.0)


def synthetic_mixtures() -> Iterator[Mixture]:
    rng = np.random.default_rng(1)
    for kind in ("pink", "babble"):
        yield mix_at(synthetic_speech(2.0, 16000, rng), synthetic_noise(kind, 2.0, 16000, rng), 0.0)


@pytest.mark.filterwarnings("ignore:.*mir_eval.separation:FutureWarning")
@pytest.mark.parametrize(
    "mixtures",
    [
        pytest.param(
            real_mixtures,
            marks=pytest.mark.skipif(not REAL.is_dir(), reason="../shared/corpus is absent"),
        ),
        synthetic_mixtures,
    ],
)
def test_bss_eval_equals_that_of_mir_eval(mixtures: Callable[[], Iterator[Mixture]]) -> None:
    """An independent implementation of BSS_Eval v3, on speech through a spectral mask."""
    separation = pytest.importorskip("mir_eval.separation")
    for mixture in mixtures():
        spectra = stft(mixture.noisy, 1024, 256)
        louder = np.abs(spectra) > np.median(np.abs(spectra))
        estimate = istft(spectra * louder, mixture.speech.size, 1024, 256)
        sources = np.stack([mixture.speech, mixture.noise]).astype(np.float64)
        estimates = np.stack([estimate, mixture.noise]).astype(np.float64)
        theirs = separation.bss_eval_sources(sources, estimates, compute_permutation=False)
        ours = bss_eval(mixture.speech, mixture.noise, estimate)
        assert ours.sdr == pytest.approx(theirs[0][0], abs=0.01)
        assert ours.sir == pytest.approx(theirs[1][0], abs=0.01)
        assert ours.sar == pytest.approx(theirs[2][0], abs=0.01)


def test_one_reference_serves_many_estimates() -> None:
    rng = np.random.default_rng(2)
    speech, noise = rng.standard_normal(900), rng.standard_normal(900)
    reference = BssReference(speech, noise, 16)
    for weight in (0.1, 0.5, 2.0):
        estimate = speech + weight * noise
        assert reference.evaluate(estimate) == bss_eval(speech, noise, estimate, 16)


def test_silence_gives_finite_figures() -> None:
    speech, silence = np.random.default_rng(0).standard_normal(500), np.zeros(500)
    figures = bss_eval(speech, silence, silence, 4)
    assert np.isfinite([figures.sdr, figures.sir, figures.sar, si_sdr(speech, silence)]).all()


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="same length"):
        bss_eval(np.ones(5), np.ones(5), np.ones(4))
