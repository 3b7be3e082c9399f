"""Registers of the emulated cores by their part in a function call."""

from __future__ import annotations

import importlib
from typing import Any


def load_unicorn() -> Any:
    """The unicorn package, which carries no usable types, imported when first needed."""
    return importlib.import_module("unicorn")


def register_numbers(arch: str) -> dict[str, Any]:
    """The registers of a calling convention: AAPCS or the RISC-V integer one."""
    if arch == "UC_ARCH_ARM":
        constants, prefix, link = load_unicorn().arm_const, "UC_ARM_REG_", "LR"
        names = [f"R{index}" for index in range(4)]
    else:
        constants, prefix, link = load_unicorn().riscv_const, "UC_RISCV_REG_", "RA"
        names = [f"A{index}" for index in range(8)]
    arguments = tuple(getattr(constants, prefix + name) for name in names)
    return {
        "arguments": arguments,
        "result": arguments[0],
        "result_high": arguments[1],
        "sp": getattr(constants, prefix + "SP"),
        "pc": getattr(constants, prefix + "PC"),
        "return_address": getattr(constants, prefix + link),
    }
