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


_BUILDS_UPON = {"cortex_m55": ("cortex_m4",)}


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
        qemu_program: The system emulator that has the machine.
        qemu_machine: Machine of that emulator, or ``None``.
        qemu_cpu: Processor to name on its command line, where the machine does not settle it.
        is_wasm: Whether the code becomes a WebAssembly module instead of an ELF image.
    """

    name: str
    description: str
    port: str
    zig_flags: tuple[str, ...] = ()
    gcc_prefixes: tuple[str, ...] = ()
    gcc_flags: tuple[str, ...] = ()
    unicorn: UnicornModel | None = None
    qemu_program: str = "qemu-system-arm"
    qemu_machine: str | None = None
    qemu_cpu: str | None = None
    is_wasm: bool = False

    @property
    def port_headers(self) -> set[str]:
        """The port headers that the target's code includes: some ports build upon another."""
        ports = {"generic", self.port, *_BUILDS_UPON.get(self.port, ())}
        return {f"blsh_port_{port}.h" for port in ports}

    @property
    def emulated(self) -> bool:
        """Whether the target's code can be run on this machine by emulation."""
        return self.unicorn is not None or self.qemu_machine is not None


def _cortex_m(
    core: str,
    description: str,
    port: str,
    *,
    zig_features: str = "",
    gcc_features: str = "",
    float_abi: str = "soft",
    unicorn_core: str | None = None,
    qemu_machine: str | None = None,
) -> Target:
    """A Cortex-M by the part of its name after ``cortex-``; its compilers call it much the same."""
    emulated = UnicornModel(
        "UC_ARCH_ARM",
        ("UC_MODE_THUMB", "UC_MODE_MCLASS"),
        f"UC_CPU_ARM_CORTEX_{unicorn_core}",
    )
    return Target(
        name=f"cortex-{core}",
        description=f"Arm Cortex-{description}",
        port=port,
        zig_flags=("-target", "thumb-freestanding-eabi", f"-mcpu=cortex_{core}{zig_features}"),
        gcc_prefixes=("arm-none-eabi-",),
        gcc_flags=(f"-mcpu=cortex-{core}{gcc_features}", "-mthumb", f"-mfloat-abi={float_abi}"),
        unicorn=emulated if unicorn_core else None,
        qemu_machine=qemu_machine,
    )


_RISCV_GCC = ("riscv32-unknown-elf-", "riscv64-unknown-elf-", "riscv-none-elf-")

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        _cortex_m(
            "m4",
            "M4 with the DSP extension, no floating-point unit needed",
            "cortex_m4",
            unicorn_core="M4",
            qemu_machine="mps2-an386",
        ),
        # Unicorn has no M0+ of its own; it executes the same ARMv6-M instructions as the M0.
        _cortex_m(
            "m0plus",
            "M0+ (ARMv6-M), 32-bit multiplier, no DSP extension",
            "generic",
            unicorn_core="M0",
        ),
        _cortex_m("m3", "M3 (ARMv7-M), no DSP extension", "generic", unicorn_core="M3"),
        _cortex_m("m7", "M7 with the DSP extension", "cortex_m4", unicorn_core="M7"),
        _cortex_m(
            "m33",
            "M33 (ARMv8-M) with the DSP extension",
            "cortex_m4",
            zig_features="+dsp",
            unicorn_core="M33",
        ),
        # Unicorn knows no ARMv8.1-M, whose loop instructions compilers use all over.
        _cortex_m(
            "m55",
            "M55 (ARMv8.1-M) with Helium for integers",
            "cortex_m55",
            zig_features="+mve",
            gcc_features="+nofp",
            float_abi="hard",
            qemu_machine="mps3-an547",
        ),
        Target(
            name="riscv32imc",
            description="32-bit RISC-V with multiplication and compressed instructions",
            port="generic",
            zig_flags=("-target", "riscv32-freestanding", "-mcpu=generic_rv32+m+c"),
            gcc_prefixes=_RISCV_GCC,
            gcc_flags=("-march=rv32imc", "-mabi=ilp32"),
            unicorn=UnicornModel(
                "UC_ARCH_RISCV", ("UC_MODE_RISCV32",), "UC_CPU_RISCV32_SIFIVE_E31"
            ),
        ),
        Target(
            name="riscv32imc-zbb",
            description="32-bit RISC-V with the bit manipulation of Zbb",
            port="riscv_zbb",
            zig_flags=("-target", "riscv32-freestanding", "-mcpu=generic_rv32+m+c+zbb+zicsr"),
            gcc_prefixes=_RISCV_GCC,
            gcc_flags=("-march=rv32imc_zicsr_zbb", "-mabi=ilp32"),
            qemu_program="qemu-system-riscv32",
            qemu_machine="virt",
            qemu_cpu="rv32,zbb=true",
        ),
        Target(name="esp32", description="Xtensa LX6 of the ESP32", port="generic"),
        Target(name="esp32s3", description="Xtensa LX7 of the ESP32-S3", port="generic"),
        Target(
            name="wasm32",
            description="WebAssembly, for browsers and plug-ins",
            port="generic",
            zig_flags=("-target", "wasm32-freestanding"),
            is_wasm=True,
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
