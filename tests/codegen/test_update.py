"""A blob alone: written for firmware that it fits, refused with the reason where it does not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from blsh_codegen.blob import model_blob
from blsh_codegen.cli_export import export as export_command
from blsh_codegen.layout import lay_out
from blsh_codegen.manifest import BLOB, MANIFEST
from blsh_codegen.tables import quantise
from blsh_trainer.model_file import Geometry, Model, save_model
from click.testing import CliRunner, Result

from tests.codegen.folders import exported
from tests.codegen.test_blob import retrained
from tests.models import (
    SMALL,
    BandSpec,
    CondensedSpec,
    general_model,
    random_condensed_model,
    random_model,
)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(export_command, [str(a) for a in arguments])


def blob_only(firmware: Path, model: Model, output: Path, *more: str) -> Result:
    path = output.parent / "new.npz"
    save_model(model, path)
    return run("--blob-only", firmware, "--model", path, "-o", output, *more)


@pytest.mark.parametrize("model", [general_model(), random_condensed_model()])
def test_a_model_of_the_same_shape_is_written(model: Model, tmp_path: Path) -> None:
    """For firmware of any target; the bytes are those of the model's own export."""
    firmware = exported(model, tmp_path / "firmware", "cortex-m4")
    new = retrained(model, 3)
    done = blob_only(firmware, new, tmp_path / "update.bin", "--json")
    assert done.exit_code == 0, done.output
    tables = quantise(new)
    blob = (tmp_path / "update.bin").read_bytes()
    assert blob == model_blob(tables, lay_out(tables))
    assert blob == (exported(new, tmp_path / "own", "generic") / BLOB).read_bytes()
    assert json.loads(done.stdout) == {
        "file": str(tmp_path / "update.bin"),
        "firmware": str(firmware),
        "model_sha256": new.sha256,
        "bytes": len(blob),
    }


SMALL_BAND = random_model(SMALL, (BandSpec(65, neighbours=5),))
CONDENSED = random_condensed_model()
assert CONDENSED.condensed is not None
OTHERS = {
    "kind of model is condensed, the firmware's is bands": (SMALL_BAND, CONDENSED),
    "frame is 64, the firmware's is 128": (SMALL_BAND, random_model(Geometry(8000, 64, 32))),
    "hop is 16, the firmware's is 32": (SMALL_BAND, random_model(Geometry(8000, 128, 16))),
    "sampling rate is 9000, the firmware's is 8000": (
        SMALL_BAND,
        random_model(Geometry(9000, 128, 32)),
    ),
    "window is not the firmware's": (
        SMALL_BAND,
        random_model(Geometry(8000, 128, 32, window="sine")),
    ),
    "number of bands is 3, the firmware's is 1": (SMALL_BAND, general_model()),
    "room for 40 neighbours, the firmware has it for 5": (
        SMALL_BAND,
        random_model(SMALL, (BandSpec(65, neighbours=40),)),
    ),
    "room for 3 words of code, the firmware has it for 2": (
        SMALL_BAND,
        random_model(SMALL, (BandSpec(65, n_bits=65),)),
    ),
    "filterbank is not the firmware's": (
        random_model(Geometry(8000, 128, 32, features="mel")),
        random_model(Geometry(8000, 128, 32, features="mel"), seed=1),
    ),
    "grid of cells is not the firmware's": (CONDENSED, random_condensed_model(seed=1)),
    "bits a mask level is 4, the firmware's is 3": (
        CONDENSED,
        random_condensed_model(spec=CondensedSpec(mask_bits=4)),
    ),
    "trackers is not the firmware's": (
        CONDENSED,
        dataclasses.replace(
            CONDENSED,
            condensed=dataclasses.replace(CONDENSED.condensed, trackers=((0, 0), (6, 3))),
        ),
    ),
    "noise trackers is not the firmware's": (
        random_condensed_model(spec=CondensedSpec(noise_trackers=(3,))),
        random_condensed_model(spec=CondensedSpec(noise_trackers=(4,))),
    ),
}


@pytest.mark.parametrize("told", OTHERS)
def test_what_differs_is_named(told: str, tmp_path: Path) -> None:
    compiled_in, other = OTHERS[told]
    firmware = exported(compiled_in, tmp_path / "firmware")
    done = blob_only(firmware, other, tmp_path / "update.bin")
    assert done.exit_code == 2
    assert f"its {told}" in done.stderr or f"needs {told}" in done.stderr
    assert str(firmware) in done.stderr
    assert "train one of the same shape" in done.stderr
    assert not (tmp_path / "update.bin").exists()


def test_a_folder_that_is_no_export_is_refused(tmp_path: Path) -> None:
    done = blob_only(tmp_path, general_model(), tmp_path / "update.bin")
    assert done.exit_code == 2
    assert "not a folder made by blsh-export" in done.stderr
    firmware = exported(general_model(), tmp_path / "firmware")
    manifest = json.loads((firmware / MANIFEST).read_text())
    manifest["shape"]["room"]["neighbours"] = "many"
    (firmware / MANIFEST).write_text(json.dumps(manifest))
    done = blob_only(firmware, general_model(), tmp_path / "update.bin")
    assert "not a folder made by blsh-export" in done.stderr


def test_files_that_are_no_blobs_are_left_alone_unless_told(tmp_path: Path) -> None:
    firmware = exported(general_model(), tmp_path / "firmware")
    output = tmp_path / "update.bin"
    output.write_text("precious")
    refused = blob_only(firmware, general_model(), output)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert output.read_text() == "precious"
    assert blob_only(firmware, general_model(), output, "--force").exit_code == 0
    first = output.read_bytes()
    assert blob_only(firmware, general_model(5), output).exit_code == 0
    assert output.read_bytes() != first
    missing = run("--blob-only", firmware, "--model", tmp_path / "new.npz", "-o", "no/such/place")
    assert missing.exit_code == 2
    assert "no/such/place: cannot be written" in missing.stderr


def test_a_target_or_a_folder_is_needed_and_not_both(tmp_path: Path) -> None:
    for arguments in ((), ("--target", "generic", "--blob-only", str(tmp_path))):
        done = run(*arguments)
        assert done.exit_code == 2
        assert "give either '--target' or '--blob-only'" in done.stderr
