"""What the hand-written runtime itself costs on each target, measured and kept here.

Exports state these figures without needing a cross compiler. ``tests/codegen/test_cost.py``
measures them again and fails when they no longer hold; after a change to the runtime, or to add a
target, measure and write ``runtime_cost.json`` anew with one command in the project's folder:

    python -m tests.codegen.measured_costs
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib import resources

from blsh_codegen.targets import TARGETS, Target


@dataclass(frozen=True)
class RuntimeCost:
    """Upper bounds for the runtime, tables apart.

    Attributes:
        code_bytes: Flash of its code.
        model_open_bytes: Flash of `blsh_model_open` besides, where firmware calls it.
        stack_bytes: Stack under any of its functions, bounded by reading the code.
        basis: How they were found.
    """

    code_bytes: int
    model_open_bytes: int
    stack_bytes: int
    basis: str


@functools.cache
def measured_costs() -> dict[str, RuntimeCost]:
    """The measured targets' costs by name."""
    text = resources.files("blsh_codegen").joinpath("runtime_cost.json").read_text("utf-8")
    return {name: RuntimeCost(**cost) for name, cost in json.loads(text).items()}


def runtime_cost(target: Target) -> RuntimeCost:
    """Cost of the runtime on a target; where not measured, the largest known with its port."""
    known = measured_costs()
    if target.name in known:
        return known[target.name]
    alike = [cost for name, cost in known.items() if TARGETS[name].port == target.port]
    return RuntimeCost(
        max(cost.code_bytes for cost in alike),
        max(cost.model_open_bytes for cost in alike),
        max(cost.stack_bytes for cost in alike),
        "largest of the measured targets with the same port",
    )
