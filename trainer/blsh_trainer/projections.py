"""Random projections: locality sensitive hashing without boosting."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


def random_projections(n_projections: int, n_features: int, seed: int) -> FloatArray:
    """Gaussian projections of unit length (Charikar 2002); row l depends on ``seed`` and l only.

    Args:
        n_projections: L.
        n_features: D.
        seed: Not negative.

    Returns:
        ``(n_projections, n_features)`` float32.
    """
    rows = np.empty((n_projections, n_features))
    for row in range(n_projections):
        rows[row] = np.random.default_rng([seed, row]).standard_normal(n_features)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
