"""Measure what models cost by shape: ``python -m tests.codegen.cost_calibration [TARGET...]``.

Rewrites ``trainer/blsh_trainer/cost_model.json``, for the targets that are named or for all, from
models of many shapes on emulated cores.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import blsh_trainer
import numpy as np
from blsh_codegen.bench import run_benchmark
from blsh_codegen.targets import find_target
from blsh_codegen.toolchain import FirmwareCompiler
from blsh_codegen.usage import STAGES, Usage
from blsh_trainer.condensed_frames import CondensedFrames, collect_condensed_frames
from blsh_trainer.condensed_options import CondensedOptions
from blsh_trainer.condensed_plan import make_plan
from blsh_trainer.condensed_training import build_condensed, start
from blsh_trainer.corpus import training_frames
from blsh_trainer.cost_model import TARGETS
from blsh_trainer.features import make_filterbank
from blsh_trainer.levels import make_grid
from blsh_trainer.mixing import mix_at
from blsh_trainer.model_file import Model
from blsh_trainer.model_shape import ModelKind, any_shape_of
from blsh_trainer.stage_cost import weighted_sum
from blsh_trainer.synthetic import NOISES, synthetic_noise, synthetic_speech
from blsh_trainer.training import TrainingOptions, build_model, learn, new_estimator
from scipy.optimize import nnls

Counts = dict[str, float]
Stages = dict[str, dict[str, float]]

WEIGHTS = Path(blsh_trainer.__file__).with_name("cost_model.json")
SECONDS = 1.0

_SMALL = CondensedOptions(
    words=4, compared=2, reach=0.4, layers=3, entries=64, neighbours=4,
    trackers=((0, 0), (4, 4), (7, 1)),
)  # fmt: skip
SHAPES: tuple[CondensedOptions, ...] = (
    CondensedOptions(),
    _SMALL,
    replace(_SMALL, words=2, compared=1, layers=2, entries=32, mask_bits=3),
    replace(_SMALL, words=6, reach=1.0, neighbours=8, mask_bits=2, noise_trackers=()),
    replace(_SMALL, words=12, compared=4, reach=0.7, layers=4, neighbours=16),
    replace(_SMALL, frame=512, hop=256, layers=4, noise_trackers=(3, 5)),
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
_PAPER = TrainingOptions(method="lsh", dictionary="1024")
BANDS: tuple[TrainingOptions, ...] = (
    replace(_PAPER, dictionary="4096"),
    replace(_PAPER, projections=48, neighbours=20),
    replace(_PAPER, projections=96, hop=512, neighbours=5),
    replace(_PAPER, frame=512, hop=128, dictionary="512"),
    replace(_PAPER, frame=512, hop=256, projections=64, dictionary="2048", neighbours=16),
    replace(_PAPER, features="mel", projections=200),
    replace(_PAPER, features="mel", mels=40, projections=32, dictionary="256", frame=512, hop=256),
    replace(_PAPER, rate=8000, frame=256, hop=64, projections=80, dictionary="256"),
    replace(_PAPER, mask_bits=2, neighbours=20),
    replace(_PAPER, mask_bits=3, projections=64),
    replace(_PAPER, mask_bits=4, frame=512, hop=128, neighbours=5, dictionary="512"),
)
# What each stage, and each other quantity, may depend on.
_FRAME_STAGES = {
    "window and FFT": ("one", "frame", "fft"),
    "synthesis": ("one", "frame", "fft", "overlap"),
}
STAGE_TERMS: dict[ModelKind, dict[str, tuple[str, ...]]] = {
    "condensed": {
        **_FRAME_STAGES,
        "features": ("one", "frame", "cells", "features", "followed"),
        "projection": ("one", "macs", "rows", "words"),
        "search": ("one", "dictionaries", "planes", "blocks", "chosen", "voters"),
        "masks": ("one", "frame", "cells", "dictionaries", "votes", "voters", "covered"),
        "other": ("one", "dictionaries"),
    },
    "bands": {
        **_FRAME_STAGES,
        "features": ("one", "frame", "features", "filter_weights"),
        "projection": ("bands", "macs", "rows"),
        "search": ("bands", "planes", "blocks", "chosen", "voters"),
        "masks": ("bands", "frame", "symbols", "voters", "level_symbols", "added"),
        "other": ("one", "bands"),
    },
}
MEMORY_TERMS = {
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
    return collect_condensed_frames(
        mixtures, options.geometry, grid, options.trackers, options.noise_trackers
    )


def untrained(options: CondensedOptions) -> Model:
    """A model of a shape as training starts with it: its entries are frames of speech."""
    frames = synthetic_frames(options)
    plan = make_plan(options, frames)
    return build_condensed(start(options, plan, frames), options, plan, frames)


def untrained_bands(options: TrainingOptions, seed: int = 0) -> Model:
    """A model of the paper's kind with random projections; its entries are frames of speech."""
    rng = np.random.default_rng(seed)
    frames_a_clip = 5 * options.rate / options.hop
    mixtures = [
        mix_at(
            synthetic_speech(5, options.rate, rng), synthetic_noise(kind, 5, options.rate, rng), 0
        )
        for _ in range(math.ceil(int(options.dictionary) / (4 * frames_a_clip)))
        for kind in sorted(NOISES)
    ]
    bank = make_filterbank(options.geometry, options.mels)
    frames = training_frames(mixtures, options.geometry, bank)
    estimator = new_estimator(options)
    learn(estimator, frames, options)
    return build_model(estimator, frames, options, "")


def measured(model: Model, target: str, compiler: FirmwareCompiler = "zig") -> Usage:
    """What a model costs on a target."""
    return run_benchmark(model, find_target(target), seconds=SECONDS, compiler=compiler).usage


def ram_and_stack(usage: Usage) -> int:
    """Bytes of state and stack."""
    return usage.ram_bytes + max(usage.stack_bytes, usage.static_stack_bytes or 0)


def fitted(
    counts: Sequence[Counts], values: Sequence[float], wholes: Sequence[float] | None = None
) -> dict[str, float]:
    """Weights of the counts, none of them negative, by least squares.

    Args:
        counts: Of each model.
        values: What they add up to.
        wholes: What the errors are relative to; the values by default.
    """
    names = list(counts[0])
    matrix = np.array([[one[name] for name in names] for one in counts])
    scale = np.maximum(matrix.max(axis=0), 1e-9)
    goal = np.array(values, np.float64)
    whole = goal if wholes is None else np.array(wholes, np.float64)
    solution, _ = nnls(matrix / scale / whole[:, None], goal / whole, maxiter=10_000)
    weights = solution / scale
    return {n: float(f"{w:.6g}") for n, w in zip(names, weights, strict=True) if w > 0}


def stage_weights(kind: ModelKind, shapes: Sequence[Counts], usages: Sequence[Usage]) -> Stages:
    """Weights of each stage's counts, in the order of the signal path; for good sums of them all.

    Usages are of a second, weights of a frame.
    """
    weights = {}
    frames = [one["frames"] for one in shapes]
    wholes = [u.instructions_per_second / n for u, n in zip(usages, frames, strict=True)]
    for stage in STAGES:
        counts = [{name: one[name] for name in STAGE_TERMS[kind][stage]} for one in shapes]
        values = [u.stages[stage] / n for u, n in zip(usages, frames, strict=True)]
        weights[stage] = fitted(counts, values, wholes)
    return weights


def largest_relative_error(
    stages: Stages, shapes: Sequence[Counts], usages: Sequence[Usage]
) -> float:
    """Largest relative error of the sum of all stages."""
    errors = []
    for one, usage in zip(shapes, usages, strict=True):
        estimate = one["frames"] * sum(weighted_sum(weights, one) for weights in stages.values())
        errors.append(abs(estimate / usage.instructions_per_second - 1))
    return max(errors)


def calibrate(target: str, models: dict[ModelKind, list[Model]]) -> dict[str, Any]:
    """All that is known of a target."""
    found: dict[str, Any] = {"instructions": {}, "cycles_per_instruction": {}, "error": {}}
    for kind, ones in models.items():
        usages = []
        for model in ones:
            usages.append(measured(model, target))
            print(target, model.training["options"], usages[-1].stages, file=sys.stderr, flush=True)
        shapes = [
            {**any_shape_of(m).counts(), "frames": m.geometry.rate / m.geometry.hop} for m in ones
        ]
        stages = stage_weights(kind, shapes, usages)
        found["instructions"][kind] = stages
        found["error"][kind] = round(largest_relative_error(stages, shapes, usages), 4)
        if usages[0].stage_cycles:
            found["cycles_per_instruction"][kind] = {
                stage: round(
                    float(
                        np.mean([u.stage_cycles[stage] / max(u.stages[stage], 1) for u in usages])
                    ),
                    4,
                )
                for stage in STAGES
            }
        print(f"{target} {kind}: instructions to {found['error'][kind]:.2%}", flush=True)
        if kind == "condensed":
            for quantity, values in (
                ("flash", [u.flash_bytes for u in usages]),
                ("ram", [ram_and_stack(u) for u in usages]),
            ):
                terms = MEMORY_TERMS[quantity]
                found[quantity] = fitted([{n: one[n] for n in terms} for one in shapes], values)
    return found


def main() -> None:
    known = json.loads(WEIGHTS.read_text()) if WEIGHTS.exists() else {}
    models: dict[ModelKind, list[Model]] = {
        "condensed": [untrained(options) for options in SHAPES],
        "bands": [untrained_bands(options) for options in BANDS],
    }
    for target in sys.argv[1:] or TARGETS:
        known[target] = calibrate(target, models)
        # After each: a target takes minutes.
        WEIGHTS.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
