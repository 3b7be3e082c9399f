"""Flash of compressed masks against quality: bits a level, and what a bit of flash may cost.

One boosted model of the paper's configuration, T = 4096, on speech/train and noise/train less the
talkers and noise types that are held out, and scored on those. Nothing here sees the test split.

    python benchmarks/mask_rate.py --corpus ../shared/corpus --plot mask_rate.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from blsh_codegen.masks import compress
from blsh_trainer.corpus import find_recordings
from blsh_trainer.denoiser import denoise
from blsh_trainer.errors import BlshError
from blsh_trainer.holdout import hold_out, validation_mixtures
from blsh_trainer.quality import MEASURES, score
from blsh_trainer.training import TrainingOptions, build_model, collect_frames, learn, new_estimator
from corpora import need_corpus

# Levels of two bits, so that ideal gains are collected; each variant has its own.
OPTIONS = TrainingOptions(dictionary="4096", minutes=40, mask_bits=2)
SLOPES = (0.0, 0.02, 0.05, 0.2)
MASK_BITS = (1, 2, 3)
MIXTURES = 24


@dataclass(frozen=True)
class Point:
    """Masks of one kind.

    Attributes:
        mask_bits: Bits a level.
        slope: Of `TrainingOptions`.
        kilobytes: Compressed, with index and codes.
        bits_a_bin: The same for each level.
        scores: Mean of each of `MEASURES`.
    """

    mask_bits: int
    slope: float
    kilobytes: float
    bits_a_bin: float
    scores: dict[str, float]

    def row(self) -> str:
        """A line of a table."""
        figures = " | ".join(f"{self.scores[name]:.3f}" for name in MEASURES)
        return (
            f"| {self.mask_bits} | {self.slope:g} | {self.bits_a_bin:.3f} | "
            f"{self.kilobytes:.0f} | {figures} |"
        )


def main() -> None:
    args = _arguments()
    try:
        need_corpus(args.corpus, "speech/train", "noise/train")
        points = measure(args.corpus, args.slopes, args.mask_bits)
    except BlshError as error:
        sys.exit(f"mask_rate: {error.message}")
    if args.plot is not None:
        plot(points, args.plot)


def measure(corpus: Path, slopes: Sequence[float], mask_bits: Sequence[int]) -> list[Point]:
    """Train once, and score masks of every kind."""
    recordings = find_recordings([corpus / "speech/train"], [corpus / "noise/train"])
    split = hold_out(recordings, OPTIONS.seed)
    mixtures = validation_mixtures(split.validation, OPTIONS.rate, OPTIONS.seed, MIXTURES)
    frames = collect_frames(split.training, OPTIONS)
    estimator = new_estimator(OPTIONS)
    learn(estimator, frames, OPTIONS)
    print("| bits | slope | bits a bin | KB | " + " | ".join(MEASURES) + " |", flush=True)
    points = []
    for bits in mask_bits:
        for slope in slopes:
            options = replace(OPTIONS, mask_bits=bits, mask_slope=slope)
            model = build_model(estimator, frames, options, split.training.fingerprint)
            masks = model.bands[0].masks
            per_bin = compress(masks, bits).bits_per_bin
            means = score(mixtures, partial(denoise, model)).mean(axis=0)
            scores = dict(zip(MEASURES, means.tolist(), strict=True))
            points.append(Point(bits, slope, per_bin * masks.size / 8192, per_bin, scores))
            print(points[-1].row(), flush=True)
    return points


def plot(points: Sequence[Point], path: Path) -> None:
    """Draw SDR over kilobytes, a line for each number of bits."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    for bits in sorted({point.mask_bits for point in points}):
        own = [point for point in points if point.mask_bits == bits]
        axes.plot(
            [point.kilobytes for point in own], [point.scores["SDR"] for point in own], "o-",
            label=f"{bits} bit" + ("s" if bits > 1 else ""),
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("masks of 4096 entries, KB")
    axes.set_ylabel("validation SDR, dB")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus"))
    parser.add_argument("--slopes", type=float, nargs="+", default=SLOPES)
    parser.add_argument("--mask-bits", type=int, nargs="+", default=MASK_BITS, choices=(1, 2, 3, 4))
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curve as PNG")
    return parser.parse_args()


if __name__ == "__main__":
    main()
