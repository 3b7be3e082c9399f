"""Whole programs on the emulated board."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from blsh_codegen.emulator import EmulationError, EmulationUnavailableError
from blsh_codegen.qemu import build_board_image, qemu_unavailable_reason, run_board_image
from blsh_codegen.targets import find_target
from blsh_codegen.toolchain import firmware_unavailable_reason
from blsh_trainer.errors import BlshError

PROGRAM = """\
extern void blsh_putchar(char c);

static int initialised = 42;
static int cleared[7];

static void put(const char *text)
{
    while (*text != '\\0') { blsh_putchar(*text++); }
}

int main(void)
{
#if defined(FAULT)
    return *(volatile int *)0x60001234u;
#elif defined(ENDLESS)
    for (;;) { __asm__ volatile(""); }
#endif
    put("one line\\n");
    for (int i = 0; i < 300; ++i) { blsh_putchar('x'); }
    put(initialised == 42 && cleared[3] == 0 ? "\\nPASS" : "\\nFAIL");
    return STATUS;
}
"""

M4 = find_target("cortex-m4")


@pytest.fixture(params=["gcc", "zig"])
def build(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Builds the program with a compiler, given its macros."""
    compiler = request.param
    reason = qemu_unavailable_reason(M4, compiler=compiler) or firmware_unavailable_reason(
        M4, compiler
    )
    if reason is not None:
        pytest.skip(reason)
    source = tmp_path / "program.c"
    source.write_text(PROGRAM, encoding="utf-8")

    def build_with(**defines: int) -> Path:
        image = tmp_path / "program.elf"
        return build_board_image(M4, [source], [], image, defines=defines, compiler=compiler)

    return build_with


@pytest.mark.parametrize("status", [0, 7])
def test_output_and_exit_code_come_back(build: Any, status: int) -> None:
    result = run_board_image(build(STATUS=status), M4, timeout_s=30)
    assert result.stdout == "one line\n" + 300 * "x" + "\nPASS"
    assert result.exit_code == status


def test_a_fault_ends_with_128_and_the_exception_number(build: Any) -> None:
    hard_fault = 3
    result = run_board_image(build(FAULT=1, STATUS=0), M4, timeout_s=30)
    assert result.exit_code == 128 + hard_fault
    assert result.stdout == ""


def test_an_endless_program_is_stopped(build: Any) -> None:
    image = build(ENDLESS=1, STATUS=0)
    with pytest.raises(EmulationError, match=r"program\.elf on mps2-an386: not finished after"):
        run_board_image(image, M4, timeout_s=0.5)


def test_a_file_that_is_no_image_is_reported(tmp_path: Path) -> None:
    reason = qemu_unavailable_reason(compiler="zig")
    if reason is not None:
        pytest.skip(reason)
    with pytest.raises(BlshError, match=r"QEMU failed on .*none\.elf"):
        run_board_image(tmp_path / "none.elf", M4)


def test_missing_tools_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    both = "arm-none-eabi-gcc and qemu-system-arm are not on PATH"
    assert qemu_unavailable_reason() == both
    assert qemu_unavailable_reason(compiler="zig") == "qemu-system-arm is not on PATH"
    with pytest.raises(EmulationUnavailableError, match="qemu-system-arm is not on PATH"):
        run_board_image(tmp_path / "a.elf", M4)


def test_only_the_m4_has_a_machine(tmp_path: Path) -> None:
    riscv = find_target("riscv32imc")
    assert qemu_unavailable_reason(riscv) == "target riscv32imc has no QEMU machine"
    with pytest.raises(EmulationUnavailableError, match="no QEMU machine"):
        build_board_image(riscv, [], [], tmp_path / "a.elf")
