"""Intervals mean what they say, and claims are decided by them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from blsh_evaluation.claims import FAILS, HOLDS, OPEN, check_claims, deviation_ratio
from blsh_evaluation.profiles import Profile
from blsh_evaluation.results import (
    BLSH,
    CURVE_METHODS,
    LSH,
    LSH_FIXED,
    Corpus,
    Curves,
    Results,
    Similarities,
    Table,
)
from blsh_evaluation.statistics import summarise

MIXTURES, SHARES, DRAWS, BITS = 30, (0.01, 0.1), 10, (5, 50)


def test_interval_of_a_mean_is_near_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    summary = summarise(values)
    half = 1.96 * values.std() / 20
    assert summary.mean == pytest.approx(values.mean())
    assert summary.deviation == pytest.approx(values.std())
    # Of 10,000 resamples the ends of the interval vary by some hundredths of its width.
    assert summary.low == pytest.approx(summary.mean - half, abs=0.05 * half)
    assert summary.high == pytest.approx(summary.mean + half, abs=0.05 * half)
    assert summarise(values) == summary


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """95 % nominal; with 40 values a percentile bootstrap covers a little less."""
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        summary = summarise(rng.normal(0, 1, 40))
        covered += summary.low <= 0 <= summary.high
    assert 0.89 <= covered / 200 <= 0.99


def test_deviation_ratio_compares_draws() -> None:
    rng = np.random.default_rng(2)
    steady, shaky = (rng.normal([1, 5, 9], spread, (10, 3)) for spread in (0.1, 0.4))
    ratio, low, high = deviation_ratio(steady, shaky)
    expected = np.exp(np.mean(np.log(steady.std(axis=0) / shaky.std(axis=0))))
    assert ratio == pytest.approx(expected, rel=1e-6)
    assert low < ratio < high < 1


def results(advantage: float, small_advantage: float, spread: float, cosine: float) -> Results:
    """Results in which BLSH is better by so much, deviates by so much and meets such neighbours."""
    rng = np.random.default_rng(3)
    shape = (MIXTURES, len(CURVE_METHODS), len(SHARES), DRAWS, len(BITS))
    sdr = np.zeros(shape)
    sdr[:, CURVE_METHODS.index(BLSH)] += advantage
    sdr[:, CURVE_METHODS.index(BLSH), 0] += small_advantage
    # Of mixtures, the same for all methods; of dictionaries, their own.
    sdr += rng.normal(0, 2, (MIXTURES, 1, 1, 1, 1)) + rng.normal(0, 0.05, shape)
    for method, scale in ((BLSH, spread), (LSH, 0.1), (LSH_FIXED, 0.1)):
        draws = scale * rng.normal(0, 1, (len(SHARES), DRAWS, len(BITS)))
        sdr[:, CURVE_METHODS.index(method)] += draws - draws.mean(axis=1, keepdims=True)
    base = rng.normal(4, 2, (MIXTURES, 6))
    scores = {f"BLSH, {share:.0%}": base + rng.normal(0, 0.1, base.shape) for share in SHARES}
    scores |= {f"KNN STFT, {share:.0%}": base + cosine for share in (*SHARES, 1.0)}
    return Results(
        profile=Profile("test", MIXTURES, (0.0,), 50, BITS, (2,), SHARES, DRAWS),
        corpus=Corpus({}, "0" * 64, 1.0, 1000, {"closed": 1, "open": 1}, {}, False),
        options={"rate": 16000, "frame": 1024, "hop": 256, "mels": 80},
        tables=(Table("open", 0.0, scores),),
        curves=(Curves("open", 0.0, sdr, sdr),),
        similarities=Similarities(np.eye(2, dtype=np.float32), {}),
        epsilon=np.full(50, 0.4),
        beta=np.full(50, 0.2),
        sounds={},
    )


@pytest.mark.parametrize(
    ("sign", "verdict"), [(1, HOLDS), (-1, FAILS), (0, OPEN)], ids=["true", "false", "equal"]
)
def test_claims_are_decided_either_way(sign: int, verdict: str) -> None:
    found = check_claims(results(sign * 0.5, 0.0, 0.1 * 3.0**-sign, -sign * 0.5))
    assert [claim.verdict for claim in found[::3]] == [verdict, verdict]
    if sign:
        assert [claim.verdict for claim in found[1:3]] == [verdict, verdict]


def test_a_small_dictionary_is_held_against_the_large_one() -> None:
    claims = check_claims(results(0.5, -1.0, 0.1, 0.0))
    first = [finding.verdict for finding in claims[0].findings]
    assert first == [FAILS, FAILS, HOLDS, HOLDS]
    assert claims[0].verdict == "holds for 2, does not hold for 2"
    assert claims[1].verdict == FAILS


def test_labels_say_what_is_compared() -> None:
    claims = check_claims(replace(results(0.5, 0.0, 0.1, 0.0)))
    assert [finding.label for finding in claims[0].findings][:2] == ["1%, L = 5", "1%, L = 50"]
    assert "KNN STFT, 100%" in claims[3].findings[1].label
