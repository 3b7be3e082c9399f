"""What the paper claims, checked: each claim with its figures and their confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from blsh_trainer.quality import MEASURES

from blsh_evaluation.results import BLSH, CURVE_METHODS, LSH, LSH_FIXED, Curves, Results
from blsh_evaluation.statistics import Summary, interval, resampled_means, summarise

DoubleArray = npt.NDArray[np.float64]

_DIFFERENCE = ("dB SDR", "utterances", 0.0)

HOLDS, FAILS, OPEN = "holds", "does not hold", "not decided"


@dataclass(frozen=True)
class Finding:
    """One figure of a claim.

    Attributes:
        label: What is compared.
        value: The difference in dB, or a ratio.
        low: Lower end of the 95 % confidence interval.
        high: Its upper end.
        verdict: `HOLDS` or `FAILS` where the interval says so, else `OPEN`.
    """

    label: str
    value: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Attributes:
        text: What is claimed.
        unit: Of the figures.
        resampled: What their intervals are over: utterances, or dictionaries.
        neutral: Value of a figure that speaks for neither side.
        findings: The figures.
    """

    text: str
    unit: str
    resampled: str
    neutral: float
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> str:
        """`HOLDS` or `FAILS` where all figures agree, else what how many of them say."""
        verdicts = [finding.verdict for finding in self.findings]
        if len(set(verdicts)) == 1:
            return verdicts[0]
        counts = [(verdicts.count(kind), kind) for kind in (HOLDS, OPEN, FAILS)]
        return ", ".join(f"{kind} for {n}" for n, kind in counts if n)


def check_claims(results: Results) -> tuple[Claim, ...]:
    """All claims, on the open test."""
    curves = next(c for c in results.curves if c.protocol == "open")
    labels = [f"{share:.0%}" for share in results.profile.shares]
    bits = results.profile.curve_bits
    by_size = [
        _difference(f"{label}, L = {n}", _sdr(curves, BLSH, s, b) - _sdr(curves, LSH, s, b))
        for s, label in enumerate(labels)
        for b, n in enumerate(bits)
    ]
    small_against_large = [
        _difference(f"L = {n}", _sdr(curves, BLSH, 0, b) - _sdr(curves, LSH, -1, b))
        for b, n in enumerate(bits)
    ]
    return (
        Claim("BLSH is better than LSH at every L", *_DIFFERENCE, tuple(by_size)),
        Claim(
            f"BLSH with a dictionary of {labels[0]} is better than LSH with {labels[-1]}",
            *_DIFFERENCE,
            tuple(small_against_large),
        ),
        Claim(
            "BLSH deviates less over random dictionaries than LSH",
            "ratio of standard deviations",
            "dictionaries",
            1.0,
            tuple(_deviations(curves, labels)),
        ),
        Claim(
            "BLSH is better than nearest neighbours by cosine",
            *_DIFFERENCE,
            tuple(_against_cosine(results)),
        ),
    )


def _sdr(curves: Curves, method: str, share: int, bits: int) -> DoubleArray:
    """``(mixtures,)``, mean over the random dictionaries."""
    values: DoubleArray = curves.sdr[:, CURVE_METHODS.index(method), share, :, bits].mean(axis=1)
    return values


def _difference(label: str, differences: DoubleArray) -> Finding:
    return _finding(label, summarise(differences))


def _finding(label: str, summary: Summary) -> Finding:
    verdict = HOLDS if summary.low > 0 else FAILS if summary.high < 0 else OPEN
    return Finding(label, summary.mean, summary.low, summary.high, verdict)


def _deviations(curves: Curves, labels: Sequence[str]) -> list[Finding]:
    """Deviation over dictionaries of BLSH against LSH with its first and with new projections."""
    findings = []
    for share, label in enumerate(labels):
        blsh = _by_draw(curves, BLSH, share)
        for method, how in ((LSH_FIXED, "same projections"), (LSH, "new projections each time")):
            ratio, low, high = deviation_ratio(blsh, _by_draw(curves, method, share))
            verdict = HOLDS if high < 1 else FAILS if low > 1 else OPEN
            findings.append(Finding(f"{label}, LSH with {how}", ratio, low, high, verdict))
    return findings


def _by_draw(curves: Curves, method: str, share: int) -> DoubleArray:
    """``(draws, len(curve_bits))`` mean SDR of each random dictionary."""
    values: DoubleArray = curves.sdr[:, CURVE_METHODS.index(method), share].mean(axis=0)
    return values


def deviation_ratio(one: DoubleArray, other: DoubleArray) -> tuple[float, float, float]:
    """Ratio of standard deviations over draws, its geometric mean over L, and its interval.

    The draws are resampled, the same of both.

    Args:
        one: ``(draws, n)``.
        other: ``(draws, n)``.
    """
    moments = np.concatenate([one, one**2, other, other**2], axis=1)
    n = one.shape[1]

    def ratio(means: DoubleArray) -> DoubleArray:
        first, second = (
            np.maximum(means[..., k + n : k + 2 * n] - means[..., k : k + n] ** 2, 1e-12)
            for k in (0, 2 * n)
        )
        logarithms: DoubleArray = np.log(first / second).mean(axis=-1) / 2
        return np.exp(logarithms)

    low, high = interval(ratio(resampled_means(moments)))
    return float(ratio(moments.mean(axis=0))), low, high


def _against_cosine(results: Results) -> list[Finding]:
    findings = []
    for snr_db in results.profile.snrs_db:
        scores = results.table("open", snr_db).scores
        for share in results.profile.shares:
            for compared in dict.fromkeys((share, 1.0)):
                blsh, cosine = f"{BLSH}, {share:.0%}", f"KNN STFT, {compared:.0%}"
                difference = scores[blsh] - scores[cosine]
                label = f"{snr_db:g} dB: {blsh} against {cosine}"
                findings.append(_difference(label, difference[:, MEASURES.index("SDR")]))
    return findings
