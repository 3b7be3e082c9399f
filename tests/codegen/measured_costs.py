"""Measure the runtime's code and stack on every target: ``python -m tests.codegen.measured_costs``.

Rewrites ``codegen/blsh_codegen/runtime_cost.json`` from a set of models that between them compile
every part of the runtime in.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import blsh_codegen
from blsh_codegen.elf_image import read_elf
from blsh_codegen.engines import runtime_sources
from blsh_codegen.export import default_model
from blsh_codegen.layout import lay_out
from blsh_codegen.runtime_cost import RuntimeCost
from blsh_codegen.static_stack import bound_stack
from blsh_codegen.tables import quantise
from blsh_codegen.targets import TARGETS, Target
from blsh_codegen.toolchain import build_firmware, firmware_unavailable_reason
from blsh_codegen.usage import entry_points
from blsh_trainer.model_file import Geometry, Model, load_model

from tests.codegen.folders import exported
from tests.models import (
    PAPER,
    BandSpec,
    general_model,
    random_model,
    typical_condensed_model,
)

MODELS: dict[str, Model] = {
    "paper": random_model(PAPER, (BandSpec(513, n_bits=150, n_entries=300, neighbours=10),)),
    "bands": general_model(),
    "mel": random_model(Geometry(16000, 512, 256, features="mel")),
    "default": load_model(default_model()),
    "condensed": typical_condensed_model(),
}
COSTS = Path(blsh_codegen.__file__).with_name("runtime_cost.json")
_STEP = 16


OPENED = ("bands", "condensed")
"""Models with which `blsh_model_open` is measured too: one of each kind."""


def measure(target: Target, optimise: str = "-O2") -> dict[str, RuntimeCost]:
    """Code and stack of the runtime with each model, compiled by zig."""
    costs = {}
    for name, model in MODELS.items():
        layout = lay_out(quantise(model))
        calls = entry_points(layout)
        with tempfile.TemporaryDirectory() as work:
            folder = exported(model, Path(work) / "export", target.name)
            flash, stack = _linked(folder, target, optimise, calls)
            opening = 0
            if name in OPENED:
                with_open, stack = _linked(folder, target, optimise, (*calls, "blsh_model_open"))
                opening = with_open - flash
        costs[name] = RuntimeCost(flash - layout.table_bytes, opening, stack, f"clang {optimise}")
    return costs


def _linked(folder: Path, target: Target, optimise: str, roots: tuple[str, ...]) -> tuple[int, int]:
    """Flash of an image with some functions and what they need, and a bound on its stack."""
    built = build_firmware(
        target,
        runtime_sources(folder),
        [folder],
        folder / "runtime.elf",
        optimise=optimise,
        roots=roots,
    )
    image = read_elf(built)
    bound = bound_stack(image, roots)
    assert bound.stack_bytes is not None, bound.problem
    return image.flash_bytes, bound.stack_bytes


def largest(costs: dict[str, RuntimeCost]) -> RuntimeCost:
    """The upper bound of several measurements, in round numbers."""
    code = max(cost.code_bytes for cost in costs.values())
    opening = max(cost.model_open_bytes for cost in costs.values())
    stack = max(cost.stack_bytes for cost in costs.values())
    basis = next(iter(costs.values())).basis
    return RuntimeCost(*(-(-one // _STEP) * _STEP for one in (code, opening, stack)), basis)


def main() -> None:
    """Measure every target that zig builds an image for."""
    names = [n for n, target in TARGETS.items() if firmware_unavailable_reason(target) is None]
    costs = {name: asdict(largest(measure(TARGETS[name]))) for name in names}
    COSTS.write_text(json.dumps(costs, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
