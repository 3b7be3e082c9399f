"""Golden vectors for the self-test that runs on the board."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blsh_codegen.conformance import frame_bytes, trace_sections
from blsh_codegen.reference import process
from blsh_codegen.signals import conformance_signals
from blsh_codegen.tables import Tables

_SPEECH_HOPS, _RANDOM_HOPS = 8, 4


@dataclass(frozen=True)
class Golden:
    """A recorded run of the reference.

    Attributes:
        hops: Number of hops.
        taps: Stages reported in each hop.
        samples: ``(hops * hop,)`` int16 input.
        crc32: ``(hops * taps,)`` uint32, CRC-32 of each stage's bytes.
    """

    hops: int
    taps: int
    samples: npt.NDArray[np.int16]
    crc32: npt.NDArray[np.uint32]


def golden_vectors(tables: Tables) -> Golden:
    """Run the reference on a little noisy speech and on random integers."""
    hop = tables.geometry.hop
    signals = {s.name: s.samples for s in conformance_signals(tables.geometry, 4 * _SPEECH_HOPS)}
    speech = signals["noisy speech"][: _SPEECH_HOPS * hop]
    samples = np.concatenate([speech, signals["random integers"][: _RANDOM_HOPS * hop]])
    trace = process(tables, samples)
    hops = _SPEECH_HOPS + _RANDOM_HOPS
    crc32 = [
        zlib.crc32(section)
        for frame in range(hops)
        for section in frame_bytes(tables, trace, frame)
    ]
    return Golden(hops, len(trace_sections(tables)), samples, np.array(crc32, np.uint32))
