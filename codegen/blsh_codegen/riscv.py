"""Decode RV32IMC as far as control flow and stack go (the RISC-V manual, volume 1)."""

from __future__ import annotations

from blsh_codegen.decoded import Instruction, Kind, signed

_SP = 2


def decode(address: int, first: int, second: int, previous: int = 0) -> Instruction:
    """Decode an instruction.

    Args:
        address: Where it is.
        first: Its first halfword.
        second: The following one, read only where the instruction has 32 bits.
        previous: The 32 bits before it: AUIPC and JALR make one far call or jump.
    """
    if first & 3 == 3:
        return _decode_long(address, second << 16 | first, previous)
    return _decode_short(address, first)


def _decode_short(address: int, word: int) -> Instruction:
    register = (word >> 7) & 0x1F
    if word & 0xE003 == 0x0001 and register == _SP:
        return _add_to_stack_pointer(address, 2, signed((word >> 7) & 0x20 | (word >> 2) & 0x1F, 6))
    if word & 0xEF83 == 0x6101:
        amount = _gather(word, ((12, 9), (6, 4), (5, 6), (4, 8), (3, 7), (2, 5)))
        return _add_to_stack_pointer(address, 2, signed(amount, 10))
    if word & 0x6003 == 0x2001:
        bits = ((12, 11), (11, 4), (10, 9), (9, 8), (8, 10), (7, 6), (6, 7), (5, 3), (4, 2))
        offset = signed(_gather(word, (*bits, (3, 1), (2, 5))), 12)
        kind = Kind.BRANCH if word & 0x8000 else Kind.CALL
        return Instruction(address, 2, kind, target=address + offset)
    if word & 0xE07F == 0x8002 and register:
        kind = Kind.CALL_REGISTER if word & 0x1000 else Kind.BRANCH_REGISTER
        return Instruction(address, 2, kind)
    return Instruction(address, 2)


def _decode_long(address: int, word: int, previous: int) -> Instruction:
    opcode, written = word & 0x7F, (word >> 7) & 0x1F
    if word & 0xFFFFF == 0x10113:  # addi sp, sp, n
        return _add_to_stack_pointer(address, 4, signed(word >> 20, 12))
    if opcode == 0x33 and written == _SP:
        return Instruction(address, 4, is_dynamic_stack=True)
    if opcode == 0x6F:
        bits = (word >> 11) & 0x100000 | word & 0xFF000 | (word >> 9) & 0x800 | (word >> 20) & 0x7FE
        kind = Kind.CALL if written else Kind.BRANCH
        return Instruction(address, 4, kind, target=address + signed(bits, 21))
    if opcode == 0x67 and previous & 0xFFF == (word >> 8) & 0xF80 | 0x17:
        target = (address - 4 + (previous & 0xFFFFF000) + signed(word >> 20, 12)) & 0xFFFFFFFF
        return Instruction(address, 4, Kind.CALL if written else Kind.BRANCH, target=target)
    if opcode == 0x67:
        kind = Kind.CALL_REGISTER if written else Kind.BRANCH_REGISTER
        return Instruction(address, 4, kind)
    if opcode == 0x63:
        return Instruction(address, 4, Kind.CONDITIONAL_BRANCH)
    return Instruction(address, 4)


def _add_to_stack_pointer(address: int, size: int, amount: int) -> Instruction:
    return Instruction(address, size, pushed_bytes=max(0, -amount))


def _gather(word: int, places: tuple[tuple[int, int], ...]) -> int:
    """Bits of a word, each moved from one place to another."""
    return sum(((word >> source) & 1) << place for source, place in places)
