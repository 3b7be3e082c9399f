"""Measure what condensed models cost by their shape: ``python -m tests.codegen.cost_calibration``.

Rewrites ``trainer/blsh_trainer/cost_model.json`` from models of many shapes on emulated cores.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import blsh_trainer
import numpy as np
from blsh_codegen.bench import run_benchmark
from blsh_codegen.targets import find_target
from blsh_trainer.condensed_frames import CondensedFrames, collect_condensed_frames
from blsh_trainer.condensed_options import CondensedOptions
from blsh_trainer.condensed_plan import make_plan
from blsh_trainer.condensed_training import build_condensed, start
from blsh_trainer.cost_model import QUANTITIES, TARGETS, shape_of
from blsh_trainer.levels import make_grid
from blsh_trainer.mixing import mix_at
from blsh_trainer.model_file import Model
from blsh_trainer.synthetic import NOISES, synthetic_noise, synthetic_speech
from scipy.optimize import nnls

WEIGHTS = Path(blsh_trainer.__file__).with_name("cost_model.json")
SECONDS = 1.0

_SMALL = CondensedOptions(words=4, compared=2, reach=0.4, layers=3, entries=64, neighbours=4)
SHAPES: tuple[CondensedOptions, ...] = (
    CondensedOptions(),
    _SMALL,
    replace(_SMALL, words=2, compared=1, layers=2, entries=32, mask_bits=3),
    replace(_SMALL, words=6, reach=1.0, neighbours=8, mask_bits=2),
    replace(_SMALL, words=12, compared=4, reach=0.7, layers=4, neighbours=16),
    replace(_SMALL, frame=512, hop=256, layers=4),
    replace(_SMALL, frame=512, hop=256, words=8, compared=4, entries=128, mask_bits=3),
    replace(_SMALL, hop=256, words=8, reach=0.25, neighbours=8),
    replace(_SMALL, hop=256, words=3, compared=3, entries=128, layers=2),
    CondensedOptions(words=16, compared=8, layers=8, entries=64, mask_bits=3),
    CondensedOptions(words=16, compared=2, layers=2, entries=256, neighbours=4),
    CondensedOptions(words=24, compared=8, layers=4, entries=128, reach=0.5),
    CondensedOptions(words=6, compared=6, layers=6, entries=32, bands=12, neighbours=4),
    replace(_SMALL, frame=2048, hop=1024, words=8, compared=4, bands=6, mask_bits=1),
    CondensedOptions(words=8, compared=8, layers=4, entries=96, bands=4, neighbours=12),
)
# What each quantity may depend on.
TERMS = {
    "instructions": (
        "one", "fft", "frame", "cells", "features", "macs", "rows", "words",
        "dictionaries", "planes", "blocks", "chosen", "votes", "voters", "covered",
    ),
    "flash": ("one", "frame", "cells", "macs", "rows", "dictionaries", "planes", "blocks",
              "masks", "gains"),
    "ram": ("one", "frame", "overlap", "cells", "tracked", "features", "words"),
}  # fmt: skip


def synthetic_frames(options: CondensedOptions, seed: int = 0) -> CondensedFrames:
    """Training frames of invented talkers in invented noises."""
    rng = np.random.default_rng(seed)
    mixtures = [
        mix_at(
            synthetic_speech(5, options.rate, rng), synthetic_noise(kind, 5, options.rate, rng), 0
        )
        for kind in sorted(NOISES)
        for _ in range(2)
    ]
    grid = make_grid(options.geometry)
    return collect_condensed_frames(mixtures, options.geometry, grid, options.trackers)


def untrained(options: CondensedOptions) -> Model:
    """A model of a shape as training starts with it: its entries are frames of speech."""
    frames = synthetic_frames(options)
    plan = make_plan(options, frames)
    return build_condensed(start(options, plan, frames), options, plan, frames)


def measured(model: Model, target: str, compiler: str = "zig") -> dict[str, float]:
    """Instructions a frame, bytes of flash, bytes of state and stack."""
    usage = run_benchmark(model, find_target(target), seconds=SECONDS, compiler=compiler).usage
    hops = model.geometry.rate / model.geometry.hop
    return {
        "instructions": usage.instructions_per_second / hops,
        "flash": usage.flash_bytes,
        "ram": usage.ram_bytes + max(usage.stack_bytes, usage.static_stack_bytes or 0),
    }


def calibrate(target: str, models: Sequence[Model]) -> dict[str, dict[str, float]]:
    """Weights of the counts for a target, none of them negative, by relative least squares."""
    found = []
    for model in models:
        found.append(measured(model, target))
        print(target, model.training["options"], found[-1], file=sys.stderr, flush=True)
    counts = [shape_of(model).counts() for model in models]
    weights: dict[str, dict[str, float]] = {}
    for quantity in QUANTITIES:
        values = np.array([one[quantity] for one in found], np.float64)
        matrix = np.array([[c[name] for name in TERMS[quantity]] for c in counts])
        scale = matrix.max(axis=0)
        solution, _ = nnls(matrix / scale / values[:, None], np.ones(len(values)), maxiter=10_000)
        weights[quantity] = {
            name: float(f"{w:.6g}")
            for name, w in zip(TERMS[quantity], solution / scale, strict=True)
            if w > 0
        }
        estimate = matrix @ (solution / scale)
        error = np.abs(estimate / values - 1)
        print(f"{target} {quantity}: errors to {error.max():.2%}, mean {error.mean():.2%}")
    return weights


def main() -> None:
    models = [untrained(options) for options in SHAPES]
    weights = {target: calibrate(target, models) for target in TARGETS}
    WEIGHTS.write_text(json.dumps(weights, indent=1) + "\n")


if __name__ == "__main__":
    main()
