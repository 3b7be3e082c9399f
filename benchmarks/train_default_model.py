"""Train the bundled model, codegen/blsh_codegen/models/default.npz, and write docs/model.md.

Only recordings whose licence allows commercial use without conditions on what is made from them
are used (see `corpora`), with noise made by the project itself added. Options were chosen by
--search: quality on speakers and noise types that the training has not heard. The corpus's test
split is not touched.

    python benchmarks/train_default_model.py --corpus ../shared/corpus
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import io
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from blsh_trainer.audio import list_audio, read_mono, write_wav
from blsh_trainer.corpus import Recordings
from blsh_trainer.denoiser import denoise
from blsh_trainer.errors import BlshError
from blsh_trainer.files import write_atomically
from blsh_trainer.metrics import si_sdr
from blsh_trainer.mixing import Mixture
from blsh_trainer.model_file import Model, load_model, save_model
from blsh_trainer.synthetic import NOISES, synthetic_noise
from blsh_trainer.training import TrainingOptions, build_model, collect_frames, learn, new_estimator
from corpora import (
    COMMERCIAL_NOISE,
    COMMERCIAL_SPEECH,
    RATE,
    commercial_noise,
    commercial_speech,
    need_corpus,
    validation_mixtures,
)
from quality import MEASURES, score

ROOT = Path(__file__).resolve().parent.parent
HELD_OUT_SPEAKERS = 30
# Types of noise/train without a like among the training noise, as rain and birds have.
VALIDATION_NOISE = (
    "beehive", "construction", "crickets", "crowded_bar", "crows", "fireworks",
    "footsteps_gravel", "frogs", "jungle", "paper", "seagulls", "siren", "windshield_wipers",
)  # fmt: skip
MADE_CLIPS, MADE_SECONDS, BABBLE_TALKERS = 6, 10.0, 8

OPTIONS = TrainingOptions(
    projections=128,
    dictionary="4096",
    neighbours=20,
    features="mel",
    mels=128,
    snr=(-5.0, 0.0, 5.0),
    minutes=60.0,
    seed=2020,
)
# What --search compares: changes to OPTIONS.
VARIANTS: dict[str, dict[str, Any]] = {
    "as chosen": {},
    "stft features": {"features": "stft"},
    "80 mel": {"mels": 80},
    "L = 150": {"projections": 150},
    "L = 96": {"projections": 96},
    "0 dB only": {"snr": (0.0,)},
    "random projections": {"method": "lsh"},
    "cross-entropy": {"distance": "cross-entropy"},
    "raw target": {"target": "raw"},
}
NEIGHBOURS = (10, 20, 30, 40)


@dataclasses.dataclass(frozen=True)
class Split:
    """Recordings to train on, and mixtures of speakers and noise types that are not in them."""

    recordings: Recordings
    validation: list[Mixture]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corpus", type=Path, default=ROOT / "../shared/corpus")
    parser.add_argument("--search", nargs="*", metavar="VARIANT", help="compare options, only")
    parser.add_argument(
        "-o", "--output", type=Path, default=ROOT / "codegen/blsh_codegen/models/default.npz"
    )
    parser.add_argument("--docs", type=Path, default=ROOT / "docs/model.md")
    args = parser.parse_args()
    try:
        need_corpus(args.corpus, "speech/train", "noise/train", "noise/extra_index.csv")
        with tempfile.TemporaryDirectory() as folder:
            split = make_split(args.corpus, Path(folder))
            if args.search is not None:
                search(split, args.search or list(VARIANTS))
                return
            model = train(split)
            args.output.parent.mkdir(parents=True, exist_ok=True)
            save_model(model, args.output)
            compress(args.output)
            args.docs.write_text(document(load_model(args.output)))
    except BlshError as error:
        sys.exit(f"train_default_model: {error.message}")


def make_split(corpus: Path, scratch: Path) -> Split:
    """Hold out some LibriSpeech speakers; validate on noise types that the training lacks.

    All of noise/train is free for that: none of it is heard in training the bundled model.
    """
    speech = commercial_speech(corpus)
    readers = sorted({p.parent for p in speech if p.parent.name.startswith("libri_")})
    rng = np.random.default_rng(OPTIONS.seed)
    chosen = rng.choice(len(readers), HELD_OUT_SPEAKERS, replace=False)
    held_out = {readers[i] for i in chosen}
    training = [p for p in speech if p.parent not in held_out]
    noise = [*commercial_noise(corpus), *made_noise(training, scratch)]
    validation = validation_mixtures(
        [p for p in speech if p.parent in held_out],
        [p for kind in VALIDATION_NOISE for p in list_audio(corpus / "noise/train" / kind)],
        seconds=5,
        seed=OPTIONS.seed,
    )
    digest = hashlib.sha256()
    for path in [*training, *noise]:
        digest.update(path.read_bytes())
    return Split(Recordings(tuple(training), tuple(noise), digest.hexdigest()), validation)


def made_noise(speech: Sequence[Path], scratch: Path) -> list[Path]:
    """Noise of the project's own making: synthetic kinds, and babble of the training talkers."""
    n_samples = round(MADE_SECONDS * RATE)
    for index, kind in enumerate(sorted({*NOISES, "talkers"})):
        folder = scratch / f"made_{kind}"
        folder.mkdir()
        for clip in range(MADE_CLIPS):
            rng = np.random.default_rng([OPTIONS.seed, index, clip])
            if kind == "talkers":
                talkers = rng.choice(len(speech), BABBLE_TALKERS, replace=False)
                voices = [np.resize(read_mono(speech[t], RATE), n_samples) for t in talkers]
                samples = np.mean(voices, axis=0)
            else:
                samples = synthetic_noise(kind, MADE_SECONDS, RATE, rng)
            write_wav(folder / f"{clip}.wav", samples, RATE)
    return list_audio(scratch)


def search(split: Split, names: Sequence[str]) -> None:
    """Print the mean SI-SDR on the validation mixtures for variants of the options."""
    before = np.mean([si_sdr(m.speech, m.noisy) for m in split.validation])
    print(f"{len(split.validation)} validation mixtures, unprocessed {before:.2f} dB SI-SDR")
    for name in names:
        options = dataclasses.replace(OPTIONS, **VARIANTS[name])
        model = fit(split, options)
        texts = []
        for neighbours in NEIGHBOURS:
            band = dataclasses.replace(model.bands[0], neighbours=neighbours)
            variant = dataclasses.replace(model, bands=(band,))
            after = [si_sdr(m.speech, denoise(variant, m.noisy)) for m in split.validation]
            texts.append(f"K={neighbours} {np.mean(after):.2f}")
        print(f"{name:20s} {'  '.join(texts)}", flush=True)


def fit(split: Split, options: TrainingOptions) -> Model:
    """Train a model, as blsh-train does."""
    options.check()
    frames = collect_frames(split.recordings, options)
    estimator = new_estimator(options)
    learn(estimator, frames, options)
    return build_model(estimator, frames, options, split.recordings.fingerprint)


def train(split: Split) -> Model:
    """The bundled model, with its provenance."""
    model = fit(split, OPTIONS)
    before = score(split.validation, lambda samples: samples).mean(axis=0)
    after = score(split.validation, partial(denoise, model)).mean(axis=0)
    rounded = [dict(zip(MEASURES, x.round(3).tolist(), strict=True)) for x in (before, after)]
    provenance = {
        "recipe": "benchmarks/train_default_model.py",
        "licence": "MIT, as the rest of the project",
        "speech": COMMERCIAL_SPEECH,
        "noise": {
            **COMMERCIAL_NOISE,
            "made": f"by the project: {', '.join(sorted(NOISES))} noise, and babble of the "
            "training talkers",
        },
        "speech_files": len(split.recordings.speech),
        "noise_files": len(split.recordings.noise),
        "validation": {
            "mixtures": len(split.validation),
            "snr_db": 0,
            "unprocessed": rounded[0],
            "denoised": rounded[1],
        },
    }
    return dataclasses.replace(model, training={**first_record(model), **provenance})


def first_record(model: Model) -> dict[str, Any]:
    """The record of training without what was added after the bundled model was made.

    Its content, and with it its SHA-256, so stays what this recipe gives.
    """
    record = {key: value for key, value in model.training.items() if key != "boosting"}
    options = {key: value for key, value in record["options"].items() if key != "target"}
    return {**record, "options": options}


def compress(path: Path) -> None:
    """Deflate a model file, for the repository's sake; its SHA-256 is that of its content."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_atomically(path, buffer.getvalue())


def document(model: Model) -> str:
    """docs/model.md for a trained model."""
    training, band = model.training, model.bands[0]
    options, validation = training["options"], training["validation"]
    features = f"{model.n_features} {options['features']} features"
    lines = [
        "# The bundled model",
        "",
        "`codegen/blsh_codegen/models/default.npz`, written by "
        "`python benchmarks/train_default_model.py`, as is this page.",
        "",
        f"* SHA-256 of its content: `{model.sha256}`",
        f"* {model.geometry.rate} Hz, frame {model.geometry.frame}, hop {model.geometry.hop}, "
        f"{features}, L2-normalised",
        f"* L = {band.n_bits} boosted projections (Algorithm 2, {options['distance']} distance), "
        f"T = {band.n_entries} entries with {band.mask_bits}-bit masks, K = {band.neighbours}",
        f"* Trained on {training['seconds'] / 60:.0f} minutes of mixtures at "
        f"{', '.join(f'{snr:g}' for snr in options['snr'])} dB, {training['frames']} frames, "
        f"seed {options['seed']}",
        f"* Epsilon of the first bit {training['epsilon'][0]:.3f}, of the last "
        f"{training['epsilon'][-1]:.3f}",
        "",
        "## Quality",
        "",
        f"{validation['mixtures']} mixtures at {validation['snr_db']} dB of {HELD_OUT_SPEAKERS} "
        f"LibriSpeech speakers and {len(VALIDATION_NOISE)} noise types, none heard in training; "
        "float reference. Options were chosen on such mixtures, so these figures flatter a little.",
        "",
        "| | " + " | ".join(validation["unprocessed"]) + " |",
        "| --- |" + " ---: |" * len(validation["unprocessed"]),
    ]
    for name in ("unprocessed", "denoised"):
        figures = " | ".join(f"{value:.2f}" for value in validation[name].values())
        lines.append(f"| {name} | {figures} |")
    for kind in ("speech", "noise"):
        files = training[f"{kind}_files"]
        lines += ["", f"## {kind.capitalize()} sources ({files} files)", ""]
        lines += ["| source | what and under which licence |", "| --- | --- |"]
        lines += [f"| `{name}` | {text} |" for name, text in training[kind].items()]
    lines += [
        "",
        "Left out on purpose: whatever is licensed for research or non-commercial use only "
        "(RAVDESS, Emo-DB, most of ESC-50), share-alike and GPL recordings (whether a model is an "
        "adaptation of them is unsettled), and sources whose licence is unstated or unclear. "
        "No recording is distributed with the project. The authors of single CC BY recordings "
        "are named by their collections: the Freesound numbers of ESC-50, the credits of Noisekun.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
