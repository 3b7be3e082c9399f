"""Open-set quality of BLSH and LSH, float reference.

Trains both on a corpus's train split at 0 dB, 150 bits and K = 10, with dictionaries of 1 % and
10 % of the frames, and scores them on test speakers and test noise at 0 dB. Further denoisers join
as shell commands: --command 'name=denoise {in} {out}'.

    python benchmarks/open_set.py --corpus ../shared/corpus
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from blsh_trainer.audio import read_mono, write_wav
from blsh_trainer.boosting import Round
from blsh_trainer.corpus import find_recordings
from blsh_trainer.denoiser import denoise
from blsh_trainer.errors import BlshError
from blsh_trainer.model_file import load_model, save_model
from blsh_trainer.quality import MEASURES, Denoise, score
from blsh_trainer.training import (
    Method,
    TrainingOptions,
    build_model,
    collect_frames,
    learn,
    new_estimator,
)
from corpora import RATE, need_corpus, scoring_mixtures

DICTIONARIES = ("1%", "10%")
METHODS: tuple[Method, ...] = ("lsh", "blsh")


def main() -> None:
    args = _arguments()
    try:
        need_corpus(args.corpus, "speech/train", "noise/train", "speech/test", "noise/test")
        run(args)
    except BlshError as error:
        sys.exit(f"open_set: {error.message}")


def run(args: argparse.Namespace) -> None:
    mixtures = list(
        scoring_mixtures(
            args.corpus / "speech/test", args.corpus / "noise/test", args.count, args.snr
        )
    )
    results: dict[str, npt.NDArray[np.float64]] = {}

    def add(name: str, system: Denoise) -> None:
        results[name] = score(mixtures, system)
        figures = zip(results[name].mean(axis=0), results[name].std(axis=0), strict=True)
        text = "  ".join(f"{mean:6.2f} +-{std:5.2f}" for mean, std in figures)
        print(f"{name:16s} {text}", flush=True)

    header = "  ".join(f"{measure:>14s}" for measure in MEASURES)
    print(f"{len(mixtures)} mixtures at {args.snr:g} dB, mean +- standard deviation")
    print(f"{'system':16s} {header}")
    add("unprocessed", lambda samples: samples)
    for template in args.command:
        name, _, command = template.partition("=")
        add(name, _shell_denoiser(command))
    for text in args.model:
        name, _, path = text.rpartition("=")
        add(name or Path(path).stem, partial(denoise, load_model(path)))
    if not args.no_training:
        for method in METHODS:
            _train_and_add(method, args, add)
    if args.json is not None:
        fields = {
            name: dict(zip(MEASURES, rows.mean(axis=0).round(4).tolist(), strict=True))
            for name, rows in results.items()
        }
        args.json.write_text(json.dumps(fields, indent=2) + "\n")


def _train_and_add(
    method: Method, args: argparse.Namespace, add: Callable[[str, Denoise], None]
) -> None:
    options = TrainingOptions(method=method, aim=args.aim, seed=args.seed, minutes=args.minutes)
    options.check()
    recordings = find_recordings([args.corpus / "speech/train"], [args.corpus / "noise/train"])
    frames = collect_frames(recordings, options)
    estimator = new_estimator(options)
    learn(estimator, frames, options, _show_round)
    for dictionary in DICTIONARIES:
        sized = dataclasses.replace(options, dictionary=dictionary)
        model = build_model(estimator, frames, sized, recordings.fingerprint)
        if args.save is not None:
            args.save.mkdir(parents=True, exist_ok=True)
            save_model(model, args.save / f"{method}-{dictionary.rstrip('%')}.npz")
        add(f"{method} {dictionary}", partial(denoise, model))


def _show_round(done: Round) -> None:
    if done.index % 25 == 0:
        print(
            f"  round {done.index}: epsilon {done.error:.3f}, beta {done.coefficient:.3f}, "
            f"balance {done.balance:+.2f}",
            file=sys.stderr,
        )


def _shell_denoiser(template: str) -> Denoise:
    def run_command(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with tempfile.TemporaryDirectory() as folder:
            source, result = Path(folder, "in.wav"), Path(folder, "out.wav")
            write_wav(source, samples, RATE)
            words = [
                word.replace("{in}", str(source)).replace("{out}", str(result))
                for word in shlex.split(template)
            ]
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
            estimate = read_mono(result, RATE)[: samples.size]
        return np.pad(estimate, (0, samples.size - estimate.size))

    return run_command


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus"))
    parser.add_argument("--count", type=int, default=60, help="mixtures")
    parser.add_argument("--snr", type=float, default=0.0, help="of the test mixtures in dB")
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    parser.add_argument(
        "--aim", choices=["scaled", "raw"], default="scaled", help="of the boosting"
    )
    parser.add_argument("--minutes", type=float, help="of training mixtures; all by default")
    parser.add_argument(
        "--command", action="append", default=[], metavar="NAME=COMMAND",
        help="another denoiser, with {in} and {out}; its delay compensated",
    )  # fmt: skip
    parser.add_argument(
        "--model", action="append", default=[], metavar="[NAME=]FILE",
        help="a trained model, float reference",
    )  # fmt: skip
    parser.add_argument(
        "--no-training", action="store_true", help="score --command and --model only"
    )
    parser.add_argument("--save", type=Path, metavar="DIR", help="keep the trained models")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the means")
    return parser.parse_args()


if __name__ == "__main__":
    main()
