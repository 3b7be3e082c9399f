"""Exported folders and engines for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from blsh_codegen.conformance import Comparison, Engine, compare_all
from blsh_codegen.engines import HostEngine
from blsh_codegen.export import export_model
from blsh_codegen.prefix import DEFAULT_PREFIX
from blsh_codegen.signals import conformance_signals
from blsh_codegen.tables import quantise
from blsh_codegen.targets import find_target
from blsh_trainer.model_file import Model


def exported(
    model: Model, folder: Path, target: str = "generic", prefix: str = DEFAULT_PREFIX
) -> Path:
    """Export a model and return the folder."""
    export_model(model, find_target(target), folder, prefix=prefix)
    return folder


def compare_engine(engine: Engine, model: Model, frames: int = 24) -> Sequence[Comparison]:
    """Compare an engine on all conformance signals."""
    signals = conformance_signals(model.geometry, frames)
    return list(compare_all(engine, quantise(model), signals))


def compare_on_host(folder: Path, model: Model, work: Path) -> Sequence[Comparison]:
    """Compile a folder for the host and compare it on all conformance signals."""
    work.mkdir()
    return compare_engine(HostEngine(folder, quantise(model), work), model)
