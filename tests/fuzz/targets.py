"""The fuzz targets, their models and their seeds.

``python -m tests.fuzz.targets build FOLDER`` builds the targets, for longer runs; ``... seeds``
writes the seed corpus anew, after a change to the layout of blobs.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from blsh_codegen.blob import model_blob
from blsh_codegen.engines import runtime_sources
from blsh_codegen.export import BLOB, export_model
from blsh_codegen.layout import lay_out
from blsh_codegen.tables import quantise
from blsh_codegen.targets import find_target
from blsh_trainer.model_file import Geometry, Model

from tests.models import BandSpec, CondensedSpec, random_condensed_model, random_model

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
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
            groups=((32, (1, 6)), (32, (0, 14))),
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
            BandSpec(33, n_bits=17, n_entries=9, neighbours=2, feature_range=(1, 6)),
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
        probe.write_text("int LLVMFuzzerTestOneInput(const char *d, long n);\n"
                         "int LLVMFuzzerTestOneInput(const char *d, long n) { return !d && n; }\n")
        command = [COMPILER, *FLAGS, str(probe), "-o", str(probe.with_suffix(""))]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            return f"this {COMPILER} has no libFuzzer or sanitizers"
    return None


def build(harness: str, kind: str, folder: Path) -> Path:
    """Build a target for a model in a folder of its own; returns the program."""
    export = folder / f"export-{kind}"
    if not export.exists():
        export_model(MODELS[kind], find_target("generic"), export)
        blob = ", ".join(map(str, (export / BLOB).read_bytes()))
        text = f"static const uint8_t valid_blob[] = {{{blob}}};\n"
        (folder / f"export-{kind}" / "blsh_fuzz_blob.h").write_text(text)
    program = folder / f"{harness}-{kind}"
    sources = [*runtime_sources(export), HERE / f"blsh_fuzz_{harness}.c"]
    command = [COMPILER, *FLAGS, f"-I{export}", f"-I{HERE}", *map(str, sources), "-o", str(program)]
    subprocess.run(command, check=True)
    return program


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


def main(action: str, *arguments: str) -> None:
    """Do what the command line says."""
    if action == "seeds":
        write_seeds()
    elif action == "build":
        folder = Path(*arguments)
        folder.mkdir(parents=True, exist_ok=True)
        for harness in HARNESSES:
            for kind in MODELS:
                print(build(harness, kind, folder))
    else:
        raise SystemExit(f"{action}: neither build nor seeds")


if __name__ == "__main__":
    main(*sys.argv[1:])
