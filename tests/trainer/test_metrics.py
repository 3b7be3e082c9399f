"""BSS_Eval and SI-SDR against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from blsh_trainer.metrics import bss_eval, si_sdr


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


def test_silence_gives_finite_figures() -> None:
    speech, silence = np.random.default_rng(0).standard_normal(500), np.zeros(500)
    figures = bss_eval(speech, silence, silence, 4)
    assert np.isfinite([figures.sdr, figures.sir, figures.sar, si_sdr(speech, silence)]).all()


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="same length"):
        bss_eval(np.ones(5), np.ones(5), np.ones(4))
