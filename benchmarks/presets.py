"""Open-set quality of the presets, by seed, float and exported C, at several ratios.

Trains each preset on all of a corpus's training side (speech/train, speech/extra, noise/train and
noise/extra; nothing of the test split, nothing of noise/extra_urban) and scores it on test speakers
and test noise. Models and scores are kept in --work and not made twice.

    python benchmarks/presets.py --corpus ../shared/corpus --work /tmp/presets --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from blsh_codegen.assess import exported_denoiser
from blsh_trainer.condensed_training import TrainingState, collect, learn
from blsh_trainer.corpus import find_recordings
from blsh_trainer.denoiser import denoise
from blsh_trainer.errors import BlshError
from blsh_trainer.metrics import bss_eval
from blsh_trainer.mixing import Mixture
from blsh_trainer.model_file import Model, load_model, save_model
from blsh_trainer.presets import PRESETS
from blsh_trainer.quality import MEASURES, Denoise, score
from corpora import need_corpus, scoring_mixtures

SNRS_DB = (-5.0, 0.0, 5.0, 10.0)
SPEECH = ("speech/train", "speech/extra")
NOISE = ("noise/train", "noise/extra")


def main() -> None:
    args = _arguments()
    try:
        need_corpus(args.corpus, *SPEECH, *NOISE, "speech/test", "noise/test")
        args.work.mkdir(parents=True, exist_ok=True)
        for preset in args.presets:
            for seed in args.seeds:
                model = trained(args.corpus, args.work / f"{preset}-{seed}.npz", preset, seed)
                if not args.train_only:
                    show(f"{preset}-{seed}", measure(model, args.corpus, args.snrs, args.count))
    except BlshError as error:
        sys.exit(f"presets: {error.message}")


def trained(corpus: Path, path: Path, preset: str, seed: int) -> Model:
    """A preset's model for a seed, trained where it is not there yet."""
    if path.exists():
        return load_model(path)
    options = replace(PRESETS[preset].options, seed=seed)
    recordings = find_recordings([corpus / p for p in SPEECH], [corpus / p for p in NOISE])
    began = time.monotonic()
    frames = collect(recordings, options)
    mixed = time.monotonic()

    def on_step(state: TrainingState, loss: float) -> None:
        if state.step % 500 == 0:
            print(f"  {path.stem}: step {state.step}, loss {loss:.4f}", file=sys.stderr, flush=True)

    model = learn(options, frames, on_step).with_record(
        preset=preset,
        fingerprint=recordings.fingerprint,
        mixing_seconds=round(mixed - began, 1),
        learning_seconds=round(time.monotonic() - mixed, 1),
    )
    save_model(model, path)
    return model


def measure(
    model: Model, corpus: Path, snrs_db: Sequence[float], count: int
) -> dict[str, npt.NDArray[np.float64]]:
    """Scores by what was scored: ``(count, len(MEASURES))`` each; clean speech has SDR only."""
    in_c = exported_denoiser(model)
    results = {}
    for snr_db in snrs_db:
        mixtures, before = _unprocessed(corpus, snr_db, count)
        results[f"unprocessed {snr_db:g} dB"] = before
        results[f"C {snr_db:g} dB"] = score(mixtures, in_c)
        if snr_db == 0:
            results["float 0 dB"] = score(mixtures, partial(denoise, model))
            results["C clean"] = _clean(mixtures, in_c)
    return results


@lru_cache
def _unprocessed(
    corpus: Path, snr_db: float, count: int
) -> tuple[list[Mixture], npt.NDArray[np.float64]]:
    """The test mixtures and their scores as they are."""
    mixtures = list(scoring_mixtures(corpus / "speech/test", corpus / "noise/test", count, snr_db))
    return mixtures, score(mixtures, lambda samples: samples)


def _clean(mixtures: Sequence[Mixture], system: Denoise) -> npt.NDArray[np.float64]:
    """SDR of the output against the input for speech without noise."""
    rows = [[bss_eval(m.speech, m.noise, system(m.speech)).sdr] for m in mixtures]
    return np.array(rows)


def show(name: str, results: dict[str, npt.NDArray[np.float64]]) -> None:
    """Print means and standard deviations, and the means as one line of JSON."""
    print(f"{name}: " + ", ".join(MEASURES))
    for what, rows in results.items():
        cells = "  ".join(
            f"{mean:6.2f} +-{std:5.2f}"
            for mean, std in zip(rows.mean(axis=0), rows.std(axis=0), strict=True)
        )
        print(f"  {what:20s} {cells}")
    means = {what: rows.mean(axis=0).round(4).tolist() for what, rows in results.items()}
    print(json.dumps({"model": name, "means": means}), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus"))
    parser.add_argument("--work", type=Path, required=True, help="folder for the models")
    parser.add_argument("--presets", nargs="+", choices=list(PRESETS), default=list(PRESETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--snrs", nargs="+", type=float, default=list(SNRS_DB))
    parser.add_argument("--count", type=int, default=60, help="mixtures")
    parser.add_argument("--train-only", action="store_true", help="train without scoring")
    return parser.parse_args()


if __name__ == "__main__":
    main()
