"""The estimates of cost that `blsh-train --fit` goes by, against what the emulated core counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from blsh_codegen.emulator import emulation_unavailable_reason
from blsh_codegen.qemu import qemu_unavailable_reason
from blsh_codegen.targets import find_target
from blsh_trainer.condensed_options import CondensedOptions
from blsh_trainer.cost_model import (
    TARGETS,
    Cost,
    cost_of_shape,
    estimated_cost,
    estimated_cost_of,
)
from blsh_trainer.model_file import Geometry, Model
from blsh_trainer.model_shape import shape_of
from blsh_trainer.presets import PRESETS, Budget

from tests.codegen.cost_calibration import SHAPES, measured, ram_and_stack, untrained

# Shapes that the calibration has not seen.
OTHERS = (
    CondensedOptions(words=5, compared=3, reach=0.5, layers=3, entries=96, neighbours=6),
    CondensedOptions(frame=512, hop=256, words=6, compared=4, reach=0.8, layers=5, entries=64),
)
TOLERANCE = 0.05


@pytest.mark.parametrize(
    "target", [*TARGETS[:4], *(pytest.param(name, marks=pytest.mark.slow) for name in TARGETS[4:])]
)
@pytest.mark.parametrize("options", OTHERS, ids=["1024", "512"])
def test_estimates_are_within_five_per_cent(options: CondensedOptions, target: str) -> None:
    core = find_target(target)
    if core.unicorn is None:
        reason = qemu_unavailable_reason(core, compiler="zig")
    else:
        reason = emulation_unavailable_reason(core)
    if reason:
        pytest.skip(reason)
    assert options not in SHAPES
    model = untrained(options)
    estimate, found = estimated_cost(model, target), measured(model, target)
    assert estimate.mips * 1e6 == pytest.approx(found.instructions_per_second, rel=TOLERANCE)
    assert estimate.flash == pytest.approx(found.flash_bytes, rel=TOLERANCE)
    assert estimate.ram == pytest.approx(ram_and_stack(found), rel=TOLERANCE)


@pytest.mark.parametrize("name", list(PRESETS))
def test_presets_fit_their_budgets(name: str) -> None:
    preset = PRESETS[name]
    cost = estimated_cost_of(preset.options, "cortex-m4")
    assert cost.fits(preset.budget), f"{cost} does not fit {preset.budget}"


def test_the_estimate_before_training_is_close_to_that_of_the_model() -> None:
    options = replace(OTHERS[0], layers=4)
    before, after = (
        estimated_cost_of(options, "cortex-m4"),
        cost_of_shape(shape_of(untrained(options)), "cortex-m4"),
    )
    assert before.mips == pytest.approx(after.mips, rel=0.03)
    assert before.flash == pytest.approx(after.flash, rel=0.03)


def test_what_costs_more_is_estimated_to_cost_more() -> None:
    small = CondensedOptions(words=4, compared=2, reach=0.3, layers=2, entries=32)
    costs = [
        estimated_cost_of(options, "cortex-m4")
        for options in (
            small,
            replace(small, words=8),
            replace(small, words=8, reach=0.8),
            replace(small, words=8, reach=0.8, compared=8),
            replace(small, words=8, reach=0.8, compared=8, layers=6),
        )
    ]
    for quantity in ("flash", "mips"):
        values = [getattr(cost, quantity) for cost in costs]
        assert values == sorted(values)


def test_a_budget_is_kept_in_every_part() -> None:
    cost = Cost(flash=1000, ram=100, mips=2.0)
    assert cost.fits(Budget(1000, 100, 2.0))
    assert not cost.fits(Budget(999, 100, 2.0))
    assert not cost.fits(Budget(1000, 99, 2.0))
    assert not cost.fits(Budget(1000, 100, 1.9))


def test_the_paper_s_models_have_no_estimate() -> None:
    with pytest.raises(ValueError, match="only condensed models"):
        shape_of(Model(Geometry(), ()))
