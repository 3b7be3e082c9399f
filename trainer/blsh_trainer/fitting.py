"""The best condensed model that fits a budget: candidates, short trainings, a longer one, a choice.

Candidates are the largest preset and shapes on a small grid, of which only those that the cost
model finds within the budget are looked at. A spread of them is trained briefly, then some that are
like the best of these; the best of all train for longer; the best of those wins. All are compared
by SDR on talkers and noise types that training never hears.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from blsh_trainer.condensed_frames import CondensedFrames
from blsh_trainer.condensed_options import CondensedOptions, options_of
from blsh_trainer.condensed_training import TrainingState, collect, learn
from blsh_trainer.cost_model import Cost, estimated_cost, estimated_cost_of
from blsh_trainer.denoiser import denoise
from blsh_trainer.errors import BlshError
from blsh_trainer.holdout import Split, validation_mixtures
from blsh_trainer.metrics import bss_eval
from blsh_trainer.mixing import Mixture
from blsh_trainer.model_file import Model
from blsh_trainer.presets import PRESETS, Budget, at_rate

FRONT_ENDS = ((1024, 512), (512, 256), (1024, 256))
WORDS = (2, 4, 6, 8, 12, 16, 24)
COMPARED = (1, 2, 4, 8)
REACHES = (0.25, 0.4, 1.0)
BANDS = (4, 8, 16)
LAYERS = (2, 4, 8)
ENTRIES = (32, 64, 128)
NEIGHBOURS = (4, 8)
MASK_BITS = (3, 4)

BRIEF_TRIALS, BRIEF_STEPS = 8, 500
NEAR_TRIALS, NEAR_DIFFERENCES = 4, 3
LONGER_TRIALS, LONGER_STEPS = 3, 1500
TRIAL_MINUTES = 120.0

OnTrial = Callable[["Trial | None", str], None]


@dataclass(frozen=True)
class Trial:
    """One candidate that was trained.

    Attributes:
        options: Its shape, and the steps it was trained for.
        cost: Its estimated cost.
        sdr: Mean validation SDR in dB.
    """

    options: CondensedOptions
    cost: Cost
    sdr: float

    def __str__(self) -> str:
        o = self.options
        return (
            f"{self.sdr:5.2f} dB  {self.cost.mips:5.1f} M/s  {self.cost.flash / 1024:5.0f} KB  "
            f"frame {o.frame}/{o.hop}, {o.words} words of which {o.compared} compared, reach "
            f"{o.reach:g}, {o.layers} x {o.bands} dictionaries of {o.entries}, K = {o.neighbours}, "
            f"{o.mask_bits}-bit masks, {o.kinds} features a cell, {o.steps} steps"
        )

    def record(self) -> dict[str, Any]:
        """For reports in JSON."""
        return {
            "sdr": round(self.sdr, 3),
            "cost": asdict(self.cost),
            "options": asdict(self.options),
        }


def trial_of(record: dict[str, Any]) -> Trial:
    """The trial of a `Trial.record`."""
    return Trial(options_of(record["options"]), Cost(**record["cost"]), float(record["sdr"]))


@dataclass(frozen=True)
class Fit:
    """What a search found.

    Attributes:
        options: Of the winner, with all its steps.
        budget: What it had to fit.
        trials: All that was trained, in order.
        mixtures: What the trials were compared on.
    """

    options: CondensedOptions
    budget: Budget
    trials: tuple[Trial, ...]
    mixtures: tuple[Mixture, ...]

    @property
    def best(self) -> Trial:
        """The last trial: the winner, once it is trained to the end."""
        return self.trials[-1]

    def scored(self, model: Model, target: str) -> Fit:
        """With the winner's model as a further trial."""
        cost = estimated_cost(model, target)
        trial = Trial(self.options, cost, validation_sdr(model, self.mixtures))
        return replace(self, trials=(*self.trials, trial))


def validation_sdr(model: Model, mixtures: tuple[Mixture, ...]) -> float:
    """Mean SDR in dB of a model on some mixtures."""
    scores = [bss_eval(m.speech, m.noise, denoise(model, m.noisy)).sdr for m in mixtures]
    return float(np.mean(scores))


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """The trials with the most steps, best first."""
    steps = max(trial.options.steps for trial in trials)
    most = [trial for trial in trials if trial.options.steps == steps]
    return sorted(most, key=lambda trial: -trial.sdr)


def costed_shapes(base: CondensedOptions, target: str) -> list[tuple[CondensedOptions, Cost]]:
    """All shapes of the grid with what they cost, cheapest first."""
    found = [(options, estimated_cost_of(options, target)) for options in _shapes(base)]
    return sorted(found, key=lambda pair: (pair[1].mips, pair[1].flash))


def largest_preset(base: CondensedOptions, budget: Budget, target: str) -> CondensedOptions | None:
    """The shape of the most costly preset within a budget, to be trained as `base` says."""
    fitting = []
    for preset in PRESETS.values():
        options = replace(
            at_rate(preset.options, base.rate),
            steps=base.steps, minutes=base.minutes, seed=base.seed,
        )  # fmt: skip
        cost = estimated_cost_of(options, target)
        if cost.fits(budget):
            fitting.append((_use(cost, budget), options))
    return max(fitting, key=lambda pair: pair[0])[1] if fitting else None


def spread(
    candidates: list[tuple[CondensedOptions, Cost]], budget: Budget, count: int
) -> list[CondensedOptions]:
    """Candidates to try: those that use most of the budget, no two of them alike.

    A larger model of a kind is hardly ever worse, so what leaves flash and instructions unused is
    not tried; and of candidates that differ in one detail only the first is.
    """
    ranked = sorted(candidates, key=lambda pair: -_use(pair[1], budget))
    chosen: list[CondensedOptions] = []
    for options, _ in ranked:
        if all(_differences(options, other) >= 2 for other in chosen):
            chosen.append(options)
        if len(chosen) == count:
            break
    return chosen


def fit_options(
    split: Split, base: CondensedOptions, budget: Budget, target: str, on_trial: OnTrial
) -> Fit:
    """Search for the shape with the best validation SDR.

    Args:
        split: Recordings to train and to compare on.
        base: Whatever is not searched: steps, minutes, seed, rate.
        budget: What to fit.
        target: Core that costs are estimated for.
        on_trial: Called with each trial when it is done and with what is being done.

    Raises:
        BlshError: No candidate fits.
    """
    on_trial(None, "estimating what shapes cost")
    shapes = costed_shapes(base, target)
    candidates = [(options, cost) for options, cost in shapes if cost.fits(budget)]
    preset = largest_preset(base, budget, target)
    if not candidates and preset is None:
        raise BlshError(
            f"--fit: no shape fits {budget.flash / 1024:.0f} KB flash, {budget.ram / 1024:.0f} KB "
            f"RAM and {budget.mips:g} M instructions a second on {target}; the smallest needs "
            f"{shapes[0][1]}; raise --flash, --ram or --mips"
        )
    mixtures = tuple(validation_mixtures(split.validation, base.rate, base.seed))
    trials = _Trials(split, base, target, mixtures, on_trial)
    first = [] if preset is None else [preset]
    first += [o for o in spread(candidates, budget, BRIEF_TRIALS) if o not in first]
    trials.attempt(first[:BRIEF_TRIALS], BRIEF_STEPS)
    centre = trials.best(1)[0]
    near = [
        (options, cost)
        for options, cost in candidates
        if _differences(options, centre) <= NEAR_DIFFERENCES and options not in first
    ]
    trials.attempt(spread(near, budget, NEAR_TRIALS), BRIEF_STEPS)
    trials.attempt(trials.best(LONGER_TRIALS), LONGER_STEPS)
    return Fit(trials.best(1)[0], budget, tuple(trials.done), mixtures)


class _Trials:
    """Trains candidates and keeps how they did."""

    def __init__(
        self,
        split: Split,
        base: CondensedOptions,
        target: str,
        mixtures: tuple[Mixture, ...],
        on_trial: OnTrial,
    ) -> None:
        self.done: list[Trial] = []
        self._split = split
        self._base = base
        self._target = target
        self._mixtures = mixtures
        self._on_trial = on_trial
        self._frames: CondensedFrames | None = None
        self._frames_are_for: object = None

    def best(self, count: int) -> list[CondensedOptions]:
        """The first of what was tried (see `ranked`), to be trained to the end."""
        steps, minutes = self._base.steps, self._base.minutes
        first = ranked(self.done)[:count]
        return [replace(trial.options, steps=steps, minutes=minutes) for trial in first]

    def attempt(self, shapes: list[CondensedOptions], steps: int) -> None:
        """Train and score some candidates, in the order of the frames that they learn from."""
        steps = min(steps, self._base.steps)
        minutes = min(TRIAL_MINUTES, self._base.minutes)

        def on_step(now: TrainingState, loss: float) -> None:
            self._on_trial(None, f"step {now.step}/{steps}, loss {loss:.3f}")

        for shape in sorted(shapes, key=_needed_frames):
            options = replace(shape, steps=steps, minutes=minutes)
            model = learn(options, self._frames_for(options), on_step)
            cost = estimated_cost(model, self._target)
            self.done.append(Trial(options, cost, validation_sdr(model, self._mixtures)))
            self._on_trial(self.done[-1], "")

    def _frames_for(self, options: CondensedOptions) -> CondensedFrames:
        """What candidates learn from; frames of one kind at a time fill enough memory."""
        needed = _needed_frames(options)
        if self._frames is None or self._frames_are_for != needed:
            self._frames = None
            self._on_trial(None, f"mixing for frame {options.frame}, hop {options.hop}")
            self._frames = collect(self._split.training, options)
            self._frames_are_for = needed
        return self._frames


def _needed_frames(options: CondensedOptions) -> tuple[object, ...]:
    """All of a candidate that its training frames depend on, in one search."""
    return options.frame, options.hop, options.trackers, options.noise_trackers


def _shapes(base: CondensedOptions) -> Iterator[CondensedOptions]:
    grid = itertools.product(
        FRONT_ENDS, WORDS, COMPARED, REACHES, BANDS, LAYERS, ENTRIES, NEIGHBOURS, MASK_BITS
    )
    for front_end, words, compared, reach, bands, layers, entries, neighbours, bits in grid:
        if compared <= words:
            yield replace(
                base, frame=front_end[0], hop=front_end[1], words=words, compared=compared,
                reach=reach, bands=bands, layers=layers, entries=entries, neighbours=neighbours,
                mask_bits=bits,
            )  # fmt: skip


def _use(cost: Cost, budget: Budget) -> float:
    return cost.mips / budget.mips + cost.flash / budget.flash


def _differences(a: CondensedOptions, b: CondensedOptions) -> int:
    one, other = asdict(a), asdict(b)
    return sum(one[name] != other[name] for name in one)
