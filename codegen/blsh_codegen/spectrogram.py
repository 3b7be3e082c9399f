"""Spectrograms from the integer reference's own FFT, the same to the byte on every machine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blsh_codegen.fixed_point import bit_length
from blsh_codegen.png import Colour, png_of
from blsh_codegen.reference import forward_fft, window_frames
from blsh_codegen.tables import Tables

COLUMNS, MAX_ROWS = 256, 256
LEVELS = 16
STEP_DB = 3
"""A level is a bit of the power's length."""
# Dark to bright in even steps of lightness (between anchors of matplotlib's magma).
_ANCHORS: tuple[Colour, ...] = (
    (0, 0, 4), (41, 17, 90), (114, 31, 129), (183, 55, 121), (241, 96, 93), (254, 159, 109),
    (252, 253, 191),
)  # fmt: skip


@dataclass(frozen=True)
class Spectrogram:
    """Powers of a signal over time and frequency.

    Attributes:
        bits: ``(rows, columns)`` int64, lengths in bits of the largest power in each field; the
            lowest frequency last.
        seconds: Time that the columns span.
        nyquist_hz: Frequency at the upper edge.
    """

    bits: npt.NDArray[np.int64]
    seconds: float
    nyquist_hz: float

    def png(self, top: int) -> bytes:
        """A picture of `LEVELS` colours.

        Args:
            top: Bits that have the brightest colour, such as the largest of a signal that this one
                is compared with.
        """
        return png_of(np.clip(self.bits - top + LEVELS - 1, 0, LEVELS - 1), palette())


def spectrogram(tables: Tables, samples: npt.NDArray[np.int16]) -> Spectrogram:
    """Windowed spectra of a signal at `COLUMNS` times, as the reference computes them.

    Args:
        tables: The quantised model, for frame, window and twiddle factors.
        samples: At least a frame.
    """
    frame, rate = tables.geometry.frame, tables.geometry.rate
    span = samples.size - frame
    starts = np.arange(COLUMNS) * span // (COLUMNS - 1)
    frames = np.lib.stride_tricks.sliding_window_view(samples, frame)[starts]
    spectrum = forward_fft(window_frames(frames, tables.window_q15), tables.twiddle_q15)
    # Bins 1 to N/2 - 1, and DC with what Nyquist has in the place of its imaginary part.
    power = spectrum[:, 0::2] ** 2 + spectrum[:, 1::2] ** 2
    together = max(1, power.shape[1] // MAX_ROWS)
    pooled = power.reshape(COLUMNS, -1, together).max(axis=2)
    return Spectrogram(bit_length(pooled >> 8).T[::-1], span / rate, rate / 2)


def palette() -> tuple[Colour, ...]:
    """`LEVELS` colours, dark to bright."""
    last = len(_ANCHORS) - 1
    colours = []
    for level in range(LEVELS):
        place, rest = divmod(level * last, LEVELS - 1)
        low, high = _ANCHORS[place], _ANCHORS[min(place + 1, last)]
        mixed = [a + (b - a) * rest // (LEVELS - 1) for a, b in zip(low, high, strict=True)]
        colours.append((mixed[0], mixed[1], mixed[2]))
    return tuple(colours)
