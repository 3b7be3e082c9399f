"""The arithmetic of Algorithm 2: similarities, distances, boosting weights and coefficients.

For a segment of n frames the target is the self-similarity matrix ``S = X X^T`` and a weak learner
``h`` in {-1, +1}^n offers the binary similarity ``b = (1 + h h^T) / 2``. Whatever the element-wise
distance D between b and S, b has two values only, hence D has two: D1 where two frames share the
bit and D0 where they differ. With the *contrast* ``C = D0 - D1`` and the *total* ``U = D0 + D1``

    D = U / 2 - (C / 2) h h^T

so that the weighted error is a quadratic form in h, and the boosting weights after any number of
rounds follow from ``H diag(beta) H^T`` in one matrix product: nothing need be kept between rounds.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.linalg import blas

DistanceKind = Literal["squared", "cross-entropy"]
FloatArray = npt.NDArray[np.float32]

CROSS_ENTROPY_FLOOR = 0.01
MAX_ERROR = 1 - 1e-6
MIN_ERROR = 1e-6


def self_similarity(features: FloatArray) -> FloatArray:
    """``S = X X^T`` of ``(n, D)`` non-negative, L2-normalised features: ``(n, n)`` in [0, 1]."""
    similarity: FloatArray = features @ features.T
    return np.clip(similarity, 0, 1, out=similarity)


def rescaled_target(similarity: FloatArray, threshold: float) -> FloatArray:
    """Affine map with ``threshold`` to 1/2 and 1 to 1, clipped at 0: the target of boosting.

    Args:
        similarity: S, in [0, 1].
        threshold: The similarity from which on two frames count as alike, below 1.
    """
    slope = 0.5 / (1 - threshold)
    scaled: FloatArray = similarity * np.float32(slope)
    scaled += np.float32(0.5 - slope * threshold)
    return np.clip(scaled, 0, 1, out=scaled)


def distance_terms(similarity: FloatArray, distance: DistanceKind) -> tuple[FloatArray, FloatArray]:
    """Contrast ``C = D0 - D1`` and total ``U = D0 + D1`` of an element-wise distance.

    Squared error: ``D = (S - b)^2``. Cross-entropy: ``D = -b log S - (1 - b) log(1 - S)``, with S
    kept `CROSS_ENTROPY_FLOOR` away from 0 and 1 and D divided by its largest value, so that
    D is in [0, 1] as boosting demands.

    Args:
        similarity: S, in [0, 1].
        distance: Which distance.

    Returns:
        C in [-1, 1] and U in [0, 2], of the shape of S.
    """
    if distance == "squared":
        contrast: FloatArray = 2 * similarity
        contrast -= 1
        total = contrast * contrast
        total += 1
        total /= 2
        return contrast, total
    floor = np.float32(CROSS_ENTROPY_FLOOR)
    clipped = np.clip(similarity, floor, 1 - floor)
    scale = 1 / np.log(floor)
    same, differ = scale * np.log(clipped), scale * np.log1p(-clipped)
    return differ - same, differ + same


def boosting_weights(
    contrast: FloatArray, total: FloatArray, signs: FloatArray, beta: FloatArray
) -> FloatArray:
    """Weights W of a segment after the weak learners so far, with sum 1.

    Equal to starting from uniform weights and applying
    ``W <- W exp(-beta_l (1 - 2 D_l))`` with renormalisation for each learner l in turn.

    Args:
        contrast: ``(n, n)`` C.
        total: ``(n, n)`` U.
        signs: ``(n, l)`` outputs h of the learners, -1 or +1.
        beta: ``(l,)`` their coefficients.

    Returns:
        ``(n, n)`` float32.
    """
    # sum_l beta_l (2 D_l - 1) = sum(beta) (U - 1) - C * (H diag(beta) H^T)
    exponent = np.asarray((signs * -beta) @ signs.T, np.float32)
    exponent *= contrast
    exponent += np.float32(beta.sum(dtype=np.float64)) * total
    exponent -= exponent.max()
    np.exp(exponent, out=exponent)
    exponent *= np.float32(1 / exponent.sum(dtype=np.float64))
    return exponent


def weighted_form(
    weights: FloatArray, contrast: FloatArray, total: FloatArray
) -> tuple[FloatArray, float]:
    """The weighted error of any weak learner as a quadratic form of its outputs.

    Args:
        weights: ``(n, n)`` W, with sum 1.
        contrast: ``(n, n)`` C.
        total: ``(n, n)`` U.

    Returns:
        ``(n, n)`` float32 A = W * C, and the sum of W * U, for `weighted_error`.
    """
    return weights * contrast, float(np.vdot(weights, total))


def weighted_error(form: FloatArray, constant: float, signs: FloatArray) -> float:
    """Epsilon of one weak learner: ``sum W D = (sum W U - h^T A h) / 2``.

    Args:
        form: ``(n, n)`` A.
        constant: Sum of W * U.
        signs: ``(n,)`` its outputs h, -1 or +1.
    """
    return (constant - float(signs @ times_symmetric(form, signs))) / 2


def times_symmetric(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    """``matrix @ vector``, reading half of a symmetric matrix: ``(n,)`` float32."""
    product: FloatArray = blas.ssymv(1.0, matrix.T, vector)  # its transpose is in Fortran's order
    return product


def boosting_coefficient(error: float) -> float:
    """``beta = 1/2 ln((1 - epsilon) / epsilon)``."""
    clipped = min(max(error, MIN_ERROR), MAX_ERROR)
    return float(0.5 * np.log((1 - clipped) / clipped))


def ensemble_loss(target: FloatArray, signs: FloatArray, beta: FloatArray) -> float:
    """Mean squared difference between the target and the bits' beta-weighted mean similarity.

    Args:
        target: ``(n, n)``, in [0, 1].
        signs: ``(n, l)`` outputs of the bits, -1 or +1.
        beta: ``(l,)`` coefficients.
    """
    share = beta / max(float(np.abs(beta).sum()), 1e-12)
    similarity = (1 + (signs * share) @ signs.T) / 2
    return float(np.mean((target - similarity) ** 2))
