"""The fuzz targets, their models and their seeds.

``python -m tests.fuzz.targets run SECONDS`` builds the targets and runs each for so long, in
``build/fuzz``; ``... seeds`` writes the seed corpus anew, after a change to the layout of blobs.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from blsh_codegen.blob import model_blob
from blsh_codegen.engines import runtime_sources
from blsh_codegen.export import export_model
from blsh_codegen.layout import lay_out
from blsh_codegen.manifest import BLOB
from blsh_codegen.tables import quantise
from blsh_codegen.targets import find_target
from blsh_trainer.model_file import Geometry, Model

from tests.models import BandSpec, CondensedSpec, random_condensed_model, random_model

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
WORK = HERE.parents[1] / "build" / "fuzz"
MAX_BYTES = 4500
HARNESSES = ("model", "process")
COMPILER = "clang"
FLAGS = (
    *("-std=c99", "-O2", "-g", "-fno-omit-frame-pointer"),
    *("-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"),
)

MODELS: dict[str, Model] = {
    "condensed": random_condensed_model(
        Geometry(8000, 64, 32, "levels", "sine"),
        CondensedSpec(
            n_cells=7,
            trackers=((4, 1),),
            noise_trackers=(0, 3),
            groups=((32, (1, 6)), (32, (0, 28))),
            entries=(9, 4, 33),
            neighbours=(3, 2),
            words=(None, (1, 2)),
            layers=2,
            width=4,
            mask_bits=2,
        ),
        seed=5,
    ),
    "bands": random_model(
        Geometry(8000, 64, 32, features="mel"),
        (
            BandSpec(11, n_bits=6, n_entries=10, neighbours=3, mask_bits=3),
            BandSpec(17, n_bits=17, n_entries=9, neighbours=2, feature_range=(1, 6)),
            BandSpec(33, n_bits=5, n_entries=17, neighbours=16),
        ),
        n_mels=6,
        seed=5,
    ),
}
"""Small, so that bytes that matter are many of all, with every kind of reader in use."""


@functools.cache
def unavailable_reason() -> str | None:
    """Why the targets cannot be built here, or ``None`` when they can be."""
    if shutil.which(COMPILER) is None:
        return f"{COMPILER} is not on PATH"
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "probe.c"
        probe.write_text(
            "int LLVMFuzzerTestOneInput(const char *d, long n);\n"
            "int LLVMFuzzerTestOneInput(const char *d, long n) { return !d && n; }\n"
        )
        command = [COMPILER, *FLAGS, str(probe), "-o", str(probe.with_suffix(""))]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            return f"this {COMPILER} has no libFuzzer or sanitizers"
    return None


def build(
    harness: str, kind: str, folder: Path, edits: Mapping[str, tuple[str, str]] | None = None
) -> Path:
    """Build a target for a model in a folder; returns the program.

    Args:
        harness: One of `HARNESSES`.
        kind: One of `MODELS`.
        folder: Where exported sources and the program go.
        edits: Text of the sources that is to be replaced, by file, to see whether it is noticed.
    """
    export = folder / f"export-{kind}"
    export_model(MODELS[kind], find_target("generic"), export, force=True)
    blob = ", ".join(map(str, (export / BLOB).read_bytes()))
    text = f"static const uint8_t valid_blob[] = {{{blob}}};\n"
    (export / "blsh_fuzz_blob.h").write_text(text)
    for name, (right, wrong) in (edits or {}).items():
        source = (export / name).read_text()
        assert source.count(right) == 1, right
        (export / name).write_text(source.replace(right, wrong))
    program = folder / f"{harness}-{kind}"
    sources = [*runtime_sources(export), HERE / f"blsh_fuzz_{harness}.c"]
    command = [COMPILER, *FLAGS, f"-I{export}", f"-I{HERE}", *map(str, sources), "-o", str(program)]
    subprocess.run(command, check=True)
    return program


def arguments(program: Path, folder: Path, seconds: int) -> list[str]:
    """The command that runs a target for some time; what it finds worth keeping stays there."""
    found = folder / f"corpus-{program.name}"
    found.mkdir(exist_ok=True)
    options = (f"-max_total_time={seconds}", f"-max_len={MAX_BYTES}", "-print_final_stats=1")
    return [str(program), *options, str(found), str(CORPUS / program.name)]


def executions(log: str) -> int:
    """Executions that a run reports at its end."""
    found = re.search(r"number_of_executed_units: (\d+)", log)
    return int(found.group(1)) if found else 0


def seeds(harness: str, kind: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of a target's seeds."""
    tables = quantise(MODELS[kind])
    blob = model_blob(tables, lay_out(tables))
    if harness == "model":
        yield "valid.bin", blob
        yield "truncated.bin", blob[: len(blob) // 2]
        yield "header.bin", blob[:60]
        yield "damaged.bin", bytes([*blob[:200], blob[200] ^ 0x80, *blob[201:]])
        return
    rng = np.random.default_rng(0)
    noise = rng.integers(-32768, 32768, 6 * 32).astype("<i2").tobytes()
    tone = np.rint(32767 * np.sin(np.arange(6 * 32) / 3)).astype("<i2").tobytes()
    yield "noise.bin", b"\0" + noise
    yield "tone.bin", b"\0" + tone
    yield "silence.bin", b"\0" + bytes(4 * 64)
    yield "full_scale.bin", b"\0" + b"\x00\x80\xff\x7f" * 96
    places = rng.integers(56, len(blob), 8)
    changes = b"".join(int(p).to_bytes(2, "little") + bytes([int(p) % 251]) for p in places)
    yield "changed.bin", bytes([len(places)]) + changes + noise


def write_seeds() -> None:
    """Write the seed corpus anew."""
    for harness in HARNESSES:
        for kind in MODELS:
            folder = CORPUS / f"{harness}-{kind}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for name, content in seeds(harness, kind):
                (folder / name).write_bytes(content)


def run_all(seconds: int) -> None:
    """Build each target and run it for some time; stop where one finds something."""
    WORK.mkdir(parents=True, exist_ok=True)
    for harness in HARNESSES:
        for kind in MODELS:
            program = build(harness, kind, WORK)
            subprocess.run(arguments(program, WORK, seconds), check=True, cwd=WORK)


def main(action: str = "", seconds: str = "60") -> None:
    """Do what the command line says."""
    if action == "seeds":
        write_seeds()
    elif action == "run":
        reason = unavailable_reason()
        if reason is not None:
            raise SystemExit(f"cannot fuzz here: {reason}")
        run_all(int(seconds))
    else:
        raise SystemExit("python -m tests.fuzz.targets seeds | run SECONDS")


if __name__ == "__main__":
    main(*sys.argv[1:])
