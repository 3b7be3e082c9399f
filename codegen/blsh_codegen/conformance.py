"""Compare exported C with the integer reference, stage by stage, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from blsh_codegen.reference import Trace, process
from blsh_codegen.signals import Signal
from blsh_codegen.tables import Tables

STAGES = (
    "windowed frame",
    "spectrum",
    "levels",
    "features",
    "feature norm",
    "hash code",
    "neighbour index",
    "neighbour distance",
    "votes",
    "gain",
    "output",
)


class Engine(Protocol):
    """Something that runs the conformance harness."""

    @property
    def name(self) -> str:
        """What reports call it, such as ``host-cffi``."""

    def reset(self) -> None:
        """Start a stream over."""

    def step(self, samples: npt.NDArray[np.int16]) -> bytes:
        """Process one hop of int16 samples; returns the recorded trace."""


@dataclass(frozen=True)
class Section:
    """One recorded array of a frame: a stage, for those with one array a band its band.

    Attributes:
        stage: One of `STAGES`.
        band: Index of the band, or of a condensed model's dictionary; 0 for stages without any.
        dtype: Element type in the C runtime.
        size: Number of elements.
    """

    stage: str
    band: int
    dtype: np.dtype[np.generic]
    size: int

    @property
    def n_bytes(self) -> int:
        """Bytes in the trace."""
        return self.dtype.itemsize * self.size


@dataclass(frozen=True)
class Difference:
    """The first place where C and reference differ.

    Attributes:
        engine: Engine that differs.
        signal: Name of the test signal.
        stage: One of `STAGES`.
        frame: Frame in the signal, from 0.
        band: Band, from 0.
        index: Element in the stage's array.
        expected: The reference's value.
        actual: The C's value.
    """

    engine: str
    signal: str
    stage: str
    frame: int
    band: int
    index: int
    expected: int
    actual: int

    def __str__(self) -> str:
        return (
            f"{self.engine}: {self.stage} differs first in frame {self.frame} of {self.signal!r}, "
            f"band {self.band}, index {self.index}: expected {self.expected}, got {self.actual}"
        )


@dataclass(frozen=True)
class Comparison:
    """Outcome of one engine on one signal.

    Attributes:
        engine: Name of the engine.
        signal: Name of the signal.
        frames: Frames compared.
        difference: The first difference, or ``None`` where all is equal.
    """

    engine: str
    signal: str
    frames: int
    difference: Difference | None


def trace_sections(tables: Tables) -> tuple[Section, ...]:
    """Layout of a frame's trace, in the order in which the runtime reports its stages."""

    def section(stage: str, band: int, dtype: str, size: int) -> Section:
        return Section(stage, band, np.dtype(dtype), size)

    geometry = tables.geometry
    sections = [
        section("windowed frame", 0, "<i4", geometry.frame),
        section("spectrum", 0, "<i4", geometry.frame),
    ]
    condensed = tables.condensed
    if condensed is not None:
        sections.append(section("levels", 0, "<i2", condensed.n_cells))
    sections.append(section("features", 0, "<i2", tables.n_features))
    if condensed is not None:
        sections.append(section("hash code", 0, "<u4", condensed.n_words))
        for index, dictionary in enumerate(condensed.dictionaries):
            sections += [
                section("neighbour index", index, "<u4", dictionary.neighbours),
                section("neighbour distance", index, "<u2", dictionary.neighbours),
            ]
        sections.append(section("votes", 0, "<i2", condensed.n_cells))
    else:
        sections.append(section("feature norm", 0, "<i2", 1))
    for index, band in enumerate(tables.bands):
        sections += [
            section("hash code", index, "<u4", band.n_words),
            section("neighbour index", index, "<u4", band.neighbours),
            section("neighbour distance", index, "<u2", band.neighbours),
        ]
    sections += [
        section("gain", 0, "<i2", geometry.n_bins),
        section("output", 0, "<i2", geometry.hop),
    ]
    return tuple(sections)


def trace_bytes(tables: Tables) -> int:
    """Size of a frame's trace."""
    return sum(section.n_bytes for section in trace_sections(tables))


def expected_arrays(trace: Trace, frame: int) -> Iterator[npt.NDArray[np.generic]]:
    """The reference's arrays of one frame, in the order of `trace_sections`."""
    yield trace.windowed[frame]
    yield trace.spectrum[frame]
    condensed = trace.condensed
    if condensed is not None:
        yield condensed.levels[frame]
    yield trace.features[frame]
    if condensed is not None:
        yield condensed.code[frame]
        for index, distance in zip(condensed.index, condensed.distance, strict=True):
            yield index[frame]
            yield distance[frame]
        yield condensed.votes[frame]
    else:
        yield trace.norm[frame : frame + 1]
    for band in trace.bands:
        yield band.code[frame]
        yield band.index[frame]
        yield band.distance[frame]
    yield trace.gain_q15[frame]
    yield trace.output[frame]


def frame_bytes(tables: Tables, trace: Trace, frame: int) -> list[bytes]:
    """One frame's expected trace, a section at a time, in the runtime's types."""
    sections = trace_sections(tables)
    arrays = expected_arrays(trace, frame)
    return [
        array.astype(section.dtype).tobytes()
        for section, array in zip(sections, arrays, strict=True)
    ]


def compare(engine: Engine, tables: Tables, signal: Signal, trace: Trace) -> Comparison:
    """Run a signal through an engine and compare every stage of every frame.

    Args:
        engine: Runs the C.
        tables: The quantised model.
        signal: The test signal.
        trace: What the reference makes of the signal (see `reference.process`).
    """
    hop = tables.geometry.hop
    sections = trace_sections(tables)
    engine.reset()
    n_frames = signal.samples.size // hop
    for frame in range(n_frames):
        recorded = engine.step(signal.samples[frame * hop : (frame + 1) * hop])
        expected = b"".join(frame_bytes(tables, trace, frame))
        if recorded != expected:
            place = _locate(sections, expected, recorded)
            difference = Difference(engine.name, signal.name, place[0], frame, *place[1:])
            return Comparison(engine.name, signal.name, frame + 1, difference)
    return Comparison(engine.name, signal.name, n_frames, None)


def compare_all(engine: Engine, tables: Tables, signals: Sequence[Signal]) -> Iterator[Comparison]:
    """Compare an engine with the reference on each signal in turn."""
    for signal in signals:
        yield compare(engine, tables, signal, process(tables, signal.samples))


def _locate(
    sections: Sequence[Section], expected: bytes, recorded: bytes
) -> tuple[str, int, int, int, int]:
    """Stage, band, index, expected and actual value of the first difference."""
    start = 0
    for section in sections:
        end = start + section.n_bytes
        want = np.frombuffer(expected[start:end], section.dtype)
        have = np.frombuffer(recorded[start:end].ljust(section.n_bytes, b"\0"), section.dtype)
        differing = np.flatnonzero(want != have)
        if differing.size:
            first = int(differing[0])
            return section.stage, section.band, first, int(want[first]), int(have[first])
        start = end
    # Only the length differs: the runtime reported more or fewer stages than the model has.
    return "output", 0, len(recorded), len(expected), len(recorded)
