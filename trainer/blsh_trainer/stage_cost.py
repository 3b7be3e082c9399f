"""Instructions that a model will take on a core, stage by stage, estimated from its shape.

Each stage is a weighted sum of a few of the shape's counts. The weights are in
``cost_model.json``, measured on emulated cores with clang -O2
(``python -m tests.codegen.cost_calibration`` writes it).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from blsh_trainer.model_shape import BandsShape, Shape

COMPILER = "clang -O2"
"""What the weights were measured with."""


@dataclass(frozen=True)
class StageCost:
    """What a stage of the signal path costs.

    Attributes:
        instructions: Executed instructions a second of audio.
        cycles: Estimated cycles a second of audio without wait states of flash; ``None`` where
            the core's timings are not public.
    """

    instructions: float
    cycles: float | None


@lru_cache(maxsize=1)
def calibration() -> dict[str, dict[str, Any]]:
    """The measured weights by target."""
    text = files("blsh_trainer").joinpath("cost_model.json").read_text("utf-8")
    loaded: dict[str, dict[str, Any]] = json.loads(text)
    return loaded


def weighted_sum(weights: dict[str, float], counts: dict[str, float]) -> float:
    """Sum of the counts that have a weight."""
    return sum(weight * counts[name] for name, weight in weights.items())


def stage_costs(shape: Shape | BandsShape, target: str) -> dict[str, StageCost]:
    """Estimated cost by stage, in the order of the signal path.

    Args:
        shape: Of a model.
        target: A key of `calibration`.
    """
    measured, counts = calibration()[target], shape.counts()
    frames_a_second = shape.geometry.rate / shape.geometry.hop
    cycles = measured["cycles_per_instruction"].get(shape.kind, {})
    costs = {}
    for stage, weights in measured["instructions"][shape.kind].items():
        instructions = frames_a_second * weighted_sum(weights, counts)
        factor = cycles.get(stage)
        costs[stage] = StageCost(instructions, None if factor is None else factor * instructions)
    return costs


def largest_error(shape: Shape | BandsShape, target: str) -> float:
    """Largest relative error of the sum of all stages over the models of the calibration."""
    error: float = calibration()[target]["error"][shape.kind]
    return error
