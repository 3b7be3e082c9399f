"""Instructions a second and the clock for real time, stage by stage, without running anything."""

from __future__ import annotations

from dataclasses import dataclass

from blsh_trainer.model_file import Model
from blsh_trainer.model_shape import any_shape_of
from blsh_trainer.stage_cost import COMPILER, calibration, largest_error, stage_costs

from blsh_codegen.targets import Target
from blsh_codegen.usage import Usage

STAND_IN = "riscv32imc"
"""Whose figures a core without any is given: 32 bits, and the C without intrinsics."""


@dataclass(frozen=True)
class Stage:
    """A stage of the signal path.

    Attributes:
        name: As `blsh-bench` calls it.
        instructions: Executed instructions a second of audio.
        cycles: Estimated cycles a second of audio, without wait states of flash; ``None`` where
            there is no model of the core.
    """

    name: str
    instructions: int
    cycles: int | None

    @property
    def clock_hz(self) -> int:
        """Least clock for real time: its cycles, else one cycle for each instruction."""
        return self.instructions if self.cycles is None else self.cycles


@dataclass(frozen=True)
class Compute:
    """What real time takes.

    Attributes:
        stages: In the order of the signal path.
        basis: How the instructions were found, as a sentence.
        clock_basis: What the clock leaves out, as a sentence.
        is_counted: Whether they were counted for this very model and target.
    """

    stages: tuple[Stage, ...]
    basis: str
    clock_basis: str
    is_counted: bool

    @property
    def instructions(self) -> int:
        """Of all stages."""
        return sum(stage.instructions for stage in self.stages)

    @property
    def clock_hz(self) -> int:
        """Of all stages."""
        return sum(stage.clock_hz for stage in self.stages)


def compute_cost(model: Model, target: Target, usage: Usage | None = None) -> Compute:
    """Cost by stage: counted where it was, else estimated from the model's shape.

    Args:
        model: The model.
        target: The processor.
        usage: What `blsh-bench` counts for them.
    """
    if usage is not None:
        stages = [
            Stage(name, count, usage.stage_cycles.get(name)) for name, count in usage.stages.items()
        ]
        basis = f"Counted on the emulated core over noisy speech; compiler: {usage.compiler}."
        return Compute(tuple(stages), basis, _clock_basis(stages), is_counted=True)
    shape = any_shape_of(model)
    core = target.name if target.name in calibration() else STAND_IN
    stages = [
        Stage(
            name,
            round(cost.instructions),
            None if cost.cycles is None or core != target.name else round(cost.cycles),
        )
        for name, cost in stage_costs(shape, core).items()
    ]
    basis = (
        f"Estimated from the model's shape, with weights measured on this core ({COMPILER}); "
        f"within {100 * largest_error(shape, core):.0f} % of the counts of all models that they "
        "were measured with."
    )
    if core != target.name:
        basis = (
            f"Nothing was counted on this target. As an indication, estimates for {core}, which "
            f"runs the same C without intrinsics ({COMPILER})."
        )
    return Compute(tuple(stages), basis, _clock_basis(stages), is_counted=False)


def _clock_basis(stages: list[Stage]) -> str:
    if any(stage.cycles is None for stage in stages):
        return (
            "The clock is for one cycle an instruction, a lower bound: the core's timings are not "
            "public."
        )
    return (
        "The clock is from the core's published timings, without wait states of flash: leave a "
        "quarter to spare."
    )
