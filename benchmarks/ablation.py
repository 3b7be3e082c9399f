"""What each idea of the condensed models is worth, on a validation split of the training side.

Trains variants of one model for 1500 steps each on speech/train, speech/extra,
noise/train and noise/extra less the talkers and noise types that are held out, and scores them on
those. Nothing here sees the test split.

    python benchmarks/ablation.py --corpus ../shared/corpus --output ablation.json
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from blsh_trainer.condensed_frames import CondensedFrames
from blsh_trainer.condensed_options import CondensedOptions
from blsh_trainer.condensed_training import collect, learn
from blsh_trainer.corpus import find_recordings
from blsh_trainer.cost_model import estimated_cost
from blsh_trainer.denoiser import denoise
from blsh_trainer.errors import BlshError
from blsh_trainer.fitting import validation_sdr
from blsh_trainer.holdout import hold_out, validation_mixtures
from blsh_trainer.mixing import Mixture
from blsh_trainer.model_file import Model
from blsh_trainer.quality import score
from corpora import need_corpus
from presets import NOISE, SPEECH

TARGET = "cortex-m4"
BASE = CondensedOptions(
    words=8, compared=4, reach=0.6, layers=4, entries=64, neighbours=8, minutes=100, steps=1500
)


@dataclass(frozen=True)
class Variant:
    """One change to the model.

    Attributes:
        name: What it is.
        options: Its options.
        without: Features left out, as their place among those of a cell.
        unweighted: Count each gain error the same.
    """

    name: str
    options: CondensedOptions = BASE
    without: tuple[int, ...] = ()
    unweighted: bool = False


VARIANTS = (
    Variant("as it is"),
    Variant("one layer, T = 256", replace(BASE, layers=1, entries=256)),
    Variant("two layers, T = 128", replace(BASE, layers=2, entries=128)),
    Variant("eight layers, T = 32", replace(BASE, layers=8, entries=32)),
    Variant("each dictionary compares one word", replace(BASE, compared=1)),
    Variant("each dictionary compares all words", replace(BASE, compared=8)),
    Variant("every word sees all features", replace(BASE, reach=1.0)),
    Variant("every word sees a quarter", replace(BASE, reach=0.25)),
    Variant("K = 1", replace(BASE, neighbours=1)),
    Variant("K = 4", replace(BASE, neighbours=4)),
    Variant("K = 16", replace(BASE, neighbours=16)),
    Variant("1-bit masks", replace(BASE, mask_bits=1)),
    Variant("2-bit masks", replace(BASE, mask_bits=2)),
    Variant("3-bit masks", replace(BASE, mask_bits=3)),
    Variant("without the frame before", without=(1,)),
    Variant("without the averages over 4 and 64 frames", without=(2, 4)),
    Variant("without the noise tracker", replace(BASE, noise_trackers=())),
    Variant("without the noise floor", without=(5,)),
    Variant("without the ceiling", without=(6,)),
    Variant("with a quarter of the projections", replace(BASE, words=2, compared=2)),
    Variant("all errors count the same", unweighted=True),
)


def main() -> None:
    args = _arguments()
    try:
        need_corpus(args.corpus, *SPEECH, *NOISE)
        run(args)
    except BlshError as error:
        sys.exit(f"ablation: {error.message}")


def run(args: argparse.Namespace) -> None:
    recordings = find_recordings(
        [args.corpus / p for p in SPEECH], [args.corpus / p for p in NOISE]
    )
    split = hold_out(recordings, BASE.seed)
    mixtures = tuple(validation_mixtures(split.validation, BASE.rate, BASE.seed))
    frames = collect(split.training, BASE)
    before = score(mixtures, lambda samples: samples).mean(axis=0)
    print(f"{len(mixtures)} validation mixtures, unprocessed {before[0]:.2f} dB SDR", flush=True)
    results = []
    for variant in VARIANTS:
        if args.only and not any(text in variant.name for text in args.only):
            continue
        model = trained(variant, frames)
        results.append(_result(variant, model, mixtures))
        print(json.dumps(results[-1]), flush=True)
    if args.release:
        results += _releases(trained(VARIANTS[0], frames), mixtures)
    if args.output is not None:
        args.output.write_text(json.dumps(results, indent=1) + "\n")


def trained(variant: Variant, frames: CondensedFrames) -> Model:
    """The model of a variant."""
    of = frames
    if not variant.options.noise_trackers:
        of = _without_noise_trackers(frames)
    if variant.without:
        kept = np.ones(variant.options.kinds, bool)
        kept[list(variant.without)] = False
        # A feature that is always zero teaches nothing, and costs its place in the tables.
        mean = of.mean * np.tile(kept, of.gains.shape[1])
        of = replace(of, features=of.features * kept[: of.features.shape[2]], mean=mean)
    if variant.unweighted:
        energy = float(of.weights.astype(np.float64).mean())
        of = replace(of, weights=np.full_like(of.weights, energy))
    model = learn(variant.options, of)
    return _blind(model, variant.without) if variant.without else model


def _without_noise_trackers(frames: CondensedFrames) -> CondensedFrames:
    """The same frames as they are collected without noise trackers."""
    kinds = frames.features.shape[2]
    mean = frames.mean.reshape(frames.gains.shape[1], -1)[:, :kinds].reshape(-1)
    nothing = {"noise": frames.noise[..., :0], "levels": frames.levels[:0], "noise_trackers": ()}
    return replace(frames, mean=mean, **nothing)  # type: ignore[arg-type]


def _blind(model: Model, without: tuple[int, ...]) -> Model:
    """Projections that do not look at the features left out."""
    condensed = model.condensed
    assert condensed is not None
    groups = []
    for group in condensed.hashes:
        places = np.arange(*group.feature_range) % condensed.n_kinds
        groups.append(replace(group, projection=group.projection * ~np.isin(places, without)))
    return replace(model, condensed=replace(condensed, hashes=tuple(groups)))


def _result(variant: Variant, model: Model, mixtures: tuple[Mixture, ...]) -> dict[str, object]:
    cost = estimated_cost(model, TARGET)
    return {
        "variant": variant.name,
        "sdr": round(validation_sdr(model, mixtures), 3),
        "flash_kb": round(cost.flash / 1024, 1),
        "mips": round(cost.mips, 2),
        "masks_bytes": _mask_bytes(model),
        "options": dataclasses.asdict(variant.options),
    }


def _mask_bytes(model: Model) -> int:
    condensed = model.condensed
    assert condensed is not None
    return sum(one.masks.size * condensed.mask_bits for one in condensed.dictionaries) // 8


def _releases(model: Model, mixtures: tuple[Mixture, ...]) -> list[dict[str, object]]:
    """Smoothing of gains in time and a gain floor, which need no training."""
    condensed = model.condensed
    assert condensed is not None
    results: list[dict[str, object]] = []
    for release, floor in ((0.0, 0.0), (0.2, 0.0), (0.4, 0.0), (0.6, 0.0), (0.0, 0.05), (0.0, 0.1)):
        changed = replace(condensed, gain_release=release, gain_floor=floor)
        smooth = replace(model, condensed=changed)
        means = score(mixtures, lambda samples, m=smooth: denoise(m, samples)).mean(axis=0)
        results.append(
            {"release": release, "floor": floor, "scores": [round(float(x), 3) for x in means]}
        )
        print(json.dumps(results[-1]), flush=True)
    return results


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus"))
    parser.add_argument("--only", nargs="*", help="variants whose names contain one of these")
    parser.add_argument("--release", action="store_true", help="smoothing and floor as well")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the results as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
