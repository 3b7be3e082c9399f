"""Run functions of a target's image on this machine, under unicorn."""

from __future__ import annotations

import functools
import importlib.util
import operator
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blsh_trainer.errors import BlshError

from blsh_codegen.calling_convention import load_unicorn, register_numbers
from blsh_codegen.elf_image import ElfImage, Symbol, read_elf
from blsh_codegen.instruction_counter import InstructionCounter
from blsh_codegen.targets import Target

_PAGE = 0x1000
_RAM_ADDRESS = 0x20000000
_RAM_BYTES = 16 << 20
_TRAP_ADDRESS = 0x70000000
_STACK_TOP = 0x60000000
_STACK_PAINT = b"\xa5"


class EmulationError(BlshError):
    """The emulated code faulted, or did not come to an end."""


class EmulationUnavailableError(BlshError):
    """Emulation cannot be had here; the message says what to install."""


def emulation_unavailable_reason(target: Target) -> str | None:
    """Why a target's code cannot be emulated here, or ``None`` when it can be."""
    if target.unicorn is None:
        missing = "core in unicorn" if target.emulated else "emulator"
        return f"target {target.name} has no {missing}"
    for module, package in (("unicorn", "unicorn"), ("elftools", "pyelftools")):
        if importlib.util.find_spec(module) is None:
            return f"{package} is not installed: pip install 'blsh[emulation]'"
    return None


class Emulator:
    """An image in the memory of an emulated core, whose functions can be called.

    Flash is read-only, RAM does not execute, and the stack has nothing mapped around it, so that
    a stray access ends in an :class:`EmulationError` that says where.

    Args:
        elf_path: An image made by :func:`blsh_codegen.toolchain.build_firmware`.
        target: The target it was made for.
        stack_bytes: Size of the stack that every call starts on.
        native_counter: Use the compiled instruction counter; ``None``: when it can be built.
        check_alignment: Fail on unaligned access, which unicorn lets pass on every core though a
            Cortex-M0+ faults on it. Slow: a Python hook on every access.

    Attributes:
        image: What the ELF file holds.
        stack_used_bytes: Stack used by the last call, its stack arguments included.
        stack_peak_bytes: The most of it since the last :meth:`reset_profile`.

    Raises:
        EmulationUnavailableError: unicorn or pyelftools is missing, or no core for the target.
        BlshError: The file is not an image that can be loaded.
    """

    def __init__(
        self,
        elf_path: Path,
        target: Target,
        *,
        stack_bytes: int = 256 << 10,
        native_counter: bool | None = None,
        check_alignment: bool = False,
    ) -> None:
        reason = emulation_unavailable_reason(target)
        if reason is not None or target.unicorn is None:
            raise EmulationUnavailableError(f"cannot emulate {target.name}: {reason}")
        unicorn = load_unicorn()
        self.image: ElfImage = read_elf(elf_path)
        self.target = target
        self.stack_used_bytes = 0
        self.stack_peak_bytes = 0
        self._registers = register_numbers(target.unicorn.arch)
        modes = (getattr(unicorn, mode) for mode in target.unicorn.modes)
        arch = getattr(unicorn, target.unicorn.arch)
        self._uc = unicorn.Uc(arch, functools.reduce(operator.or_, modes))
        constants = unicorn.arm_const if self.image.is_thumb else unicorn.riscv_const
        self._uc.ctl_set_cpu_model(getattr(constants, target.unicorn.cpu))
        self._stack_bytes = -(-stack_bytes // _PAGE) * _PAGE
        self._fault = ""
        self._map_memory()
        self.reset_memory()
        self._uc.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._note_fault)
        if check_alignment:
            accesses = unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE
            self._uc.hook_add(accesses, self._note_unaligned)
        self._counter = InstructionCounter(self._uc, self.image, native=native_counter)

    @property
    def counts_natively(self) -> bool:
        """Whether instructions are counted by the compiled hook (fast) or in Python (slow)."""
        return self._counter.is_native

    def symbol(self, name: str) -> Symbol:
        """Look a function or object of the image up.

        Raises:
            BlshError: The image has none of that name.
        """
        found = self.image.symbols.get(name)
        if found is None:
            raise BlshError(f"{self.image.path}: has no symbol {name!r}")
        return found

    def reset_memory(self) -> None:
        """Bring RAM to its state after start-up and free all :meth:`allocate` has given out."""
        self._uc.mem_write(_RAM_ADDRESS, bytes(_RAM_BYTES))
        end = _RAM_ADDRESS
        for part in self.image.segments:
            if part.writable:
                self._uc.mem_write(part.address, part.data)
                end = max(end, part.address + part.size)
        self._free = end

    def allocate(self, size: int, *, align: int = 8) -> int:
        """Set RAM aside behind the image's own and return its address."""
        address = -(-self._free // align) * align
        if address + size > _RAM_ADDRESS + _RAM_BYTES:
            raise BlshError(f"{size} bytes do not fit into the emulated RAM")
        self._free = address + size
        return address

    def read(self, where: int | str, size: int) -> bytes:
        """Read memory at an address or symbol."""
        return bytes(self._uc.mem_read(self._address(where), size))

    def write(self, where: int | str, data: bytes) -> None:
        """Write memory at an address or symbol, flash included."""
        self._uc.mem_write(self._address(where), bytes(data))

    def call(
        self,
        name: str,
        *arguments: int,
        wide: bool = False,
        timeout_s: float = 120.0,
        max_instructions: int = 20_000_000_000,
    ) -> int:
        """Call a function by the processor's C calling convention, on a fresh stack.

        Args:
            name: The function.
            arguments: Integers and pointers of up to 32 bits; a 64-bit one is passed as two words.
            wide: The function returns 64 bits.
            timeout_s: Wall-clock limit in seconds.
            max_instructions: The call is stopped some time after this many, at most twice as many.

        Returns:
            What the function returns, as a signed integer.

        Raises:
            EmulationError: A fault, or a limit was reached; the message names the place.
            BlshError: No such function.
        """
        unicorn = load_unicorn()
        function = self.symbol(name)
        entry = function.address | (1 if self.image.is_thumb else 0)
        self._enter(arguments)
        self._counter.begin_call(max_instructions)
        self._fault = ""
        try:
            self._uc.emu_start(entry, _TRAP_ADDRESS, timeout=int(timeout_s * 1e6))
        except unicorn.UcError as error:
            raise EmulationError(
                f"{name} on {self.target.name}: {self._fault or error} "
                f"at {self.image.describe(self._get('pc') & ~1)}"
            ) from None
        finally:
            self._measure_stack()
        stopped_at = self._get("pc") & ~1
        if self._fault:
            place = self.image.describe(stopped_at)
            raise EmulationError(f"{name} on {self.target.name}: {self._fault} near {place}")
        if stopped_at != _TRAP_ADDRESS:
            limit = f"{max_instructions} instructions"
            if not self._counter.budget_spent:
                limit = f"{timeout_s:g} s"
            raise EmulationError(
                f"{name} on {self.target.name}: not finished after {limit}, "
                f"stopped at {self.image.describe(stopped_at)}"
            )
        words = self._get("result"), self._get("result_high")
        if wide:
            return int.from_bytes(struct.pack("<2I", *words), "little", signed=True)
        return int.from_bytes(struct.pack("<I", words[0]), "little", signed=True)

    def profile(self) -> dict[str, int]:
        """Instructions executed in each function since :meth:`reset_profile`, most first."""
        return self._counter.profile()

    def split_profile(self, parts: Mapping[str, str]) -> None:
        """From each entry of a named function on, book instructions under its part."""
        self._counter.split(self._uc, {self.symbol(name): part for name, part in parts.items()})

    def profile_parts(self) -> dict[str, dict[str, int]]:
        """:meth:`profile` of each part of :meth:`split_profile`."""
        return self._counter.profile_parts()

    def instruction_counts(self) -> dict[int, int]:
        """How often each instruction was executed since :meth:`reset_profile`, by address."""
        return self._counter.counts()

    def instruction_counts_by_part(self) -> dict[str, dict[int, int]]:
        """:meth:`instruction_counts` of each part of :meth:`split_profile`."""
        return self._counter.counts_by_part()

    def total_instructions(self) -> int:
        """Instructions executed since :meth:`reset_profile`."""
        return self._counter.total()

    def reset_profile(self) -> None:
        """Start counting instructions and the stack's peak afresh."""
        self._counter.reset()
        self.stack_peak_bytes = 0

    def _map_memory(self) -> None:
        unicorn = load_unicorn()
        read_execute = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC
        read_write = unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE
        flash: set[int] = set()
        for part in self.image.segments:
            if not part.writable:
                flash.update(range(part.address & -_PAGE, part.address + part.size, _PAGE))
            if part.load_address != part.address and part.data:
                end = part.load_address + len(part.data)
                flash.update(range(part.load_address & -_PAGE, end, _PAGE))
        try:
            for page in sorted(flash):
                self._uc.mem_map(page, _PAGE, read_execute)
            self._uc.mem_map(_RAM_ADDRESS, _RAM_BYTES, read_write)
            stack = _STACK_TOP - self._stack_bytes
            self._uc.mem_map(stack, self._stack_bytes, read_write)
            self._uc.mem_map(_TRAP_ADDRESS, _PAGE, read_execute)
            for part in self.image.segments:
                if part.data:
                    self._uc.mem_write(part.load_address, part.data)
        except unicorn.UcError as error:
            raise BlshError(f"{self.image.path}: cannot be loaded: {error}") from error

    def _enter(self, arguments: tuple[int, ...]) -> None:
        """Paint the stack and set arguments, stack pointer and return address."""
        in_registers = self._registers["arguments"]
        words = [value & 0xFFFFFFFF for value in arguments]
        for register, value in zip(in_registers, words, strict=False):
            self._uc.reg_write(register, value)
        spilled = words[len(in_registers) :]
        stack = _STACK_TOP - self._stack_bytes
        pointer = (_STACK_TOP - 4 * len(spilled)) & -16
        self._uc.mem_write(stack, _STACK_PAINT * self._stack_bytes)
        self._uc.mem_write(pointer, struct.pack(f"<{len(spilled)}I", *spilled))
        self._uc.reg_write(self._registers["sp"], pointer)
        thumb = 1 if self.image.is_thumb else 0
        self._uc.reg_write(self._registers["return_address"], _TRAP_ADDRESS | thumb)

    def _measure_stack(self) -> None:
        stack = self._uc.mem_read(_STACK_TOP - self._stack_bytes, self._stack_bytes)
        used = len(bytes(stack).lstrip(_STACK_PAINT))
        self.stack_used_bytes = (used + 3) & ~3
        self.stack_peak_bytes = max(self.stack_peak_bytes, self.stack_used_bytes)

    def _note_fault(
        self, engine: Any, access: int, address: int, size: int, value: int, _: object
    ) -> bool:
        unicorn = load_unicorn()
        kinds = {
            unicorn.UC_MEM_READ_UNMAPPED: "read of unmapped memory",
            unicorn.UC_MEM_WRITE_UNMAPPED: "write to unmapped memory",
            unicorn.UC_MEM_FETCH_UNMAPPED: "jump to unmapped memory",
            unicorn.UC_MEM_WRITE_PROT: "write to flash",
            unicorn.UC_MEM_FETCH_PROT: "jump to data",
        }
        self._fault = f"{kinds.get(access, 'invalid access')} 0x{address:08x} ({size} bytes)"
        guard = _STACK_TOP - self._stack_bytes
        if guard - (1 << 20) <= address < guard:
            self._fault += f", stack of {self._stack_bytes} bytes overflowed"
        return False

    def _note_unaligned(
        self, engine: Any, access: int, address: int, size: int, value: int, _: object
    ) -> None:
        if address % size and not self._fault:
            self._fault = f"unaligned access to 0x{address:08x} ({size} bytes)"
            engine.emu_stop()

    def _address(self, where: int | str) -> int:
        return self.symbol(where).address if isinstance(where, str) else where

    def _get(self, register: str) -> int:
        return int(self._uc.reg_read(self._registers[register])) & 0xFFFFFFFF
