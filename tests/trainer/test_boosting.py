"""Boosting finds good bits, can stop anywhere, and goes on as if it had not."""

from __future__ import annotations

import itertools
import json

import numpy as np
import numpy.typing as npt
import pytest
from blsh_trainer.boosting import TARGET_QUANTILES, BoostedHashing, Round
from blsh_trainer.hashing import bit_signs, hash_bits
from blsh_trainer.projections import random_projections
from blsh_trainer.similarity import (
    distance_terms,
    ensemble_loss,
    rescaled_target,
    self_similarity,
)
from blsh_trainer.weak_learner import Ascent, Whitening, ascend, spectral_start

Features = npt.NDArray[np.float32]


def estimator(n_projections: int = 12, **options: object) -> BoostedHashing:
    settings = {"segment": 100, "segments_per_round": 2, "random_state": 5, **options}
    return BoostedHashing(n_projections=n_projections, **settings)  # type: ignore[arg-type]


def assert_same(one: BoostedHashing, other: BoostedHashing) -> None:
    for name in ("projection_", "bias_", "beta_", "epsilon_"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


def test_weak_learner_comes_close_to_the_best_of_all_bits() -> None:
    """With as many dimensions as frames every labelling is linear: compare with all of them."""
    rng = np.random.default_rng(4)
    n = 10
    x = rng.random((n, n)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    contrast, _ = distance_terms(rescaled_target(self_similarity(x), 0.75), "squared")
    best = max(
        float(np.array(h) @ contrast @ np.array(h)) for h in itertools.product((-1, 1), repeat=n)
    )
    z = Whitening.of(x, n, 1e-3).apply(x)
    q = ascend(spectral_start([z], [contrast]), [z], [contrast], Ascent(steps=200))
    h = np.where(z @ q >= 0, 1, -1)
    typical = float(np.trace(contrast))  # mean over random labellings
    assert float(h @ contrast @ h) - typical >= 0.9 * (best - typical)


def test_first_error_is_that_of_uniform_weights(features: Features) -> None:
    model = estimator(1, segment=400).fit(features)
    signs = bit_signs(hash_bits(features, model.projection_, model.bias_))[:, 0]
    similarity = self_similarity(features)
    pairs = similarity[np.triu_indices(400, 1)]
    target = rescaled_target(similarity, float(np.quantile(pairs, 0.95)))
    shared = (1 + np.outer(signs, signs)) / 2
    # Squared error, plain mean: 400 frames are one segment.
    assert model.epsilon_[0] == pytest.approx(np.mean((shared - target) ** 2), abs=1e-4)


@pytest.mark.parametrize("distance", ["squared", "cross-entropy"])
def test_boosted_bits_follow_the_target_better_than_random_ones(
    features: Features, distance: str
) -> None:
    n_bits = 24
    model = estimator(n_bits, distance=distance).fit(features)
    target = rescaled_target(self_similarity(features), 0.95)
    boosted = bit_signs(hash_bits(features, model.projection_, model.bias_))
    drawn = random_projections(n_bits, features.shape[1], 0)
    random = bit_signs(hash_bits(features, drawn, np.zeros(n_bits, np.float32)))
    ones = np.ones(n_bits, np.float32)
    assert ensemble_loss(target, boosted, ones) < 0.8 * ensemble_loss(target, random, ones)


def test_no_bit_is_constant_and_errors_are_better_than_chance(features: Features) -> None:
    rounds: list[Round] = []
    model = estimator().fit(features, rounds.append)
    assert [r.index for r in rounds] == list(range(12))
    assert max(abs(r.balance) for r in rounds) < 0.9
    assert (model.epsilon_ < 0.5).all()
    assert (model.beta_ > 0).all()
    np.testing.assert_allclose(np.linalg.norm(model.projection_, axis=1), 1, atol=1e-5)


def test_resumed_equals_uninterrupted(features: Features) -> None:
    whole = estimator(8).fit(features)
    half = estimator(5).fit(features)
    resumed = estimator(8, warm_start=True)
    resumed.learned = half.learned
    assert_same(resumed.fit(features), whole)


def test_an_interrupt_leaves_whole_rounds(features: Features) -> None:
    def stop(done: Round) -> None:
        if done.index == 2:
            raise KeyboardInterrupt

    model = estimator(8, warm_start=True)
    with pytest.raises(KeyboardInterrupt):
        model.fit(features, stop)
    assert model.projection_.shape == (3, 12)
    assert_same(model.fit(features), estimator(8).fit(features))


def test_without_warm_start_fit_begins_anew(features: Features) -> None:
    model = estimator(3).fit(features)
    first = model.projection_
    assert np.array_equal(model.fit(features).projection_, first)


def test_random_projections_do_not_depend_on_how_many_there_are() -> None:
    assert np.array_equal(random_projections(5, 9, 3), random_projections(8, 9, 3)[:5])
    assert not np.array_equal(random_projections(5, 9, 3), random_projections(5, 9, 4))


def test_raw_target_is_the_similarity_itself(features: Features) -> None:
    model = estimator(1, segment=400, target_quantile=TARGET_QUANTILES["raw"]).fit(features)
    signs = bit_signs(hash_bits(features, model.projection_, model.bias_))[:, 0]
    shared = (1 + np.outer(signs, signs)) / 2
    expected = np.mean((shared - self_similarity(features)) ** 2)
    assert model.epsilon_[0] == pytest.approx(expected, abs=1e-4)


def test_settings_are_json_and_change_with_each_setting() -> None:
    changes: list[dict[str, object]] = [
        {"distance": "cross-entropy"}, {"target_quantile": None}, {"segment": 99}, {"rank": 5},
        {"segments_per_round": 3}, {"ridge": 0.2}, {"ascent": Ascent(steps=3)},
        {"ascent": Ascent(rate=0.1)}, {"ascent": Ascent(gains=(1, 5))},
    ]  # fmt: skip
    texts = [json.dumps(estimator(**change).settings()) for change in [{}, *changes]]
    assert len(set(texts)) == len(texts)
    assert json.loads(texts[0]) == estimator().settings()
