"""Rows of projections in the order in which the runtime multiplies them."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

_Weight = TypeVar("_Weight", bound=np.generic)

ROWS_TOGETHER = 4
WEIGHTS_TOGETHER = 4
ROWS_A_PAIR = 2
_FIRST_OF_PAIR = 128


def padded_length(n_weights: int) -> int:
    """Weights of a row with the zeros that make whole groups of it."""
    return -(-n_weights // WEIGHTS_TOGETHER) * WEIGHTS_TOGETHER


def interleaved_rows(rows: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Rows as ``blsh_hash`` multiplies them: four at a time, four weights of each.

    Rows are padded with zeros to whole groups of four weights. In each whole group of four rows,
    the first four weights of each of them come first, then the next four of each and so on. Rows
    left over follow one by one.
    """
    rows = _padded(rows)
    n_grouped = rows.shape[0] // ROWS_TOGETHER * ROWS_TOGETHER
    grouped = _in_fours(rows[:n_grouped]).swapaxes(1, 2).reshape(n_grouped, rows.shape[1])
    return np.concatenate([grouped, rows[n_grouped:]])


def interleaved_rows_s8(rows: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Rows as ``blsh_project`` multiplies them; there are always whole groups of four.

    In each group of four rows come four weights of the first two in pairs, a weight of either row,
    then those of the other two, then the next four and so on. The first of a pair has 128 added,
    as an unsigned byte: a pair read as int16 is then 256 times the second weight plus that byte,
    which the Cortex-M4 multiplies as it is.
    """
    rows = _padded(rows)
    shifted = rows.copy()
    shifted[::ROWS_A_PAIR] ^= np.int8(-_FIRST_OF_PAIR)  # + 128 in the byte's 8 bits
    n_runs = rows.shape[1] // WEIGHTS_TOGETHER
    pairs = shifted.reshape(-1, ROWS_TOGETHER // ROWS_A_PAIR, ROWS_A_PAIR, n_runs, WEIGHTS_TOGETHER)
    # Group, pair of rows, row, run, weight: to group, run, pair of rows, weight, row.
    return np.ascontiguousarray(pairs.transpose(0, 3, 1, 4, 2)).reshape(rows.shape)


def _padded(rows: npt.NDArray[_Weight]) -> npt.NDArray[_Weight]:
    return np.pad(rows, ((0, 0), (0, padded_length(rows.shape[1]) - rows.shape[1])))


def _in_fours(rows: npt.NDArray[_Weight]) -> npt.NDArray[_Weight]:
    n_runs = rows.shape[1] // WEIGHTS_TOGETHER
    return rows.reshape(-1, ROWS_TOGETHER, n_runs, WEIGHTS_TOGETHER)
