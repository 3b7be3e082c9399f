"""Decode Thumb and Thumb-2 as far as timing, control flow and stack go (ARM DDI 0403, A5)."""

from __future__ import annotations

from blsh_codegen.decoded import Instruction, Kind, signed

_SP, _PC = 13, 15


def decode(address: int, first: int, second: int) -> Instruction:
    """Decode an instruction.

    Args:
        address: Where it is.
        first: Its first halfword.
        second: The following one, read only where the instruction has 32 bits.
    """
    if first < 0xE800:
        return _decode_short(address, first)
    return _decode_long(address, first, second)


def _decode_short(address: int, word: int) -> Instruction:
    top = word >> 12
    if top == 0x4:
        return _decode_4000(address, word)
    if top == 0x5:
        return _load_store(address, word, is_load=(word >> 9) & 7 >= 3)
    if 0x6 <= top <= 0x9:
        base = _SP if top == 0x9 else (word >> 3) & 7
        loaded = (word >> 8) & 7 if top == 0x9 else word & 7
        if not word & 0x0800:
            return Instruction(address, 2, Kind.STORE, 1)
        return Instruction(address, 2, Kind.LOAD, 1, base=base, loaded=loaded)
    if top == 0xB:
        return _decode_b000(address, word)
    if top == 0xC:
        kind = Kind.LOAD_MULTIPLE if word & 0x0800 else Kind.STORE_MULTIPLE
        return Instruction(address, 2, kind, (word & 0xFF).bit_count())
    if top == 0xD and (word >> 8) & 0xF < 0xE:
        target = address + 4 + 2 * signed(word, 8)
        return Instruction(address, 2, Kind.CONDITIONAL_BRANCH, target=target)
    if top == 0xE:
        return Instruction(address, 2, Kind.BRANCH, target=address + 4 + 2 * signed(word, 11))
    return Instruction(address, 2)


def _load_store(address: int, word: int, *, is_load: bool) -> Instruction:
    if not is_load:
        return Instruction(address, 2, Kind.STORE, 1)
    return Instruction(address, 2, Kind.LOAD, 1, base=(word >> 3) & 7, loaded=word & 7)


def _decode_4000(address: int, word: int) -> Instruction:
    if word & 0xF800 == 0x4800:
        return Instruction(address, 2, Kind.LOAD, 1, base=_PC, loaded=(word >> 8) & 7)
    if word & 0xFFC0 == 0x4340:
        return Instruction(address, 2, Kind.MULTIPLY)
    if word & 0xFF80 == 0x4780:
        return Instruction(address, 2, Kind.CALL_REGISTER)
    if word & 0xFF80 == 0x4700 or word & 0xFD87 == 0x4487:  # BX; ADD or MOV to PC
        return Instruction(address, 2, Kind.BRANCH_REGISTER)
    return Instruction(address, 2, is_dynamic_stack=word & 0xFD87 == 0x4485)  # ADD or MOV to SP


def _decode_b000(address: int, word: int) -> Instruction:
    if word & 0xFF80 == 0xB080:
        return Instruction(address, 2, pushed_bytes=4 * (word & 0x7F))
    if word & 0xF500 == 0xB100:
        offset = (word >> 3) & 0x1F | (word >> 4) & 0x20
        return Instruction(address, 2, Kind.CONDITIONAL_BRANCH, target=address + 4 + 2 * offset)
    count = (word & 0x1FF).bit_count()
    if word & 0xFE00 == 0xB400:
        return Instruction(address, 2, Kind.STORE_MULTIPLE, count, pushed_bytes=4 * count)
    if word & 0xFE00 == 0xBC00:
        return Instruction(address, 2, Kind.LOAD_MULTIPLE, count, writes_pc=bool(word & 0x100))
    is_it = word & 0xFF00 == 0xBF00 and bool(word & 0xF)
    return Instruction(address, 2, Kind.IT if is_it else Kind.ALU)


def _decode_long(address: int, first: int, second: int) -> Instruction:
    if first & 0xFE00 == 0xE800:
        return _decode_multiple(address, first, second)
    if first & 0xEC00 == 0xEC00:  # coprocessors: floating point and Helium
        pushed = 4 * (second & 0xFF) if first & 0xFFBF == 0xED2D else 0
        return Instruction(address, 4, Kind.VECTOR, pushed_bytes=pushed)
    if first & 0xFE00 == 0xEA00:
        dynamic = first & 0xFFEF == 0xEBAD and second & 0x0F00 == 0x0D00
        return Instruction(address, 4, is_dynamic_stack=dynamic)
    if first & 0xF800 == 0xF000:
        if second & 0x8000:
            return _decode_branch(address, first, second)
        return _decode_immediate(address, first, second)
    if first & 0xFE00 == 0xF800:
        return _decode_single(address, first, second)
    if first & 0xFF80 == 0xFB00:
        accumulates = second >> 12 != _PC
        return Instruction(address, 4, Kind.MULTIPLY_ACCUMULATE if accumulates else Kind.MULTIPLY)
    if first & 0xFF80 == 0xFB80:
        is_divide = first & 0xFFD0 == 0xFB90
        return Instruction(address, 4, Kind.DIVIDE if is_divide else Kind.MULTIPLY_LONG)
    return Instruction(address, 4)


def _decode_multiple(address: int, first: int, second: int) -> Instruction:
    is_load, base = bool(first & 0x10), first & 0xF
    if first & 0x40:
        if first & 0xFFF0 == 0xE8D0 and second & 0xFFE0 == 0xF000:
            return Instruction(address, 4, Kind.TABLE_BRANCH)
        # P and W set, U clear: a store before which the base is lowered.
        pushed = 4 * (second & 0xFF) if first & 0xFFF0 == 0xE960 and base == _SP else 0
        kind = Kind.LOAD_MULTIPLE if is_load else Kind.STORE_MULTIPLE
        return Instruction(address, 4, kind, 2, pushed_bytes=pushed)
    count = second.bit_count()
    if is_load:
        jumps = bool(second & 0x8000)
        return Instruction(address, 4, Kind.LOAD_MULTIPLE, count, writes_pc=jumps)
    pushed = 4 * count if first == 0xE92D else 0
    return Instruction(address, 4, Kind.STORE_MULTIPLE, count, pushed_bytes=pushed)


def _decode_single(address: int, first: int, second: int) -> Instruction:
    base, moved = first & 0xF, second >> 12
    if first & 0x10:
        return Instruction(
            address,
            4,
            Kind.LOAD,
            1,
            writes_pc=moved == _PC and base == _SP,
            base=base,
            loaded=moved,
        )
    lowers = first == 0xF84D and second & 0x0F00 == 0x0D00
    return Instruction(address, 4, Kind.STORE, 1, pushed_bytes=second & 0xFF if lowers else 0)


def _decode_immediate(address: int, first: int, second: int) -> Instruction:
    if second & 0x0F00 != 0x0D00:
        return Instruction(address, 4)
    immediate = (first & 0x0400) << 1 | (second & 0x7000) >> 4 | second & 0xFF
    if first & 0xFBFF == 0xF2AD:
        return Instruction(address, 4, pushed_bytes=immediate)
    if first & 0xFBEF == 0xF1AD:
        return Instruction(address, 4, pushed_bytes=_expand(immediate))
    return Instruction(address, 4)


def _expand(immediate: int) -> int:
    """ThumbExpandImm: a byte, repeated or rotated."""
    byte, mode = immediate & 0xFF, immediate >> 8
    if mode < 4:
        return (byte, byte << 16 | byte, (byte << 16 | byte) << 8, byte * 0x01010101)[mode]
    rotation, value = immediate >> 7, 0x80 | immediate & 0x7F
    return (value >> rotation | value << (32 - rotation)) & 0xFFFFFFFF


def _decode_branch(address: int, first: int, second: int) -> Instruction:
    sign = (first >> 10) & 1
    j1, j2 = (second >> 13) & 1, (second >> 11) & 1
    if second & 0x5000 == 0x0000:  # conditional, or a system instruction
        if (first >> 7) & 7 == 7:
            return Instruction(address, 4)
        offset = sign << 19 | j2 << 18 | j1 << 17 | (first & 0x3F) << 11 | second & 0x7FF
        target = address + 4 + 2 * signed(offset, 20)
        return Instruction(address, 4, Kind.CONDITIONAL_BRANCH, target=target)
    if second & 0x5000 == 0x4000:  # the loops of ARMv8.1-M: they stay in their function
        return Instruction(address, 4, Kind.CONDITIONAL_BRANCH)
    i1, i2 = 1 ^ j1 ^ sign, 1 ^ j2 ^ sign
    offset = sign << 23 | i1 << 22 | i2 << 21 | (first & 0x3FF) << 11 | second & 0x7FF
    kind = Kind.CALL if second & 0x4000 else Kind.BRANCH
    return Instruction(address, 4, kind, target=address + 4 + 2 * signed(offset, 24))
