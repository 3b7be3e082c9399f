"""The seed corpus is current, and a short run of each fuzz target finds nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.fuzz.targets import (
    CORPUS,
    HARNESSES,
    MODELS,
    arguments,
    build,
    executions,
    seeds,
    unavailable_reason,
)

SECONDS = 14
"""Of each of four targets: about a minute in all, building included."""


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("harness", HARNESSES)
def test_the_seed_corpus_is_what_the_script_writes(harness: str, kind: str) -> None:
    """If this fails: python -m tests.fuzz.targets seeds."""
    folder = CORPUS / f"{harness}-{kind}"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == dict(seeds(harness, kind))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    reason = unavailable_reason()
    if reason is not None:
        pytest.skip(reason)
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("harness", HARNESSES)
def test_a_short_run_finds_nothing(harness: str, kind: str, work: Path) -> None:
    program = build(harness, kind, work)
    command = [*arguments(program, work, SECONDS), "-seed=1"]
    done = subprocess.run(
        command,
        capture_output=True,
        check=False,
        cwd=work,
        errors="replace",
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert executions(done.stderr) > 1000


SABOTAGE = {
    "model-condensed": (
        "blsh_check_condensed.c",
        "!blsh_fits(codes->first_plane, n_blocks * block, n_planes)",
        "0",
    ),
    "process-bands": (
        "blsh_check_bands.c",
        "!blsh_fits(projection->first_bias, n_bits, sizes[BLSH_TABLE_bias_q15])",
        "0",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("target", SABOTAGE)
def test_a_run_finds_what_is_wrong(target: str, work: Path, tmp_path: Path) -> None:
    """A check that is left out."""
    harness, kind = target.split("-")
    name, right, wrong = SABOTAGE[target]
    program = build(harness, kind, tmp_path, {name: (right, wrong)})
    command = [*arguments(program, tmp_path, 60), "-seed=1"]
    done = subprocess.run(
        command,
        capture_output=True,
        check=False,
        cwd=tmp_path,
        errors="replace",
        text=True,
        timeout=300,
    )
    assert done.returncode != 0
    assert "ERROR: AddressSanitizer" in done.stderr or "runtime error" in done.stderr
