"""From folders of recordings to training frames."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from blsh_trainer.audio import list_audio
from blsh_trainer.errors import BlshError
from blsh_trainer.features import frame_features, ideal_binary_mask
from blsh_trainer.levels import ideal_gains
from blsh_trainer.mixing import Mixture, draw_mixtures
from blsh_trainer.model_file import Geometry
from blsh_trainer.stft import ComplexArray, stft

FloatArray = npt.NDArray[np.float32]

UNIFORM_SHARE = 0.1
"""Part of a gain's error that counts the same in loud bins and in quiet ones."""


@dataclass(frozen=True)
class Recordings:
    """The files to train on.

    Attributes:
        speech: Speech files.
        noise: Noise files.
        fingerprint: SHA-256 over their names below the folders they were found in, and contents.
    """

    speech: tuple[Path, ...]
    noise: tuple[Path, ...]
    fingerprint: str


@dataclass(frozen=True)
class GainTargets:
    """What masks of more than one bit are made from.

    Attributes:
        gains: ``(F, n_bins)`` uint8, ideal gains times 255.
        weights: ``(F, n_bins)`` float16, noisy power over its mean in the frame.
    """

    gains: npt.NDArray[np.uint8]
    weights: npt.NDArray[np.float16]

    def of(self, index: npt.NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Gains in [0, 1] of some frames, and how much their squared errors count."""
        weights = self.weights[index].astype(np.float32)
        gains = self.gains[index].astype(np.float32) / np.float32(255)
        return gains, (1 - UNIFORM_SHARE) * weights + np.float32(UNIFORM_SHARE)


@dataclass(frozen=True)
class TrainingFrames:
    """Frames of noisy speech.

    Attributes:
        features: ``(N, n_features)`` float32, L2-normalised, none silent.
        masks: ``(N, ceil(n_bins / 8))`` uint8, ideal binary masks packed by ``numpy.packbits``.
        n_bins: Bins a mask.
        seconds: Length of the mixtures they come from.
        targets: Ideal gains of the frames, where they were asked for.
    """

    features: FloatArray
    masks: npt.NDArray[np.uint8]
    n_bins: int
    seconds: float
    targets: GainTargets | None = None

    def mask_levels(self, index: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """``(len(index), n_bins)`` levels 0 or 1 of some frames."""
        return np.unpackbits(self.masks[index], axis=1, count=self.n_bins)


def find_recordings(speech: Sequence[Path], noise: Sequence[Path]) -> Recordings:
    """List the audio in some folders.

    Raises:
        BlshError: A folder is missing or holds no audio, or a file cannot be read.
    """
    digest = hashlib.sha256()
    found: list[tuple[Path, ...]] = []
    for kind, folders in (("speech", speech), ("noise", noise)):
        files: list[Path] = []
        for folder in folders:
            for path in list_audio(folder):
                digest.update(f"{kind} {path.relative_to(folder).as_posix()}\n".encode())
                try:
                    digest.update(hashlib.sha256(path.read_bytes()).digest())
                except OSError as error:
                    raise BlshError(
                        f"{path}: cannot be read ({error.strerror}); check its permissions"
                    ) from error
                files.append(path)
        found.append(tuple(files))
    return Recordings(found[0], found[1], digest.hexdigest())


def training_mixtures(
    recordings: Recordings,
    geometry: Geometry,
    snrs_db: Sequence[float],
    minutes: float | None,
    rng: np.random.Generator,
) -> Iterable[Mixture]:
    """The mixtures of `draw_mixtures` for some recordings."""
    return draw_mixtures(
        recordings.speech,
        recordings.noise,
        rate=geometry.rate,
        snrs_db=snrs_db,
        minutes=minutes,
        rng=rng,
    )


def mixture_frames(
    mixture: Mixture, geometry: Geometry, filterbank: FloatArray | None = None
) -> tuple[FloatArray, npt.NDArray[np.uint8]]:
    """Features and masks of the frames of a mixture that are not silent.

    Args:
        mixture: Speech and noise.
        geometry: Framing.
        filterbank: ``(M, n_bins)`` for mel features.

    Returns:
        ``(F, n_features)`` L2-normalised features, and ``(F, ceil(n_bins / 8))`` ideal binary masks
        packed by ``numpy.packbits``.
    """
    features, masks, _ = _mixture_frames(mixture, geometry, filterbank, with_targets=False)
    return features, masks


def _mixture_frames(
    mixture: Mixture, geometry: Geometry, filterbank: FloatArray | None, with_targets: bool
) -> tuple[FloatArray, npt.NDArray[np.uint8], GainTargets | None]:
    """The same, and ideal gains of these frames where they are wanted."""
    speech = stft(mixture.speech, geometry.frame, geometry.hop)
    noise = stft(mixture.noise, geometry.frame, geometry.hop)
    noisy = speech + noise
    features = frame_features(np.abs(noisy), filterbank)
    sounding = features.any(axis=1)
    mask = ideal_binary_mask(np.abs(speech), np.abs(noise))
    return (
        np.asarray(features[sounding], np.float32),
        np.packbits(mask[sounding], axis=1),
        _gain_targets(speech[sounding], noisy[sounding]) if with_targets else None,
    )


def _gain_targets(speech: ComplexArray, noisy: ComplexArray) -> GainTargets:
    """Ideal gains of some frames' spectra.

    One bit of a gain is the ideal binary mask: it is above 1/2 where speech is louder than noise.
    """
    each_bin = np.arange(speech.shape[1] + 1, dtype=np.uint16)
    gains, power = ideal_gains(speech, noisy, each_bin)
    weights = power / power.mean(axis=1, keepdims=True)
    return GainTargets(np.rint(gains * 255).astype(np.uint8), weights.astype(np.float16))


def training_frames(
    mixtures: Iterable[Mixture],
    geometry: Geometry,
    filterbank: FloatArray | None,
    on_mixture: Callable[[float], None] | None = None,
    with_targets: bool = False,
) -> TrainingFrames:
    """Features and masks of every frame of some mixtures; silent frames are left out.

    Args:
        mixtures: Speech and noise.
        geometry: Framing.
        filterbank: ``(M, n_bins)`` for mel features.
        on_mixture: Called with the seconds done so far.
        with_targets: Keep ideal gains as well.

    Raises:
        BlshError: There is no frame with sound.
    """
    features: list[FloatArray] = []
    masks: list[npt.NDArray[np.uint8]] = []
    targets: list[GainTargets] = []
    n_samples = 0
    for mixture in mixtures:
        frames, mask, target = _mixture_frames(mixture, geometry, filterbank, with_targets)
        features.append(frames)
        masks.append(mask)
        if target is not None:
            targets.append(target)
        n_samples += mixture.speech.size
        if on_mixture is not None:
            on_mixture(n_samples / geometry.rate)
    if not features or not sum(len(f) for f in features):
        raise BlshError(
            "--speech, --noise: every mixture is silent; give recordings with sound in them, "
            "or more --minutes where they begin with silence"
        )
    return TrainingFrames(
        np.concatenate(features),
        np.concatenate(masks),
        geometry.n_bins,
        n_samples / geometry.rate,
        _joined(targets) if with_targets else None,
    )


def _joined(targets: Sequence[GainTargets]) -> GainTargets:
    return GainTargets(
        np.concatenate([one.gains for one in targets]),
        np.concatenate([one.weights for one in targets]),
    )
