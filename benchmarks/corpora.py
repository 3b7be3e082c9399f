"""Corpora as the benchmarks see them: which recordings a purpose may use, and fixed mixtures."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from blsh_evaluation.mixtures import draw_specs
from blsh_evaluation.protocol import open_test
from blsh_trainer.audio import list_audio
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


def scoring_mixtures(speech: Path, noise: Path, count: int, snr_db: float) -> Iterator[Mixture]:
    """The fixed open-set mixtures by which the denoisers are compared everywhere.

    Args:
        speech: Folder with a folder a speaker.
        noise: Folder with a folder a noise type.
        count: How many mixtures.
        snr_db: Signal-to-noise ratio, of standard deviations.
    """
    for spec in draw_specs(open_test(speech, noise), count, RATE):
        yield spec.read(snr_db, RATE)
