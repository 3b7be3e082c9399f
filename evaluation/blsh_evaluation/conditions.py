"""A condition: one test at one signal-to-noise ratio."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from blsh_trainer.model_file import Geometry

from blsh_evaluation.mixtures import MixtureSpec
from blsh_evaluation.views import MixtureView


@dataclass(frozen=True)
class Condition:
    """What systems are compared on.

    Attributes:
        protocol: ``"closed"`` or ``"open"``.
        snr_db: Signal-to-noise ratio in dB.
        specs: The mixtures.
        geometry: Framing and rate.
        fingerprint: Of the corpus, which stands for the recordings' contents in keys.
    """

    protocol: str
    snr_db: float
    specs: tuple[MixtureSpec, ...]
    geometry: Geometry
    fingerprint: str

    @property
    def label(self) -> str:
        """Name for tables and progress."""
        return f"{self.protocol}, {self.snr_db:g} dB"

    def key(self) -> list[object]:
        """What decides the mixtures, as JSON has it."""
        specs = [_spec_key(spec) for spec in self.specs]
        return [self.fingerprint, self.protocol, self.snr_db, asdict(self.geometry), specs]

    def views(self, start: int = 0, stop: int | None = None) -> Iterator[MixtureView]:
        """The mixtures, read one at a time."""
        for spec in self.specs[start:stop]:
            mixture = spec.read(self.snr_db, self.geometry.rate)
            yield MixtureView(mixture, self.geometry)


def _spec_key(spec: MixtureSpec) -> list[object]:
    speech, noise = spec.speech, spec.noise
    return [
        [spec.talker, speech.path.name, speech.start, speech.stop],
        [spec.noise_type, noise.path.name, noise.start, noise.stop],
        spec.n_samples,
        spec.noise_start,
    ]
