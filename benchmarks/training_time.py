"""Training time against the procedure of the paper's authors, Adam on soft bits.

The procedure is that of adam_boosting.py, 100 passes a projection; ours is `BoostedHashing` as it
is. Both get the same frames, segments, target and W and one thread, and are timed in CPU seconds,
so that other jobs on the machine count less. Adam is given the best of several step lengths after
the fact and keeps its best pass; looking for either costs it nothing.

1. One projection, for the W of an ensemble of so many bits. From (W, target) to a projection:
   * Adam to our epsilon: the first pass that comes within 0.001 of it; where none does, the time
     is that of all the passes, a lower bound
   * ours to Adam's epsilon after all passes: the least of our efforts that comes within 0.001 of it
2. Whole learning of some projections, each by its own chain of W, ours with the preparation of
   segments, Adam without. Epsilon (each bit's under the W of those before it) and loss are means
   over the bits and over all segments; ">" where Adam's epsilon is still the higher one by 0.001,
   "<" where it is the lower one.

By default the training set is the 4 segments that we look at in a round. With --pool M it is M of
them: each of Adam's passes goes over all, as in the authors' scripts, while we draw 4 a round.
Epsilon is always that of the whole set.

    python benchmarks/training_time.py --corpus ../shared/corpus [--pool 16]

Takes 5 minutes, 20 with --pool 16. PyTorch is an optional extra: pip install 'blsh[networks]'.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from blsh_trainer.boosting import TARGET_QUANTILES, BoostedHashing, Target
from blsh_trainer.corpus import find_recordings
from blsh_trainer.errors import BlshError
from blsh_trainer.hashing import bit_signs
from blsh_trainer.similarity import weighted_error, weighted_form
from blsh_trainer.training import TrainingOptions, collect_frames
from blsh_trainer.weak_learner import Ascent, Whitening, ascend, spectral_start
from corpora import need_corpus
from threadpoolctl import threadpool_limits

try:
    import adam_boosting as adam
    import torch
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    sys.exit("training_time: the comparison needs PyTorch; pip install 'blsh[networks]'")

FloatArray = adam.FloatArray
Json = dict[str, Any]

PER_ROUND = 4
ROUNDS = (0, 5, 20)
STEPS = (0, 3, 10, 30, 100)  # of ours
RATES = (1e-3, 1e-2, 3e-2, 1e-1, 3e-1)  # step lengths of Adam
REPEATS = 5  # of ours; the median counts
TOLERANCE = 1e-3  # of epsilon


class Effort(NamedTuple):
    """A search of ours and what it came to."""

    segments: int
    steps: int
    seconds: float
    epsilon: float


def main(words: Sequence[str] | None = None) -> None:
    args = _arguments(words)
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            report = compare(args)
    except BlshError as error:
        sys.exit(f"training_time: {error.message}")
    if args.json is not None:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


def compare(args: argparse.Namespace) -> Json:
    features = collect(args.corpus, args.pool * adam.SEGMENT)
    print(f"{args.pool} segments of {adam.SEGMENT} frames, PyTorch {torch.__version__}")
    report: Json = {"pool": args.pool, "passes": args.passes}
    for aim in TARGET_QUANTILES:
        segments = adam.make_segments(features, aim, seed=0)
        print(f"\nOne projection, target {aim}, {args.passes} passes of Adam")
        rounds = compare_rounds(features, segments, aim, args.passes)
        print(f"\n{args.projections} projections, target {aim}")
        ours = learn_ours(features, segments, aim, args.projections)
        adams = learn_adams(segments, args, _steadiest(rounds), ours[0])
        report[aim] = {"one_projection": rounds, "whole_learning": ours + adams}
    return report


def collect(corpus: Path, n_frames: int) -> FloatArray:
    """Frames of mixtures at 0 dB."""
    need_corpus(corpus, "speech/train", "noise/train")
    recordings = find_recordings([corpus / "speech/train"], [corpus / "noise/train"])
    minutes = 1.5 * n_frames * 256 / 16000 / 60 + 0.5  # half of them again, for silent frames
    frames = collect_frames(recordings, TrainingOptions(minutes=minutes)).features
    if frames.shape[0] < n_frames:
        raise BlshError(f"{corpus}: {n_frames} frames are wanted, and it gave {frames.shape[0]}")
    return frames[np.random.default_rng(0).permutation(frames.shape[0])[:n_frames]]


# Part 1: one projection.


def compare_rounds(
    features: FloatArray, segments: Sequence[adam.Segment], aim: Target, passes: int
) -> list[Json]:
    """Both learners on some rounds of our boosting; prints and returns a row for each."""
    estimator = _estimator(aim, max(ROUNDS), PER_ROUND).fit(features)
    whitening = Whitening.of(features, estimator.rank, estimator.ridge)
    _print_row("round", "eps", "ours s", "passes", "rate", "Adam s", "ratio", "|",
               "eps", "rate", "Adam s", "segments", "steps", "ours s", "ratio")  # fmt: skip
    rows = []
    for index in ROUNDS:
        problem = adam.Problem.after(estimator.learned, index, segments)
        ours = search(problem, whitening)
        curves = [adam.descend(problem, rate, passes, seed=0) for rate in RATES]
        there, back = adam_to_ours(ours, curves), ours_to_adam(ours, curves)
        _print_row(index, *there.values(), "|", *back.values())
        rows.append({
            "round": index,
            "ours": [effort._asdict() for effort in ours],
            "adam": [curve.record() for curve in curves],
            "adam_to_ours": there,
            "ours_to_adam": back,
        })  # fmt: skip
    return rows


def search(problem: adam.Problem, whitening: Whitening) -> list[Effort]:
    """Our search with more and more steps, then with all segments if a round draws fewer."""
    inputs = [whitening.apply(segment.features) for segment in problem.segments]
    efforts = [(PER_ROUND, steps) for steps in STEPS]
    if len(inputs) > PER_ROUND:
        efforts += [(len(inputs), steps) for steps in STEPS[-2:]]
    found = []
    for count, steps in efforts:
        runs = [_search(problem, inputs[:count], whitening, steps) for _ in range(REPEATS)]
        error = problem.error([bit_signs(z @ runs[0][0] >= 0) for z in inputs])
        found.append(Effort(count, steps, statistics.median(run[1] for run in runs), error))
    return found


def _search(
    problem: adam.Problem, inputs: Sequence[FloatArray], whitening: Whitening, steps: int
) -> tuple[FloatArray, float]:
    """A direction, by the first segments; CPU seconds with all that `BoostedHashing` does here."""
    start = adam.clock()
    parts = zip(inputs, problem.segments, problem.weights, strict=False)
    forms = [weighted_form(w, s.contrast, s.total) for _, s, w in parts]
    matrices = [form for form, _ in forms]
    direction = ascend(spectral_start(inputs, matrices), inputs, matrices, Ascent(steps=steps))
    whitening.projection(direction)
    for z, form in zip(inputs, forms, strict=True):
        weighted_error(*form, bit_signs(z @ direction >= 0))
    return direction, adam.clock() - start


def adam_to_ours(ours: Sequence[Effort], curves: Sequence[adam.Curve]) -> Json:
    """What Adam takes to come as low as we do by default: the fastest of the step lengths."""
    default = next(effort for effort in ours if effort.steps == Ascent().steps)
    bound = default.epsilon + TOLERANCE
    reached = [(c.seconds[n], n + 1, c) for c in curves if (n := c.reaches(bound)) is not None]
    lowest = min(curves, key=lambda c: c.best)
    seconds, passes, curve = min(
        reached, key=lambda item: item[0], default=(lowest.seconds[-1], None, lowest)
    )
    return {
        "epsilon": default.epsilon,
        "ours_seconds": default.seconds,
        "adam_passes": passes,
        "adam_rate": curve.rate,
        "adam_seconds": float(seconds),
        "ratio": float(seconds) / default.seconds,
    }


def ours_to_adam(ours: Sequence[Effort], curves: Sequence[adam.Curve]) -> Json:
    """What we take to come as low as the best of Adam's step lengths does in all its passes."""
    curve = min(curves, key=lambda c: c.best)
    enough = [effort for effort in ours if effort.epsilon <= curve.best + TOLERANCE]
    least = min(enough, key=lambda effort: effort.seconds, default=None)
    return {
        "epsilon": curve.best,
        "adam_rate": curve.rate,
        "adam_seconds": float(curve.seconds[-1]),
        "ours_segments": least and least.segments,
        "ours_steps": least and least.steps,
        "ours_seconds": least and least.seconds,
        "ratio": least and float(curve.seconds[-1]) / least.seconds,
    }


def _steadiest(rows: Sequence[Json]) -> float:
    """The step length with the lowest epsilon on the average of the rounds."""
    means = [np.mean([min(row["adam"][k]["epsilon"]) for row in rows]) for k in range(len(RATES))]
    return RATES[int(np.argmin(means))]


# Part 2: whole learning.


def learn_ours(
    features: FloatArray, segments: Sequence[adam.Segment], aim: Target, count: int
) -> list[Json]:
    """As it is, and with all segments a round; prints and returns a row for each."""
    _print_row("ours", "segments", "s", "eps", "loss")
    rows = []
    for per_round in sorted({PER_ROUND, len(segments)}):
        estimator, seconds = _estimator(aim, count, per_round), []
        for _ in range(REPEATS):
            start = adam.clock()
            estimator.fit(features)
            seconds.append(adam.clock() - start)
        row = {"per_round": per_round, "seconds": statistics.median(seconds)}
        rows.append(row | adam.judge(segments, estimator.learned))
        _print_row("", *rows[-1].values())
    return rows


def learn_adams(
    segments: Sequence[adam.Segment], args: argparse.Namespace, rate: float, ours: Json
) -> list[Json]:
    """With all passes and with half of them; prints and returns a row for each."""
    _print_row("Adam", "rate", "passes", "s", "eps", "loss", "ratio")
    rows = []
    for passes in (args.passes, args.passes // 2):
        learned, seconds = adam.boost(segments, args.projections, rate, passes, seed=0)
        row = {"rate": rate, "passes": passes, "seconds": seconds, **adam.judge(segments, learned)}
        rows.append(row | {"ratio": seconds / ours["seconds"]})
        # Where Adam is the worse one even with this time it would need more of it, and the reverse.
        above = row["epsilon"] - ours["epsilon"]
        mark = ">" if above > TOLERANCE else "<" if above < -TOLERANCE else "="
        _print_row(mark, *rows[-1].values())
    return rows


def _estimator(aim: Target, count: int, per_round: int) -> BoostedHashing:
    return BoostedHashing(
        n_projections=count,
        target_quantile=TARGET_QUANTILES[aim],
        segment=adam.SEGMENT,
        segments_per_round=per_round,
    )


def _print_row(*cells: str | float | None) -> None:
    present = ["never" if cell is None else cell for cell in cells]
    texts = [cell if isinstance(cell, str) else f"{cell:.4g}" for cell in present]
    print("".join(f"{text:>9s}" for text in texts), flush=True)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus"))
    parser.add_argument(
        "--pool", type=int, default=PER_ROUND, metavar="M", help="segments of the training set"
    )
    parser.add_argument("--passes", type=int, default=100, help="of Adam, a projection")
    parser.add_argument("--projections", type=int, default=10, metavar="L", help="of part 2")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
    args = parser.parse_args(words)
    if args.pool < PER_ROUND or args.passes < 2:
        parser.error(f"--pool is at least {PER_ROUND}, --passes at least 2")
    return args


if __name__ == "__main__":
    main()
