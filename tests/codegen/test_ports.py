"""Every port equals the reference: on the host by its portable equivalents, and on its core."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from blsh_codegen.emulator import emulation_unavailable_reason
from blsh_codegen.engines import EmulatedEngine, runtime_sources
from blsh_codegen.qemu import build_board_image, qemu_unavailable_reason, run_board_image
from blsh_codegen.tables import quantise
from blsh_codegen.targets import TARGETS, Target, find_target
from blsh_codegen.toolchain import firmware_unavailable_reason, template_folder, ziglang_available
from blsh_codegen.wasm import WasmEngine, wasm_unavailable_reason
from blsh_trainer.model_file import Model

from tests.codegen.folders import compare_engine, compare_on_host, exported
from tests.models import general_model, random_condensed_model

RUNTIME = template_folder() / "runtime"
PORTS = sorted(path.stem.removeprefix("blsh_port_") for path in RUNTIME.glob("blsh_port_*.h"))
MODEL = general_model()
MODELS = {"bands": MODEL, "condensed": random_condensed_model()}


def slow_but(fast: str, names: list[str]) -> list[Any]:
    return [n if n == fast else pytest.param(n, marks=pytest.mark.slow) for n in names]


def test_every_target_has_a_port_and_every_port_a_target() -> None:
    assert {target.port for target in TARGETS.values()} == set(PORTS)


@pytest.mark.parametrize("port", PORTS)
def test_every_intrinsic_has_a_portable_equivalent_of_the_same_name(port: str) -> None:
    """An intrinsic contains an instruction in assembly, or one of <arm_mve.h>."""
    text = (RUNTIME / f"blsh_port_{port}.h").read_text(encoding="utf-8")
    function = r"^static BLSH_INLINE \w+ \*?(blsh_\w+)\("
    names = re.findall(function, text, re.MULTILINE)
    intrinsics = re.findall(
        function + r"[^{]*\{[^}]*(?:__asm__\(\"\w|\bv\w+q_\w+\()", text, re.MULTILINE
    )
    assert bool(intrinsics) == (port != "generic")
    for name in intrinsics:
        assert names.count(name) == 2, name


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("port", PORTS)
def test_portable_equivalents_equal_the_reference(port: str, kind: str, tmp_path: Path) -> None:
    target = next(name for name, one in TARGETS.items() if one.port == port)
    folder = exported(MODELS[kind], tmp_path / "export", target)
    assert (folder / f"blsh_port_{port}.h").is_file()
    for comparison in compare_on_host(folder, MODELS[kind], tmp_path / "work"):
        assert comparison.difference is None, str(comparison.difference)


UNICORN = [name for name, one in TARGETS.items() if one.unicorn is not None]
QEMU = [name for name, one in TARGETS.items() if one.qemu_machine is not None]


@pytest.mark.parametrize("compiler", slow_but("zig", ["zig", "gcc"]))
@pytest.mark.parametrize("name", slow_but("cortex-m33", UNICORN))
def test_the_core_equals_the_reference_under_unicorn(
    name: str, compiler: Any, tmp_path: Path
) -> None:
    target = find_target(name)
    reason = emulation_unavailable_reason(target) or firmware_unavailable_reason(target, compiler)
    if reason is not None:
        pytest.skip(reason)
    folder = exported(MODEL, tmp_path / "export", name)
    engine = EmulatedEngine(folder, quantise(MODEL), target, tmp_path, compiler)
    for comparison in compare_engine(engine, MODEL, frames=16):
        assert comparison.difference is None, str(comparison.difference)


@pytest.mark.parametrize("compiler", slow_but("gcc", ["zig", "gcc"]))
@pytest.mark.parametrize("name", QEMU)
@pytest.mark.parametrize("kind", MODELS)
def test_the_self_test_passes_under_qemu(
    kind: str, name: str, compiler: Any, tmp_path: Path
) -> None:
    target = find_target(name)
    reason = qemu_unavailable_reason(target, compiler=compiler)
    reason = reason or firmware_unavailable_reason(target, compiler)
    if reason is not None:
        pytest.skip(reason)
    run_self_test(MODELS[kind], target, compiler, tmp_path)


def test_the_m55_does_without_helium(tmp_path: Path) -> None:
    target = find_target("cortex-m55")
    reason = qemu_unavailable_reason(target) or firmware_unavailable_reason(target, "gcc")
    if reason is not None:
        pytest.skip(reason)
    flags = ("-mcpu=cortex-m55+nofp+nomve", "-mthumb", "-mfloat-abi=soft")
    run_self_test(MODEL, replace(target, gcc_flags=flags), "gcc", tmp_path)


def run_self_test(model: Model, target: Target, compiler: Any, work: Path) -> None:
    """Build an export's self-test for the target's board and see it pass."""
    folder = exported(model, work / "export", target.name)
    selftest = folder / "selftest"
    programs = [selftest / "blsh_selftest.c", selftest / "blsh_selftest_main.c"]
    image = build_board_image(
        target,
        [*runtime_sources(folder), *programs],
        [folder, selftest],
        work / "selftest.elf",
        defines={"BLSH_ENABLE_TAP": None},
        compiler=compiler,
    )
    done = run_board_image(image, target, timeout_s=60)
    assert (done.exit_code, done.stdout[:5]) == (0, "PASS:")


def test_the_webassembly_module_equals_the_reference(tmp_path: Path) -> None:
    target = find_target("wasm32")
    reason = wasm_unavailable_reason(target)
    if reason is not None:
        pytest.skip(reason)
    folder = exported(MODEL, tmp_path / "export", "wasm32")
    engine = WasmEngine(folder, quantise(MODEL), target, tmp_path)
    for comparison in compare_engine(engine, MODEL):
        assert comparison.difference is None, str(comparison.difference)


def test_what_is_missing_for_webassembly_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wasmtime", None)
    if ziglang_available():
        reason = "wasmtime is not installed: pip install wasmtime"
        assert wasm_unavailable_reason(find_target("wasm32")) == reason
    assert wasm_unavailable_reason(find_target("generic")) == "target generic is not WebAssembly"
