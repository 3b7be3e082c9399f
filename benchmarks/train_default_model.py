"""Train the bundled model, codegen/blsh_codegen/models/default.npz, and write docs/model.md.

The `base` preset, trained on every recording of the corpus whose licence allows commercial use
without conditions on what is made from it (see `corpora`): noise of the test split too, so that
the open set says nothing of this model. It is validated on talkers and noise types left out here.

    python benchmarks/train_default_model.py --corpus ../shared/corpus

With --assess-only the model stays as it is learned: what its record says of its quality is measured
again, and with it changes the SHA-256 of its content.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from blsh_codegen.assess import fixed_point_scores
from blsh_trainer.condensed_options import CondensedOptions
from blsh_trainer.condensed_training import (
    TrainingState,
    collect,
    learn,
)
from blsh_trainer.corpus import Recordings
from blsh_trainer.denoiser import denoise
from blsh_trainer.errors import BlshError
from blsh_trainer.files import write_atomically
from blsh_trainer.holdout import SECONDS, SNR_DB, validation_mixtures
from blsh_trainer.mixing import Mixture, mix_at
from blsh_trainer.model_file import Model, load_model, save_model
from blsh_trainer.presets import PRESETS
from blsh_trainer.quality import MEASURES
from blsh_trainer.synthetic import NOISES, synthetic_noise
from blsh_trainer.validation import validation_record
from corpora import (
    COMMERCIAL_NOISE,
    COMMERCIAL_SPEECH,
    RATE,
    commercial_noise,
    commercial_speech,
    need_corpus,
)

ROOT = Path(__file__).resolve().parent.parent
PRESET, SEED = "base", 2020
LICENCE = "MIT-0, as the C that is exported from it"
HELD_OUT_TALKERS = 30
HELD_OUT_NOISE = (
    "beehive", "construction", "crowded_bar", "drone_motor", "footsteps_gravel", "helicopter",
    "siren", "typewriter",
)  # fmt: skip

ROWS = {
    "unprocessed": "unprocessed",
    "denoised": "float model",
    "fixed_point": "exported C",
}
"""What the record calls the scores, and what the page does."""


@dataclass(frozen=True)
class Split:
    """What is learned from, and mixtures of talkers and noise types that are not in it."""

    training: Recordings
    recorded: list[Mixture]
    made: list[Mixture]


def main() -> None:
    args = _arguments()
    options = replace(PRESETS[PRESET].options, seed=SEED)
    options = replace(options, minutes=args.minutes or options.minutes)
    options = replace(options, steps=args.steps or options.steps)
    try:
        options.check()
        need_corpus(
            args.corpus, "speech/train", "speech/extra", "noise/train", "noise/extra_index.csv",
            "noise/test",
        )  # fmt: skip
        split = make_split(commercial_speech(args.corpus), commercial_noise(args.corpus))
        if args.assess_only:
            model = load_model(args.output)
            if model.training["fingerprint"] != split.training.fingerprint:
                raise BlshError(f"{args.output}: was trained on other recordings than --corpus has")
        else:
            model = train(split, options)
            save_model(model, args.output)  # so that --assess-only can go on from here
        save_model(assessed(model, split), args.output)
        compress(args.output)
        args.docs.write_text(document(load_model(args.output)))
    except BlshError as error:
        sys.exit(f"train_default_model: {error.message}")


def make_split(speech: Sequence[Path], noise: Sequence[Path]) -> Split:
    """Hold out `HELD_OUT_TALKERS` of LibriSpeech and the noise types of `HELD_OUT_NOISE`."""
    readers = sorted({p.parent for p in speech if p.parent.name.startswith("libri_")})
    chosen = np.random.default_rng(SEED).choice(len(readers), HELD_OUT_TALKERS, replace=False)
    talkers = {readers[i] for i in chosen}
    training = recordings_of(
        [p for p in speech if p.parent not in talkers],
        [p for p in noise if p.parent.name not in HELD_OUT_NOISE],
    )
    held_out = recordings_of(
        [p for p in speech if p.parent in talkers],
        [p for p in noise if p.parent.name in HELD_OUT_NOISE],
    )
    mixtures = validation_mixtures(held_out, RATE, SEED, HELD_OUT_TALKERS)
    return Split(training, mixtures, with_made_noise(mixtures))


def recordings_of(speech: Sequence[Path], noise: Sequence[Path]) -> Recordings:
    digest = hashlib.sha256()
    for path in [*speech, *noise]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return Recordings(tuple(speech), tuple(noise), digest.hexdigest())


def with_made_noise(mixtures: Sequence[Mixture]) -> list[Mixture]:
    """The speech of some mixtures with noise of the project's own making, its kinds in turn."""
    kinds = sorted(NOISES)
    made = []
    for index, mixture in enumerate(mixtures):
        rng = np.random.default_rng([SEED, index])
        noise = synthetic_noise(kinds[index % len(kinds)], SECONDS, RATE, rng)
        made.append(mix_at(mixture.speech, noise[: mixture.speech.size], SNR_DB))
    return made


def train(split: Split, options: CondensedOptions) -> Model:
    """The bundled model, with its provenance."""

    def on_mixture(seconds: float) -> None:
        if seconds % 3000 == 0:
            print(f"mixed {seconds / 60:.0f} min", file=sys.stderr, flush=True)

    def on_step(state: TrainingState, loss: float) -> None:
        if state.step % 250 == 0:
            print(f"step {state.step}, loss {loss:.4f}", file=sys.stderr, flush=True)

    frames = collect(split.training, options, on_mixture)
    record = {
        "preset": PRESET,
        "fingerprint": split.training.fingerprint,
        "recipe": "benchmarks/train_default_model.py",
        "speech": COMMERCIAL_SPEECH,
        "noise": COMMERCIAL_NOISE,
        "speech_files": len(split.training.speech),
        "noise_files": len(split.training.noise),
    }
    return learn(options, frames, on_step).with_record(**record)


def assessed(model: Model, split: Split) -> Model:
    """A model with its licence and its scores in its record."""
    return model.with_record(
        licence=LICENCE,
        validation=validated(model, split.recorded, HELD_OUT_NOISE),
        validation_on_made_noise=validated(model, split.made, sorted(NOISES)),
    )


def validated(model: Model, mixtures: Sequence[Mixture], noise: Sequence[str]) -> dict[str, Any]:
    """Mean scores before denoising and after, by the float model and by the exported C."""
    record = validation_record(
        mixtures,
        RATE,
        partial(denoise, model),
        talkers=HELD_OUT_TALKERS,
        noise=", ".join(noise).replace("_", " "),
    )
    return {**record, "fixed_point": fixed_point_scores(model, mixtures)}


def compress(path: Path) -> None:
    """Deflate a model file, for the repository's sake; its SHA-256 is that of its content."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomically(path, buffer.getvalue())


def document(model: Model) -> str:
    """docs/model.md for a trained model."""
    condensed, geometry, training = model.condensed, model.geometry, model.training
    assert condensed is not None
    options = training["options"]
    recorded, made = training["validation"], training["validation_on_made_noise"]
    first = condensed.dictionaries[0]
    lines = [
        "# The bundled model",
        "",
        "`codegen/blsh_codegen/models/default.npz`, written by "
        "`python benchmarks/train_default_model.py`, as is this page.",
        "",
        f"* SHA-256 of its content: `{model.sha256}`",
        f"* A condensed model ([condensed.md](condensed.md)), the `{training['preset']}` preset, "
        f"seed {options['seed']}",
        f"* {geometry.rate} Hz, frame {geometry.frame}, hop {geometry.hop}, sine window, "
        f"{condensed.n_cells} cells, {condensed.n_features} features",
        f"* Codes of {32 * condensed.n_words} bits; {len(condensed.dictionaries)} dictionaries in "
        f"{condensed.layers} layers, of T = {first.n_entries} entries with {condensed.mask_bits}-"
        f"bit masks, each comparing {32 * first.n_words} bits, K = {first.neighbours}",
        f"* Trained for {training['steps']} steps on {training['seconds'] / 60:.0f} minutes of "
        f"mixtures, {training['frames']} frames",
        "",
        "## Quality",
        "",
        "It was trained on noise of the corpus's test split too, so there is no open set for it "
        "and no figure of one here. What its preset scores on speakers and noise that training "
        "has not heard was measured with models that never saw that split: see "
        "[quality.md](quality.md).",
        "",
        f"Held out of its training: {recorded['talkers']} LibriSpeech talkers, drawn by the seed, "
        f"and all recordings of {len(HELD_OUT_NOISE)} noise types ({recorded['noise']}). "
        f"{recorded['mixtures']} mixtures of them at {recorded['snr_db']:g} dB, a talker each, and "
        f"the same speech in noise of the project's own making ({made['noise']}), of which pink "
        "and babble are like what mixing adds to the training. The preset's shape was chosen on "
        "parts of the same corpus, which may share recordings with these: the figures may flatter "
        "a little. Means:",
        "",
        "| noise | | " + " | ".join(MEASURES) + " |",
        "| --- | --- |" + " ---: |" * len(MEASURES),
    ]
    for noise, scores in (("recorded", recorded), ("made", made)):
        for key, what in ROWS.items():
            figures = " | ".join(f"{scores[key][measure]:.2f}" for measure in MEASURES)
            lines.append(f"| {noise} | {what} | {figures} |")
    for kind in ("speech", "noise"):
        files = training[f"{kind}_files"]
        lines += ["", f"## {kind.capitalize()} sources ({files} files)", ""]
        lines += ["| source | what and under which licence |", "| --- | --- |"]
        lines += [f"| `{name}` | {text} |" for name, text in training[kind].items()]
    lines += [
        "",
        "Babble of the training talkers and coloured noise, both made while mixing, are added "
        "([condensed.md](condensed.md)).",
        "",
        "Most of the longer noise recordings are those of moodist, whose README places its sounds "
        "under the Pixabay Content License or CC0: it is not known which sound is under which. The "
        "corpus's notes have it that the Pixabay licence allows commercial use in a work, and "
        "forbids handing the sounds on as files by themselves. That training a model is such a use "
        "is this project's reading of it. Whoever reads it otherwise trains without moodist.",
        "",
        "Left out on purpose: whatever is licensed for research or non-commercial use only "
        "(RAVDESS, Emo-DB, most of ESC-50), share-alike and GPL recordings (whether a model is an "
        "adaptation of them is unsettled), sources whose licence is unstated or unclear, and a "
        "recording of a kitchen whose author is not named. All speech of the test split is left "
        "out. No recording is distributed with the project. The authors of single CC BY "
        "recordings are named by their collections: the Freesound numbers of ESC-50, the credits "
        "of Noisekun.",
        "",
    ]
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corpus", type=Path, default=ROOT / "../shared/corpus")
    parser.add_argument("--minutes", type=float, help="of mixtures; the preset's by default")
    parser.add_argument("--steps", type=int, help="of training; the preset's by default")
    parser.add_argument(
        "--assess-only", action="store_true", help="measure the quality of OUTPUT again"
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=ROOT / "codegen/blsh_codegen/models/default.npz"
    )
    parser.add_argument("--docs", type=Path, default=ROOT / "docs/model.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
