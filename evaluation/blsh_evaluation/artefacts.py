"""What is learned or drawn from the training side, each kept as a step of the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from blsh_trainer.boosting import Round
from blsh_trainer.corpus import TrainingFrames
from blsh_trainer.dictionary import DictionarySize, choose_entries
from blsh_trainer.errors import BlshError
from blsh_trainer.hashing import hash_bits, pack_codes
from blsh_trainer.mixing import Mixture, draw_mixtures
from blsh_trainer.model_file import Band, Model, code_words, save_model
from blsh_trainer.training import Method, TrainingOptions, learn, new_estimator

from blsh_evaluation.cache import Cache
from blsh_evaluation.frame_store import FrameStore, write_frames
from blsh_evaluation.protocol import Protocols

FloatArray = npt.NDArray[np.float32]

_MIXING_STREAM, _SUBSET_STREAM = 32, 33
_HASH_BLOCK = 8192


@dataclass(frozen=True)
class Projections:
    """Learned or drawn projections, most significant first.

    Attributes:
        projection: ``(L, n_features)`` float32.
        bias: ``(L,)`` float32.
        epsilon: ``(L,)`` float64, weighted errors; empty where nothing was boosted.
        beta: ``(L,)`` float32.
    """

    projection: FloatArray
    bias: FloatArray
    epsilon: npt.NDArray[np.float64]
    beta: FloatArray


@dataclass(frozen=True)
class Learning:
    """The training side as the steps see it.

    Attributes:
        cache: Where results are kept.
        protocols: The corpus, split.
        options: How is learned.
        minutes: Of training mixtures at most; ``None`` for each speech file once.
    """

    cache: Cache
    protocols: Protocols
    options: TrainingOptions
    minutes: float | None = None

    def frames(self, on_mixture: Callable[[float], None] | None = None) -> Path:
        """Folder of a `FrameStore`: the training side, mixed once."""
        side, options = self.protocols.training, self.options

        def build(folder: Path) -> None:
            mixtures = draw_mixtures(
                [part.path for part in side.speech],
                [part.path for part in side.noise],
                rate=options.rate,
                snrs_db=options.snr,
                minutes=None,
                rng=np.random.default_rng([options.seed, _MIXING_STREAM]),
                read=side.read,
            )
            wanted = first_minutes(mixtures, options.rate, self.minutes)
            write_frames(wanted, options.geometry, folder, on_mixture)

        return self.cache.step("frames", __name__, self._frame_inputs(), build)

    def projections(
        self, method: Method, seed: int, callback: Callable[[Round], None] | None = None
    ) -> Path:
        """File of projections: ``"blsh"`` learned, or ``"lsh"`` drawn, by ``seed``."""
        frames = self.frames()
        options = replace(self.options, method=method, seed=seed)

        def build(folder: Path) -> None:
            store = FrameStore.open(frames)
            estimator = new_estimator(options)
            learn(estimator, training_frames_of(store), options, callback)
            np.savez(
                folder / "projections.npz",
                projection=estimator.projection_,
                bias=estimator.bias_,
                epsilon=estimator.epsilon_,
                beta=estimator.beta_,
            )

        inputs = {"frames": frames.name, "options": asdict(options)}
        return self.cache.step(method, __name__, inputs, build) / "projections.npz"

    def codes(self, projections: Path) -> Path:
        """File of the packed codes of all training frames, ``(N, words)`` uint32."""
        frames = self.frames()

        def build(folder: Path) -> None:
            store, learned = FrameStore.open(frames), load_projections(projections)
            blocks = [
                pack_codes(hash_bits(features, learned.projection, learned.bias))
                for features in feature_blocks(store)
            ]
            np.save(folder / "codes.npy", np.concatenate(blocks))

        inputs = {"frames": frames.name, "projections": projections.parent.name}
        return self.cache.step("codes", __name__, inputs, build) / "codes.npy"

    def model(self, projections: Path, n_bits: int, share: float, draw: int) -> Path:
        """Model file with a random dictionary, for the code generator."""
        frames, codes = self.frames(), self.codes(projections)

        def build(folder: Path) -> None:
            store, learned = FrameStore.open(frames), load_projections(projections)
            index = choose_subset(store.n_frames, share, draw, self.options.seed)
            band = Band(
                bins=(0, store.n_bins),
                feature_range=(0, store.features.shape[1]),
                neighbours=self.options.neighbours,
                mask_bits=1,
                projection=learned.projection[:n_bits],
                bias=learned.bias[:n_bits],
                beta=learned.beta[:n_bits],
                codes=leading_bits(np.load(codes, mmap_mode="r")[index], n_bits),
                masks=np.unpackbits(store.masks[index], axis=1, count=store.n_bins),
            )
            save_model(Model(self.options.geometry, (band,)), folder / "model.npz")

        inputs = {
            "codes": codes.parent.name,
            "neighbours": self.options.neighbours,
            "seed": self.options.seed,
            "dictionary": [n_bits, share, draw],
        }
        return self.cache.step("model", __name__, inputs, build) / "model.npz"

    def check_subset(self, share: float) -> None:
        """Raise `BlshError` where a dictionary of a share of the frames has not K entries."""
        store, neighbours = FrameStore.open(self.frames()), self.options.neighbours
        n_entries = DictionarySize(None, share).entries(store.n_frames)
        if n_entries < neighbours:
            minutes = store.seconds / 60
            needed = minutes * neighbours / (share * store.n_frames)
            raise BlshError(
                f"--speech-train: {minutes:.2g} min of training mixtures give {store.n_frames} "
                f"frames, and a dictionary of {share:.0%} has {n_entries} of them, fewer than the "
                f"{neighbours} neighbours wanted; give {needed:.2g} min of speech or more"
            )

    def _frame_inputs(self) -> dict[str, Any]:
        options = self.options
        return {
            "corpus": self.protocols.fingerprint,
            "geometry": asdict(options.geometry),
            "snr": options.snr,
            "minutes": self.minutes,
            "seed": options.seed,
        }


def first_minutes(
    mixtures: Iterable[Mixture], rate: int, minutes: float | None
) -> Iterator[Mixture]:
    """Mixtures until there are so many minutes of them, or no more."""
    left = float("inf") if minutes is None else minutes * 60 * rate
    for mixture in mixtures:
        if left <= 0:
            return
        yield mixture
        left -= mixture.speech.size


def load_projections(path: Path) -> Projections:
    """Read what `Learning.projections` wrote."""
    with np.load(path) as arrays:
        return Projections(arrays["projection"], arrays["bias"], arrays["epsilon"], arrays["beta"])


def choose_subset(n_frames: int, share: float, draw: int, seed: int) -> npt.NDArray[np.int64]:
    """Indices of the training frames in a random dictionary, ascending.

    Args:
        n_frames: Of all training frames.
        share: Of them, 1 for all.
        draw: Which of the random subsets.
        seed: Of the draws.
    """
    rng = np.random.default_rng([seed, _SUBSET_STREAM, draw])
    return choose_entries(n_frames, DictionarySize(None, share).entries(n_frames), rng)


def leading_bits(codes: npt.NDArray[np.uint32], n_bits: int) -> npt.NDArray[np.uint32]:
    """The first bits of packed codes: ``(F, code_words(n_bits))``, the bits beyond cleared."""
    cut = np.array(codes[:, : code_words(n_bits)])
    if n_bits % 32:
        cut[:, -1] &= np.uint32((1 << n_bits % 32) - 1)
    return cut


def training_frames_of(store: FrameStore) -> TrainingFrames:
    """A store as the trainer takes it; its arrays stay on disk."""
    return TrainingFrames(store.features, store.masks, store.n_bins, store.seconds)


def feature_blocks(store: FrameStore) -> list[FloatArray]:
    """Views of a store's features, a few thousand frames each."""
    return [
        store.features[start : start + _HASH_BLOCK]
        for start in range(0, store.n_frames, _HASH_BLOCK)
    ]
