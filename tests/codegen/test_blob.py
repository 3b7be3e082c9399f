"""A model as data: the blob gives what the compiled-in tables give, or is refused."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from blsh_codegen.blob import model_blob
from blsh_codegen.emulator import emulation_unavailable_reason
from blsh_codegen.engines import EmulatedEngine, HostEngine
from blsh_codegen.layout import lay_out
from blsh_codegen.tables import quantise
from blsh_codegen.targets import find_target
from blsh_codegen.toolchain import (
    firmware_unavailable_reason,
    template_folder,
)
from blsh_trainer.model_file import Geometry, Model

from tests.codegen.folders import compare_engine, exported
from tests.models import (
    CONDENSED_MODELS,
    SMALL,
    BandSpec,
    general_model,
    random_condensed_model,
    random_model,
)

MODELS = {
    "general": general_model(),
    "mel": random_model(Geometry(8000, 256, 64, features="mel")),
    "paper": random_model(SMALL, (BandSpec(65, n_bits=150, n_entries=90),)),
    **CONDENSED_MODELS,
}


def retrained(model: Model, seed: int) -> Model:
    """A model of the same shape with other tables."""
    if model.condensed is None:
        return general_model(seed)
    other = random_condensed_model(seed=seed)
    assert other.condensed is not None
    condensed = dataclasses.replace(other.condensed, grid=model.condensed.grid)
    return dataclasses.replace(other, condensed=condensed)


RETRAINED = {
    "general": (general_model(), retrained(general_model(), 7)),
    "condensed": (random_condensed_model(), retrained(random_condensed_model(), 7)),
}
STATUS = dict(
    re.findall(
        r"X\(BLSH_(?:ERROR_)?(\w+), (-?\d+),",
        (template_folder() / "runtime" / "blsh.h").read_text(encoding="utf-8"),
    )
)


def status(name: str) -> int:
    return int(STATUS[name])


def blob_of(model: Model) -> bytes:
    tables = quantise(model)
    return model_blob(tables, lay_out(tables))


def host_engine(model: Model, work: Path) -> HostEngine:
    """Firmware with a model compiled in."""
    folder = exported(model, work / "export")
    return HostEngine(folder, quantise(model), work)


@pytest.mark.parametrize("name", MODELS)
def test_blob_equals_reference_on_the_host(name: str, tmp_path: Path) -> None:
    """The tables of another model are compiled in, so that it is the blob's that are used."""
    engine = host_engine(MODELS[name], tmp_path)
    assert engine.open(blob_of(MODELS[name])) == status("OK")
    for comparison in compare_engine(engine, MODELS[name]):
        assert comparison.difference is None, str(comparison.difference)


@pytest.mark.parametrize("kind", RETRAINED)
@pytest.mark.parametrize("target", ["cortex-m4", "cortex-m0plus"])
def test_a_retrained_model_in_the_firmware_of_another_equals_its_own_reference(
    target: str, kind: str, tmp_path: Path
) -> None:
    chosen = find_target(target)
    reason = emulation_unavailable_reason(chosen) or firmware_unavailable_reason(chosen)
    if reason is not None:
        pytest.skip(reason)
    compiled_in, update = RETRAINED[kind]
    folder = exported(compiled_in, tmp_path / "export", target)
    engine = EmulatedEngine(folder, quantise(compiled_in), chosen, tmp_path)
    for comparison in compare_engine(engine, compiled_in, frames=6):
        assert comparison.difference is None, str(comparison.difference)
    assert engine.open(blob_of(update)) == status("OK")
    for comparison in compare_engine(engine, update, frames=12):
        assert comparison.difference is None, str(comparison.difference)
