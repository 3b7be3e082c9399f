"""Checksums by which the self-test knows the exported tables again.

The golden vectors read only the dictionary entries that their neighbours happen to be. So that a
single flipped bit anywhere is noticed, each data header ends with a list of its own tables, which
only self-test builds compile: the list points at the very arrays that the runtime reads, and gives
the CRC-32 of their bytes in little-endian memory.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from blsh_trainer.errors import BlshError

from blsh_codegen.band_layout import Dictionary, MaskTable, Projection
from blsh_codegen.condensed_layout import CodeTable, HashGroupLayout, VoteTable

_TABLE = re.compile(
    r"^static const (?:[A-Z_]+ )?(?P<type>\w+) (?P<name>\w+)\[\w+\]"
    r" = \{\n(?P<body>.*?)^\};\n",
    re.MULTILINE | re.DOTALL,
)
_NUMBER = re.compile(r"-?\w+")
_INCLUDE = """\
#ifdef BLSH_ENABLE_TAP
#include "selftest/blsh_table_check.h"
#endif"""
_NUMBER_TYPES = {f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32)}
_RECORDS = (Projection, Dictionary, MaskTable, HashGroupLayout, CodeTable, VoteTable)
_FORMATS = {record.CTYPE: record.FORMAT for record in _RECORDS}
"""Bytes of structures by C type, as `struct` describes them."""


@dataclass(frozen=True)
class Table:
    """A constant array of a data header.

    Attributes:
        name: Its C name.
        crc32: CRC-32 of its bytes.
    """

    name: str
    crc32: int


def tables_of(text: str, aliases: Mapping[str, str]) -> tuple[Table, ...]:
    """The constant arrays of a data header, in its order.

    Args:
        text: The header.
        aliases: Names that the project's headers give to the types of ``stdint.h``.

    Raises:
        BlshError: A declaration is not of the form that the templates write.
    """
    found = []
    for match in _TABLE.finditer(text):
        ctype = aliases.get(match["type"], match["type"])
        numbers = [int(text.removesuffix("u"), 0) for text in _NUMBER.findall(match["body"])]
        crc32 = zlib.crc32(_bytes_of(ctype, numbers))
        found.append(Table(match["name"], crc32))
    if len(found) != len(re.findall(r"^static const ", text, re.MULTILINE)):
        raise BlshError("a data header declares a table in a form that the self-test cannot check")
    return tuple(found)


def list_name(header: str) -> str:
    """C name of the list of checks of a data header: ``blsh_codes_check`` of ``blsh_codes.h``."""
    return f"{header.removesuffix('.h')}_check"


def list_size(text: str, aliases: Mapping[str, str]) -> int:
    """Length of a data header's list of checks, its end included; see :func:`tables_of`."""
    return len(tables_of(text, aliases)) + 1


def with_checks(header: str, text: str, aliases: Mapping[str, str]) -> str:
    """A data header with its include of the check's type, and the list of checks at its end.

    Args:
        header: Its file name.
        text: The header.
        aliases: As for :func:`tables_of`.
    """
    tables = tables_of(text, aliases)
    if not tables:
        return text
    includes = f"{_INCLUDE}\n#include "
    before, end = text.replace("#include ", includes, 1).rsplit("#endif", 1)
    return f"{before}{_section(list_name(header), tables)}\n#endif{end}"


def _bytes_of(ctype: str, numbers: list[int]) -> bytes:
    """The numbers of an initialiser in little-endian memory."""
    if ctype in _NUMBER_TYPES:
        return np.array(numbers, np.dtype(ctype.removesuffix("_t")).newbyteorder("<")).tobytes()
    if ctype not in _FORMATS:
        raise BlshError(f"a data header has a table of {ctype}, which the self-test cannot check")
    one = struct.Struct(_FORMATS[ctype])
    fields = len(one.unpack(bytes(one.size)))
    records = (numbers[start : start + fields] for start in range(0, len(numbers), fields))
    return b"".join(one.pack(*record) for record in records)


def _section(name: str, tables: tuple[Table, ...]) -> str:
    lines = [
        "#ifdef BLSH_ENABLE_TAP",
        "/* For the self-test only: how to know the tables above again. */",
    ]
    size = len(tables) + 1
    lines += [f"extern const blsh_table_check_t {name}[{size}];", ""]
    lines.append(f"const blsh_table_check_t {name}[{size}] = {{")
    for table in tables:
        crc32 = f"0x{table.crc32:08X}u"
        lines.append(f'    {{"{table.name}", {table.name}, sizeof {table.name}, {crc32}}},')
    lines += ["    {0, 0, 0, 0},", "};", "#endif", ""]
    return "\n".join(lines)
