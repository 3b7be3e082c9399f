"""Measure what each choice of a shape costs: ``python -m tests.docs.sizing``.

Rewrites the table between the markers of ``docs/sizing.md``: the bundled model, then untrained
models of its shape with one thing changed, and of the other presets. What a shape does to quality
is not measured here.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from blsh_codegen.export import default_model
from blsh_codegen.layout import lay_out
from blsh_codegen.signals import conformance_signals
from blsh_codegen.tables import quantise
from blsh_codegen.targets import find_target
from blsh_codegen.usage import measure_usage
from blsh_trainer.model_file import Model, load_model
from blsh_trainer.presets import PRESETS

from tests.codegen.cost_calibration import untrained
from tests.codegen.folders import exported

PAGE = Path(__file__).parents[2] / "docs" / "sizing.md"
START, END = "<!-- measured by tests/docs/sizing.py -->\n", "<!-- end -->\n"
TARGET = find_target("cortex-m4")
SECONDS = 1.0
TABLES = ("projection", "codes", "masks")
BASE = PRESETS["base"].options
CHANGES = {
    "4 words": replace(BASE, words=4),
    "2 words compared": replace(BASE, compared=2),
    "each word sees all cells": replace(BASE, reach=1.0),
    "3 layers": replace(BASE, layers=3),
    "32 entries": replace(BASE, entries=32),
    "K = 4": replace(BASE, neighbours=4),
    "2 bits a mask level": replace(BASE, mask_bits=2),
    "frame 512, hop 256": replace(BASE, frame=512, hop=256),
    "hop 256": replace(BASE, hop=256),
    "`tiny`": PRESETS["tiny"].options,
    "`max`": PRESETS["max"].options,
}


def row(name: str, model: Model) -> str:
    """A line of the table."""
    tables = quantise(model)
    layout = lay_out(tables)
    frames = round(SECONDS * model.geometry.rate / model.geometry.hop)
    signals = {s.name: s.samples for s in conformance_signals(model.geometry, frames)}
    with tempfile.TemporaryDirectory() as work:
        folder = exported(model, Path(work) / "export", TARGET.name)
        usage = measure_usage(folder, tables, layout, TARGET, signals["noisy speech"], Path(work))
    sizes = [usage.flash[f"blsh_{table}.h"] for table in TABLES]
    sizes += [usage.flash_bytes, usage.ram_bytes]
    counts = [usage.stages[stage] for stage in ("projection", "search", "masks")]
    counts.append(usage.instructions_per_second)
    cells = [name, *(f"{size:,}" for size in sizes), *(f"{count / 1e6:.2f}" for count in counts)]
    return "| " + " | ".join(cells) + " |"


def table() -> Iterator[str]:
    """The lines of the table."""
    yield (
        "| shape | projection | codes | masks | flash | RAM | projection M/s | search M/s "
        "| masks M/s | all M/s |"
    )
    yield "| --- |" + " ---: |" * 9
    yield row("bundled", load_model(default_model()))
    for name, options in CHANGES.items():
        print(name, file=sys.stderr, flush=True)
        yield row(name, untrained(options))


def main() -> None:
    """Rewrite the page's table."""
    before, rest = PAGE.read_text(encoding="utf-8").split(START)
    after = rest.split(END)[1]
    lines = "".join(f"{line}\n" for line in table())
    PAGE.write_text(f"{before}{START}{lines}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
