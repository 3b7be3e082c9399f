"""The processors that an export is made for, and how each is compiled for and emulated."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from blsh_trainer.errors import BlshError


@dataclass(frozen=True)
class UnicornModel:
    """The emulated core, as names of unicorn's constants (unicorn is imported only when used).

    Attributes:
        arch: Architecture constant, such as ``UC_ARCH_ARM``.
        modes: Mode constants, or-ed together.
        cpu: Processor constant, such as ``UC_CPU_ARM_CORTEX_M4``.
    """

    arch: str
    modes: tuple[str, ...]
    cpu: str


@dataclass(frozen=True)
class Target:
    """A processor that C code is exported for.

    Attributes:
        name: What ``--target`` takes.
        description: One line for people.
        port: Suffix of the C port header, ``blsh_port_<port>.h``.
        zig_flags: Triple and processor for ``zig cc``; empty when not built with it.
        gcc_prefixes: Prefixes of gcc cross compilers to look for, best first.
        gcc_flags: Processor flags of those compilers.
        unicorn: The core under unicorn, or ``None`` when there is none.
        qemu_machine: Machine of ``qemu-system-arm``, or ``None``.
    """

    name: str
    description: str
    port: str
    zig_flags: tuple[str, ...] = ()
    gcc_prefixes: tuple[str, ...] = ()
    gcc_flags: tuple[str, ...] = ()
    unicorn: UnicornModel | None = None
    qemu_machine: str | None = None

    @property
    def emulated(self) -> bool:
        """Whether the target's code can be run on this machine by emulation."""
        return self.unicorn is not None


_THUMB_MODES = ("UC_MODE_THUMB", "UC_MODE_MCLASS")

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target(
            name="cortex-m4",
            description="Arm Cortex-M4 with the DSP extension, no floating-point unit needed",
            port="cortex_m4",
            zig_flags=("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m4"),
            gcc_prefixes=("arm-none-eabi-",),
            gcc_flags=("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft"),
            unicorn=UnicornModel("UC_ARCH_ARM", _THUMB_MODES, "UC_CPU_ARM_CORTEX_M4"),
            qemu_machine="mps2-an386",
        ),
        Target(
            name="cortex-m0plus",
            description="Arm Cortex-M0+ (ARMv6-M), 32-bit multiplier, no DSP extension",
            port="generic",
            zig_flags=("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m0plus"),
            gcc_prefixes=("arm-none-eabi-",),
            gcc_flags=("-mcpu=cortex-m0plus", "-mthumb", "-mfloat-abi=soft"),
            # Unicorn has no M0+ of its own; it executes the same ARMv6-M instructions as the M0.
            unicorn=UnicornModel("UC_ARCH_ARM", _THUMB_MODES, "UC_CPU_ARM_CORTEX_M0"),
        ),
        Target(
            name="riscv32imc",
            description="32-bit RISC-V with multiplication and compressed instructions",
            port="generic",
            zig_flags=("-target", "riscv32-freestanding", "-mcpu=generic_rv32+m+c"),
            gcc_prefixes=("riscv32-unknown-elf-", "riscv64-unknown-elf-", "riscv-none-elf-"),
            gcc_flags=("-march=rv32imc", "-mabi=ilp32"),
            unicorn=UnicornModel(
                "UC_ARCH_RISCV", ("UC_MODE_RISCV32",), "UC_CPU_RISCV32_SIFIVE_E31"
            ),
        ),
        Target(
            name="generic",
            description="Any processor with a C99 compiler",
            port="generic",
        ),
    )
}


def find_target(name: str) -> Target:
    """Look a target up by name.

    Args:
        name: A target's name; case does not matter, and ``cortex_m0+`` is understood too.

    Raises:
        BlshError: There is no such target; the message lists the known ones.
    """
    wanted = name.strip().lower().replace("_", "-").replace("+", "plus")
    if wanted in TARGETS:
        return TARGETS[wanted]
    nearest = difflib.get_close_matches(wanted, TARGETS, n=1, cutoff=0.5)
    hint = f", did you mean {nearest[0]!r}?" if nearest else ""
    raise BlshError(f"unknown target {name!r}{hint} (known targets: {', '.join(TARGETS)})")
