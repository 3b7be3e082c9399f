"""Independent pieces of the scoring, each a step of the cache, run side by side."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import soundfile
from blsh_trainer.audio import to_int16
from blsh_trainer.metrics import si_sdr
from blsh_trainer.quality import package_versions, scores_of

from blsh_evaluation.cache import Cache
from blsh_evaluation.conditions import Condition
from blsh_evaluation.system import Estimator, System, key_of
from blsh_evaluation.views import MixtureView

EXAMPLE = 0
"""The mixture whose sound the report plays."""
CURVE_MEASURES = ("SDR", "SI-SDR")

_ROWS, _SOUND = "rows.json", "example.flac"


class Task(Protocol):
    """A piece of work."""

    def run(self) -> Path:
        """Do it, or find it done; the folder of its result."""

    @property
    def label(self) -> str:
        """What progress shows."""


@dataclass(frozen=True)
class TableTask:
    """One system in one condition, by all measures.

    Attributes:
        cache: Where results are kept.
        condition: The mixtures.
        system: What is tried.
    """

    cache: Cache
    condition: Condition
    system: System

    @property
    def label(self) -> str:
        """What progress shows."""
        return f"{self.system.name}: {self.condition.label}"

    def run(self) -> Path:
        """``rows.json``, ``(mixtures, len(MEASURES))``, and the example as ``example.flac``."""
        inputs = {
            "condition": self.condition.key(),
            "system": key_of(self.system),
            "scored_by": package_versions(),
        }
        return self.cache.step("scores", __name__, inputs, self._build)

    def _build(self, folder: Path) -> None:
        estimator = self.system.load(self.cache.directory)
        write_scores(folder, self.condition, estimator)


@dataclass(frozen=True)
class CurveTask:
    """Many variants on some mixtures of a condition, by SDR and SI-SDR only.

    Attributes:
        cache: Where results are kept.
        condition: The mixtures.
        start: First mixture.
        stop: Mixture after the last.
        systems: The variants.
    """

    cache: Cache
    condition: Condition
    start: int
    stop: int
    systems: tuple[System, ...]

    @property
    def label(self) -> str:
        """What progress shows."""
        return f"{len(self.systems)} variants: {self.condition.label}"

    def run(self) -> Path:
        """``rows.json``, ``(stop - start, len(systems), len(CURVE_MEASURES))``."""
        inputs = {
            "condition": self.condition.key(),
            "part": [self.start, self.stop],
            "systems": [key_of(system) for system in self.systems],
        }
        return self.cache.step("curves", __name__, inputs, self._build)

    def _build(self, folder: Path) -> None:
        views = list(self.condition.views(self.start, self.stop))
        columns = []
        for system in self.systems:  # one at a time, for dictionaries take memory
            estimator = system.load(self.cache.directory)
            columns.append([_separation(view, estimator(view)) for view in views])
        write_rows(folder, np.swapaxes(columns, 0, 1))


def _separation(view: MixtureView, estimate: npt.NDArray[np.float32]) -> tuple[float, float]:
    """`CURVE_MEASURES` of an estimate."""
    return view.reference.evaluate(estimate).sdr, si_sdr(view.mixture.speech, estimate)


def write_scores(folder: Path, condition: Condition, estimator: Estimator) -> None:
    """Score a system by all measures on a condition's mixtures, and keep an example's sound."""
    rate, rows = condition.geometry.rate, []
    for place, view in enumerate(condition.views()):
        estimate = estimator(view)
        rows.append(scores_of(view.mixture, view.reference, estimate, rate))
        if place == EXAMPLE:
            (folder / _SOUND).write_bytes(flac(estimate, rate))
    write_rows(folder, rows)


def write_rows(folder: Path, rows: npt.ArrayLike) -> None:
    """Write scores into a step's folder."""
    text = json.dumps(np.asarray(rows, np.float64).round(6).tolist())
    (folder / _ROWS).write_text(text, encoding="utf-8")


def read_rows(folder: Path) -> npt.NDArray[np.float64]:
    """Read what `write_rows` wrote; NaN where a measure's package is missing."""
    return np.array(json.loads((folder / _ROWS).read_text(encoding="utf-8")), np.float64)


def read_sound(folder: Path) -> bytes:
    """The example of a `TableTask`, a FLAC file."""
    return (folder / _SOUND).read_bytes()


def flac(samples: npt.NDArray[np.float32], rate: int) -> bytes:
    """16-bit samples as a FLAC file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, to_int16(samples), rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()
