"""Estimate processor cycles from how often each instruction was executed.

The timings are those that Arm publishes in the Technical Reference Manuals of the Cortex-M4 (DDI
0439, table 3-1), Cortex-M3 (DDI 0337, table 3-1) and Cortex-M0+ (DDI 0484, table 3-1) for memory
without wait states. Where a manual gives a range, the comment beside the number says what was
taken. Real parts add wait states of flash, less what their caches and prefetchers save: estimates
of this kind came out 15 to 27 % below published measurements on boards. Cores for which no timings
are public have no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from blsh_codegen.decoded import Instruction, Kind
from blsh_codegen.elf_image import ElfImage
from blsh_codegen.static_stack import disassemble


@dataclass(frozen=True)
class CycleModel:
    """Cycles by class of instruction; every class that is not named takes one.

    Attributes:
        source: The manual.
        multiply_accumulate: MLA and, where there are any, the dual multiplications.
        multiply_long: 32 by 32 to 64 bits.
        divide: Integer division.
        load: A single load.
        pipelined_load: A load right after a load or store that does not feed its address.
        store: A single store.
        refill: Cycles beyond the first of a branch taken.
        call: BL.
        branch_register: BX.
        return_refill: Cycles that loading the program counter adds.
    """

    source: str
    multiply_accumulate: int
    multiply_long: int
    divide: int
    load: int
    pipelined_load: int
    store: int
    refill: int
    call: int
    branch_register: int
    return_refill: int


MODELS = {
    "cortex-m4": CycleModel(
        source="Arm DDI 0439, table 3-1",
        multiply_accumulate=1,
        multiply_long=1,
        divide=7,  # 2 to 12
        load=2,
        pipelined_load=1,
        store=1,  # through the write buffer
        refill=2,  # 1 to 3
        call=3,
        branch_register=3,
        return_refill=3,
    ),
    "cortex-m3": CycleModel(
        source="Arm DDI 0337, table 3-1",
        multiply_accumulate=2,
        multiply_long=4,  # 3 to 5
        divide=7,  # 2 to 12
        load=2,
        pipelined_load=1,
        store=1,  # through the write buffer
        refill=2,  # 1 to 3
        call=3,
        branch_register=3,
        return_refill=3,
    ),
    "cortex-m0plus": CycleModel(
        source="Arm DDI 0484, table 3-1, with the single-cycle multiplier",
        multiply_accumulate=1,
        multiply_long=1,
        divide=1,  # it has neither of the three
        load=2,
        pipelined_load=2,
        store=2,
        refill=1,
        call=3,
        branch_register=2,
        return_refill=2,
    ),
}
"""Models by name of target."""


def estimate_cycles(
    image: ElfImage, counts: Mapping[int, int], model: CycleModel
) -> dict[str, float]:
    """Estimated cycles by function.

    Args:
        image: The image that was run.
        counts: Executions by address, as :meth:`Emulator.instruction_counts` gives them.
        model: The core's timings.
    """
    cycles: dict[str, float] = {}
    for function in image.functions:
        if not any(
            function.address <= one < function.address + max(function.size, 2) for one in counts
        ):
            continue
        spent = _function_cycles(list(disassemble(image, function)), counts, model)
        cycles[function.name] = cycles.get(function.name, 0.0) + spent
    return cycles


def _function_cycles(
    instructions: list[Instruction], counts: Mapping[int, int], model: CycleModel
) -> float:
    total = 0.0
    previous: Instruction | None = None
    for place, instruction in enumerate(instructions):
        count = counts.get(instruction.address, 0)
        if count:
            cycles = _cycles(instruction, previous, model)
            total += count * cycles
            if instruction.kind is Kind.CONDITIONAL_BRANCH:
                following = instructions[place + 1 : place + 2]
                fallen = counts.get(following[0].address, 0) if following else 0
                # What falls through is at most what the next instruction counts.
                total += max(0, count - fallen) * model.refill
        previous = instruction if count else None
    return total


def _cycles(instruction: Instruction, previous: Instruction | None, model: CycleModel) -> int:
    kind = instruction.kind
    after = model.return_refill if instruction.writes_pc else 0
    if kind is Kind.LOAD:
        return after + (
            model.pipelined_load if _is_pipelined(instruction, previous) else model.load
        )
    if kind in (Kind.LOAD_MULTIPLE, Kind.STORE_MULTIPLE):
        return 1 + instruction.registers + after
    plain = {
        Kind.MULTIPLY_ACCUMULATE: model.multiply_accumulate,
        Kind.MULTIPLY_LONG: model.multiply_long,
        Kind.DIVIDE: model.divide,
        Kind.STORE: model.store,
        Kind.BRANCH: 1 + model.refill,
        Kind.TABLE_BRANCH: 2 + model.refill,
        Kind.BRANCH_REGISTER: model.branch_register,
        Kind.CALL: model.call,
        Kind.CALL_REGISTER: model.call,
    }
    return plain.get(kind, 1)


def _is_pipelined(instruction: Instruction, previous: Instruction | None) -> bool:
    if previous is None or previous.kind not in (Kind.LOAD, Kind.STORE):
        return False
    return previous.loaded != instruction.base
