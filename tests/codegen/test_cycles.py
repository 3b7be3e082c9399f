"""Cycle estimates on code whose cycles the manual gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from blsh_codegen.cycles import MODELS, estimate_cycles
from blsh_codegen.emulator import Emulator, emulation_unavailable_reason
from blsh_codegen.targets import find_target
from blsh_codegen.toolchain import build_firmware, firmware_unavailable_reason

PROGRAM = r"""
#include <stdint.h>
#define NAKED __attribute__((naked, noinline))
NAKED void none(void) { __asm__ volatile("bx lr"); }
NAKED void sums(void) { __asm__ volatile("adds r0, r1\n adds r0, r1\n muls r0, r1\n bx lr"); }
NAKED void one_load(void) { __asm__ volatile("ldr r1, [r0]\n bx lr"); }
NAKED void two_loads(void) { __asm__ volatile("ldr r1, [r0]\n ldr r2, [r0]\n bx lr"); }
NAKED void chased(void)
{
    __asm__ volatile("str r0, [r0]\n ldr r0, [r0]\n ldr r0, [r0]\n bx lr");
}
NAKED void pushes(void) { __asm__ volatile("push {r4, r5, lr}\n pop {r4, r5, pc}"); }
NAKED void loop(void) { __asm__ volatile("movs r0, #10\n 1: subs r0, #1\n bne 1b\n bx lr"); }
NAKED void skips(void) { __asm__ volatile("movs r0, #0\n beq 1f\n adds r0, #1\n 1: bx lr"); }
NAKED void calls(void) { __asm__ volatile("push {lr}\n bl none\n pop {pc}"); }
"""

# Return by BX is 3 cycles on an M4 and 2 on an M0+.
EXPECTED = {
    "cortex-m4": {
        "none": 3,
        "sums": 3 + 3,
        "one_load": 2 + 3,
        "two_loads": 2 + 1 + 3,
        "chased": 1 + 1 + 2 + 3,
        "pushes": 4 + 4 + 3,
        "loop": 1 + 10 * 2 + 9 * 2 + 3,
        "skips": 1 + 3 + 3,
        "calls": 2 + 3 + 3 + 2 + 3,
    },
    "cortex-m0plus": {
        "none": 2,
        "sums": 3 + 2,
        "one_load": 2 + 2,
        "two_loads": 2 + 2 + 2,
        "chased": 2 + 2 + 2 + 2,
        "pushes": 4 + 4 + 2,
        "loop": 1 + 10 * 2 + 9 * 1 + 2,
        "skips": 1 + 2 + 2,
        "calls": 2 + 3 + 2 + 2 + 2,
    },
}


@pytest.mark.parametrize("name", EXPECTED)
def test_cycles_follow_the_manual(name: str, tmp_path: Path) -> None:
    target = find_target(name)
    reason = firmware_unavailable_reason(target) or emulation_unavailable_reason(target)
    if reason is not None:
        pytest.skip(reason)
    (tmp_path / "program.c").write_text(PROGRAM)
    image = build_firmware(target, [tmp_path / "program.c"], [], tmp_path / "program.elf")
    emulator = Emulator(image, target)
    found = {}
    for function in EXPECTED[name]:
        emulator.reset_profile()
        emulator.call(function, emulator.allocate(4))
        counts = emulator.instruction_counts()
        found[function] = sum(estimate_cycles(emulator.image, counts, MODELS[name]).values())
    assert found == EXPECTED[name]
