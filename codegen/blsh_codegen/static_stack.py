"""Bound the stack by reading the linked code: frames of functions, along the deepest call chain.

The frame of a function is everything that any of its instructions takes off the stack pointer;
what is taken on two exclusive paths counts twice, so the bound may be high, never low. The
runtime has neither recursion nor function pointers, and the analysis says so if that changes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from blsh_codegen import riscv, thumb
from blsh_codegen.decoded import Instruction, Kind
from blsh_codegen.elf_image import ElfImage, Symbol

_CALLS = (Kind.CALL, Kind.BRANCH, Kind.CONDITIONAL_BRANCH)


@dataclass(frozen=True)
class StackBound:
    """A bound on the stack below some functions.

    Attributes:
        stack_bytes: The bound, or ``None`` where there is none to be had.
        chain: Functions of the deepest call chain, outermost first.
        frames: Bytes of each function that can be reached.
        problem: Why there is no bound, or ``None``.
    """

    stack_bytes: int | None
    chain: tuple[str, ...]
    frames: dict[str, int]
    problem: str | None = None


@dataclass(frozen=True)
class _Function:
    frame: int
    calls: tuple[Symbol, ...]
    tail_calls: tuple[Symbol, ...]


class _NoBoundError(Exception):
    """The stack has no bound that can be read off the code."""


def bound_stack(image: ElfImage, roots: Sequence[str]) -> StackBound:
    """Bound the stack that calls of some functions take.

    Args:
        image: A linked image for Thumb or RISC-V.
        roots: Functions that are called from outside; those that the image lacks are passed over.
    """
    walk = _Walk(image)
    problem = None
    deepest: tuple[int, tuple[str, ...]] = (0, ())
    try:
        for root in roots:
            if root in image.symbols:
                deepest = max(deepest, walk.descend(image.symbols[root], ()))
    except _NoBoundError as reason:
        problem = str(reason)
    frames = {function.name: one.frame for function, one in walk.known.items()}
    if problem is not None:
        return StackBound(None, (), frames, problem)
    return StackBound(*deepest, frames)


class _Walk:
    """A walk over the call graph that reads each function once."""

    def __init__(self, image: ElfImage) -> None:
        self.image = image
        self.known: dict[Symbol, _Function] = {}
        self._deepest: dict[int, tuple[int, tuple[str, ...]]] = {}

    def descend(self, function: Symbol, above: tuple[int, ...]) -> tuple[int, tuple[str, ...]]:
        """Stack of a function and all below it, and the chain that takes it."""
        address = function.address
        if address in above:
            raise _NoBoundError(f"{function.name} calls itself")
        if address not in self._deepest:
            found = self.known[function] = _read_function(self.image, function)
            below = (*above, address)
            called = max((self.descend(one, below) for one in found.calls), default=(0, ()))
            # By the time of a tail call the frame is gone.
            instead = [self.descend(one, below) for one in found.tail_calls]
            size, chain = max((found.frame + called[0], called[1]), *instead, (0, ()))
            self._deepest[address] = size, (function.name, *chain)
        return self._deepest[address]


def disassemble(image: ElfImage, function: Symbol) -> Iterator[Instruction]:
    """The instructions of a function in order, constants among them left out."""
    code = next(
        part
        for part in image.segments
        if part.address <= function.address < part.address + len(part.data)
    )
    end = function.address + (function.size or _distance_to_next(image, function))
    data = [one for one in image.data_in_code if one[0] < end and one[1] > function.address]
    address = function.address
    while address < end:
        skipped = next((last for start, last in data if start <= address < last), None)
        if skipped is not None:
            address = skipped
            continue
        offset = address - code.address
        before = code.data[max(0, offset - 4) : offset]
        first, second = struct.unpack("<2H", code.data[offset : offset + 4].ljust(4, b"\0"))
        if image.is_thumb:
            instruction = thumb.decode(address, first, second)
        else:
            previous = int.from_bytes(before, "little")
            instruction = riscv.decode(address, first, second, previous)
        yield instruction
        address += instruction.size


def _distance_to_next(image: ElfImage, function: Symbol) -> int:
    following = (one.address for one in image.functions if one.address > function.address)
    return next(following, function.address + 2) - function.address


def _read_function(image: ElfImage, function: Symbol) -> _Function:
    frame = 0
    calls: dict[Symbol, None] = {}
    tail_calls: dict[Symbol, None] = {}
    for instruction in disassemble(image, function):
        frame += instruction.pushed_bytes
        if instruction.is_dynamic_stack:
            raise _NoBoundError(f"{function.name} moves its stack pointer by a variable")
        if instruction.kind is Kind.CALL_REGISTER:
            raise _NoBoundError(f"{function.name} calls through a pointer")
        if instruction.kind not in _CALLS or instruction.target is None:
            continue
        target = image.function_at(instruction.target)
        if target is None:
            where = f"0x{instruction.target:08x}"
            raise _NoBoundError(f"{function.name} jumps to {where}, where no function is")
        if target.address == function.address != instruction.target:
            continue  # a jump; Thumb-1 has none that goes far but that of calls
        if instruction.kind is Kind.CALL:
            calls[target] = None
        elif target.address != function.address:
            tail_calls[target] = None
    return _Function(frame, tuple(calls), tuple(tail_calls))
