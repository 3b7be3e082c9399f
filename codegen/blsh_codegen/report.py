"""All that is known of an export, gathered once and shown as REPORT.md and report.html."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from blsh_trainer import __version__
from blsh_trainer.model_file import Model

from blsh_codegen.clip_report import ClipReport, clip_report
from blsh_codegen.compute_cost import Compute, compute_cost
from blsh_codegen.layout import Layout
from blsh_codegen.provenance import Quality, Section, provenance_of, quality_of
from blsh_codegen.render import environment
from blsh_codegen.runtime_cost import RuntimeCost
from blsh_codegen.tables import Tables
from blsh_codegen.targets import Target
from blsh_codegen.usage import Usage

Row = tuple[str, ...]

REPORT_FILES = {"REPORT.md": "REPORT.md.j2", "report.html": "report.html.j2"}


@dataclass(frozen=True)
class Evidence:
    """What was measured for a report, over what an export knows by itself.

    Attributes:
        usage: Counts of `blsh-bench` for the model and target.
        fixed_point: Scores of the exported C on the validation mixtures.
    """

    usage: Usage | None = None
    fixed_point: Mapping[str, float] | None = None


NO_EVIDENCE = Evidence()


@dataclass(frozen=True)
class Dictionaries:
    """The dictionaries, one row each.

    Attributes:
        columns: Headings.
        rows: Cells.
    """

    columns: Row
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Latency:
    """Delay of the output.

    Attributes:
        samples: Of the algorithm: what `blsh_latency_samples()` returns.
        hop_samples: Further ones while the caller collects a hop.
        rate: Sampling rate in Hz.
    """

    samples: int
    hop_samples: int
    rate: int

    @property
    def total_samples(self) -> int:
        """From the microphone to the loudspeaker, apart from their own buffers."""
        return self.samples + self.hop_samples

    def ms(self, samples: int) -> float:
        """Samples in milliseconds."""
        return 1000 * samples / self.rate


@dataclass(frozen=True)
class Report:
    """Everything that a report says.

    Attributes:
        target: The processor.
        tool_version: Version of blsh-export.
        model_sha256: The model's identity.
        geometry: Names and values.
        dictionaries: The dictionaries.
        flash: Bytes by table, the runtime's code last.
        flash_bytes: Their sum.
        ram_bytes: State of one stream.
        stack_bytes: Bound on the stack.
        model_open_bytes: Code that only opening a model takes.
        memory_basis: How code and stack were found.
        usage: Measured memory, where it was.
        compute: Instructions and clock by stage.
        latency: Delay.
        quality: Scores on validation mixtures, if the model carries any.
        clip: What the model does to a clip of the project's own.
        provenance: Where the model comes from.
    """

    target: Target
    tool_version: str
    model_sha256: str
    geometry: tuple[tuple[str, str], ...]
    dictionaries: Dictionaries
    flash: tuple[tuple[str, int], ...]
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    model_open_bytes: int
    memory_basis: str
    usage: Usage | None
    compute: Compute
    latency: Latency
    quality: Quality | None
    clip: ClipReport
    provenance: tuple[Section, ...]


def make_report(
    model: Model,
    tables: Tables,
    layout: Layout,
    target: Target,
    cost: RuntimeCost,
    evidence: Evidence = NO_EVIDENCE,
) -> Report:
    """Gather the facts.

    Args:
        model: The model.
        tables: The same, quantised.
        layout: Its layout.
        target: The processor.
        cost: Of the runtime.
        evidence: What was measured.
    """
    framing = model.geometry
    return Report(
        target=target,
        tool_version=__version__,
        model_sha256=tables.model_sha256,
        geometry=_geometry(model, layout),
        dictionaries=_condensed_rows(layout) if layout.condensed else _band_rows(layout),
        flash=(*layout.flash_bytes.items(), ("runtime code, at most", cost.code_bytes)),
        flash_bytes=layout.table_bytes + cost.code_bytes,
        ram_bytes=layout.state_bytes,
        stack_bytes=cost.stack_bytes,
        model_open_bytes=cost.model_open_bytes,
        memory_basis=cost.basis,
        usage=evidence.usage,
        compute=compute_cost(model, target, evidence.usage),
        latency=Latency(framing.frame - framing.hop, framing.hop, framing.rate),
        quality=quality_of(model.training, evidence.fixed_point),
        clip=clip_report(model, tables),
        provenance=provenance_of(model.training),
    )


def report_texts(report: Report) -> dict[str, str]:
    """The report by file name."""
    env = environment()
    return {
        name: env.get_template(template).render(report=report)
        for name, template in REPORT_FILES.items()
    }


def _geometry(model: Model, layout: Layout) -> tuple[tuple[str, str], ...]:
    one = model.geometry
    ms = [f"{1000 * samples / one.rate:.1f}" for samples in (one.frame, one.hop)]
    rows = [
        ("Sampling rate", f"{one.rate} Hz, mono, 16 bits"),
        ("Frame, hop", f"{one.frame} and {one.hop} samples ({ms[0]} and {ms[1]} ms)"),
        ("Window", "sine" if one.window == "sine" else "Hann"),
        ("Kind of model", "condensed" if layout.condensed else "bands, as in the paper"),
        ("Features", _features(model, layout)),
    ]
    if layout.condensed is not None:
        tables = layout.condensed
        rows += [
            (
                "Hash code",
                f"{tables.bias.size} bits, from {len(tables.groups)} groups of projections",
            ),
            ("Masks", f"{tables.mask_bits} bits a level"),
        ]
    rows.append(
        ("Dictionaries", f"{_count_of(layout)}, of {layout.n_entries} entries in all"),
    )
    return tuple(rows)


def _features(model: Model, layout: Layout) -> str:
    if layout.condensed is not None:
        condensed = layout.condensed
        n_trackers = condensed.n_trackers + condensed.n_noise_trackers
        return (
            f"{model.n_features}: of each of {condensed.n_cells} cells its level, and the level "
            f"less that of {n_trackers} trackers"
        )
    kind = "mel bands" if model.geometry.features == "mel" else "STFT magnitudes"
    return f"{model.n_features} {kind}, divided by their L2 norm"


def _count_of(layout: Layout) -> int:
    return len(layout.bands if layout.condensed is None else layout.condensed.code_tables)


def _condensed_rows(layout: Layout) -> Dictionaries:
    assert layout.condensed is not None
    pairs = zip(layout.condensed.code_tables, layout.condensed.vote_tables, strict=True)
    return Dictionaries(
        ("dictionary", "cells", "hash bits compared", "entries T", "neighbours K"),
        tuple(
            (
                str(index),
                f"{vote.first_cell} to {vote.first_cell + vote.n_cells - 1}",
                str(32 * code.n_words),
                str(code.n_entries),
                str(code.neighbours),
            )
            for index, (code, vote) in enumerate(pairs)
        ),
    )


def _band_rows(layout: Layout) -> Dictionaries:
    return Dictionaries(
        (
            "band",
            "bins",
            "hash bits L",
            "dictionary T",
            "neighbours K",
            "bits a mask level",
            "compressed to",
        ),
        tuple(
            (
                str(index),
                f"{band.first_bin} to {band.first_bin + band.masks.n_bins - 1}",
                str(band.n_bits),
                str(band.n_entries),
                str(band.neighbours),
                str(band.masks.mask_bits),
                f"{band.masks.bits_per_bin:.3f}",
            )
            for index, band in enumerate(layout.bands)
        ),
    )
