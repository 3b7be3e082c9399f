"""The complexity table against numbers worked out by hand."""

from __future__ import annotations

from blsh_evaluation.complexity import costs
from blsh_trainer.model_file import Geometry


def test_costs_of_the_papers_configuration() -> None:
    """513 bins, 22,500 entries, 150 bits: O(QDT) = 16 * 513 * 22500 against O(LT) = 150 * 22500."""
    by_name = {cost.system: cost for cost in costs(Geometry(), 225_000, (0.1,), 150, 80)}
    cosine, hashed = by_name["KNN STFT, 10%"], by_name["LSH and BLSH, 10%"]
    assert cosine.macs == 513 * 22_500 == 11_542_500
    assert cosine.bit_operations == 184_680_000
    assert cosine.dictionary_bytes == 2 * 11_542_500
    assert hashed.bit_operations == 3_375_000
    assert hashed.dictionary_bytes == 22_500 * 20
    assert hashed.parameter_bytes == 2 * 150 * 514
    assert hashed.macs == 150 * 513
    assert hashed.word_operations == 3 * 5 * 22_500
    assert cosine.mask_bytes == hashed.mask_bytes == 65 * 22_500
    assert hashed.total_bytes == 450_000 + 154_200 + 1_462_500
    assert by_name["KNN mel, 100%"].macs == 80 * 225_000
    fc = by_name["FC, 3 x 1024"]
    assert fc.macs == 513 * 1024 + 2 * 1024 * 1024 + 1024 * 513
    lstm = by_name["bidirectional LSTM, 2 x 1024"]
    assert lstm.macs == 8 * 1024 * (513 + 1024) + 8 * 1024 * (2048 + 1024) + 2048 * 513
