"""Means over utterances and what they are worth: bootstrap confidence intervals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

DoubleArray = npt.NDArray[np.float64]

RESAMPLES = 10_000
LEVEL = 0.95
_SEED = 41


@dataclass(frozen=True)
class Summary:
    """A figure over utterances.

    Attributes:
        mean: Over utterances.
        deviation: Standard deviation over utterances.
        low: Lower end of the mean's 95 % confidence interval.
        high: Its upper end.
        count: Utterances.
    """

    mean: float
    deviation: float
    low: float
    high: float
    count: int


def summarise(values: DoubleArray) -> Summary:
    """Mean, standard deviation and percentile bootstrap interval (Efron 1979) over utterances.

    Args:
        values: ``(n,)``, one an utterance; differences of two systems for a paired comparison.
    """
    means = resampled_means(values[:, None])[:, 0]
    low, high = interval(means)
    return Summary(float(values.mean()), float(values.std()), low, high, int(values.size))


def resampled_means(values: DoubleArray) -> DoubleArray:
    """Means of `RESAMPLES` resamples of the rows: ``(RESAMPLES, m)`` from ``(n, m)``."""
    n = values.shape[0]
    means: DoubleArray = _counts(n) @ values / n
    return means


@lru_cache(maxsize=4)
def _counts(n: int) -> DoubleArray:
    """How often each resample draws each row, which is all that a mean needs of it."""
    rng = np.random.default_rng(_SEED)
    return rng.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(np.float64)


def interval(resampled: DoubleArray) -> tuple[float, float]:
    """Ends of the central 95 % of a resampled figure."""
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return float(low), float(high)
