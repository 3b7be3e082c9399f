"""Codes, neighbours and the dictionary."""

from __future__ import annotations

import numpy as np
import pytest
from blsh_trainer.dictionary import DictionarySize, check_neighbours, choose_entries
from blsh_trainer.errors import BlshError
from blsh_trainer.hashing import hash_bits, nearest, pack_codes, unpack_codes
from hypothesis import given
from hypothesis import strategies as st


def test_bit_l_is_bit_l_mod_32_of_word_l_div_32() -> None:
    bits = np.zeros((1, 70), np.bool_)
    bits[0, [0, 31, 33, 69]] = True
    assert pack_codes(bits).tolist() == [[0x80000001, 0x2, 0x20]]


@given(seed=st.integers(0, 100), n_bits=st.integers(1, 100))
def test_codes_unpack_to_what_was_packed(seed: int, n_bits: int) -> None:
    bits = np.random.default_rng(seed).random((3, n_bits)) < 0.5
    assert np.array_equal(unpack_codes(pack_codes(bits), n_bits), bits)


def test_bit_is_set_at_zero_and_for_silence() -> None:
    features = np.array([[1, 0], [0, 1], [0, 0]], np.float32)
    projection, bias = np.array([[1, -1]], np.float32), np.array([-1], np.float32)
    assert hash_bits(features, projection, bias)[:, 0].tolist() == [True, False, True]


@given(seed=st.integers(0, 100), neighbours=st.integers(1, 12))
def test_neighbours_are_those_of_a_stable_sort(seed: int, neighbours: int) -> None:
    rng = np.random.default_rng(seed)
    query, dictionary = rng.random((4, 5)) < 0.5, rng.random((12, 5)) < 0.5  # many equal distances
    index, distance = nearest(query, dictionary, neighbours)
    for q, row, at in zip(query, index, distance, strict=True):
        distances = (dictionary != q).sum(axis=1)
        expected = np.argsort(distances, kind="stable")[:neighbours]
        assert np.array_equal(row, expected)
        assert np.array_equal(at, distances[expected])


@pytest.mark.parametrize(("text", "entries"), [("1%", 10), ("100%", 1000), ("7", 7), ("0.01%", 1)])
def test_dictionary_size(text: str, entries: int) -> None:
    assert DictionarySize.parse(text).entries(1000) == entries


@pytest.mark.parametrize("text", ["0", "-1", "0%", "101%", "many", "1.5", "nan%"])
def test_impossible_dictionary_size(text: str) -> None:
    with pytest.raises(BlshError, match="--dictionary"):
        DictionarySize.parse(text)


def test_more_entries_than_frames() -> None:
    with pytest.raises(BlshError, match="--dictionary 11: there are only 10"):
        DictionarySize.parse("11").entries(10)


@pytest.mark.parametrize("neighbours", [0, 6, 256])
def test_impossible_neighbours(neighbours: int) -> None:
    with pytest.raises(BlshError, match=f"--neighbours {neighbours}"):
        check_neighbours(neighbours, 5)


def test_entries_are_distinct_and_ascending() -> None:
    chosen = choose_entries(50, 40, np.random.default_rng(0))
    assert (np.diff(chosen) > 0).all()
    assert chosen[-1] < 50
