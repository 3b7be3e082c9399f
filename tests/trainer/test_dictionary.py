"""Clusters of training frames as dictionary entries."""

from __future__ import annotations

import numpy as np
from blsh_trainer.dictionary import CLUSTER_ROUNDS, cluster


def test_codes_are_what_most_frames_of_a_cluster_have() -> None:
    rng = np.random.default_rng(0)
    centres = rng.random((12, 40)) < 0.5
    bits = centres[rng.integers(12, size=900)] ^ (rng.random((900, 40)) < 0.08)
    rounds: list[int] = []
    codes, label = cluster(bits, np.arange(30), rounds.append)
    assert rounds == list(range(1, CLUSTER_ROUNDS + 1))
    assert np.bincount(label, minlength=30).min() >= 1
    for entry in range(30):
        share = bits[label == entry].mean(axis=0)
        assert (codes[entry][share != 0.5] == (share[share != 0.5] > 0.5)).all()
    distance = (codes[label] ^ bits).sum()
    assert distance < 0.6 * (bits[np.arange(30)][label] ^ bits).sum()
    assert distance < 1.1 * 0.08 * bits.size


def test_no_cluster_stays_empty_where_frames_are_alike() -> None:
    bits = np.zeros((20, 8), bool)
    bits[:3] = True
    codes, label = cluster(bits, np.arange(7))
    assert sorted(set(label.tolist())) == list(range(7))
    assert codes.shape == (7, 8)
