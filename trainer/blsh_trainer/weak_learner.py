"""One round of Algorithm 2: the projection with the least weighted error.

The error of a bit is a quadratic form in its signs (see `similarity`), so the best bit maximises
``sum_k h_k^T A_k h_k`` over the segments k at hand, with ``h = sign(z)``, ``z = p . x + b``. The
relaxation ``h = z``, ``|z|^2 = n`` is an eigenvalue problem and gives the start; ascent through
``h = tanh(g z)`` with a growing gain g leads from there to the hard signs. Both run in whitened
coordinates of the features' principal directions, in which each direction counts alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg

from blsh_trainer.similarity import times_symmetric

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Whitening:
    """Map to r coordinates of (nearly) unit covariance: ``(x - mean) @ matrix``.

    Attributes:
        mean: ``(D,)``.
        matrix: ``(D, r)``.
    """

    mean: FloatArray
    matrix: FloatArray

    @classmethod
    def of(cls, features: FloatArray, rank: int, ridge: float) -> Whitening:
        """From ``(n, D)`` features.

        Args:
            features: Frames to take the covariance of.
            rank: Number of principal directions to keep, of which there are at most D.
            ridge: Share of their mean variance that is added to the variance of each. Without it
                directions that hold little but estimation noise would count like any other.
        """
        mean = features.mean(axis=0, dtype=np.float64)
        centred = features - mean
        covariance = centred.T @ centred / features.shape[0]
        variance, directions = np.linalg.eigh(covariance)
        variance, directions = variance[::-1][:rank], directions[:, ::-1][:, :rank]
        floor = max(ridge * float(variance.mean()), 1e-12)
        matrix = directions / np.sqrt(np.maximum(variance, 0) + floor)
        return cls(mean.astype(np.float32), matrix.astype(np.float32))

    def apply(self, features: FloatArray) -> FloatArray:
        """``(n, D)`` features to ``(n, r + 1)`` whitened ones with a column of ones."""
        ones = np.ones((features.shape[0], 1), np.float32)
        return np.concatenate([(features - self.mean) @ self.matrix, ones], axis=1)

    def projection(self, direction: FloatArray) -> tuple[FloatArray, np.float32]:
        """Unit projection p and bias b of a direction in whitened coordinates with a constant."""
        projection = self.matrix @ direction[:-1]
        bias = direction[-1] - self.mean @ projection
        norm = max(float(np.linalg.norm(projection)), 1e-30)
        return (projection / norm).astype(np.float32), np.float32(bias / norm)


@dataclass(frozen=True)
class Ascent:
    """Settings of the ascent.

    Attributes:
        steps: Gradient steps.
        rate: Step length as a share of the direction's length.
        gains: First and last gain g of ``tanh(g z)``, z of unit variance.
    """

    steps: int = 30
    rate: float = 0.05
    gains: tuple[float, float] = (1.0, 10.0)


def spectral_start(inputs: Sequence[FloatArray], forms: Sequence[FloatArray]) -> FloatArray:
    """Leading eigenvector of ``sum_k Z_k^T A_k Z_k``.

    Args:
        inputs: Z_k, ``(n, d)`` whitened features with a column of ones.
        forms: A_k, ``(n, n)`` symmetric.
    """
    form = sum(z.T @ (a @ z) for z, a in zip(inputs, forms, strict=True))
    d = inputs[0].shape[1]
    _, vectors = linalg.eigh(form, subset_by_index=[d - 1, d - 1], check_finite=False)
    direction, _ = _unit_output(vectors[:, 0].astype(np.float32), inputs)
    return direction


def ascend(
    start: FloatArray,
    inputs: Sequence[FloatArray],
    forms: Sequence[FloatArray],
    settings: Ascent,
) -> FloatArray:
    """Raise ``sum_k tanh(g Z_k q)^T A_k tanh(g Z_k q)`` by Adam steps while g grows.

    Args:
        start: ``(d,)`` first direction q.
        inputs: As in `spectral_start`.
        forms: As in `spectral_start`.
        settings: Steps, rate and gains.

    Returns:
        ``(d,)`` direction with outputs of unit mean square.
    """
    q, outputs = start, [z @ start for z in inputs]
    first, second = np.zeros_like(q), np.zeros_like(q)
    low, high = settings.gains
    for step in range(1, settings.steps + 1):
        gain = np.float32(low * (high / low) ** (step / settings.steps))
        gradient = np.zeros_like(q)
        for z, a, output in zip(inputs, forms, outputs, strict=True):
            soft = np.tanh(gain * output)
            gradient += ((1 - soft * soft) * times_symmetric(a, soft)) @ z
        gradient /= max(float(np.linalg.norm(gradient)), 1e-30)
        first = np.float32(0.9) * first + np.float32(0.1) * gradient
        second = np.float32(0.99) * second + np.float32(0.01) * gradient * gradient
        move = (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
        length = settings.rate * float(np.linalg.norm(q)) / np.sqrt(q.size)
        q, outputs = _unit_output((q + length * move).astype(np.float32), inputs)
    return q


def _unit_output(
    q: FloatArray, inputs: Sequence[FloatArray]
) -> tuple[FloatArray, list[FloatArray]]:
    """A direction scaled to outputs of unit mean square, and those outputs ``Z_k q``."""
    outputs = [z @ q for z in inputs]
    power = float(np.mean([np.mean(output * output) for output in outputs]))
    scale = np.float32(1 / np.sqrt(max(power, 1e-30)))
    return q * scale, [output * scale for output in outputs]
