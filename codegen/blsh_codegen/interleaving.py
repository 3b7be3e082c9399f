"""Rows of projections in the order in which the runtime multiplies them."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

_Weight = TypeVar("_Weight", bound=np.generic)

ROWS_TOGETHER = 4
WEIGHTS_TOGETHER = 4
_BYTE_ORDER = (0, 2, 1, 3)


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

    Of each four weights the second and third have changed places: the Cortex-M4 unpacks every
    second byte of a word.
    """
    rows = _padded(rows)
    interleaved: npt.NDArray[np.int8] = _in_fours(rows)[..., _BYTE_ORDER].swapaxes(1, 2)
    return np.ascontiguousarray(interleaved).reshape(rows.shape)


def _padded(rows: npt.NDArray[_Weight]) -> npt.NDArray[_Weight]:
    return np.pad(rows, ((0, 0), (0, padded_length(rows.shape[1]) - rows.shape[1])))


def _in_fours(rows: npt.NDArray[_Weight]) -> npt.NDArray[_Weight]:
    n_runs = rows.shape[1] // WEIGHTS_TOGETHER
    return rows.reshape(-1, ROWS_TOGETHER, n_runs, WEIGHTS_TOGETHER)
