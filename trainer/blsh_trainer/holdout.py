"""A validation split of the training side: talkers and noise types that training lacks."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from blsh_trainer.corpus import Recordings
from blsh_trainer.errors import BlshError
from blsh_trainer.mixing import Mixture, by_folder, draw_mixtures

SPEECH_SHARE = 0.12
NOISE_SHARE = 0.2
MIXTURES = 48
SECONDS = 5.0
SNR_DB = 0.0


@dataclass(frozen=True)
class Split:
    """Recordings in two parts that share no folder, a folder being a talker or a noise type.

    Attributes:
        training: To learn from.
        validation: To compare models on.
    """

    training: Recordings
    validation: Recordings


def hold_out(recordings: Recordings, seed: int) -> Split:
    """Take some talkers and noise types out of the training.

    Folders of the same name count as one: `rain` of two collections is one noise type. The parts
    have a fingerprint of their own, so that what was learned from one is not taken for the whole.

    Raises:
        BlshError: There is only one talker or one noise type.
    """
    rng = np.random.default_rng([seed, 21])
    speech = _held_out("--speech", recordings.speech, SPEECH_SHARE, rng)
    noise = _held_out("--noise", recordings.noise, NOISE_SHARE, rng)

    names = sorted(speech | noise)
    text = " ".join([recordings.fingerprint, "without", *names])
    fingerprint = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

    def part(held_out: bool) -> Recordings:
        return Recordings(
            fingerprint=fingerprint,
            speech=tuple(p for p in recordings.speech if (p.parent.name in speech) == held_out),
            noise=tuple(p for p in recordings.noise if (p.parent.name in noise) == held_out),
        )

    return Split(part(False), part(True))


def _held_out(
    option: str, paths: Sequence[Path], share: float, rng: np.random.Generator
) -> set[str]:
    names = sorted({path.parent.name for path in paths})
    if len(names) < 2:
        raise BlshError(
            f"{option}: validation holds out whole folders, and there is only {len(names)}; give "
            "each talker and each noise type a folder of its own"
        )
    count = min(len(names) - 1, max(1, math.ceil(share * len(names))))
    return {names[i] for i in rng.choice(len(names), count, replace=False)}


def validation_mixtures(
    recordings: Recordings, rate: int, seed: int, count: int = MIXTURES
) -> list[Mixture]:
    """Fixed mixtures at `SNR_DB`, talkers in turn, each cut to `SECONDS`.

    Args:
        recordings: The validation part of a split.
        rate: Sampling rate in Hz.
        seed: Of all choices.
        count: How many mixtures, fewer where there is less speech.
    """
    rng = np.random.default_rng([seed, 22])
    by_talker = by_folder(recordings.speech)
    turns = max(len(paths) for paths in by_talker.values())
    speech = [
        paths[turn] for turn in range(turns) for paths in by_talker.values() if turn < len(paths)
    ]
    drawn = draw_mixtures(
        speech[:count], recordings.noise, rate=rate, snrs_db=[SNR_DB], minutes=None, rng=rng
    )
    longest = round(SECONDS * rate)
    return [Mixture(m.speech[:longest], m.noise[:longest], m.snr_db) for m in drawn]
