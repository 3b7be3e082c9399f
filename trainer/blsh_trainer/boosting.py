"""Algorithm 2: boosted locality sensitive hashing (Kim, Yang and Kim, ICASSP 2020).

The target of the boosting is an affine map of the self-similarity S, clipped to [0, 1]: 1/2 at the
`target_quantile` of S over pairs of frames, 1 at S = 1. Magnitudes are non-negative, so that even
unlike frames have S well above 0, and the nearest neighbours that Algorithm 1 looks for lie far
above the median. With S itself as the target a bit is rewarded for telling S = 0.2 from 0.5, no
two frames' order near the top matters, and lopsided bits (most frames on one side) score well;
with the map, frames count as similar when they are among each other's likely neighbours. Bits come
out balanced then without further constraint. docs/training.md has the formulas and what either
target is worth; the paper's own is ``target_quantile=None``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from blsh_trainer.hashing import bit_signs, hash_bits
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
from blsh_trainer.weak_learner import Ascent, Whitening, ascend, spectral_start

FloatArray = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.int64]
Target = Literal["scaled", "raw"]

WHITENING_FRAMES = 20_000
TARGET_QUANTILES: dict[Target, float | None] = {"scaled": 0.95, "raw": None}


@dataclass(frozen=True)
class Round:
    """What one round of boosting gave.

    Attributes:
        index: l, from 0.
        error: Epsilon of the learned bit, between 0 and 1.
        coefficient: Beta.
        loss: See `ensemble_loss`; on one segment of the round.
        balance: Mean of the bit's signs; 0 splits the frames in half, -1 or 1 is a constant bit.
    """

    index: int
    error: float
    coefficient: float
    loss: float
    balance: float


@dataclass(frozen=True)
class Learned:
    """What boosting has learned so far; see `BoostedHashing` for shapes and types."""

    projection: FloatArray
    bias: FloatArray
    beta: FloatArray
    epsilon: npt.NDArray[np.float64]

    @classmethod
    def nothing(cls, n_features: int) -> Learned:
        """Before the first round."""
        none = np.zeros(0, np.float32)
        return cls(np.zeros((0, n_features), np.float32), none, none, np.zeros(0))

    def with_bit(
        self, projection: FloatArray, bias: np.float32, beta: float, epsilon: float
    ) -> Learned:
        """After one more round."""
        return Learned(
            np.concatenate([self.projection, projection[None]]),
            np.append(self.bias, bias),
            np.append(self.beta, np.float32(beta)),
            np.append(self.epsilon, epsilon),
        )


@dataclass(frozen=True)
class _Segment:
    """A segment as a round sees it.

    Attributes:
        inputs: ``(n, d)`` whitened features with a column of ones.
        target: ``(n, n)`` target similarity.
        signs: ``(n, l)`` outputs of the bits so far.
        form: ``(n, n)`` A of the weighted error, see `weighted_form`.
        constant: What belongs to it.
    """

    inputs: FloatArray
    target: FloatArray
    signs: FloatArray
    form: FloatArray
    constant: float


def target_threshold(similarity: FloatArray, quantile: float) -> float:
    """The similarity that `rescaled_target` maps to 1/2: a quantile over pairs of frames.

    Args:
        similarity: ``(n, n)`` S of a segment.
        quantile: Of S over its pairs, 0 to 1.
    """
    pairs = np.triu_indices(similarity.shape[0], 1)
    return min(float(np.quantile(similarity[pairs], quantile)), 0.999)


class BoostedHashing:
    """Learn hash bits whose agreement follows the similarity of frames.

    Each round visits a few segments, drawn anew; their weights W are rebuilt from the projections
    and coefficients so far. Hence `fit` can be interrupted at any time, and going on with
    ``warm_start`` gives what an uninterrupted run would have given.

    Args:
        n_projections: L.
        distance: Element-wise distance between target and binary similarity.
        target_quantile: Quantile of S that is mapped to 1/2; ``None`` uses S as it is.
        segment: Frames a segment.
        segments_per_round: Segments a round.
        rank: Principal directions of the features that projections are made of.
        ridge: Share of the mean variance of those directions that whitening adds to each.
        ascent: Settings of the gradient ascent.
        warm_start: Keep the projections of the last `fit` and learn those missing.
        random_state: Seed, not negative.

    Attributes:
        projection_: ``(L, D)`` float32, rows of unit length.
        bias_: ``(L,)`` float32.
        beta_: ``(L,)`` float32.
        epsilon_: ``(L,)`` float64, each bit's weighted error when it was learned.
    """

    def __init__(
        self,
        *,
        n_projections: int = 150,
        distance: DistanceKind = "squared",
        target_quantile: float | None = TARGET_QUANTILES["scaled"],
        segment: int = 1000,
        segments_per_round: int = 4,
        rank: int = 128,
        ridge: float = 0.1,
        ascent: Ascent | None = None,
        warm_start: bool = False,
        random_state: int = 0,
    ) -> None:
        self.n_projections = n_projections
        self.distance: DistanceKind = distance
        self.target_quantile = target_quantile
        self.segment = segment
        self.segments_per_round = segments_per_round
        self.rank = rank
        self.ridge = ridge
        self.ascent = ascent or Ascent()
        self.warm_start = warm_start
        self.random_state = random_state
        self.learned = Learned.nothing(0)

    @property
    def projection_(self) -> FloatArray:
        """``(L, D)`` projections."""
        return self.learned.projection

    @property
    def bias_(self) -> FloatArray:
        """``(L,)`` biases."""
        return self.learned.bias

    @property
    def beta_(self) -> FloatArray:
        """``(L,)`` boosting coefficients."""
        return self.learned.beta

    @property
    def epsilon_(self) -> npt.NDArray[np.float64]:
        """``(L,)`` weighted errors."""
        return self.learned.epsilon

    def settings(self) -> dict[str, Any]:
        """All that decides, beside the frames, L and the seed, what is learned; as JSON has it."""
        return {
            "distance": self.distance,
            "target_quantile": self.target_quantile,
            "segment": self.segment,
            "segments_per_round": self.segments_per_round,
            "rank": self.rank,
            "ridge": self.ridge,
            "whitening_frames": WHITENING_FRAMES,
            "steps": self.ascent.steps,
            "step_length": self.ascent.rate,
            "gains": list(self.ascent.gains),
            "cross_entropy_floor": CROSS_ENTROPY_FLOOR,
        }

    def fit(
        self, features: FloatArray, callback: Callable[[Round], None] | None = None
    ) -> BoostedHashing:
        """Learn projections until there are ``n_projections``.

        Args:
            features: ``(N, D)`` float32 L2-normalised features, N at least 2.
            callback: Called after each round.
        """
        n_frames, n_features = features.shape
        if n_frames < 2:
            raise ValueError("at least 2 frames are needed")
        if not self.warm_start or self.learned.bias.size == 0:
            self.learned = Learned.nothing(n_features)
        order = np.random.default_rng(self.random_state).permutation(n_frames)
        segments = [np.sort(part) for part in np.array_split(order, -(-n_frames // self.segment))]
        whitening = Whitening.of(features[np.sort(order[:WHITENING_FRAMES])], self.rank, self.ridge)
        threshold = self._threshold(features[segments[0]])
        while self.bias_.size < self.n_projections:
            done = self._round(features, segments, whitening, threshold)
            if callback is not None:
                callback(done)
        return self

    def _threshold(self, features: FloatArray) -> float | None:
        """The similarity that the target maps to 1/2."""
        if self.target_quantile is None:
            return None
        return target_threshold(self_similarity(features), self.target_quantile)

    def _round(
        self,
        features: FloatArray,
        segments: Sequence[IndexArray],
        whitening: Whitening,
        threshold: float | None,
    ) -> Round:
        index = self.bias_.size
        rng = np.random.default_rng([self.random_state, index])
        n_drawn = min(self.segments_per_round, len(segments))
        drawn = [
            self._segment(features[segments[k]], whitening, threshold)
            for k in rng.choice(len(segments), n_drawn, replace=False)
        ]
        inputs = [part.inputs for part in drawn]
        forms = [part.form for part in drawn]
        direction = ascend(spectral_start(inputs, forms), inputs, forms, self.ascent)
        projection, bias = whitening.projection(direction)
        signs = [np.where(z @ direction >= 0, np.float32(1), np.float32(-1)) for z in inputs]
        errors = [
            weighted_error(part.form, part.constant, h)
            for part, h in zip(drawn, signs, strict=True)
        ]
        error = float(np.mean(errors))
        coefficient = boosting_coefficient(error)
        # One assignment, so that an interrupt finds whole rounds only.
        self.learned = self.learned.with_bit(projection, bias, coefficient, error)
        loss = ensemble_loss(
            drawn[0].target, np.column_stack([drawn[0].signs, signs[0]]), self.beta_
        )
        return Round(index, error, coefficient, loss, float(np.mean(np.concatenate(signs))))

    def _segment(
        self, features: FloatArray, whitening: Whitening, threshold: float | None
    ) -> _Segment:
        target = self_similarity(features)
        if threshold is not None:
            target = rescaled_target(target, threshold)
        contrast, total = distance_terms(target, self.distance)
        signs = bit_signs(hash_bits(features, self.projection_, self.bias_))
        weights = boosting_weights(contrast, total, signs, self.beta_)
        form, constant = weighted_form(weights, contrast, total)
        return _Segment(whitening.apply(features), target, signs, form, constant)
