"""Measure what the exported runtime costs on an emulated core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from blsh_codegen.board_count import BoardCounts, count_on_board
from blsh_codegen.cycles import MODELS, CycleModel, estimate_cycles
from blsh_codegen.elf_image import read_elf
from blsh_codegen.emulator import Emulator
from blsh_codegen.engines import runtime_sources
from blsh_codegen.layout import Layout
from blsh_codegen.manifest import exported_prefix
from blsh_codegen.prefix import Prefix
from blsh_codegen.static_stack import bound_stack
from blsh_codegen.tables import Tables
from blsh_codegen.targets import Target
from blsh_codegen.toolchain import FirmwareCompiler, build_firmware

_ENTRY_POINTS = (
    "blsh_init",
    "blsh_process",
    "blsh_set_gain_floor",
    "blsh_latency_samples",
    "blsh_status_text",
)
_ANALYSIS = {"blsh_window_frame": "window and FFT", "blsh_fft_forward": "window and FFT"}
_SYNTHESIS = {
    "blsh_apply_gains": "masks",
    "blsh_fft_inverse": "synthesis",
    "blsh_overlap_add": "synthesis",
}
_BAND_ENTRIES = {
    "blsh_magnitudes": "features",
    "blsh_features": "features",
    "blsh_hash": "projection",
    "blsh_search": "search",
    "blsh_mask_gains": "masks",
}
_CONDENSED_ENTRIES = {
    "blsh_levels": "features",
    "blsh_cell_features": "features",
    "blsh_project": "projection",
    "blsh_spread_code": "search",
    "blsh_nearest": "search",
    "blsh_vote": "masks",
    "blsh_cell_gains": "masks",
    "blsh_bin_gains": "masks",
}
_NOISE_TRACKER_ENTRIES = {"blsh_follow_noise": "features"}

STAGES = (*dict.fromkeys((_ANALYSIS | _BAND_ENTRIES | _SYNTHESIS).values()), "other")
"""The stages of `Usage.stages`, in the order of the signal path."""


def entry_points(layout: Layout) -> tuple[str, ...]:
    """The public functions that firmware calls whose model is compiled in."""
    return _ENTRY_POINTS if layout.condensed is None else (*_ENTRY_POINTS, "blsh_set_gain_release")


def stage_entries(layout: Layout) -> dict[str, str]:
    """The stage that begins when `blsh_process` enters a function.

    Everything executed until the next such entry belongs to the stage, whatever the compiler split
    off, inlined or fetched from its library; the instructions of `blsh_process` itself are
    "other".
    """
    if layout.condensed is None:
        return _ANALYSIS | _BAND_ENTRIES | _SYNTHESIS
    follows = _NOISE_TRACKER_ENTRIES if layout.condensed.n_noise_trackers else {}
    return _ANALYSIS | _CONDENSED_ENTRIES | follows | _SYNTHESIS


@dataclass(frozen=True)
class Usage:
    """What the bare runtime, without taps, costs on a target.

    Attributes:
        instructions_per_second: Executed instructions per second of audio.
        stages: The same by stage; they sum to the total.
        functions: The same by function of the linked image, most first; on a board under QEMU by
            function of the runtime with all that it calls.
        instructions_per_code: Search instructions per dictionary entry of all bands.
        estimated_cycles_per_second: Cycles per second of audio from public instruction timings,
            without wait states of flash; ``None`` where there is no model of the core.
        stage_cycles: The same by stage, summing to it; empty where there is no model.
        flash: Bytes of flash by table's header, and of the runtime's code.
        flash_bytes: Their sum, the linked image.
        runtime_code_bytes: Flash of the linked runtime beyond its tables.
        ram_bytes: State of one stream and the runtime's static data, which is none.
        stack_bytes: Most stack in use under `blsh_process`, found by painting.
        static_stack_bytes: Bound on it found by reading the code; ``None`` where there is none.
        stack_chain: The call chain of that bound.
        compiler: Cross compiler and optimisation.
    """

    instructions_per_second: int
    stages: dict[str, int]
    functions: dict[str, int]
    instructions_per_code: float
    estimated_cycles_per_second: int | None
    stage_cycles: dict[str, int]
    flash: dict[str, int]
    flash_bytes: int
    runtime_code_bytes: int
    ram_bytes: int
    stack_bytes: int
    static_stack_bytes: int | None
    stack_chain: tuple[str, ...]
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
        target: A target that unicorn or QEMU emulates.
        samples: int16 signal, a whole number of hops.
        work: Folder for the image.
        compiler: Cross compiler.
        optimise: Its optimisation flag.

    Raises:
        BlshError: No emulator or compiler, or the folder's C does not compile.
    """
    prefix = exported_prefix(folder)
    public = tuple(map(prefix.code, entry_points(layout)))
    path = build_firmware(
        target,
        runtime_sources(folder),
        [folder],
        work / f"runtime-{target.name}-{compiler}.elf",
        compiler=compiler,
        optimise=optimise,
        roots=public,
    )
    entries = {prefix.code(name): stage for name, stage in stage_entries(layout).items()}
    hop = tables.geometry.hop
    hops = samples.size // hop
    samples = samples[: hops * hop]
    if target.unicorn is not None:
        counts = _count_in_process(
            path, target, prefix, layout.state_bytes, entries, samples.reshape(hops, hop)
        )
    else:
        sources = runtime_sources(folder)
        counts = _count_on_board(
            count_on_board(
                sources,
                folder,
                target,
                samples,
                hop,
                list(entries),
                work,
                compiler=compiler,
                optimise=optimise,
            ),
            entries,
        )
    per_second = tables.geometry.rate / samples.size
    stages = {name: round(count * per_second) for name, count in counts.stages.items()}
    image = read_elf(path)
    bound = bound_stack(image, public)
    code_bytes = image.flash_bytes - layout.table_bytes
    stage_cycles = {name: round(cycles * per_second) for name, cycles in counts.cycles.items()}
    return Usage(
        instructions_per_second=sum(stages.values()),
        stages=stages,
        functions={name: round(n * per_second) for name, n in counts.functions.items()},
        instructions_per_code=round(counts.stages["search"] / hops / layout.n_entries, 2),
        estimated_cycles_per_second=sum(stage_cycles.values()) if stage_cycles else None,
        stage_cycles=stage_cycles,
        flash={
            **{prefix.path(k): v for k, v in layout.flash_bytes.items()},
            "runtime code": code_bytes,
        },
        flash_bytes=image.flash_bytes,
        runtime_code_bytes=code_bytes,
        ram_bytes=layout.state_bytes + image.ram_bytes,
        stack_bytes=counts.stack_bytes,
        static_stack_bytes=bound.stack_bytes,
        stack_chain=bound.chain,
        compiler=f"{compiler} {optimise}",
    )


@dataclass(frozen=True)
class _Counts:
    """Executed instructions over a signal, and what else was seen; cycles by stage, if known."""

    stages: dict[str, int]
    functions: dict[str, int]
    stack_bytes: int
    cycles: dict[str, float]


def _count_in_process(
    path: Path,
    target: Target,
    prefix: Prefix,
    state_bytes: int,
    entries: Mapping[str, str],
    hops: npt.NDArray[np.int16],
) -> _Counts:
    """Start a stream under unicorn, then count while it runs hop by hop."""
    emulator = Emulator(path, target)
    emulator.split_profile(entries)
    state = emulator.allocate(state_bytes)
    buffer = emulator.allocate(hops[0].nbytes)
    process = prefix.code("blsh_process")
    emulator.call(prefix.code("blsh_init"), state)
    emulator.reset_profile()
    for samples in hops:
        emulator.write(buffer, samples.tobytes())
        emulator.call(process, state, buffer, buffer)
    stages = dict.fromkeys(STAGES, 0)
    for stage, functions in emulator.profile_parts().items():
        stages[stage] = sum(n for name, n in functions.items() if name != process)
    stages["other"] = emulator.total_instructions() - sum(stages.values())
    model = MODELS.get(target.name)
    cycles = {} if model is None else _stage_cycles(emulator, model, process)
    return _Counts(stages, emulator.profile(), emulator.stack_peak_bytes, cycles)


def _stage_cycles(emulator: Emulator, model: CycleModel, process: str) -> dict[str, float]:
    """Estimated cycles by stage; those of the process call itself are "other"."""
    image = emulator.image
    cycles = dict.fromkeys(STAGES, 0.0)
    for stage, executed in emulator.instruction_counts_by_part().items():
        by_function = estimate_cycles(image, executed, model)
        cycles[stage] = sum(n for name, n in by_function.items() if name != process)
    total = sum(estimate_cycles(image, emulator.instruction_counts(), model).values())
    cycles["other"] = total - sum(cycles.values())
    return cycles


def _count_on_board(counted: BoardCounts, entries: Mapping[str, str]) -> _Counts:
    stages = dict.fromkeys(STAGES, 0)
    for name, count in counted.functions.items():
        stages[entries[name]] += count
    stages["other"] = max(0, counted.total - sum(stages.values()))
    most_first = sorted(counted.functions.items(), key=lambda item: (-item[1], item[0]))
    return _Counts(stages, dict(most_first), counted.stack_bytes, {})
