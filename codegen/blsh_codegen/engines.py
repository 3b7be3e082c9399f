"""Run an exported folder's C on the host and on emulated targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from blsh_trainer.errors import BlshError

from blsh_codegen.conformance import trace_bytes
from blsh_codegen.emulator import Emulator
from blsh_codegen.library_cache import open_library
from blsh_codegen.manifest import exported_prefix
from blsh_codegen.prefix import renamed_source
from blsh_codegen.tables import Tables
from blsh_codegen.targets import Target
from blsh_codegen.toolchain import (
    FirmwareCompiler,
    build_firmware,
    compile_shared,
    template_folder,
)

_ENTRY_POINTS = ("blsh_harness_open", "blsh_harness_reset", "blsh_harness_step")

_HARNESS_API = """
    extern int16_t blsh_harness_samples[];
    extern uint8_t blsh_harness_trace[];
    extern uint32_t blsh_harness_used;
    int blsh_harness_open(const void *blob, uint32_t bytes);
    int blsh_harness_reset(void);
    int blsh_harness_step(void);
"""


def runtime_sources(folder: Path) -> list[Path]:
    """The runtime's C files in an exported folder."""
    return sorted(folder.glob(f"{exported_prefix(folder).name}*.c"))


def harness_build(
    folder: Path, tables: Tables, work: Path
) -> tuple[list[Path], dict[str, str | int | None]]:
    """Sources and macros of the conformance harness for an exported folder.

    Args:
        folder: The exported folder.
        tables: The quantised model.
        work: Folder for a copy of the harness that calls the runtime by the folder's names.
    """
    prefix = exported_prefix(folder)
    harness = template_folder() / "harness" / "blsh_harness.c"
    sources = [*runtime_sources(folder), renamed_source(harness, prefix, work)]
    defines: dict[str, str | int | None] = {
        prefix.code("BLSH_ENABLE_TAP"): None,
        "BLSH_HARNESS_TRACE_BYTES": trace_bytes(tables),
    }
    return sources, defines


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
        sources, defines = harness_build(folder, tables, work)
        built = compile_shared(sources, [folder], work / "harness.so", defines=defines)
        self.compiler = built.compiler.name
        self.warnings = built.warnings
        self._ffi, self._library = open_library(_HARNESS_API, built.path)
        self._capacity = trace_bytes(tables)
        self._blob: Any = None

    def open(self, blob: bytes) -> int:
        """Open a model for the streams to come, in place of the one compiled in; the status."""
        words = self._ffi.new("uint32_t[]", -(-len(blob) // 4))  # at a word boundary
        self._ffi.memmove(words, blob, len(blob))
        self._blob = words  # the model stays there
        return int(self._library.blsh_harness_open(words, len(blob)))

    def reset(self) -> None:
        """Start a stream over."""
        self._library.blsh_harness_reset()

    def step(self, samples: npt.NDArray[np.int16]) -> bytes:
        """Process one hop; returns the recorded trace."""
        self._ffi.memmove(self._library.blsh_harness_samples, samples.tobytes(), samples.nbytes)
        status = self._library.blsh_harness_step()
        if status != 0:
            raise BlshError(f"{self.name}: blsh_process() returned {status}")
        used = min(int(self._library.blsh_harness_used), self._capacity)
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
        self.name = self.engine_name(target, compiler)
        sources, defines = harness_build(folder, tables, work)
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

    @staticmethod
    def engine_name(target: Target, compiler: FirmwareCompiler) -> str:
        """Name of the engine for a target and compiler."""
        return f"unicorn-{target.name}" + ("" if compiler == "zig" else f"-{compiler}")

    def open(self, blob: bytes) -> int:
        """Open a model for the streams to come, in place of the one compiled in; the status."""
        place = self._emulator.allocate(len(blob))
        self._emulator.write(place, blob)
        return self._emulator.call("blsh_harness_open", place, len(blob))

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
