"""Scores of denoised mixtures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from blsh_trainer.metrics import bss_eval, si_sdr
from blsh_trainer.mixing import Mixture
from corpora import RATE

Denoise = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
MEASURES = ("SDR", "SIR", "SAR", "SI-SDR", "STOI", "PESQ")


def score(mixtures: Sequence[Mixture], denoise: Denoise) -> npt.NDArray[np.float64]:
    """Score a denoiser: ``(len(mixtures), len(MEASURES))``.

    STOI and PESQ are NaN without pystoi and pesq.
    """
    rows = []
    for mixture in mixtures:
        estimate = denoise(mixture.noisy)
        bss = bss_eval(mixture.speech, mixture.noise, estimate)
        rows.append(
            (
                bss.sdr,
                bss.sir,
                bss.sar,
                si_sdr(mixture.speech, estimate),
                _stoi(mixture.speech, estimate),
                _pesq(mixture.speech, estimate),
            )
        )
    return np.array(rows)


def _stoi(speech: npt.NDArray[np.float32], estimate: npt.NDArray[np.float32]) -> float:
    try:
        from pystoi import stoi
    except ImportError:
        return float("nan")
    return float(stoi(speech, estimate, RATE))


def _pesq(speech: npt.NDArray[np.float32], estimate: npt.NDArray[np.float32]) -> float:
    try:
        from pesq import PesqError, pesq
    except ImportError:
        return float("nan")
    try:
        return float(pesq(RATE, speech, estimate, "wb"))
    except PesqError:  # it finds no utterance
        return 1.0
