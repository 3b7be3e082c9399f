"""Checksums by which the self-test knows the exported tables again.

The golden vectors read only the dictionary entries that their neighbours happen to be. So that a
single flipped bit anywhere is noticed, each data header ends with a list of its own tables, which
only self-test builds compile: the list points at the very arrays that the runtime reads, and gives
the CRC-32 of their bytes in little-endian memory. A table of structures holds pointers, whose
values the linker decides; it is compared with a second copy of its initialisers instead.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from blsh_trainer.errors import BlshError

_TABLE = re.compile(
    r"^static const (?:[A-Z_]+ )?(?P<type>\w+) (?P<name>\w+)\[(?P<size>\w+)\]"
    r" = \{\n(?P<body>.*?)^\};\n",
    re.MULTILINE | re.DOTALL,
)
_INCLUDE = """\
#ifdef BLSH_ENABLE_TAP
#include "selftest/blsh_table_check.h"
#endif"""
_NUMBER_TYPES = {f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32)}


@dataclass(frozen=True)
class Table:
    """A constant array of a data header.

    Attributes:
        name: Its C name.
        ctype: C type of its elements.
        size: Number of elements as the header writes it: a number or a macro.
        body: The lines of its initialiser.
        crc32: CRC-32 of its bytes; ``None`` for structures.
    """

    name: str
    ctype: str
    size: str
    body: str
    crc32: int | None


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
        ctype, body = match["type"], match["body"]
        number_type = aliases.get(ctype, ctype)
        crc32 = _crc32(number_type, body) if number_type in _NUMBER_TYPES else None
        found.append(Table(match["name"], ctype, match["size"], body, crc32))
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


def _crc32(number_type: str, body: str) -> int:
    dtype = np.dtype(number_type.removesuffix("_t")).newbyteorder("<")
    numbers = [int(number.removesuffix("u"), 0) for number in re.findall(r"-?\w+", body)]
    return zlib.crc32(np.array(numbers, dtype).tobytes())


def _section(name: str, tables: tuple[Table, ...]) -> str:
    lines = [
        "#ifdef BLSH_ENABLE_TAP",
        "/* For the self-test only: how to know the tables above again. */",
    ]
    for table in tables:
        if table.crc32 is None:
            lines.append(f"static const {table.ctype} {table.name}_copy[{table.size}] = {{")
            lines += [table.body.rstrip("\n"), "};", ""]
    size = len(tables) + 1
    lines += [f"extern const blsh_table_check_t {name}[{size}];", ""]
    lines.append(f"const blsh_table_check_t {name}[{size}] = {{")
    for table in tables:
        known = f"0x{table.crc32 or 0:08X}u"
        copy = f"{table.name}_copy" if table.crc32 is None else "0"
        lines.append(f'    {{"{table.name}", {table.name}, sizeof {table.name}, {known}, {copy}}},')
    lines += ["    {0, 0, 0, 0, 0},", "};", "#endif", ""]
    return "\n".join(lines)
