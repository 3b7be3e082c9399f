"""Training as one call: options and recordings in, a model out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from blsh_trainer.boosting import TARGET_QUANTILES, BoostedHashing, Learned, Round, Target
from blsh_trainer.condensed_model import MAX_MASK_BITS
from blsh_trainer.corpus import Recordings, TrainingFrames, training_frames, training_mixtures
from blsh_trainer.dictionary import (
    DictionarySize,
    check_neighbours,
    choose_entries,
    cluster,
)
from blsh_trainer.errors import BlshError
from blsh_trainer.features import make_filterbank
from blsh_trainer.hashing import hash_bits, pack_codes
from blsh_trainer.mask_rate import economical_levels
from blsh_trainer.mixing import check_minutes
from blsh_trainer.model_file import (
    Band,
    FeatureKind,
    Geometry,
    Model,
    check_geometry,
)
from blsh_trainer.projections import random_projections
from blsh_trainer.similarity import DistanceKind

FloatArray = npt.NDArray[np.float32]
Method = Literal["blsh", "lsh"]
Sampling = Literal["random", "clusters"]

MAX_PROJECTIONS = 1024
MAX_MASK_SLOPE = 10.0
# Options that decide what the projections are: a resumed model must agree on them.
LEARNING_OPTIONS = (
    "method",
    "distance",
    "aim",
    "rate",
    "frame",
    "hop",
    "features",
    "mels",
    "snr",
    "minutes",
    "seed",
)
# Separate streams of random numbers, so that none depends on how far another has run.
_MIXING_STREAM, _DICTIONARY_STREAM = 1, 2


@dataclass(frozen=True)
class TrainingOptions:
    """What `blsh-train` is told; see its ``--help``.

    Attributes:
        projections: L, bits a hash code.
        dictionary: Size of the dictionary, a count or a share such as ``"1%"``.
        neighbours: K.
        sampling: Whether entries are a random sample of the frames or clusters of them.
        mask_bits: Bits of a mask level; 1 for the ideal binary mask.
        mask_slope: Squared gain error that a bit of a compressed mask is worth (see
            `blsh_trainer.mask_rate`); 0 for masks as they are.
        method: ``"blsh"`` or ``"lsh"``.
        distance: Element-wise distance that boosting reduces.
        aim: What the bits' similarity is compared with: ``"raw"`` for the similarity of frames,
            ``"scaled"`` for its map onto 1/2 at the 95th percentile.
        features: ``"stft"`` or ``"mel"``.
        mels: Number of mel filters; ignored for STFT features.
        frame: Frame in samples.
        hop: Hop in samples.
        rate: Sampling rate in Hz.
        snr: Signal-to-noise ratios of the mixtures in dB.
        minutes: Minutes of mixtures; ``None`` for one pass through the speech.
        seed: Seed of everything random.
    """

    projections: int = 150
    dictionary: str = "1%"
    neighbours: int = 10
    sampling: Sampling = "random"
    mask_bits: int = 1
    mask_slope: float = 0.0
    method: Method = "blsh"
    distance: DistanceKind = "squared"
    aim: Target = "scaled"
    features: FeatureKind = "stft"
    mels: int = 80
    frame: int = 1024
    hop: int = 256
    rate: int = 16000
    snr: tuple[float, ...] = (0.0,)
    minutes: float | None = None
    seed: int = 0

    @property
    def geometry(self) -> Geometry:
        """Framing and features."""
        return Geometry(self.rate, self.frame, self.hop, self.features)

    def check(self) -> None:
        """Raise `BlshError` naming the option where a value is impossible on its own."""
        for option, kinds in (
            ("method", Method), ("distance", DistanceKind), ("aim", Target), ("sampling", Sampling),
        ):  # fmt: skip
            value, allowed = getattr(self, option), get_args(kinds)
            if value not in allowed:
                raise BlshError(f"--{option} {value}: must be {' or '.join(allowed)}")
        check_geometry(self.geometry)
        check_minutes(self.minutes)
        make_filterbank(self.geometry, self.mels)
        size = DictionarySize.parse(self.dictionary)
        check_neighbours(self.neighbours, size.count or 1 << 62)
        if not 1 <= self.projections <= MAX_PROJECTIONS:
            raise BlshError(f"--projections {self.projections}: must be 1 to {MAX_PROJECTIONS}")
        if not 1 <= self.mask_bits <= MAX_MASK_BITS:
            raise BlshError(f"--mask-bits {self.mask_bits}: must be 1 to {MAX_MASK_BITS}")
        if not 0 <= self.mask_slope <= MAX_MASK_SLOPE:
            raise BlshError(f"--mask-slope {self.mask_slope:g}: must be 0 to {MAX_MASK_SLOPE:g}")
        if self.seed < 0:
            raise BlshError(f"--seed {self.seed}: must not be negative")
        if not self.snr or not all(abs(snr) <= 100 for snr in self.snr):
            raise BlshError("--snr: give ratios between -100 and 100 dB")

    def record(self) -> dict[str, Any]:
        """The options as the model file keeps them."""
        return {**asdict(self), "snr": list(self.snr)}


def collect_frames(
    recordings: Recordings,
    options: TrainingOptions,
    on_mixture: Callable[[float], None] | None = None,
) -> TrainingFrames:
    """Mix the recordings and turn them into frames; errors as `training_frames`."""
    mixtures = training_mixtures(
        recordings,
        options.geometry,
        options.snr,
        options.minutes,
        np.random.default_rng([options.seed, _MIXING_STREAM]),
    )
    bank = make_filterbank(options.geometry, options.mels)
    binary = options.mask_bits == 1 and options.mask_slope == 0
    return training_frames(mixtures, options.geometry, bank, on_mixture, with_targets=not binary)


def new_estimator(options: TrainingOptions, resumed: Model | None = None) -> BoostedHashing:
    """The estimator for some options, holding the projections of a model to go on from."""
    estimator = BoostedHashing(
        n_projections=options.projections,
        distance=options.distance,
        target_quantile=TARGET_QUANTILES[options.aim],
        warm_start=True,
        random_state=options.seed,
    )
    if resumed is not None:
        band = resumed.bands[0]
        estimator.learned = Learned(
            band.projection, band.bias, band.beta, np.array(resumed.training["epsilon"])
        )
    return estimator


def learn(
    estimator: BoostedHashing,
    frames: TrainingFrames,
    options: TrainingOptions,
    callback: Callable[[Round], None] | None = None,
) -> None:
    """Boost, or draw, the projections that are still missing.

    An interrupted call leaves the estimator with the projections learned so far.

    Raises:
        BlshError: There are too few frames to compare any.
    """
    if options.method == "blsh":
        if frames.features.shape[0] < 2:
            raise BlshError(
                "--speech: the mixtures have only one frame with sound, boosting compares two or "
                "more; give longer recordings or more --minutes"
            )
        estimator.fit(frames.features, callback)
        return
    n = options.projections
    estimator.learned = Learned(
        random_projections(n, frames.features.shape[1], options.seed),
        np.zeros(n, np.float32),
        np.ones(n, np.float32),
        np.zeros(0),  # nothing was boosted
    )


def build_model(
    estimator: BoostedHashing,
    frames: TrainingFrames,
    options: TrainingOptions,
    fingerprint: str,
    on_round: Callable[[int], None] | None = None,
) -> Model:
    """Hash the dictionary with the projections at hand and put the model together.

    Args:
        estimator: The projections.
        frames: What entries are taken from.
        options: Of the training.
        fingerprint: Of the recordings.
        on_round: Called with the rounds of clustering that are done.
    """
    n_frames = frames.features.shape[0]
    n_entries = DictionarySize.parse(options.dictionary).entries(n_frames)
    check_neighbours(options.neighbours, n_entries)
    rng = np.random.default_rng([options.seed, _DICTIONARY_STREAM])
    index = choose_entries(n_frames, n_entries, rng)
    if options.sampling == "clusters":
        every = hash_bits(frames.features, estimator.projection_, estimator.bias_)
        bits, label = cluster(every, index, on_round)
        masks = _masks_of_clusters(frames, label, n_entries, options)
    else:
        bits = hash_bits(frames.features[index], estimator.projection_, estimator.bias_)
        masks = _masks(frames, index, options)
    band = Band(
        bins=(0, options.geometry.n_bins),
        feature_range=(0, frames.features.shape[1]),
        neighbours=options.neighbours,
        mask_bits=options.mask_bits,
        projection=estimator.projection_,
        bias=estimator.bias_,
        beta=estimator.beta_,
        codes=pack_codes(bits),
        masks=masks,
    )
    training = {
        "options": options.record(),
        "fingerprint": fingerprint,
        "frames": n_frames,
        "seconds": round(frames.seconds, 3),
        "epsilon": [float(value) for value in estimator.epsilon_],
    }
    if options.method == "blsh":
        training["boosting"] = estimator.settings()
    bank = make_filterbank(options.geometry, options.mels)
    return Model(options.geometry, (band,), bank, training)


def _masks(
    frames: TrainingFrames, index: npt.NDArray[np.int64], options: TrainingOptions
) -> npt.NDArray[np.uint8]:
    """Mask levels of the entries: ideal binary masks, or levels of ideal gains."""
    if frames.targets is None:
        return frames.mask_levels(index)
    gains, weights = frames.targets.of(index)
    return economical_levels(gains, weights, options.mask_bits, options.mask_slope)


def _masks_of_clusters(
    frames: TrainingFrames,
    label: npt.NDArray[np.int64],
    n_entries: int,
    options: TrainingOptions,
) -> npt.NDArray[np.uint8]:
    """The same for clusters: what most of their frames have, or the gain of the least error."""
    order = np.argsort(label, kind="stable")
    members = np.split(order, np.searchsorted(label[order], np.arange(1, n_entries)))
    if frames.targets is None:
        majorities = [frames.mask_levels(index).mean(axis=0) > 0.5 for index in members]
        return np.stack(majorities).astype(np.uint8)
    gains, weights = np.empty((2, n_entries, frames.n_bins), np.float32)
    for entry, index in enumerate(members):
        each, weight = frames.targets.of(index)
        gains[entry] = (weight * each).sum(axis=0) / weight.sum(axis=0)
        weights[entry] = weight.mean(axis=0)
    return economical_levels(gains, weights, options.mask_bits, options.mask_slope)


def recorded_options(model: Model, name: str) -> dict[str, Any]:
    """The options that a model keeps of its training, as `TrainingOptions` takes them.

    Args:
        model: The model to go on from.
        name: The model's file, for messages.

    Raises:
        BlshError: It keeps none, or not as `blsh-train` writes them.
    """
    recorded = model.training.get("options")
    if not isinstance(recorded, dict) or len(model.bands) != 1:
        raise BlshError(f"{name}: --resume needs a model written by blsh-train")
    known: dict[str, Any] = {}
    for field in fields(TrainingOptions):
        if field.name not in recorded:
            continue
        value = recorded[field.name]
        if not _is_of_kind(value, field.default):
            raise BlshError(
                f"{name}: its record of --{field.name} is damaged; "
                "--resume needs a model written by blsh-train"
            )
        known[field.name] = tuple(value) if isinstance(value, list) else value
    return known


def _is_of_kind(value: Any, default: Any) -> bool:
    """Whether a recorded value has the type of an option, told by the option's default."""
    if isinstance(default, tuple):
        return isinstance(value, list) and all(_is_number(item) for item in value)
    if default is None:
        return value is None or _is_number(value)
    return type(value) is type(default)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def check_resumable(model: Model, options: TrainingOptions, fingerprint: str, name: str) -> None:
    """Raise `BlshError` where a model was not trained with these options and recordings.

    Args:
        model: The model to go on from.
        options: The options of this run.
        fingerprint: Of this run's recordings.
        name: The model's file, for messages.
    """
    recorded, wanted = recorded_options(model, name), asdict(options)
    for option in LEARNING_OPTIONS:
        if option not in recorded:
            raise BlshError(
                f"{name}: does not say with which --{option} it was trained, so another version "
                "of blsh-train wrote it; train a new model without --resume"
            )
        if recorded[option] != wanted[option]:
            raise BlshError(
                f"{name}: was trained with --{option} {_shown(recorded[option])}, not "
                f"{_shown(wanted[option])}; --resume with the same options"
            )
    if options.method == "blsh":
        _check_boosting(model, options, name)
    if model.training.get("fingerprint") != fingerprint:
        raise BlshError(
            f"{name}: was trained on other recordings; --resume with the same --speech and --noise"
        )
    if model.bands[0].n_bits > options.projections:
        raise BlshError(
            f"--projections {options.projections}: {name} already has {model.bands[0].n_bits}; "
            "ask for more"
        )


def _check_boosting(model: Model, options: TrainingOptions, name: str) -> None:
    """Raise `BlshError` where boosting went by other settings, or its errors are not recorded."""
    recorded, here = model.training.get("boosting"), new_estimator(options).settings()
    if not isinstance(recorded, dict):
        recorded = {}
    for setting in sorted(recorded.keys() | here.keys()):
        if recorded.get(setting) != here.get(setting):
            raise BlshError(
                f"{name}: another version of blsh-train learned it, with {setting} "
                f"{_recorded(recorded, setting)} where this one has {_recorded(here, setting)}; "
                "train a new model without --resume"
            )
    epsilon = model.training.get("epsilon")
    if not (
        isinstance(epsilon, list)
        and len(epsilon) == model.bands[0].n_bits
        and all(_is_number(value) for value in epsilon)
    ):
        raise BlshError(
            f"{name}: its record of epsilon is damaged; "
            "--resume needs a model written by blsh-train"
        )


def _recorded(settings: dict[str, Any], name: str) -> str:
    return str(settings[name]) if name in settings else "unset"


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(f"{item:g}" for item in value)
    return "all" if value is None else str(value)
