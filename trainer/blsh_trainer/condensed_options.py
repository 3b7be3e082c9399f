"""What decides a condensed model: its shape and its training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blsh_trainer.errors import BlshError
from blsh_trainer.model_file import Geometry, check_geometry

TRACKERS = ((0, 0), (2, 2), (4, 4), (6, 6), (7, 1), (1, 7))
"""The frame before; averages over some 4, 16 and 64 frames; a noise floor, which falls fast and
rises slowly; a ceiling, which rises fast and falls slowly (see `levels.tracked`)."""


@dataclass(frozen=True)
class CondensedOptions:
    """What decides a condensed model.

    Attributes:
        rate: Sampling rate in Hz.
        frame: Frame in samples.
        hop: Hop in samples.
        words: 32-bit words of a frame's code.
        compared: Words of it that each dictionary compares.
        reach: Part of all cells whose features each word sees; 1 for all.
        bands: Dictionaries that tile the cells in a layer.
        layers: Layers J, staggered against each other.
        entries: T of each dictionary.
        neighbours: K.
        mask_bits: Bits of a mask level.
        trackers: Rise and fall of each tracker that features are taken above.
        noise_trackers: Shift of each tracker that follows where gains are low.
        minutes: Minutes of augmented mixtures.
        steps: Gradient steps.
        seed: Seed of everything random.
    """

    rate: int = 16000
    frame: int = 1024
    hop: int = 512
    words: int = 8
    compared: int = 4
    reach: float = 1.0
    bands: int = 8
    layers: int = 4
    entries: int = 64
    neighbours: int = 8
    mask_bits: int = 4
    trackers: tuple[tuple[int, int], ...] = TRACKERS
    noise_trackers: tuple[int, ...] = (3,)
    minutes: float = 400.0
    steps: int = 8000
    seed: int = 0

    @property
    def geometry(self) -> Geometry:
        """Framing."""
        return Geometry(self.rate, self.frame, self.hop, "levels", "sine")

    @property
    def kinds(self) -> int:
        """Features a cell."""
        return 1 + len(self.trackers) + len(self.noise_trackers)

    def check(self) -> None:
        """Raise `BlshError` naming the option where a value is impossible."""
        check_geometry(self.geometry)
        limits = {
            "words": (1, 64), "compared": (1, self.words), "bands": (1, 32), "layers": (1, 16),
            "entries": (2, 4096), "neighbours": (1, min(self.entries, 255)), "mask_bits": (1, 4),
            "steps": (2, 10**7), "seed": (0, 2**63), "reach": (0.01, 1), "minutes": (0.1, 10**5),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                option = name.replace("_", "-")
                raise BlshError(f"--{option} {getattr(self, name)}: must be {low} to {high}")


def options_of(record: Mapping[str, Any]) -> CondensedOptions:
    """Options from their JSON form.

    Raises:
        TypeError, KeyError: The record is none of options.
    """
    trackers = tuple((int(rise), int(fall)) for rise, fall in record["trackers"])
    noise_trackers = tuple(int(shift) for shift in record["noise_trackers"])
    return CondensedOptions(**{**record, "trackers": trackers, "noise_trackers": noise_trackers})
