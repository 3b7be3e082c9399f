"""Algorithm 2's arithmetic equals its definition, written out pair by pair."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import numpy.typing as npt
import pytest
from blsh_trainer.similarity import (
    CROSS_ENTROPY_FLOOR,
    DistanceKind,
    boosting_coefficient,
    boosting_weights,
    distance_terms,
    ensemble_loss,
    rescaled_target,
    self_similarity,
    weighted_error,
    weighted_form,
)
from hypothesis import given
from hypothesis import strategies as st

N = 7
DISTANCES = get_args(DistanceKind)


def small_case(seed: int, rounds: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    x = rng.random((N, 4)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return self_similarity(x), rng.choice(np.array([-1, 1], np.float32), (N, rounds))


def distance_by_definition(s: float, b: int, distance: str) -> float:
    if distance == "squared":
        return (s - b) ** 2
    s = min(max(s, CROSS_ENTROPY_FLOOR), 1 - CROSS_ENTROPY_FLOOR)
    return (b * math.log(s) + (1 - b) * math.log(1 - s)) / math.log(CROSS_ENTROPY_FLOOR)


def distances(
    s: npt.NDArray[np.float32], h: npt.NDArray[np.float32], distance: str
) -> npt.NDArray[np.float64]:
    return np.array(
        [
            [distance_by_definition(float(s[i, j]), int(h[i] == h[j]), distance) for j in range(N)]
            for i in range(N)
        ]
    )


@pytest.mark.parametrize("distance", DISTANCES)
@given(seed=st.integers(0, 1000), rounds=st.integers(0, 6))
def test_weights_in_closed_form_equal_the_update_step_by_step(
    distance: DistanceKind, seed: int, rounds: int
) -> None:
    s, h = small_case(seed, rounds)
    beta = np.random.default_rng(seed).uniform(0.05, 1, rounds).astype(np.float32)
    weights = np.full((N, N), 1 / N**2)
    for column, coefficient in zip(h.T, beta, strict=True):
        weights = weights * np.exp(-coefficient * (1 - 2 * distances(s, column, distance)))
        weights /= weights.sum()
    contrast, total = distance_terms(s, distance)
    # float32 arithmetic on exponents of up to about 6
    np.testing.assert_allclose(
        boosting_weights(contrast, total, h, beta), weights, rtol=2e-5, atol=1e-8
    )


@pytest.mark.parametrize("distance", DISTANCES)
@given(seed=st.integers(0, 1000))
def test_error_as_a_quadratic_form_equals_the_sum_over_pairs(
    distance: DistanceKind, seed: int
) -> None:
    s, h = small_case(seed, 1)
    weights = np.random.default_rng(seed).random((N, N)).astype(np.float32)
    weights = (weights + weights.T) / (2 * weights.sum())
    contrast, total = distance_terms(s, distance)
    expected = (weights * distances(s, h[:, 0], distance)).sum() / weights.sum()
    assert weighted_error(*weighted_form(weights, contrast, total), h[:, 0]) == pytest.approx(
        expected, abs=1e-5
    )


@pytest.mark.parametrize("distance", DISTANCES)
def test_distances_lie_in_the_unit_interval(distance: DistanceKind) -> None:
    similarity = np.linspace(0, 1, 101, dtype=np.float32)
    contrast, total = distance_terms(similarity, distance)
    for value in ((total - contrast) / 2, (total + contrast) / 2):
        assert value.min() >= -1e-6
        assert value.max() <= 1 + 1e-6


def test_for_0_1_distances_the_update_is_adaboost() -> None:
    s, h = small_case(3, 1)
    binary = (s > 0.8).astype(np.float32)
    contrast, total = distance_terms(binary, "squared")
    uniform = np.full((N, N), 1 / N**2, np.float32)
    error = weighted_error(*weighted_form(uniform, contrast, total), h[:, 0])
    beta = np.array([boosting_coefficient(error)], np.float32)
    after = boosting_weights(contrast, total, h, beta)
    # AdaBoost's mark: the last learner is no better than chance under the new weights.
    assert weighted_error(*weighted_form(after, contrast, total), h[:, 0]) == pytest.approx(
        0.5, abs=1e-5
    )


def test_coefficient_is_finite_at_both_ends() -> None:
    assert boosting_coefficient(0.5) == 0
    assert 0 < boosting_coefficient(0.0) < 10
    assert -10 < boosting_coefficient(1.0) < 0


def test_rescaled_target() -> None:
    similarity = np.array([0, 0.2, 0.6, 0.8, 1.0], np.float32)
    np.testing.assert_allclose(rescaled_target(similarity, 0.6), [0, 0, 0.5, 0.75, 1], atol=1e-6)


def test_ensemble_loss_is_zero_where_bits_equal_the_target() -> None:
    h = np.array([[1, 1], [1, -1], [-1, -1]], np.float32)
    target = (1 + (h * np.float32(0.5)) @ h.T) / 2
    assert ensemble_loss(target, h, np.array([3, 3], np.float32)) == pytest.approx(0, abs=1e-12)
    assert ensemble_loss(1 - target, h, np.array([3, 3], np.float32)) > 0.1
