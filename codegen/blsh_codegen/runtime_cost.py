"""What the hand-written runtime itself costs on each target, measured and kept here.

Exports state these figures without needing a cross compiler; ``tests/codegen/test_cost.py``
measures them again and fails when they no longer hold.
"""

from __future__ import annotations

from dataclasses import dataclass

from blsh_codegen.targets import Target


@dataclass(frozen=True)
class RuntimeCost:
    """Upper bounds for the runtime, tables apart.

    Attributes:
        code_bytes: Flash of its code.
        stack_bytes: Stack under `blsh_process`, found by painting.
        basis: How they were found.
    """

    code_bytes: int
    stack_bytes: int
    basis: str


_MEASURED = {
    "cortex-m4": RuntimeCost(4096, 256, "clang -O2, Cortex-M4"),
    "cortex-m0plus": RuntimeCost(4096, 256, "clang -O2, Cortex-M0+"),
    "riscv32imc": RuntimeCost(4096, 256, "clang -O2, RV32IMC"),
}
_LARGEST = RuntimeCost(
    max(cost.code_bytes for cost in _MEASURED.values()),
    max(cost.stack_bytes for cost in _MEASURED.values()),
    "largest of the measured targets",
)


def runtime_cost(target: Target) -> RuntimeCost:
    """Cost of the runtime on a target; the largest known where it was not measured."""
    return _MEASURED.get(target.name, _LARGEST)
