"""Measure what each knob costs: ``python -m tests.docs.sizing``.

Rewrites the table between the markers of ``docs/sizing.md``. The bundled model is cut down: fewer
hash bits, fewer dictionary entries, fewer neighbours. What that does to quality is not measured
here.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from blsh_codegen.export import default_model
from blsh_codegen.layout import lay_out
from blsh_codegen.signals import conformance_signals
from blsh_codegen.tables import quantise
from blsh_codegen.targets import find_target
from blsh_codegen.usage import measure_usage
from blsh_trainer.model_file import Band, Model, code_words, load_model

from tests.codegen.folders import exported

PAGE = Path(__file__).parents[2] / "docs" / "sizing.md"
START, END = "<!-- measured by tests/docs/sizing.py -->\n", "<!-- end -->\n"
TARGET = find_target("cortex-m4")
FRAMES = 63


def cut(model: Model, *, n_bits: int, n_entries: int, neighbours: int) -> Model:
    """The model with fewer hash bits (its first), entries (its first) and neighbours."""
    bands = tuple(_cut_band(band, n_bits, n_entries, neighbours) for band in model.bands)
    return dataclasses.replace(model, bands=bands)


def _cut_band(band: Band, n_bits: int, n_entries: int, neighbours: int) -> Band:
    codes = band.codes[:n_entries, : code_words(n_bits)].copy()
    if n_bits % 32:
        codes[:, -1] &= (1 << n_bits % 32) - 1
    return dataclasses.replace(
        band,
        neighbours=neighbours,
        projection=band.projection[:n_bits],
        bias=band.bias[:n_bits],
        beta=band.beta[:n_bits],
        codes=codes,
        masks=band.masks[:n_entries],
    )


def row(model: Model) -> str:
    """A line of the table."""
    tables = quantise(model)
    layout = lay_out(tables)
    signals = {s.name: s.samples for s in conformance_signals(model.geometry, FRAMES)}
    with tempfile.TemporaryDirectory() as work:
        folder = exported(model, Path(work) / "export", TARGET.name)
        usage = measure_usage(folder, tables, layout, TARGET, signals["noisy speech"], Path(work))
    (band,) = model.bands
    sizes = [
        band.projection.shape[0],
        band.codes.shape[0],
        band.neighbours,
        *(usage.flash[f"blsh_{name}.h"] for name in ("projection", "codes", "masks")),
        usage.flash_bytes,
        usage.ram_bytes,
    ]
    stages = ("projection", "search", "masks")
    millions = [usage.stages[name] / 1e6 for name in stages]
    millions.append(usage.instructions_per_second / 1e6)
    cells = [f"{size:,}" for size in sizes] + [f"{value:.2f}" for value in millions]
    return "| " + " | ".join(cells) + " |"


def table() -> str:
    """The table of the page."""
    model = load_model(default_model())
    (band,) = model.bands
    whole = {
        "n_bits": band.projection.shape[0],
        "n_entries": band.codes.shape[0],
        "neighbours": band.neighbours,
    }
    variants = [
        whole,
        *({**whole, "n_bits": n} for n in (96, 64)),
        *({**whole, "n_entries": n} for n in (2048, 1024)),
        *({**whole, "neighbours": n} for n in (10, 5)),
    ]
    head = (
        "| L | T | K | projection | codes | masks | flash | RAM | projection M/s | search M/s "
        "| masks M/s | all M/s |\n" + "| ---: " * 12 + "|"
    )
    return "\n".join([head, *(row(cut(model, **variant)) for variant in variants)]) + "\n"


def main() -> None:
    """Rewrite the page's table."""
    before, rest = PAGE.read_text(encoding="utf-8").split(START)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{START}{table()}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
