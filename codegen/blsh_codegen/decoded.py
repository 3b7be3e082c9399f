"""What the static analyses know of an instruction, whatever its encoding."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    """Classes of instructions that processors time differently."""

    ALU = "alu"
    IT = "it"
    MULTIPLY = "multiply"
    MULTIPLY_ACCUMULATE = "multiply and accumulate"
    MULTIPLY_LONG = "long multiply"
    DIVIDE = "divide"
    LOAD = "load"
    STORE = "store"
    LOAD_MULTIPLE = "load multiple"
    STORE_MULTIPLE = "store multiple"
    BRANCH = "branch"
    CONDITIONAL_BRANCH = "conditional branch"
    BRANCH_REGISTER = "branch to register"
    TABLE_BRANCH = "table branch"
    CALL = "call"
    CALL_REGISTER = "call of register"
    VECTOR = "vector"


@dataclass(frozen=True)
class Instruction:
    """A decoded instruction.

    Attributes:
        address: Where it is.
        size: 2 or 4 bytes.
        kind: Its class.
        registers: Registers that a load or store moves.
        target: Where a branch or call goes, where the instruction says so itself.
        pushed_bytes: How far it lowers the stack pointer.
        is_dynamic_stack: Whether it moves the stack pointer by an amount held in a register.
        writes_pc: Whether a load or pop jumps.
        base: Register that a single load takes its address from, or -1.
        loaded: Register that a single load fills, or -1.
    """

    address: int
    size: int
    kind: Kind = Kind.ALU
    registers: int = 0
    target: int | None = None
    pushed_bytes: int = 0
    is_dynamic_stack: bool = False
    writes_pc: bool = False
    base: int = -1
    loaded: int = -1


def signed(value: int, bits: int) -> int:
    """Read the low ``bits`` of a number as two's complement."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
