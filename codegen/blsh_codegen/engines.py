"""Run an exported folder's C on the host and on emulated targets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cffi
import numpy as np
import numpy.typing as npt
from blsh_trainer.errors import BlshError

from blsh_codegen.conformance import trace_bytes
from blsh_codegen.emulator import Emulator
from blsh_codegen.tables import Tables
from blsh_codegen.targets import Target
from blsh_codegen.toolchain import (
    FirmwareCompiler,
    build_firmware,
    compile_shared,
    template_folder,
)

_ENTRY_POINTS = ("blsh_harness_reset", "blsh_harness_step")

_HARNESS_API = """
    extern int16_t blsh_harness_samples[];
    extern uint8_t blsh_harness_trace[];
    extern uint32_t blsh_harness_used;
    int blsh_harness_reset(void);
    int blsh_harness_step(void);
"""

_RUNTIME_API = """
    int blsh_init(void *state);
    int blsh_process(void *state, const int16_t *input, int16_t *output);
    uint32_t blsh_latency_samples(void);
"""


def runtime_sources(folder: Path) -> list[Path]:
    """The runtime's C files in an exported folder."""
    return sorted(folder.glob("blsh*.c"))


def _harness_build(folder: Path, tables: Tables) -> tuple[list[Path], dict[str, str | int | None]]:
    sources = [*runtime_sources(folder), template_folder() / "harness" / "blsh_harness.c"]
    defines: dict[str, str | int | None] = {
        "BLSH_ENABLE_TAP": None,
        "BLSH_HARNESS_TRACE_BYTES": trace_bytes(tables),
    }
    return sources, defines


def _open(api: str, library: Path) -> tuple[cffi.FFI, Any]:
    ffi = cffi.FFI()
    ffi.cdef(api)
    try:
        return ffi, ffi.dlopen(str(library), getattr(ffi, "RTLD_LOCAL", 0))
    except OSError as error:
        raise BlshError(f"{library}: the compiled runtime cannot be loaded ({error})") from error


class HostEngine:
    """The harness compiled for this machine and called through cffi.

    Args:
        folder: The exported folder.
        tables: The quantised model, for the geometry.
        work: Folder for the library.

    Attributes:
        compiler: Name of the compiler used.
        warnings: What it warned of.
    """

    name = "host-cffi"

    def __init__(self, folder: Path, tables: Tables, work: Path) -> None:
        sources, defines = _harness_build(folder, tables)
        built = compile_shared(sources, [folder], work / "harness.so", defines=defines)
        self.compiler = built.compiler.name
        self.warnings = built.warnings
        self._ffi, self._library = _open(_HARNESS_API, built.path)

    def reset(self) -> None:
        """Start a stream over."""
        self._library.blsh_harness_reset()

    def step(self, samples: npt.NDArray[np.int16]) -> bytes:
        """Process one hop; returns the recorded trace."""
        self._ffi.memmove(self._library.blsh_harness_samples, samples.tobytes(), samples.nbytes)
        status = self._library.blsh_harness_step()
        if status != 0:
            raise BlshError(f"{self.name}: blsh_process() returned {status}")
        used = int(self._library.blsh_harness_used)
        return bytes(self._ffi.buffer(self._library.blsh_harness_trace, used))


class EmulatedEngine:
    """The harness compiled for a target and run on an emulated core.

    Args:
        folder: The exported folder.
        tables: The quantised model, for the geometry.
        target: The core.
        work: Folder for the image.
        compiler: Cross compiler.

    Attributes:
        name: ``unicorn-<target>``, with the compiler where it is not zig.
    """

    def __init__(
        self,
        folder: Path,
        tables: Tables,
        target: Target,
        work: Path,
        compiler: FirmwareCompiler = "zig",
    ) -> None:
        self.name = f"unicorn-{target.name}" + ("" if compiler == "zig" else f"-{compiler}")
        sources, defines = _harness_build(folder, tables)
        image = build_firmware(
            target,
            sources,
            [folder],
            work / f"{self.name}.elf",
            defines=defines,
            compiler=compiler,
            roots=_ENTRY_POINTS,
        )
        self._emulator = Emulator(image, target)

    def reset(self) -> None:
        """Start a stream over."""
        self._emulator.call("blsh_harness_reset")

    def step(self, samples: npt.NDArray[np.int16]) -> bytes:
        """Process one hop; returns the recorded trace."""
        self._emulator.write("blsh_harness_samples", samples.tobytes())
        status = self._emulator.call("blsh_harness_step")
        if status != 0:
            raise BlshError(f"{self.name}: blsh_process() returned {status}")
        used = int.from_bytes(self._emulator.read("blsh_harness_used", 4), "little")
        return self._emulator.read("blsh_harness_trace", used)


@dataclass(frozen=True)
class Usage:
    """What the bare runtime, without harness, costs on a target.

    Attributes:
        instructions_per_second: Executed instructions per second of audio.
        stages: The same by stage; sums to the total.
        runtime_code_bytes: Flash of the runtime's code.
        stack_bytes: Most stack seen in use.
        compiler: Cross compiler.
    """

    instructions_per_second: int
    stages: dict[str, int]
    runtime_code_bytes: int
    stack_bytes: int
    compiler: str


STAGE_FUNCTIONS = {
    "window and FFT": ("blsh_window_frame", "blsh_fft_forward", "complex_fft"),
    "features": ("blsh_magnitudes", "blsh_features"),
    "projection": ("blsh_hash",),
    "search": ("blsh_search",),
    "masks": ("blsh_mask_gains", "blsh_apply_gains"),
    "inverse FFT and overlap-add": ("blsh_fft_inverse", "blsh_overlap_add"),
}


class Runtime:
    """The exported runtime itself, compiled for this machine; one stream.

    Args:
        folder: The exported folder.
        tables: The quantised model, for the geometry.
        state_bytes: Size of a stream's state.
        work: Folder for the library.
    """

    def __init__(self, folder: Path, tables: Tables, state_bytes: int, work: Path) -> None:
        built = compile_shared(runtime_sources(folder), [folder], work / "blsh.so")
        self._ffi, self._library = _open(_RUNTIME_API, built.path)
        self._state = self._ffi.new("int64_t[]", (state_bytes + 7) // 8)
        self._hop = tables.geometry.hop
        self.latency_samples = int(self._library.blsh_latency_samples())
        self.reset()

    def reset(self) -> None:
        """Start the stream over."""
        self._library.blsh_init(self._state)

    def process(self, samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """Denoise int16 samples, a whole number of hops; late by ``latency_samples``."""
        if samples.size % self._hop:
            raise ValueError(f"{samples.size} samples are not a whole number of hops")
        output = np.ascontiguousarray(samples, np.int16).copy()
        start = self._ffi.cast("int16_t *", self._ffi.from_buffer(output))
        for place in range(0, output.size, self._hop):
            hop = start + place
            self._library.blsh_process(self._state, hop, hop)
        return output


def host_cpu_count() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
