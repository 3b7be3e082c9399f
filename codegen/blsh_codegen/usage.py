"""Measure what the exported runtime costs on an emulated core."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from blsh_codegen.emulator import Emulator
from blsh_codegen.engines import runtime_sources
from blsh_codegen.layout import Layout
from blsh_codegen.tables import Tables
from blsh_codegen.targets import Target
from blsh_codegen.toolchain import FirmwareCompiler, build_firmware

_ENTRY_POINTS = ("blsh_init", "blsh_process", "blsh_latency_samples", "blsh_status_text")

STAGE_FUNCTIONS = {
    "window and FFT": ("blsh_window_frame", "blsh_fft_forward", "memcpy", "memmove"),
    "features": ("blsh_magnitudes", "blsh_features"),
    "projection": ("blsh_hash",),
    "search": ("blsh_search",),
    "masks": ("blsh_mask_gains", "blsh_apply_gains"),
    "inverse FFT and overlap-add": ("blsh_fft_inverse", "blsh_overlap_add"),
}
"""Where each function's instructions are booked; the shared FFT goes half to either direction."""

_SHARED_FFT = "complex_fft"


@dataclass(frozen=True)
class Usage:
    """What the bare runtime, without taps, costs on a target.

    Attributes:
        instructions_per_second: Executed instructions per second of audio.
        stages: The same by stage; they sum to the total.
        instructions_per_code: Search instructions per dictionary entry of all bands.
        runtime_code_bytes: Flash of the linked runtime beyond its tables.
        stack_bytes: Most stack in use under a public function.
        compiler: Cross compiler and optimisation.
    """

    instructions_per_second: int
    stages: dict[str, int]
    instructions_per_code: float
    runtime_code_bytes: int
    stack_bytes: int
    compiler: str


def measure_usage(
    folder: Path,
    tables: Tables,
    layout: Layout,
    target: Target,
    samples: npt.NDArray[np.int16],
    work: Path,
    *,
    compiler: FirmwareCompiler = "zig",
    optimise: str = "-O2",
) -> Usage:
    """Run an exported folder's bare runtime over a signal and count.

    Args:
        folder: The exported folder.
        tables: The quantised model.
        layout: Its layout.
        target: An emulated target.
        samples: int16 signal, a whole number of hops.
        work: Folder for the image.
        compiler: Cross compiler.
        optimise: Its optimisation flag.
    """
    image = build_firmware(
        target,
        runtime_sources(folder),
        [folder],
        work / f"runtime-{target.name}-{compiler}.elf",
        compiler=compiler,
        optimise=optimise,
        roots=_ENTRY_POINTS,
    )
    emulator = Emulator(image, target)
    hop = tables.geometry.hop
    state = emulator.allocate(layout.state_bytes)
    buffer = emulator.allocate(2 * hop)
    emulator.call("blsh_init", state)
    emulator.reset_profile()
    for start in range(0, samples.size, hop):
        emulator.write(buffer, samples[start : start + hop].tobytes())
        emulator.call("blsh_process", state, buffer, buffer)
    hops = samples.size // hop
    per_second = tables.geometry.rate / hop / hops
    executed = emulator.profile()
    stages = {name: round(n * per_second) for name, n in _by_stage(executed).items()}
    entries = sum(band.n_entries for band in layout.bands)
    return Usage(
        instructions_per_second=sum(stages.values()),
        stages=stages,
        instructions_per_code=round(executed.get("blsh_search", 0) / hops / entries, 2),
        runtime_code_bytes=emulator.image.flash_bytes - layout.table_bytes,
        stack_bytes=emulator.stack_peak_bytes,
        compiler=f"{compiler} {optimise}",
    )


def _by_stage(executed: dict[str, int]) -> dict[str, int]:
    stages = {
        stage: sum(executed.get(name, 0) for name in names)
        for stage, names in STAGE_FUNCTIONS.items()
    }
    shared = executed.get(_SHARED_FFT, 0)
    stages["window and FFT"] += shared // 2
    stages["inverse FFT and overlap-add"] += shared - shared // 2
    stages["other"] = sum(executed.values()) - sum(stages.values())
    return stages
