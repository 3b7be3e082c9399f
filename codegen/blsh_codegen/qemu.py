"""Run a whole program on an emulated board, under ``qemu-system-arm`` or its RISC-V sibling.

A second opinion beside unicorn, with a vector table, start-up code and the compiler that firmware
is usually shipped with. Used where the tools are on PATH, and never required.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blsh_trainer.errors import BlshError

from blsh_codegen.emulator import EmulationError, EmulationUnavailableError
from blsh_codegen.prefix import Prefix, renamed_source
from blsh_codegen.targets import Target
from blsh_codegen.toolchain import (
    Defines,
    FirmwareCompiler,
    build_firmware,
    find_gcc,
    template_folder,
)

_QEMU = "qemu-system-arm"
_GCC = "arm-none-eabi-gcc"


@dataclass(frozen=True)
class QemuResult:
    """How a program on the emulated board ended.

    Attributes:
        exit_code: What ``main`` returned, modulo 256; 128 + exception number after a fault.
        stdout: What it wrote through ``blsh_putchar``.
    """

    exit_code: int
    stdout: str


def qemu_unavailable_reason(
    target: Target | None = None, *, compiler: FirmwareCompiler = "gcc"
) -> str | None:
    """Why programs cannot be run under QEMU here, or ``None`` when they can be.

    Args:
        target: When given, it must have a machine.
        compiler: What images are built with; only gcc has to be on PATH.
    """
    if target is not None and target.qemu_machine is None:
        return f"target {target.name} has no QEMU machine"
    qemu = _QEMU if target is None else target.qemu_program
    wanted = [qemu]
    if compiler == "gcc" and (target is None or find_gcc(target) is None):
        wanted.insert(0, f"{target.gcc_prefixes[0]}gcc" if target is not None else _GCC)
    missing = [tool for tool in wanted if shutil.which(tool) is None]
    if not missing:
        return None
    return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not on PATH"


def build_board_image(
    target: Target,
    sources: Sequence[Path],
    includes: Sequence[Path],
    output: Path,
    *,
    defines: Defines | None = None,
    optimise: str = "-O2",
    compiler: FirmwareCompiler = "gcc",
    wrap: Sequence[str] = (),
    prefix: Prefix | None = None,
) -> Path:
    """Build a program with ``int main(void)`` for the target's emulated board.

    The board file adds the vector table, start-up code and ``void blsh_putchar(char)``. The
    arguments are those of :func:`blsh_codegen.toolchain.build_firmware`, and with what the
    program's names begin, ``blsh_putchar`` among them.

    Raises:
        EmulationUnavailableError: The target has no machine.
        BlshError: The compiler is missing, or the code does not compile.
    """
    if target.qemu_machine is None:
        raise EmulationUnavailableError(f"target {target.name} has no QEMU machine")
    prefix = prefix or Prefix()
    templates = template_folder()
    machine = target.qemu_machine.replace("-", "_")
    board = templates / "selftest" / "blsh_board_semihosting.c"
    script = templates / "link" / f"blsh_{machine}.ld"
    return build_firmware(
        target,
        [*sources, renamed_source(board, prefix, output.parent)],
        includes,
        output,
        defines=defines,
        optimise=optimise,
        compiler=compiler,
        linker_script=renamed_source(script, prefix, output.parent),
        entry=prefix.code("blsh_reset_handler"),
        wrap=wrap,
    )


def run_board_image(image: Path, target: Target, *, timeout_s: float = 120.0) -> QemuResult:
    """Run an image of :func:`build_board_image` to its end.

    One instruction takes one tick of virtual time (``-icount shift=0``), so runs are repeatable.

    Raises:
        EmulationUnavailableError: QEMU is not on PATH, or the target has no machine.
        EmulationError: The program did not end in time.
        BlshError: QEMU itself failed.
    """
    reason = qemu_unavailable_reason(target, compiler="zig")
    if reason is not None or target.qemu_machine is None:
        raise EmulationUnavailableError(f"cannot run {target.name} under QEMU: {reason}")
    command = [
        *(target.qemu_program, "-M", target.qemu_machine, "-icount", "shift=0"),
        *(() if target.qemu_cpu is None else ("-cpu", target.qemu_cpu)),
        *(("-bios", "none") if target.qemu_machine == "virt" else ()),
        *("-display", "none", "-monitor", "none", "-serial", "none"),
        *("-chardev", "stdio,id=console,signal=off"),
        *("-semihosting-config", "enable=on,target=native,chardev=console"),
        *("-kernel", str(image)),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=timeout_s
        )
    except subprocess.TimeoutExpired:
        raise EmulationError(
            f"{image.name} on {target.qemu_machine}: not finished after {timeout_s:g} s"
        ) from None
    complaint = done.stderr.decode(errors="replace").strip()
    if complaint and "warning:" not in complaint:
        raise BlshError(f"QEMU failed on {image}: {complaint.splitlines()[0]}")
    return QemuResult(done.returncode, done.stdout.decode("latin-1"))
