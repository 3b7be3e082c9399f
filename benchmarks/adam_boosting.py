"""Algorithm 2 as its authors train it: Adam on soft bits, by autograd over all pairs of frames.

After their scripts (GitHub kimsunwiub/BLSH and BLSH-TASLP): p and b start at random (Xavier); Adam
(0.95, 0.98) takes a step for each segment of 1000 frames and goes over all segments many times; the
loss is sum W D of the soft bits; then epsilon, beta and W by the hard signs. The first script takes
300 steps on a segment before the next, the second goes over all of them 20 to 200 times, until the
loss stalls. Here the number of passes is fixed, the soft sign is the paper's tanh, what does not
change from step to step is computed once, and the rest is fused where PyTorch can.
Only training_time.py wants this. Needs PyTorch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from blsh_trainer.boosting import TARGET_QUANTILES, Learned, Target, target_threshold
from blsh_trainer.hashing import bit_signs, hash_bits
from blsh_trainer.similarity import (
    boosting_coefficient,
    boosting_weights,
    distance_terms,
    ensemble_loss,
    rescaled_target,
    self_similarity,
    weighted_error,
    weighted_form,
)
from torch import Tensor

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

SEGMENT = 1000
MOMENTS = (0.95, 0.98)
clock = time.process_time


@dataclass(frozen=True)
class Segment:
    """Frames and what a bit is to tell of them.

    Attributes:
        features: ``(n, D)`` L2-normalised.
        target: ``(n, n)``.
        contrast: ``(n, n)`` C, see `distance_terms`.
        total: ``(n, n)`` U.
    """

    features: FloatArray
    target: FloatArray
    contrast: FloatArray
    total: FloatArray

    def signs(self, learned: Learned) -> FloatArray:
        """``(n, L)`` of -1 and 1."""
        return bit_signs(hash_bits(self.features, learned.projection, learned.bias))


def make_segments(features: FloatArray, aim: Target, seed: int) -> list[Segment]:
    """The segments and targets that `BoostedHashing.fit` makes of ``(N, D)`` frames."""
    order = np.random.default_rng(seed).permutation(features.shape[0])
    parts = [np.sort(part) for part in np.array_split(order, features.shape[0] // SEGMENT)]
    targets = [self_similarity(features[part]) for part in parts]
    if (quantile := TARGET_QUANTILES[aim]) is not None:
        threshold = target_threshold(targets[0], quantile)
        targets = [rescaled_target(target, threshold) for target in targets]
    return [
        Segment(features[part], target, *distance_terms(target, "squared"))
        for part, target in zip(parts, targets, strict=True)
    ]


class Problem:
    """A round: find the bit of least epsilon on some segments under their weights W.

    Attributes:
        segments: As `make_segments` gives them.
        weights: ``(n, n)`` W of each, with sum 1.
    """

    def __init__(self, segments: Sequence[Segment], weights: Sequence[FloatArray]) -> None:
        self.segments, self.weights = segments, weights
        parts = zip(segments, weights, strict=True)
        self._forms = [weighted_form(w, s.contrast, s.total) for s, w in parts]

    @classmethod
    def after(cls, learned: Learned, count: int, segments: Sequence[Segment]) -> Problem:
        """The round that follows the first ``count`` bits."""
        beta = learned.beta[:count]
        signs = [segment.signs(learned)[:, :count] for segment in segments]
        parts = zip(segments, signs, strict=True)
        return cls(segments, [boosting_weights(s.contrast, s.total, h, beta) for s, h in parts])

    def error(self, signs: Sequence[FloatArray]) -> float:
        """Epsilon of a bit's ``(n,)`` signs of each segment: the mean over the segments."""
        parts = zip(self._forms, signs, strict=True)
        return float(np.mean([weighted_error(*form, h) for form, h in parts]))


def judge(segments: Sequence[Segment], learned: Learned) -> dict[str, float]:
    """Means over all segments: of each bit's epsilon, and of the loss of all bits together."""
    signs = [segment.signs(learned) for segment in segments]
    errors = [
        Problem.after(learned, index, segments).error([h[:, index] for h in signs])
        for index in range(learned.bias.size)
    ]
    parts = zip(segments, signs, strict=True)
    losses = [ensemble_loss(segment.target, h, learned.beta) for segment, h in parts]
    return {"epsilon": float(np.mean(errors)), "loss": float(np.mean(losses))}


@dataclass(frozen=True)
class Curve:
    """How Adam went.

    Attributes:
        rate: Step length.
        seconds: ``(passes,)`` CPU seconds up to the end of each pass.
        errors: ``(passes,)`` epsilon of the hard signs.
        direction: ``(D + 1,)`` p and b after the best pass.
    """

    rate: float
    seconds: DoubleArray
    errors: DoubleArray
    direction: FloatArray

    @property
    def best(self) -> float:
        """The lowest epsilon."""
        return float(self.errors.min())

    def reaches(self, epsilon: float) -> int | None:
        """Index of the first pass with so low an epsilon."""
        found = np.flatnonzero(self.errors <= epsilon)
        return int(found[0]) if found.size else None

    def record(self) -> dict[str, Any]:
        """What a report keeps of it."""
        seconds, errors = float(self.seconds[-1]), self.errors.round(5).tolist()
        return {"rate": self.rate, "seconds": seconds, "epsilon": errors}


def descend(problem: Problem, rate: float, passes: int, seed: int) -> Curve:
    """Find one projection; looking at the hard signs after each pass is not charged."""
    torch.manual_seed(seed)
    frames = [_with_ones(segment.features) for segment in problem.segments]
    centred = [torch.from_numpy(segment.target) - 0.5 for segment in problem.segments]
    weights = [torch.from_numpy(w) for w in problem.weights]
    direction = torch.nn.init.xavier_normal_(torch.empty(frames[0].shape[1], 1)).requires_grad_()
    optimizer = torch.optim.Adam([direction], lr=rate, betas=MOMENTS)
    seconds, errors, found = [], [], []
    for _ in range(passes):
        start = clock()
        for x, target, w in zip(frames, centred, weights, strict=True):
            optimizer.zero_grad()
            soft_loss(x, target, w, direction).backward()
            optimizer.step()
        seconds.append(clock() - start)
        found.append(direction.detach().numpy()[:, 0].copy())
        errors.append(problem.error(hard_signs(problem.segments, found[-1])))
    return Curve(rate, np.cumsum(seconds), np.array(errors), found[int(np.argmin(errors))])


def _with_ones(features: FloatArray) -> Tensor:
    """With a column of ones, for b."""
    return torch.from_numpy(np.pad(features, ((0, 0), (0, 1)), constant_values=1))


def soft_loss(frames: Tensor, centred: Tensor, weights: Tensor, direction: Tensor) -> Tensor:
    """Sum of W D for soft signs, ``centred`` being the target less 1/2.

    Of the ways to write it that were tried this is the fastest, with two temporaries of n x n.
    """
    soft = torch.tanh(frames @ direction)
    difference = torch.addmm(centred, soft, soft.T, alpha=-0.5)
    return torch.dot(difference.view(-1), (difference * weights).view(-1))


def hard_signs(segments: Sequence[Segment], direction: FloatArray) -> list[FloatArray]:
    """``(n,)`` of -1 and 1 of each segment."""
    return [bit_signs(s.features @ direction[:-1] + direction[-1] >= 0) for s in segments]


def boost(
    segments: Sequence[Segment], count: int, rate: float, passes: int, seed: int
) -> tuple[Learned, float]:
    """Learn some projections: the bits, and CPU seconds without the preparation of segments."""
    weights = [np.full_like(s.target, 1 / s.target.size) for s in segments]
    learned, seconds = Learned.nothing(segments[0].features.shape[1]), 0.0
    for index in range(count):
        problem = Problem(segments, weights)
        curve = descend(problem, rate, passes, seed + index)
        start = clock()
        signs = hard_signs(segments, curve.direction)
        error = problem.error(signs)
        beta = boosting_coefficient(error)
        for segment, w, h in zip(segments, weights, signs, strict=True):
            reweight(segment.target, w, h, beta)
        seconds += float(curve.seconds[-1]) + clock() - start
        learned = learned.with_bit(curve.direction[:-1], curve.direction[-1], beta, error)
    return learned, seconds


def reweight(target: FloatArray, weights: FloatArray, signs: FloatArray, beta: float) -> None:
    """``W <- W exp(-beta (1 - 2 D))``, divided by its sum, in place."""
    aimed, w, h = (torch.from_numpy(array) for array in (target, weights, signs))
    distance = torch.addr(aimed - 0.5, h, h, alpha=-0.5).square_()
    w.mul_(torch.exp(distance.mul_(2 * beta).sub_(beta)))
    w.div_(w.sum())
