"""Scores of denoised mixtures: separation in dB, intelligibility, and quality as heard.

STOI and PESQ come from the packages pystoi and pesq; without them their scores are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt

from blsh_trainer.audio import resampled
from blsh_trainer.metrics import BssReference, si_sdr
from blsh_trainer.mixing import Mixture

FloatArray = npt.NDArray[np.float32]
Denoise = Callable[[FloatArray], npt.NDArray[np.floating]]
MEASURES = ("SDR", "SIR", "SAR", "SI-SDR", "STOI", "PESQ")
PACKAGES = {"STOI": "pystoi", "PESQ": "pesq"}
_PESQ_RATE = 16000  # of the wide-band mode, ITU-T P.862.2


def score(
    mixtures: Sequence[Mixture], denoise: Denoise, rate: int = 16000
) -> npt.NDArray[np.float64]:
    """Score a denoiser: ``(len(mixtures), len(MEASURES))``.

    STOI and PESQ are NaN without pystoi and pesq.

    Args:
        mixtures: Speech and noise.
        denoise: Noisy samples to denoised ones, ``(n,)`` both.
        rate: Sampling rate in Hz.
    """
    rows = []
    for mixture in mixtures:
        reference = BssReference(mixture.speech, mixture.noise)
        rows.append(scores_of(mixture, reference, denoise(mixture.noisy), rate))
    return np.array(rows)


def scores_of(
    mixture: Mixture, reference: BssReference, estimate: npt.NDArray[np.floating], rate: int
) -> tuple[float, ...]:
    """Scores of one estimate, in the order of `MEASURES`.

    Args:
        mixture: Speech and noise.
        reference: The same, ready for BSS_Eval.
        estimate: ``(n,)`` what a denoiser gave.
        rate: Sampling rate in Hz.
    """
    estimate = estimate.astype(np.float32)
    bss = reference.evaluate(estimate)
    return (
        bss.sdr,
        bss.sir,
        bss.sar,
        si_sdr(mixture.speech, estimate),
        _stoi(mixture.speech, estimate, rate),
        _pesq(mixture.speech, estimate, rate),
    )


def mean_scores(
    mixtures: Sequence[Mixture], denoise: Denoise, rate: int = 16000
) -> dict[str, float]:
    """Means over mixtures by measure, to three digits; what is not installed is left out."""
    means = score(mixtures, denoise, rate).mean(axis=0).round(3).tolist()
    return {name: mean for name, mean in zip(MEASURES, means, strict=True) if not np.isnan(mean)}


def left_out(scores: Mapping[str, Any]) -> dict[str, str]:
    """Measures that some scores lack, and the package that each of them needs."""
    return {name: package for name, package in PACKAGES.items() if name not in scores}


def package_versions() -> dict[str, str | None]:
    """Versions of the packages that STOI and PESQ come from; ``None`` for what is not installed."""
    found: dict[str, str | None] = {}
    for package in PACKAGES.values():
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def _stoi(speech: FloatArray, estimate: FloatArray, rate: int) -> float:
    try:
        from pystoi import stoi
    except ImportError:
        return float("nan")
    return float(stoi(speech, estimate, rate))


def _pesq(speech: FloatArray, estimate: FloatArray, rate: int) -> float:
    try:
        from pesq import PesqError, pesq
    except ImportError:
        return float("nan")
    wide = [resampled(samples, rate, _PESQ_RATE) for samples in (speech, estimate)]
    try:
        return float(pesq(_PESQ_RATE, *wide, "wb"))
    except PesqError:  # it finds no utterance
        return 1.0
