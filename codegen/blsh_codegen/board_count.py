"""Count executed instructions by stage on a board under QEMU, for cores that unicorn lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from blsh_codegen.emulator import EmulationError
from blsh_codegen.manifest import exported_prefix
from blsh_codegen.prefix import renamed_source
from blsh_codegen.qemu import build_board_image, run_board_image
from blsh_codegen.targets import Target
from blsh_codegen.toolchain import Defines, FirmwareCompiler, template_folder

_CALIBRATION_INSTRUCTIONS = 2_000_000


@dataclass(frozen=True)
class BoardCounts:
    """What a board counted over a signal.

    Attributes:
        total: Executed instructions.
        functions: The same of each function of the runtime and all below it.
        stack_bytes: Most stack in use under `blsh_process`, found by painting.
    """

    total: int
    functions: dict[str, int]
    stack_bytes: int


def count_on_board(
    sources: Sequence[Path],
    folder: Path,
    target: Target,
    samples: npt.NDArray[np.int16],
    hop: int,
    functions: Sequence[str],
    work: Path,
    *,
    compiler: FirmwareCompiler,
    optimise: str,
) -> BoardCounts:
    """Run the runtime over a signal twice: bare, and with each of its functions timed.

    Counts come from the board's timer, which is as fine as one instruction on RISC-V and about 31
    on the Cortex-M board.

    Args:
        sources: The runtime's C files.
        folder: The exported folder.
        target: A target with a machine.
        samples: int16 signal.
        hop: Samples that are processed at a time.
        functions: Functions to time.
        work: Folder for what is built.
        compiler: Cross compiler.
        optimise: Its optimisation flag.
    """
    prefix = exported_prefix(folder)
    counter = template_folder() / "harness" / "blsh_board_count.c"
    hops = samples.size // hop
    numbers = ", ".join(str(value) for value in samples[: hops * hop].tolist())
    (work / "blsh_count_samples.h").write_text(
        "#include <stdint.h>\n"
        f"#define BLSH_COUNT_HOPS {hops}u\n"
        f"static const int16_t blsh_count_samples[] = {{{numbers}}};\n",
        encoding="utf-8",
    )

    def run(name: str, defines: Defines, wrap: Sequence[str]) -> dict[str, int]:
        image = build_board_image(
            target,
            [*sources, renamed_source(counter, prefix, work)],
            [folder, work],
            work / name,
            defines=defines,
            optimise=optimise,
            compiler=compiler,
            wrap=wrap,
            prefix=prefix,
        )
        done = run_board_image(image, target)
        if done.exit_code != 0:
            raise EmulationError(f"counting on {target.qemu_machine}: exit code {done.exit_code}")
        return _numbers(done.stdout)

    bare = run("count-total.elf", {}, ())
    staged = run("count-stages.elf", {"BLSH_COUNT_STAGES": None}, functions)
    return BoardCounts(
        total=_instructions(bare, "total"),
        functions={name: _instructions(staged, name) for name in functions},
        stack_bytes=bare["stack"],
    )


def _numbers(text: str) -> dict[str, int]:
    lines = (line.split() for line in text.splitlines())
    return {name: int(value) for name, value in lines}


def _instructions(counted: Mapping[str, int], name: str) -> int:
    return round(counted[name] * _CALIBRATION_INSTRUCTIONS / counted["calibration"])
