"""Corpora as the benchmarks see them: which recordings a purpose may use, and fixed mixtures."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from blsh_trainer.audio import list_audio, read_mono
from blsh_trainer.errors import BlshError
from blsh_trainer.mixing import Mixture

RATE = 16000

# Speech whose licence allows commercial use without conditions on what is made from it.
# Not: RAVDESS (non-commercial), Emo-DB and Urdu (research), Grid (unstated),
# Asterisk en, fr and es (share alike: whether a model is an adaptation is unsettled).
COMMERCIAL_SPEECH = {
    "train/libri_": "LibriSpeech train-clean-100, CC BY 4.0",
    "train/vctk_": "VCTK 0.92, CC BY 4.0",
    "train/asterisk_ru": "Asterisk core sounds (Maxim Topal), CC BY 3.0",
    "extra/picovoice_s2i_mixed": "Picovoice speech-to-intent-benchmark, Apache-2.0",
}
# Likewise noise, by the `source` column of noise/extra_index.csv and the start of a file's name.
# Not: GPL and share-alike game sounds; every "unclear" and "check" row; noise/test/kitchen, the
# author of which is not named.
COMMERCIAL_NOISE = {
    "moodist": "moodist, Pixabay Content License or CC0 (not known which sound has which): "
    "commercial use as part of a work, no handing on of the sounds by themselves",
    "esc50": "ESC-10 part of ESC-50 (Freesound), CC BY 3.0",
    "speechcommands": "Speech Commands background noise, CC BY 4.0",
    "drone_motor": "drone-audio-dataset, MIT",
    "carsound": "car-sound-classification-with-keras, MIT",
    "noisekun": "Noisekun, CC0 and CC BY",
    "blanket": "Blanket: birds CC0 (kvgarlic), rain CC BY (alex36917), waves CC BY (Luftrum)",
    "ambientsounds": "ambientsounds: heavy-rain CC BY (D W), wind CC0 or CC BY",
    "mechvibes": "Mechvibes, MIT",
    "audiomentations": "audiomentations demo noises, MIT",
    "sonicpi": "Sonic Pi samples (Freesound), CC0",
}
ESC_10 = {
    "dog", "rooster", "rain", "sea_waves", "crackling_fire", "crying_baby", "sneezing",
    "clock_tick", "helicopter", "chainsaw",
}  # fmt: skip
NOISEKUN_WITHOUT = ("washing-machine", "train")


def need_corpus(corpus: Path, *parts: str) -> None:
    """Raise `BlshError` naming what of the corpus is missing."""
    missing = [part for part in parts if not (corpus / part).exists()]
    if missing:
        raise BlshError(
            f"{corpus}: the corpus is incomplete, missing {', '.join(missing)}; "
            "name its folder with --corpus"
        )


def commercial_speech(corpus: Path) -> list[Path]:
    """Speech files of `COMMERCIAL_SPEECH`."""
    speech = corpus / "speech"
    return [
        path
        for split in ("train", "extra")
        for path in list_audio(speech / split)
        if path.relative_to(speech).as_posix().startswith(tuple(COMMERCIAL_SPEECH))
    ]


def commercial_noise(corpus: Path) -> list[Path]:
    """Noise files all of whose recordings are covered by `COMMERCIAL_NOISE`.

    Of every folder, the test split's included: a model trained on these has no open set left here.
    """
    noise = corpus / "noise"
    allowed = {
        path.relative_to(noise).as_posix(): path.name.startswith("moodist-")
        for split in ("train", "test")
        for path in list_audio(noise / split)
    }
    with (noise / "extra_index.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            fits = _is_commercial(row["source"], Path(row["file"]).parent.name, row["recording"])
            allowed[row["file"]] = allowed.get(row["file"], True) and fits
    return [noise / name for name in sorted(allowed) if allowed[name]]


def _is_commercial(source: str, kind: str, recording: str) -> bool:
    if source == "esc50":
        return kind in ESC_10
    if source == "noisekun":
        return not any(name in recording for name in NOISEKUN_WITHOUT)
    return source in COMMERCIAL_NOISE


def scoring_mixtures(
    speech: Path, noise: Path, count: int, snr_db: float, *, seed: int = 7, max_seconds: float = 5
) -> Iterator[Mixture]:
    """The fixed open-set mixtures: speakers and noise types in turn, both in a seeded order.

    Args:
        speech: Folder with a folder a speaker.
        noise: Folder with a folder a noise type.
        count: How many mixtures.
        snr_db: Signal-to-noise ratio, of standard deviations.
        seed: The published figures use 7.
        max_seconds: Longer utterances are cut.

    Yields:
        Mixtures with a standard deviation of 0.1 for speech, less where they would clip.
    """
    rng = np.random.default_rng(seed)
    by_speaker, by_type = _by_folder(speech), _by_folder(noise)
    speakers, types = rng.permutation(sorted(by_speaker)), rng.permutation(sorted(by_type))
    longest = round(max_seconds * RATE)
    for i in range(count):
        clips = by_speaker[speakers[i % len(speakers)]]
        clip = _read(clips[rng.integers(len(clips))])[:longest]
        recordings = by_type[types[i % len(types)]]
        sound = _read(recordings[rng.integers(len(recordings))])
        if sound.size <= clip.size:
            sound = np.tile(sound, clip.size // sound.size + 2)
        start = rng.integers(0, sound.size - clip.size)
        sound = sound[start : start + clip.size]
        clip = clip / (clip.std() + 1e-9)
        sound = sound / (sound.std() + 1e-9) * 10 ** (-snr_db / 20)
        level = min(0.1, 0.95 / np.abs(clip + sound).max())
        yield Mixture((clip * level).astype(np.float32), (sound * level).astype(np.float32), snr_db)


def _by_folder(directory: Path) -> dict[str, list[Path]]:
    folders: dict[str, list[Path]] = {}
    for path in list_audio(directory):
        folders.setdefault(path.parent.relative_to(directory).as_posix(), []).append(path)
    return folders


def _read(path: Path) -> npt.NDArray[np.float64]:
    return read_mono(path, RATE).astype(np.float64)
