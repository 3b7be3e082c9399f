"""Figure 2: how alike frames are, by themselves and by their bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from blsh_trainer.hashing import bit_signs, hash_bits
from blsh_trainer.similarity import self_similarity

from blsh_evaluation.artefacts import Projections
from blsh_evaluation.results import Similarities

FloatArray = npt.NDArray[np.float32]


def self_similarities(
    features: FloatArray, methods: Mapping[str, Projections], n_bits: Sequence[int]
) -> Similarities:
    """Self-similarity matrices of some frames.

    Args:
        features: ``(n, D)`` L2-normalised.
        methods: Projections by name.
        n_bits: L of each matrix.
    """
    return Similarities(
        self_similarity(features),
        {
            name: {bits: bit_similarity(features, projections, bits) for bits in n_bits}
            for name, projections in methods.items()
        },
    )


def bit_similarity(features: FloatArray, projections: Projections, n_bits: int) -> FloatArray:
    """Share of their first L bits that two frames have in common: ``(n, n)`` in [0, 1]."""
    bits = hash_bits(features, projections.projection[:n_bits], projections.bias[:n_bits])
    signs = bit_signs(bits)
    return np.asarray((1 + signs @ signs.T / n_bits) / 2, np.float32)
