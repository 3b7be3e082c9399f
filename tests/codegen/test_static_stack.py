"""Bounding the stack by reading linked code."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from blsh_codegen.decoded import Kind
from blsh_codegen.elf_image import read_elf
from blsh_codegen.emulator import Emulator, emulation_unavailable_reason
from blsh_codegen.engines import runtime_sources
from blsh_codegen.static_stack import bound_stack, disassemble
from blsh_codegen.targets import find_target
from blsh_codegen.toolchain import (
    build_firmware,
    find_gcc,
    firmware_unavailable_reason,
    template_folder,
)

from tests.codegen.folders import exported
from tests.models import general_model

PROGRAM = """
#include <stdint.h>
__attribute__((noinline)) uint32_t leaf(uint32_t n)
{
    volatile uint8_t kept[200];
    for (uint32_t i = 0; i < 200u; i++) { kept[i] = (uint8_t)(i + n); }
    return kept[n & 127u];
}
__attribute__((noinline)) uint32_t large(uint32_t n)
{
    volatile uint8_t kept[400];
    for (uint32_t i = 0; i < 400u; i++) { kept[i] = (uint8_t)(i ^ n); }
    return leaf(n) + kept[n & 255u];
}
__attribute__((noinline)) uint32_t small(uint32_t n) { return leaf(n) + 1u; }
uint32_t both(uint32_t n) { return small(n) + large(n) + (n / (small(1u) | 1u)); }
uint32_t endless(uint32_t n);
__attribute__((noinline)) uint32_t again(uint32_t n) { return n < 2u ? n : endless(n - 1u) * n; }
__attribute__((noinline)) uint32_t endless(uint32_t n)
{
    volatile uint32_t kept = n;
    return again(kept) + kept;
}
uint32_t pointer(uint32_t (*one)(uint32_t), uint32_t n) { return one(n) + 1u; }
"""
TARGETS = ("cortex-m4", "cortex-m0plus", "riscv32imc")


@pytest.fixture(
    scope="module", params=[(t, c) for t in TARGETS for c in ("zig", "gcc")], ids="-".join
)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    name, compiler = request.param
    target = find_target(name)
    reason = firmware_unavailable_reason(target, compiler) or emulation_unavailable_reason(target)
    if reason is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp(f"{name}-{compiler}")
    (folder / "program.c").write_text(PROGRAM)
    path = build_firmware(
        target, [folder / "program.c"], [], folder / "program.elf", compiler=compiler
    )
    return path, target, read_elf(path)


def test_the_bound_covers_what_is_used_and_is_close(built: Any) -> None:
    path, target, image = built
    emulator = Emulator(path, target)
    emulator.call("both", 5)
    bound = bound_stack(image, ["both"])
    assert bound.stack_bytes is not None
    # Padding that is never written is not seen by painting.
    assert emulator.stack_peak_bytes <= bound.stack_bytes <= emulator.stack_peak_bytes + 64
    assert bound.chain == ("both", "large", "leaf")
    assert bound.frames["large"] >= 400


def test_recursion_has_no_bound(built: Any) -> None:
    bound = bound_stack(built[2], ["again"])
    assert bound.stack_bytes is None
    assert bound.problem is not None
    assert "calls itself" in bound.problem


def test_a_function_pointer_has_no_bound(built: Any) -> None:
    bound = bound_stack(built[2], ["pointer"])
    assert bound.stack_bytes is None
    assert bound.problem == "pointer calls through a pointer"


def stack_usage(work: Path) -> dict[str, int]:
    """Frames as gcc's -fstack-usage reports them."""
    lines = "".join(path.read_text() for path in work.glob("*.su"))
    found = re.findall(r"^.*:([\w.]+)\t(\d+)\t(\w+)", lines, re.MULTILINE)
    assert all(kind == "static" for _, _, kind in found)
    frames: dict[str, int] = {}
    for name, size, _ in found:
        frames[name] = max(int(size), frames.get(name, 0))
    return frames


LISTED = re.compile(
    r"^ *([0-9a-f]+):\t(?:[0-9a-f]{4,8} ?)+ *\t(\S+)(?:\t([^<;@\n]*))?", re.MULTILINE
)


@pytest.mark.parametrize("name", ["cortex-m4", "cortex-m0plus", "cortex-m55", "riscv32imc"])
def test_instructions_agree_with_objdump(name: str, tmp_path: Path) -> None:
    """Where instructions begin, where branches and calls go, and what is pushed."""
    target = find_target(name)
    gcc = find_gcc(target)
    if gcc is None:
        pytest.skip(f"no gcc for {name} on PATH")
    folder = exported(general_model(), tmp_path / "export", name)
    path = build_firmware(
        target, runtime_sources(folder), [folder], tmp_path / "all.elf", compiler="gcc"
    )
    command = [gcc.removesuffix("gcc") + "objdump", "-d", "-Mno-aliases", str(path)]
    if image_is_arm := name.startswith("cortex"):
        command.remove("-Mno-aliases")
    listing = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60)
    listed = {
        int(address, 16): (operation, (operands or "").strip())
        for address, operation, operands in LISTED.findall(listing.stdout)
    }
    image = read_elf(path)
    seen = 0
    for function in image.functions:
        for one in disassemble(image, function):
            operation, operands = listed[one.address]
            if one.kind in (Kind.CALL, Kind.BRANCH) and one.target is not None:
                assert int(operands.split(",")[-1], 16) == one.target, (operation, operands)
            called = operation in ("bl", "jal", "c.jal")
            assert called <= (one.kind in (Kind.CALL, Kind.BRANCH)), operation
            if image_is_arm and operation in ("push", "stmdb"):
                assert one.pushed_bytes >= 4, operands
            assert (one.pushed_bytes > 0) <= ("sp" in operands or operation in ("push", "vpush"))
            seen += 1
    assert seen > 500


@pytest.mark.parametrize("name", TARGETS)
def test_frames_agree_with_the_compilers_own_account(name: str, tmp_path: Path) -> None:
    target = find_target(name)
    gcc = find_gcc(target)
    if gcc is None:
        pytest.skip(f"no gcc for {name} on PATH")
    folder = exported(general_model(), tmp_path / "export", name).resolve()
    flags = ("-std=c99", "-O2", "-ffreestanding", "-fbuiltin", "-fstack-usage", "-I", folder)
    include = ("-isystem", template_folder() / "freestanding")
    sources = runtime_sources(folder)
    command = [gcc, *target.gcc_flags, *flags, *include, "-c", *sources]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    image = build_firmware(target, sources, [folder], tmp_path / "all.elf", compiler="gcc")
    stated = stack_usage(tmp_path)
    bound = bound_stack(read_elf(image), ["blsh_process", "blsh_init"])
    shared = set(stated) & set(bound.frames)
    assert {"blsh_process", "blsh_search", "blsh_fft_forward"} <= shared
    for function in shared:
        assert bound.frames[function] == stated[function], function


@pytest.mark.parametrize(
    "name", ["cortex-m4", *(pytest.param(n, marks=pytest.mark.slow) for n in TARGETS[1:])]
)
def test_the_runtime_has_a_bound(name: str, tmp_path: Path) -> None:
    target = find_target(name)
    reason = firmware_unavailable_reason(target)
    if reason is not None:
        pytest.skip(reason)
    folder = exported(general_model(), tmp_path / "export", name)
    image = read_elf(
        build_firmware(target, runtime_sources(folder), [folder], tmp_path / "runtime.elf")
    )
    bound = bound_stack(image, ["blsh_process"])
    assert bound.stack_bytes is not None
    assert 64 <= bound.stack_bytes <= 1024
    assert bound.chain[0] == "blsh_process"


def test_far_jumps_of_thumb_1_are_no_recursion(tmp_path: Path) -> None:
    """Beyond 2 KB clang jumps within a function by the instruction of calls."""
    target = find_target("cortex-m0plus")
    reason = firmware_unavailable_reason(target)
    if reason is not None:
        pytest.skip(reason)
    source = tmp_path / "far.c"
    stores = "".join(f"*port = {n % 200}u;\n" for n in range(1500))
    source.write_text(
        "void blsh_far(volatile unsigned *port, unsigned n);\n"
        "void blsh_far(volatile unsigned *port, unsigned n)\n"
        f"{{\nwhile (n-- != 0) {{\n{stores}}}\n}}\n"
    )
    image = read_elf(build_firmware(target, [source], [], tmp_path / "far.elf", roots=["blsh_far"]))
    far = image.symbols["blsh_far"]
    jumps = [
        one
        for one in disassemble(image, far)
        if one.kind is Kind.CALL and image.function_at(one.target or 0) == far
    ]
    assert jumps
    assert bound_stack(image, ["blsh_far"]).stack_bytes is not None
