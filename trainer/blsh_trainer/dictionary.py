"""The dictionary: a subsample of the training frames, hashed, with their masks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blsh_trainer.errors import BlshError


@dataclass(frozen=True)
class DictionarySize:
    """How many training frames become dictionary entries: a count or a share of all frames.

    Attributes:
        count: Number of entries, or ``None``.
        share: Share of the frames in (0, 1], used where ``count`` is ``None``.
    """

    count: int | None
    share: float = 0.0

    @classmethod
    def parse(cls, text: str) -> DictionarySize:
        """Read ``"1%"`` or ``"4096"``.

        Raises:
            BlshError: The text is neither.
        """
        advice = f"--dictionary {text}: give a number of entries such as 4096, or a share like 1%"
        try:
            if text.strip().endswith("%"):
                share = float(text.strip()[:-1]) / 100
                if not 0 < share <= 1:
                    raise BlshError(advice)
                return cls(None, share)
            count = int(text)
        except ValueError as error:
            raise BlshError(advice) from error
        if count < 1:
            raise BlshError(advice)
        return cls(count)

    def entries(self, n_frames: int) -> int:
        """T, for ``n_frames`` training frames.

        Raises:
            BlshError: More entries than frames.
        """
        if self.count is None:
            return max(1, math.floor(self.share * n_frames))
        if self.count > n_frames:
            raise BlshError(
                f"--dictionary {self.count}: there are only {n_frames} training frames; "
                "ask for fewer entries or give more speech"
            )
        return self.count


def choose_entries(
    n_frames: int, n_entries: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Indices of ``n_entries`` different frames, each equally likely, in ascending order."""
    return np.sort(rng.choice(n_frames, n_entries, replace=False)).astype(np.int64)


def check_neighbours(neighbours: int, n_entries: int) -> None:
    """Raise `BlshError` where K is impossible for a dictionary of T entries."""
    if not 1 <= neighbours <= 255:
        raise BlshError(f"--neighbours {neighbours}: must be 1 to 255")
    if neighbours > n_entries:
        raise BlshError(
            f"--neighbours {neighbours}: the dictionary has only {n_entries} entries; "
            "lower --neighbours or raise --dictionary"
        )
