"""Which systems are scored on which mixtures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from blsh_trainer.progress import progress_bar
from blsh_trainer.training import TrainingOptions

from blsh_evaluation.cache import Cache
from blsh_evaluation.conditions import Condition
from blsh_evaluation.external import Command, ExternalTask
from blsh_evaluation.learned import Learned
from blsh_evaluation.neighbours import CosineNeighbours, Dictionary, HashedNeighbours
from blsh_evaluation.profiles import Profile
from blsh_evaluation.results import BLSH, CURVE_METHODS, LSH, Curves, Table
from blsh_evaluation.runner import run_tasks
from blsh_evaluation.system import Oracle, System, Unprocessed
from blsh_evaluation.tasks import CurveTask, TableTask, Task, read_rows, read_sound

CURVE_MIXTURES = 4
"""Mixtures of a `CurveTask`: well under a minute of work, which is what a crash can cost."""


def table_systems(learned: Learned, profile: Profile, options: TrainingOptions) -> list[System]:
    """The systems of the paper's Table 1 that are this project's own."""
    neighbours, frames, seed = options.neighbours, learned.frames.name, options.seed
    systems: list[System] = [Unprocessed(), Oracle("IRM"), Oracle("IBM")]
    for mels in (0, options.mels):
        for share in (*profile.shares, 1.0):
            entries = Dictionary(frames, share, 0, seed)
            systems.append(CosineNeighbours(entries, neighbours, mels, options.rate))
    for method in (LSH, BLSH):
        for share in profile.shares:
            entries = Dictionary(frames, share, 0, seed)
            systems.append(_hashed(learned, method, entries, profile.n_bits, neighbours))
    return systems


def score_tables(
    cache: Cache,
    conditions: Sequence[Condition],
    systems: Sequence[System],
    commands: Sequence[Command],
    jobs: int,
) -> tuple[tuple[Table, ...], Mapping[str, bytes]]:
    """Score every system in every condition, by all measures.

    Returns:
        The tables, and each system's sound of the example in the first open condition.
    """
    names = [*(system.name for system in systems), *(command.name for command in commands)]
    per_condition: list[list[Task]] = [
        [
            *(TableTask(cache, condition, system) for system in systems),
            *(ExternalTask(cache, condition, command) for command in commands),
        ]
        for condition in conditions
    ]
    folders = iter(_run([task for tasks in per_condition for task in tasks], jobs, "Scoring"))
    tables, sounds = [], dict[str, bytes]()
    for condition in conditions:
        found = {name: next(folders) for name in names}
        rows = {name: read_rows(folder) for name, folder in found.items()}
        tables.append(Table(condition.protocol, condition.snr_db, rows))
        if condition.protocol == "open" and not sounds:
            sounds = {name: read_sound(folder) for name, folder in found.items()}
    return tuple(tables), sounds


def score_curves(
    cache: Cache,
    conditions: Sequence[Condition],
    learned: Learned,
    profile: Profile,
    options: TrainingOptions,
    jobs: int,
) -> tuple[Curves, ...]:
    """Score hashing with every L and every random dictionary, at the first ratio of the profile."""
    shape = (len(CURVE_METHODS), len(profile.shares), profile.draws, len(profile.curve_bits))
    variants = tuple(
        _hashed(
            learned,
            method,
            Dictionary(learned.frames.name, share, draw, options.seed),
            n_bits,
            options.neighbours,
        )
        for method in CURVE_METHODS
        for share in profile.shares
        for draw in range(profile.draws)
        for n_bits in profile.curve_bits
    )
    wanted = [c for c in conditions if c.snr_db == profile.snrs_db[0]]
    tasks: list[CurveTask] = [
        CurveTask(cache, condition, start, start + CURVE_MIXTURES, variants)
        for condition in wanted
        for start in range(0, len(condition.specs), CURVE_MIXTURES)
    ]
    folders = _run(tasks, jobs, "Curves")
    curves = []
    for condition in wanted:
        rows = np.concatenate(
            [
                read_rows(folder)
                for folder, task in zip(folders, tasks, strict=True)
                if task.condition is condition
            ]
        )
        sdr, si_sdr = (rows[..., m].reshape(-1, *shape) for m in range(2))
        curves.append(Curves(condition.protocol, condition.snr_db, sdr, si_sdr))
    return tuple(curves)


def _hashed(
    learned: Learned, method: str, entries: Dictionary, n_bits: int, neighbours: int
) -> HashedNeighbours:
    files = learned.hashes[method][entries.draw]
    return HashedNeighbours(
        method, files.projections.parent.name, files.codes.parent.name, entries, n_bits, neighbours
    )


def _run(tasks: Sequence[Task], jobs: int, title: str) -> list[Path]:
    with progress_bar(title, len(tasks)) as report:
        done = 0

        def show(task: Task) -> None:
            nonlocal done
            done += 1
            report(done, task.label)

        return run_tasks(tasks, jobs, show)
