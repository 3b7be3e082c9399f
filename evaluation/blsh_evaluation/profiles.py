"""How much is done: everything, or as much as shows that everything works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """The extent of an evaluation.

    Attributes:
        name: What ``--profile`` calls it.
        mixtures: Of each test.
        snrs_db: Signal-to-noise ratios of the tables in dB; curves are at the first.
        n_bits: L of the tables.
        curve_bits: L along the curves.
        picture_bits: L of the self-similarity matrices.
        shares: Sizes of the dictionaries, as shares of the training frames.
        draws: Random dictionaries of each size along the curves.
        minutes: Of training mixtures at most; ``None`` for each speech file once.
    """

    name: str
    mixtures: int
    snrs_db: tuple[float, ...]
    n_bits: int
    curve_bits: tuple[int, ...]
    picture_bits: tuple[int, ...]
    shares: tuple[float, ...]
    draws: int
    minutes: float | None = None

    @property
    def most_bits(self) -> int:
        """Projections that are needed."""
        return max(self.n_bits, *self.curve_bits, *self.picture_bits)


PROFILES = {
    "quick": Profile(
        name="quick",
        mixtures=3,
        snrs_db=(0.0,),
        n_bits=50,
        curve_bits=(5, 10, 25, 50),
        picture_bits=(2, 5, 10, 50),
        shares=(0.01, 0.1),
        draws=2,
        minutes=2.0,
    ),
    "full": Profile(
        name="full",
        mixtures=60,
        snrs_db=(0.0, -5.0, 5.0),
        n_bits=150,
        curve_bits=(5, 10, 25, 50, 75, 100, 125, 150, 200),
        picture_bits=(2, 5, 10, 50, 150),
        shares=(0.01, 0.1),
        draws=10,
    ),
}
