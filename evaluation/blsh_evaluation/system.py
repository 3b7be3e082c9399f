"""What a system of the comparison is, and those that need no training.

A system is described by a small frozen record that says what it needs of the cache by name, so that
it can be sent to another process and be part of a key. `load` turns it into a function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from blsh_trainer.features import ideal_binary_mask

from blsh_evaluation.cache import source_stamp
from blsh_evaluation.views import MixtureView

FloatArray = npt.NDArray[np.float32]
Estimator = Callable[[MixtureView], FloatArray]


class System(Protocol):
    """What all systems have."""

    @property
    def name(self) -> str:
        """What the tables call it."""

    def load(self, cache: Path) -> Estimator:
        """Make it ready to run.

        Args:
            cache: Folder with the results of the steps that it names.
        """


@dataclass(frozen=True)
class Unprocessed:
    """The mixture as it is."""

    name: str = "unprocessed"

    def load(self, cache: Path) -> Estimator:
        """Nothing to make ready."""
        return lambda view: view.mixture.noisy


@dataclass(frozen=True)
class Oracle:
    """The best mask of a kind, from speech and noise themselves.

    Attributes:
        kind: ``"IBM"``, one where speech is louder; or ``"IRM"``, the square root of the speech's
            share of the power.
    """

    kind: Literal["IBM", "IRM"]

    @property
    def name(self) -> str:
        """What the tables call it."""
        return f"oracle {self.kind}"

    def load(self, cache: Path) -> Estimator:
        """Nothing to make ready."""
        return lambda view: view.masked(self._mask(view.speech_magnitude, view.noise_magnitude))

    def _mask(self, speech: FloatArray, noise: FloatArray) -> FloatArray:
        if self.kind == "IBM":
            return ideal_binary_mask(speech, noise).astype(np.float32)
        power = speech**2
        return np.asarray(np.sqrt(power / np.maximum(power + noise**2, 1e-30)), np.float32)


def key_of(system: System) -> list[Any]:
    """What decides a system's estimates: its source and its fields, as JSON has them."""
    values: dict[str, Any] = asdict(system)  # type: ignore[call-overload]
    values.pop("path", None)  # where a file lies does not matter
    return [source_stamp(type(system).__module__), type(system).__name__, values]
