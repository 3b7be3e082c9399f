"""All that is learned and drawn before anything is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from blsh_trainer.boosting import Round
from blsh_trainer.progress import progress_bar

from blsh_evaluation.artefacts import Learning
from blsh_evaluation.profiles import Profile
from blsh_evaluation.results import BLSH, LSH, LSH_FIXED

_SEEDS_APART = 1000
"""So that runs of different seeds share no random projections."""


@dataclass(frozen=True)
class HashFiles:
    """One set of projections and the codes that they give.

    Attributes:
        projections: File of projections.
        codes: File of the codes of all training frames.
    """

    projections: Path
    codes: Path


@dataclass(frozen=True)
class Learned:
    """What the systems are made of.

    Attributes:
        frames: Step of the training frames.
        hashes: By method of `CURVE_METHODS`, one entry a draw.
    """

    frames: Path
    hashes: Mapping[str, tuple[HashFiles, ...]]

    @property
    def boosted(self) -> HashFiles:
        """The boosted projections, of which there is one set."""
        return self.hashes[BLSH][0]


def learn_all(learning: Learning, profile: Profile) -> Learned:
    """Mix, boost, draw and hash; what the cache has is not done again.

    Raises:
        BlshError: The corpus is too small.
    """
    frames = _mix(learning)
    for share in profile.shares:
        learning.check_subset(share)
    boosted = _boost(learning)
    first = _SEEDS_APART * learning.options.seed
    drawn = [learning.projections("lsh", first + draw) for draw in range(profile.draws)]
    files = []
    with progress_bar("Hashing", 1 + len(drawn)) as report:
        for place, projections in enumerate([boosted, *drawn]):
            files.append(HashFiles(projections, learning.codes(projections)))
            report(place + 1, "")
    return Learned(
        frames,
        {
            BLSH: (files[0],) * profile.draws,
            LSH: tuple(files[1:]),
            LSH_FIXED: (files[1],) * profile.draws,
        },
    )


def _mix(learning: Learning) -> Path:
    with progress_bar("Mixing", None, counted=False) as report:
        return learning.frames(lambda seconds: report(seconds, f"{seconds / 60:.1f} min"))


def _boost(learning: Learning) -> Path:
    with progress_bar("Boosting", learning.options.projections) as report:

        def show(done: Round) -> None:
            report(done.index + 1, f"epsilon {done.error:.3f}  beta {done.coefficient:.3f}")

        return learning.projections("blsh", learning.options.seed, show)
