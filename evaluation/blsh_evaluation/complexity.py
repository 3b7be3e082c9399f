"""What each system stores and computes: the paper's O(QDT) against O(LT), in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from blsh_trainer.dictionary import DictionarySize
from blsh_trainer.model_file import Geometry, code_words

FEATURE_BYTES = 2
"""Features, projections and weights are taken as 16-bit numbers: Q = 16."""
NETWORK_UNITS, FC_LAYERS, LSTM_LAYERS = 1024, 3, 2


@dataclass(frozen=True)
class Cost:
    """Memory and work of a system.

    Attributes:
        system: What the tables call it.
        dictionary_bytes: Features or codes of all entries.
        parameter_bytes: Projections, or weights of a network.
        mask_bytes: Ideal binary masks, a bit a bin, without compression.
        macs: Multiplications with addition a frame.
        word_operations: XOR, popcount and addition on 32-bit words a frame.
        order: Bit operations of the search as the paper counts them.
        bit_operations: The same as a number.
    """

    system: str
    dictionary_bytes: int
    parameter_bytes: int
    mask_bytes: int
    macs: int
    word_operations: int
    order: str
    bit_operations: int

    @property
    def total_bytes(self) -> int:
        """All that is stored."""
        return self.dictionary_bytes + self.parameter_bytes + self.mask_bytes


def costs(
    geometry: Geometry, n_frames: int, shares: Sequence[float], n_bits: int, mels: int
) -> list[Cost]:
    """Of the systems in the tables.

    Args:
        geometry: Framing.
        n_frames: Training frames.
        shares: Sizes of the dictionaries.
        n_bits: L.
        mels: Mel filters.
    """
    found = []
    for label, n_features in (("STFT", geometry.n_bins), ("mel", mels)):
        for share in (*shares, 1.0):
            name = f"KNN {label}, {share:.0%}"
            found.append(_cosine(name, geometry, _entries(share, n_frames), n_features))
    for share in shares:
        name = f"LSH and BLSH, {share:.0%}"
        found.append(_hashed(name, geometry, _entries(share, n_frames), n_bits))
    return [*found, _fully_connected(geometry), _recurrent(geometry)]


def _entries(share: float, n_frames: int) -> int:
    return DictionarySize(None, share).entries(n_frames)


def _cosine(name: str, geometry: Geometry, n_entries: int, n_features: int) -> Cost:
    bits = 8 * FEATURE_BYTES
    return Cost(
        system=name,
        dictionary_bytes=FEATURE_BYTES * n_features * n_entries,
        parameter_bytes=0,
        mask_bytes=_mask_bytes(geometry) * n_entries,
        macs=n_features * n_entries,
        word_operations=0,
        order="Q D T",
        bit_operations=bits * n_features * n_entries,
    )


def _hashed(name: str, geometry: Geometry, n_entries: int, n_bits: int) -> Cost:
    words = code_words(n_bits)
    return Cost(
        system=name,
        dictionary_bytes=4 * words * n_entries,
        parameter_bytes=FEATURE_BYTES * n_bits * (geometry.n_bins + 1),
        mask_bytes=_mask_bytes(geometry) * n_entries,
        macs=n_bits * geometry.n_bins,
        word_operations=3 * words * n_entries,
        order="L T",
        bit_operations=n_bits * n_entries,
    )


def _fully_connected(geometry: Geometry) -> Cost:
    sizes = [geometry.n_bins, *[NETWORK_UNITS] * FC_LAYERS, geometry.n_bins]
    weights = sum(a * b for a, b in pairwise(sizes))
    return _network(f"FC, {FC_LAYERS} x {NETWORK_UNITS}", weights, sum(sizes[1:]))


def _recurrent(geometry: Geometry) -> Cost:
    """Bidirectional: each direction has four gates on the input and on its own state."""
    inputs = [geometry.n_bins] + [2 * NETWORK_UNITS] * (LSTM_LAYERS - 1)
    weights = sum(2 * 4 * NETWORK_UNITS * (n + NETWORK_UNITS) for n in inputs)
    weights += 2 * NETWORK_UNITS * geometry.n_bins
    biases = LSTM_LAYERS * 2 * 4 * NETWORK_UNITS + geometry.n_bins
    return _network(f"bidirectional LSTM, {LSTM_LAYERS} x {NETWORK_UNITS}", weights, biases)


def _network(name: str, weights: int, biases: int) -> Cost:
    return Cost(name, 0, FEATURE_BYTES * (weights + biases), 0, weights, 0, "", 0)


def _mask_bytes(geometry: Geometry) -> int:
    return (geometry.n_bins + 7) // 8
