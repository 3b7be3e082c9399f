"""The learning of condensed models: gradients, roundings, and that what is learned is exported."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from blsh_trainer import condensation
from blsh_trainer.condensation import (
    Batch,
    Parameters,
    Plan,
    Rounding,
    attention,
    initial_parameters,
    loss_and_gradients,
    mask_levels,
    predicted_gains,
    rounded_masks,
    rounded_projection,
)

PLAN = Plan(
    feature_ranges=((0, 12), (4, 18)),
    words=((0, 1), (1, 2), (0, 1)),
    cells=((0, 2), (2, 6), (0, 6)),
    n_features=18,
    n_cells=6,
    layers=2,
    entries=7,
    neighbours=3,
    mask_bits=3,
)


def case(seed: int = 0) -> tuple[Parameters, Batch]:
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((20, 18)).astype(np.float32)
    gains = rng.random((20, 6)).astype(np.float32)
    start = initial_parameters(PLAN, features[:7], gains[:7], rng)
    return start, Batch(features, gains, rng.random((20, 6)).astype(np.float32))


@pytest.mark.parametrize("nearest_only", [False, True])
def test_the_gradients_are_those_of_the_smooth_surrogate(
    monkeypatch: pytest.MonkeyPatch, nearest_only: bool
) -> None:
    monkeypatch.setattr(condensation, "signs", np.tanh)
    start, batch = case()
    wide = start.map(lambda a: a.astype(np.float64))
    batch = Batch(*(getattr(batch, f.name).astype(np.float64) for f in fields(Batch)))
    rounding = Rounding(nearest_only=nearest_only)
    _, gradients = loss_and_gradients(wide, PLAN, batch, rounding)
    rng = np.random.default_rng(1)
    for field in fields(Parameters):
        value = getattr(wide, field.name)
        direction = rng.standard_normal(value.shape)
        if field.name == "projection":
            direction *= PLAN.seen()
        step = 1e-5
        losses = [
            loss_and_gradients(
                replace(wide, **{field.name: value + sign * step * direction}),
                PLAN,
                batch,
                rounding,
            )[0]
            for sign in (1, -1)
        ]
        numeric = (losses[0] - losses[1]) / (2 * step)
        analytic = float(np.vdot(getattr(gradients, field.name), direction))
        assert analytic == pytest.approx(numeric, rel=2e-3, abs=1e-4), field.name


def test_projections_stay_within_their_features() -> None:
    start, batch = case()
    _, gradients = loss_and_gradients(start, PLAN, batch, Rounding())
    assert not start.projection[:32, 12:].any() and not gradients.projection[:32, 12:].any()
    assert not start.projection[32:, :4].any() and not gradients.projection[32:, :4].any()


def test_only_the_nearest_vote_and_equal_distances_go_by_index() -> None:
    similarity = np.array([[4, 8, 8, 0, 8]], np.float32)
    weights = attention(similarity, 0.1, 2)
    assert weights[0].tolist() == pytest.approx([0, 0.5, 0.5, 0, 0])
    assert attention(similarity, 0.1, None)[0].min() > 0


def test_rounding_keeps_levels_and_weights_on_their_grid() -> None:
    start, _ = case()
    levels = mask_levels(start.masks, 3, 2.0)
    assert levels.max() <= 7
    rounded = rounded_masks(start.masks, 3, 2.0)
    assert np.abs(rounded).max() <= 2 + 1e-6
    inside = np.abs(start.masks) <= 2
    assert np.abs(rounded - start.masks)[inside].max() <= 2 / 7 + 1e-6
    projection = rounded_projection(start.projection)
    steps = projection / np.abs(projection).max(axis=1, keepdims=True) * 127
    assert np.abs(steps - np.rint(steps)).max() < 1e-3


def test_descent_learns_what_noise_cannot_explain() -> None:
    start, batch = case(3)
    target = predicted_gains(start, PLAN, batch.features, Rounding())
    batch = replace(batch, gains=target)
    rng = np.random.default_rng(4)
    moved = start.map(lambda a: a + 0.3 * rng.standard_normal(a.shape).astype(np.float32))
    moved = replace(moved, projection=moved.projection * PLAN.seen())
    first, _ = loss_and_gradients(moved, PLAN, batch, Rounding())
    for _ in range(200):
        loss, gradients = loss_and_gradients(moved, PLAN, batch, Rounding())
        moved = moved.map(lambda a, g: a - np.float32(0.05) * g, gradients)
    assert loss < 0.5 * first
