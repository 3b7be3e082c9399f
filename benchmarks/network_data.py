"""What the networks learn from: the training mixtures of BLSH, in batches. Needs PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from blsh_evaluation.frame_store import FrameStore
from blsh_trainer.errors import BlshError
from torch import Tensor

IndexArray = npt.NDArray[np.int64]

VALIDATION_SHARE = 0.1
_SPLIT_STREAM, _EPOCH_STREAM = 41, 42
_STATISTICS_FRAMES = 50_000


@dataclass(frozen=True)
class Recipe:
    """How a network is trained, all but the data.

    Attributes:
        kind: ``"fc"`` or ``"blstm"``.
        hidden: Units of a hidden layer.
        frames: Consecutive frames that the network sees at once in training.
        batch: Pieces of so many frames in a batch.
        rate: Learning rate of Adam; halved after each epoch without a new best validation loss.
        dropout: Share of hidden units left out.
        clip: Largest norm of the gradient.
        patience: Epochs without a new best after which training ends.
        epochs: After which it ends anyway.
        minutes: Of the training mixtures, those that are used; ``None`` for all.
        seed: Of everything random.
    """

    kind: str
    hidden: int
    frames: int
    batch: int
    rate: float
    dropout: float
    clip: float
    patience: int
    epochs: int
    minutes: float | None
    seed: int


@dataclass(frozen=True)
class Mixtures:
    """Some mixtures of a store: ``[start, stop)`` of each one's frames."""

    bounds: tuple[tuple[int, int], ...]

    @property
    def n_frames(self) -> int:
        """Of all of them."""
        return sum(stop - start for start, stop in self.bounds)

    def pieces(self, frames: int, rng: np.random.Generator | None = None) -> IndexArray:
        """First frames of pieces that do not overlap.

        Args:
            frames: Length of a piece. A mixture's remainder is left out, at its end, or with
                ``rng`` at both ends.
            rng: To draw where a mixture's first piece begins.
        """
        starts = []
        for start, stop in self.bounds:
            count, rest = divmod(stop - start, frames)
            offset = int(rng.integers(rest + 1)) if rng is not None else 0
            starts.append(start + offset + frames * np.arange(count))
        return np.concatenate(starts)


class Data:
    """Batches of a frame store, its mixtures split in those to learn from and the others."""

    def __init__(self, store: FrameStore, recipe: Recipe) -> None:
        self._store, self._recipe = store, recipe
        bounds = list(zip(store.starts, (*store.starts[1:], store.n_frames), strict=True))
        order = np.random.default_rng([recipe.seed, _SPLIT_STREAM]).permutation(len(bounds))
        held_out = max(1, round(VALIDATION_SHARE * len(bounds)))
        self.validation = Mixtures(tuple(bounds[i] for i in order[:held_out]))
        self.training = Mixtures(
            tuple(_leading([bounds[i] for i in order[held_out:]], self._frames_wanted()))
        )

    def _frames_wanted(self) -> float:
        minutes, store = self._recipe.minutes, self._store
        return np.inf if minutes is None else 60 * minutes / store.seconds * store.n_frames

    def statistics_sample(self) -> Tensor:
        """``(frames, bins)`` magnitudes of the training, evenly spread."""
        starts = self.training.pieces(1)
        return self._magnitudes(starts[:: max(1, starts.size // _STATISTICS_FRAMES)])

    def training_batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Magnitudes and masks, each ``(batch, frames, bins)``, in the epoch's own order."""
        rng = np.random.default_rng([self._recipe.seed, _EPOCH_STREAM, epoch])
        return self._batches(rng.permutation(self.training.pieces(self._recipe.frames, rng)))

    def validation_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Likewise, always the same."""
        return self._batches(self.validation.pieces(self._recipe.frames))

    def _batches(self, starts: IndexArray) -> Iterator[tuple[Tensor, Tensor]]:
        recipe = self._recipe
        if starts.size == 0:
            raise BlshError(f"no mixture has {recipe.frames} frames; give longer recordings")
        for first in range(0, starts.size, recipe.batch):
            index = starts[first : first + recipe.batch, None] + np.arange(recipe.frames)
            yield self._magnitudes(index), self._masks(index)

    def _magnitudes(self, index: IndexArray) -> Tensor:
        return torch.from_numpy(np.asarray(self._store.features[index]))

    def _masks(self, index: IndexArray) -> Tensor:
        bits = np.unpackbits(self._store.masks[index], axis=-1, count=self._store.n_bins)
        return torch.from_numpy(bits).float()


def _leading(bounds: Sequence[tuple[int, int]], frames: float) -> Iterator[tuple[int, int]]:
    """Mixtures until they have so many frames."""
    for start, stop in bounds:
        if frames <= 0:
            return
        yield start, stop
        frames -= stop - start
