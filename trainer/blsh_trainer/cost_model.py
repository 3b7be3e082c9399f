"""What a condensed model will cost on a core, estimated from its shape.

Flash, RAM and the instructions of each stage (see `blsh_trainer.stage_cost`) are weighted sums of
a few counts: multiplications, planes of codes searched, mask levels added up and so on. The
weights are in ``cost_model.json``, measured once on emulated cores
(``python -m tests.codegen.cost_calibration`` writes it); a test holds the estimates within 5 % of
what ``blsh-bench`` counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blsh_trainer.condensation import WORD
from blsh_trainer.condensed_options import CondensedOptions
from blsh_trainer.condensed_plan import make_plan_of
from blsh_trainer.levels import make_grid
from blsh_trainer.model_file import Model
from blsh_trainer.model_shape import DictionaryShape, Shape, shape_of
from blsh_trainer.presets import Budget
from blsh_trainer.stage_cost import calibration, stage_costs, weighted_sum

TARGETS = (
    "cortex-m4", "cortex-m0plus", "cortex-m33", "riscv32imc", "cortex-m3", "cortex-m7",
    "cortex-m55",
)  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """What a denoiser costs.

    Attributes:
        flash: Bytes of code and constant tables.
        ram: Bytes of one stream's state and of stack.
        mips: Million instructions a second of audio.
    """

    flash: int
    ram: int
    mips: float

    def fits(self, budget: Budget) -> bool:
        """Whether no part exceeds a budget."""
        return self.flash <= budget.flash and self.ram <= budget.ram and self.mips <= budget.mips

    def __str__(self) -> str:
        return (
            f"{self.flash / 1024:.0f} KB flash, {self.ram / 1024:.1f} KB RAM and {self.mips:.1f} M "
            "instructions a second"
        )


def cost_of_shape(shape: Shape, target: str) -> Cost:
    """Estimated cost of a shape on one of `TARGETS`."""
    measured, counts = calibration()[target], shape.counts()
    instructions = sum(stage.instructions for stage in stage_costs(shape, target).values())
    return Cost(
        flash=round(weighted_sum(measured["flash"], counts)),
        ram=round(weighted_sum(measured["ram"], counts)),
        mips=instructions / 1e6,
    )


def estimated_cost(model: Model, target: str) -> Cost:
    """Estimated cost of a condensed model."""
    return cost_of_shape(shape_of(model), target)


def estimated_cost_of(options: CondensedOptions, target: str) -> Cost:
    """Estimated cost of what some options will give, all cells taken to matter the same."""
    cells = make_grid(options.geometry).size - 1
    plan = make_plan_of(options, cells, options.kinds)
    return cost_of_shape(
        Shape(
            options.geometry,
            cells,
            options.kinds,
            len(options.noise_trackers),
            tuple((WORD, last - first) for first, last in plan.feature_ranges),
            tuple(
                DictionaryShape(_width(words), plan.entries, plan.neighbours, _width(covered))
                for words, covered in zip(plan.words, plan.cells, strict=True)
            ),
            plan.mask_bits,
            plan.layers,
        ),
        target,
    )


def _width(pair: Sequence[int]) -> int:
    return pair[1] - pair[0]
