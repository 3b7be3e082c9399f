"""Compile the conformance harness to a WebAssembly module and run it, where wasmtime is there."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from blsh_trainer.errors import BlshError

from blsh_codegen.engines import harness_build
from blsh_codegen.tables import Tables
from blsh_codegen.targets import Target
from blsh_codegen.toolchain import (
    compiler_inputs,
    run_compiler,
    template_folder,
    zig_command,
    ziglang_available,
)

_EXPORTS = (
    "blsh_harness_reset",
    "blsh_harness_step",
    "blsh_harness_samples",
    "blsh_harness_trace",
    "blsh_harness_used",
)


def wasm_unavailable_reason(target: Target) -> str | None:
    """Why a target's module cannot be built and run here, or ``None`` when it can be."""
    if not target.is_wasm:
        return f"target {target.name} is not WebAssembly"
    if not ziglang_available():
        return "ziglang is not installed: pip install 'blsh[emulation]'"
    if importlib.util.find_spec("wasmtime") is None:
        return "wasmtime is not installed: pip install wasmtime"
    return None


class WasmEngine:
    """The harness as a WebAssembly module: an engine of :mod:`blsh_codegen.conformance`.

    Args:
        folder: The exported folder.
        tables: The quantised model, for the geometry.
        target: The WebAssembly target.
        work: Folder for the module.

    Attributes:
        name: ``wasmtime-<target>``.

    Raises:
        BlshError: ziglang or wasmtime is missing, or the code does not compile.
    """

    def __init__(self, folder: Path, tables: Tables, target: Target, work: Path) -> None:
        reason = wasm_unavailable_reason(target)
        if reason is not None:
            raise BlshError(f"cannot run {target.name}: {reason}")
        self.name = f"wasmtime-{target.name}"
        wasmtime: Any = importlib.import_module("wasmtime")
        module = _build(folder, tables, target, work / "harness.wasm")
        engine = wasmtime.Engine()
        self._store = wasmtime.Store(engine)
        # No imports: the module needs nothing of its surroundings.
        loaded = wasmtime.Module.from_file(engine, str(module))
        self._exports = wasmtime.Instance(self._store, loaded, []).exports(self._store)
        self._memory = self._exports["memory"]

    def reset(self) -> None:
        """Start a stream over."""
        self._exports["blsh_harness_reset"](self._store)

    def step(self, samples: npt.NDArray[np.int16]) -> bytes:
        """Process one hop; returns the recorded trace."""
        self._memory.write(self._store, samples.tobytes(), self._address("blsh_harness_samples"))
        status = self._exports["blsh_harness_step"](self._store)
        if status != 0:
            raise BlshError(f"{self.name}: blsh_process() returned {status}")
        used = int.from_bytes(self._read("blsh_harness_used", 4), "little")
        return self._read("blsh_harness_trace", used)

    def _address(self, name: str) -> int:
        return int(self._exports[name].value(self._store))

    def _read(self, name: str, size: int) -> bytes:
        start = self._address(name)
        return bytes(self._memory.read(self._store, start, start + size))


def _build(folder: Path, tables: Tables, target: Target, output: Path) -> Path:
    sources, defines = harness_build(folder, tables, output.parent)
    flags = [
        *("-std=c99", "-O2", "-ffreestanding", "-fno-sanitize=all", "-nostdlib"),
        *("-isystem", str(template_folder() / "freestanding"), "-Wl,--no-entry"),
        *(f"-Wl,--export={name}" for name in _EXPORTS),
    ]
    inputs = compiler_inputs(sources, [folder], defines)
    run_compiler([*zig_command(), *target.zig_flags, *flags, *inputs, "-o", str(output)])
    return output
