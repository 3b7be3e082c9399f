"""Trained tables and their bytes, which are the same in C arrays and in a blob."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Record:
    """A C structure of integers, field by field.

    Attributes:
        CTYPE: Its C type.
        FORMAT: Its bytes, as `struct` describes them: little-endian and without padding.
    """

    CTYPE: ClassVar[str]
    FORMAT: ClassVar[str]

    def packed(self) -> bytes:
        """The record as C holds it on a little-endian processor."""
        return struct.pack(self.FORMAT, *astuple(self))


TableData = npt.NDArray[Any] | tuple[Record, ...]
"""Numbers, or records."""


def table_bytes(table: TableData) -> bytes:
    """The bytes of a table."""
    if isinstance(table, np.ndarray):
        return np.ascontiguousarray(table, table.dtype.newbyteorder("<")).tobytes()
    return b"".join(record.packed() for record in table)


def total_bytes(tables: Iterable[TableData]) -> int:
    """Flash that tables take."""
    return sum(len(table_bytes(table)) for table in tables)
