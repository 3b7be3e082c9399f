"""What an ELF image holds: segments to load, symbols to call, bytes of flash and RAM."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blsh_trainer.errors import BlshError


@dataclass(frozen=True)
class Symbol:
    """A function or object of an image.

    Attributes:
        name: Its name in C.
        address: Its first byte, without the Thumb bit.
        size: Its size in bytes; 0 where the image does not say.
        is_function: Whether it is code.
    """

    name: str
    address: int
    size: int
    is_function: bool


@dataclass(frozen=True)
class Segment:
    """A part of memory with its initial contents.

    Attributes:
        address: Where the program expects it.
        load_address: Where the contents are stored in flash (differs for ``.data``).
        data: Its contents; the rest up to ``size`` is zero.
        size: Its size in memory in bytes.
        executable: Whether it holds code.
        writable: Whether it is RAM.
    """

    address: int
    load_address: int
    data: bytes
    size: int
    executable: bool
    writable: bool


@dataclass(frozen=True)
class ElfImage:
    """A linked image.

    Attributes:
        path: The file it was read from.
        segments: What is loaded, ascending by address.
        symbols: By name; a global symbol hides a local one of the same name.
        functions: Functions ascending by address, one for each address.
        is_thumb: Whether its functions are entered with the Thumb bit set.
        data_in_code: Half-open ranges of addresses that hold constants between functions' code.
    """

    path: Path
    segments: tuple[Segment, ...]
    symbols: dict[str, Symbol]
    functions: tuple[Symbol, ...]
    is_thumb: bool
    data_in_code: tuple[tuple[int, int], ...] = ()

    @property
    def flash_bytes(self) -> int:
        """Code, constants and the initial values of ``.data``."""
        return sum(len(segment.data) for segment in self.segments)

    @property
    def ram_bytes(self) -> int:
        """``.data`` and ``.bss``, without stack."""
        return sum(segment.size for segment in self.segments if segment.writable)

    def function_at(self, address: int) -> Symbol | None:
        """The function that holds an address, or ``None``."""
        index = bisect.bisect_right(self.functions, address, key=lambda one: one.address) - 1
        if index < 0:
            return None
        found = self.functions[index]
        return found if address < found.address + max(found.size, 1) else None

    def describe(self, address: int) -> str:
        """An address as people read it: ``0x08000012 (blsh_fft+0x12)``."""
        found = self.function_at(address)
        if found is None:
            return f"0x{address:08x}"
        return f"0x{address:08x} ({found.name}+0x{address - found.address:x})"


def read_elf(path: Path) -> ElfImage:
    """Read an ELF image for a 32-bit Arm or RISC-V core.

    Raises:
        BlshError: The file is missing, or not such an image.
    """
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            is_arm = elf["e_machine"] == "EM_ARM"
            segments = tuple(
                Segment(
                    address=part["p_vaddr"],
                    load_address=part["p_paddr"],
                    data=part.data(),
                    size=part["p_memsz"],
                    executable=bool(part["p_flags"] & 1),
                    writable=bool(part["p_flags"] & 2),
                )
                for part in elf.iter_segments("PT_LOAD")
                if part["p_memsz"] > 0
            )
            table: Any = elf.get_section_by_name(".symtab")
            entries = [] if table is None else list(table.iter_symbols())
    except OSError as error:
        raise BlshError(f"{path}: cannot be read: {error.strerror}") from error
    except ELFError as error:
        raise BlshError(f"{path}: not an ELF image: {error}") from error
    symbols: dict[str, Symbol] = {}
    by_address: dict[int, Symbol] = {}
    # Locals first, so that a global symbol of the same name or address takes their place.
    for entry in sorted(entries, key=lambda one: one["st_info"]["bind"] != "STB_LOCAL"):
        kind = entry["st_info"]["type"]
        if kind not in ("STT_FUNC", "STT_OBJECT", "STT_NOTYPE") or not entry.name:
            continue
        if entry.name.startswith(("$", ".L")) or entry["st_shndx"] == "SHN_UNDEF":
            continue
        is_function = kind == "STT_FUNC"
        address = entry["st_value"] & ~1 if is_arm and is_function else entry["st_value"]
        symbol = Symbol(entry.name, address, entry["st_size"], is_function)
        symbols[symbol.name] = symbol
        # A compiler's runtime gives one function several names: memcpy, __aeabi_memcpy4, ...
        known = by_address.get(address)
        if is_function and (known is None or _is_better_name(symbol.name, known.name)):
            by_address[address] = symbol
    return ElfImage(
        path=path,
        segments=tuple(sorted(segments, key=lambda part: part.address)),
        symbols=symbols,
        functions=tuple(by_address[address] for address in sorted(by_address)),
        is_thumb=is_arm,
        data_in_code=_data_in_code(entries),
    )


def _data_in_code(entries: list[Any]) -> tuple[tuple[int, int], ...]:
    """Ranges from a mapping symbol of data ($d) to the next one of code ($t, $x)."""
    marks = sorted(
        (entry["st_value"], entry.name[1])
        for entry in entries
        if entry.name[:2] in ("$d", "$t", "$x") and entry.name[2:3] in ("", ".")
    )
    ends = [*(address for address, _ in marks[1:]), 2**32]
    return tuple(
        (start, end) for (start, kind), end in zip(marks, ends, strict=False) if kind == "d"
    )


def _is_better_name(name: str, than: str) -> bool:
    def rank(one: str) -> tuple[bool, bool, int, str]:
        return ("." in one, one.startswith("__"), len(one), one)

    return rank(name) < rank(than)
