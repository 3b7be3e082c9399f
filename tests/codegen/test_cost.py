"""The costs that exports state hold, and the runtime stays small."""

from __future__ import annotations

import pytest
from blsh_codegen.layout import lay_out
from blsh_codegen.runtime_cost import measured_costs, runtime_cost
from blsh_codegen.tables import quantise
from blsh_codegen.targets import TARGETS, Target, find_target
from blsh_codegen.toolchain import firmware_unavailable_reason

from tests.codegen.measured_costs import MODELS, largest, measure

IMAGES = [name for name, target in TARGETS.items() if target.zig_flags and not target.is_wasm]
SLACK = 1.15
"""A bound that is more than this above the measurement is stale."""


def built(name: str) -> Target:
    target = find_target(name)
    reason = firmware_unavailable_reason(target)
    if reason is not None:
        pytest.skip(reason)
    return target


@pytest.mark.parametrize(
    "name",
    [
        name if name == "cortex-m4" else pytest.param(name, marks=pytest.mark.slow)
        for name in IMAGES
    ],
)
def test_the_stated_code_and_stack_are_tight_bounds(name: str) -> None:
    """If this fails: python -m tests.codegen.measured_costs."""
    stated, measured = runtime_cost(built(name)), largest(measure(built(name)))
    assert measured.code_bytes <= stated.code_bytes <= SLACK * measured.code_bytes
    opening = measured.model_open_bytes
    assert opening <= stated.model_open_bytes <= SLACK * opening
    assert measured.stack_bytes <= stated.stack_bytes <= SLACK * measured.stack_bytes
    assert stated.basis == measured.basis


def test_every_target_that_is_cross_compiled_has_been_measured() -> None:
    assert set(measured_costs()) == set(IMAGES)


def test_other_targets_get_the_largest_figures_of_their_port() -> None:
    unmeasured = runtime_cost(find_target("generic"))
    alike = [n for n in measured_costs() if TARGETS[n].port == "generic"]
    assert unmeasured.code_bytes == max(measured_costs()[name].code_bytes for name in alike)
    assert unmeasured.basis == "largest of the measured targets with the same port"


def test_at_os_the_runtime_fits_8_kilobytes_and_1_of_stack() -> None:
    for cost in measure(built("cortex-m4"), "-Os").values():
        assert cost.code_bytes <= 8192
        assert cost.stack_bytes <= 1024


def test_the_state_of_the_papers_framing_fits_12_kilobytes() -> None:
    assert lay_out(quantise(MODELS["paper"])).state_bytes <= 12 << 10
