"""Training of condensed models: options and frames in, a model out."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from blsh_trainer.augmentation import Mixer
from blsh_trainer.condensation import (
    WORD,
    Parameters,
    Plan,
    Rounding,
    initial_parameters,
    loss_and_gradients,
    mask_levels,
    predicted_gains,
    rounded_projection,
    signs,
)
from blsh_trainer.condensed_frames import CondensedFrames, collect_condensed_frames
from blsh_trainer.condensed_model import Condensed, CondensedDictionary, HashGroup
from blsh_trainer.condensed_options import CondensedOptions
from blsh_trainer.condensed_plan import make_plan
from blsh_trainer.corpus import Recordings
from blsh_trainer.errors import BlshError
from blsh_trainer.hashing import pack_codes
from blsh_trainer.levels import make_grid
from blsh_trainer.model_file import Model

FloatArray = npt.NDArray[np.float32]

MIXTURE_SECONDS = 5.0

BATCH = 512
SHARDS = 2  # threads, and parts of a batch whose gradients add up in a fixed order
WARM_UP_STEPS = 50
LAST_RATE = 0.02  # of the learning rate that is left at the end
NEAREST_FROM = 0.3  # part of the steps after which only the K nearest entries vote
ROUNDED_FROM = 0.5  # part of the steps after which weights and masks are rounded as stored
# Parts of the steps after which noise trackers go once more through all frames, with the gains
# that have been learned by then; until the first they follow the ideal gains.
FOLLOWED_AT = (0.15, 0.4, 0.7)
MASK_LIMIT_QUANTILE = 0.995
# Learning rates of Adam: signs want larger steps than what they are the signs of.
RATES = Parameters(0.003, 0.003, 0.009, 0.018, 0.0045)  # type: ignore[arg-type]
_BETAS, _EPSILON = (0.9, 0.999), 1e-8
_MIXING_STREAM, _START_STREAM, _BATCH_STREAM = 11, 12, 13


@dataclass(frozen=True)
class TrainingState:
    """Where the optimiser is.

    Attributes:
        step: Steps done.
        parameters: What has been learned.
        first: Adam's first moments.
        second: Adam's second moments.
        mask_limit: Log-odds of the outermost mask level; 0 until masks are rounded.
        losses: Mean loss a frame of each hundred steps.
        followed: The step at which noise trackers last went through the frames, 0 for never.
        leader: The parameters whose gains they followed; those of the start before.
    """

    step: int
    parameters: Parameters
    first: Parameters
    second: Parameters
    mask_limit: float = 0.0
    losses: tuple[float, ...] = ()
    followed: int = 0
    leader: Parameters | None = None


def collect(
    recordings: Recordings,
    options: CondensedOptions,
    on_mixture: Callable[[float], None] | None = None,
) -> CondensedFrames:
    """Augmented mixtures of some recordings as training frames.

    Raises:
        BlshError: A recording cannot be used, or all are silent.
    """
    seed = int(np.random.default_rng([options.seed, _MIXING_STREAM]).integers(2**62))
    mixer = Mixer(recordings.speech, recordings.noise, options.rate, MIXTURE_SECONDS, seed)
    count = max(1, round(options.minutes * 60 / MIXTURE_SECONDS))
    return collect_condensed_frames(
        mixer.mixtures(count),
        options.geometry,
        make_grid(options.geometry),
        options.trackers,
        options.noise_trackers,
        on_mixture,
    )


def start(options: CondensedOptions, plan: Plan, frames: CondensedFrames) -> TrainingState:
    """The state before the first step.

    Raises:
        BlshError: There are fewer frames than entries.
    """
    if frames.n_frames < plan.entries:
        raise BlshError(
            f"--entries {plan.entries}: there are only {frames.n_frames} training frames; "
            "ask for fewer entries or give more --minutes"
        )
    rng = np.random.default_rng([options.seed, _START_STREAM])
    index = np.sort(rng.choice(frames.n_frames, plan.entries, replace=False))
    parameters = initial_parameters(
        plan, frames.standardised(index), frames.ideal_gains(index), rng
    )
    zeros = parameters.map(np.zeros_like)
    return TrainingState(0, parameters, zeros, zeros)


def train_condensed(
    state: TrainingState,
    options: CondensedOptions,
    plan: Plan,
    frames: CondensedFrames,
    on_step: Callable[[TrainingState, float], None] | None = None,
) -> TrainingState:
    """Take the steps that are left.

    Each step's frames depend on the seed and its number only, and gradients add up in a fixed
    order, so an interrupted training that goes on ends where an uninterrupted one does.

    Args:
        state: From `start` or of an earlier run.
        options: Steps and seed.
        plan: Shape.
        frames: What to learn from.
        on_step: Called after each step with the state and a running mean of the loss.
    """
    follow_at = {round(part * options.steps) for part in FOLLOWED_AT} if frames.levels.size else {}
    running = state.losses[-1] if state.losses else math.nan
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(SHARDS) as pool:
        frames = _followed(state, options, plan, frames, pool)
        while state.step < options.steps:
            state = _with_mask_limit(state, options)
            if state.step in follow_at and state.step > state.followed:
                state = replace(state, followed=state.step, leader=state.parameters)
                frames = _followed(state, options, plan, frames, pool)
            state, loss = _step(state, options, plan, frames, pool)
            running = loss if math.isnan(running) else 0.99 * running + 0.01 * loss
            if state.step % 100 == 0:
                state = replace(state, losses=(*state.losses, running))
            if on_step is not None:
                on_step(state, running)
    return state


def _with_mask_limit(state: TrainingState, options: CondensedOptions) -> TrainingState:
    """The state, with the outermost levels settled once masks are rounded."""
    if state.mask_limit or state.step < ROUNDED_FROM * options.steps:
        return state
    limit = float(np.quantile(np.abs(state.parameters.masks), MASK_LIMIT_QUANTILE))
    return replace(state, mask_limit=limit)


def _rounding(step: int, options: CondensedOptions, mask_limit: float) -> Rounding:
    """How the forward pass of a step rounds."""
    rounded = step >= ROUNDED_FROM * options.steps
    return Rounding(
        nearest_only=step >= NEAREST_FROM * options.steps,
        mask_limit=mask_limit if rounded else 0.0,
        weights=rounded,
    )


def _followed(
    state: TrainingState,
    options: CondensedOptions,
    plan: Plan,
    frames: CondensedFrames,
    pool: Executor,
) -> CondensedFrames:
    """Frames whose noise trackers follow the gains of the state's leader."""
    leader = state.leader
    if leader is None:
        return frames
    rounding = _rounding(state.followed, options, state.mask_limit)

    def gains_of(index: npt.NDArray[np.int64], noise: FloatArray) -> FloatArray:
        return predicted_gains(leader, plan, frames.standardised(index, noise), rounding)

    return frames.followed(gains_of, pool)


def _step(
    state: TrainingState,
    options: CondensedOptions,
    plan: Plan,
    frames: CondensedFrames,
    pool: ThreadPoolExecutor,
) -> tuple[TrainingState, float]:
    progress = state.step / options.steps
    rounding = _rounding(state.step, options, state.mask_limit)
    rng = np.random.default_rng([options.seed, _BATCH_STREAM, state.step])
    index = rng.integers(frames.n_frames, size=BATCH)

    def of_shard(shard: npt.NDArray[np.int64]) -> tuple[float, Parameters]:
        return loss_and_gradients(state.parameters, plan, frames.batch(shard), rounding)

    shards = list(pool.map(of_shard, np.split(index, SHARDS)))
    loss = sum(part for part, _ in shards) / SHARDS
    gradients = shards[0][1]
    for _, others in shards[1:]:
        gradients = gradients.map(np.add, others)
    warm = min(1.0, (state.step + 1) / WARM_UP_STEPS)
    decay = LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * progress))
    step = state.step + 1
    first = state.first.map(lambda m, g: _BETAS[0] * m + (1 - _BETAS[0]) * g, gradients)
    second = state.second.map(lambda v, g: _BETAS[1] * v + (1 - _BETAS[1]) * g * g, gradients)
    bias = (1 - _BETAS[1] ** step) ** 0.5 / (1 - _BETAS[0] ** step)

    def moved(value: FloatArray, m: FloatArray, v: FloatArray, rate: Any) -> FloatArray:
        change = np.float32(rate * warm * decay * bias) * m / (np.sqrt(v) + np.float32(_EPSILON))
        return (value - change).astype(np.float32)

    parameters = state.parameters.map(moved, first, second, RATES)
    return replace(state, step=step, parameters=parameters, first=first, second=second), loss


def learn(
    options: CondensedOptions,
    frames: CondensedFrames,
    on_step: Callable[[TrainingState, float], None] | None = None,
) -> Model:
    """Train from the start to the end and build the model.

    Args:
        options: What decides the model.
        frames: What to learn from.
        on_step: As for `train_condensed`.

    Raises:
        BlshError: There are fewer frames than entries.
    """
    plan = make_plan(options, frames)
    state = train_condensed(start(options, plan, frames), options, plan, frames, on_step)
    return build_condensed(state, options, plan, frames)


def build_condensed(
    state: TrainingState,
    options: CondensedOptions,
    plan: Plan,
    frames: CondensedFrames,
) -> Model:
    """Put what has been learned into a model.

    Args:
        state: After any number of steps.
        options: Of the training.
        plan: Shape.
        frames: For the features' mean and scale.
    """
    learned = state.parameters
    limit = state.mask_limit or float(np.quantile(np.abs(learned.masks), MASK_LIMIT_QUANTILE))
    top = (1 << plan.mask_bits) - 1
    levels = mask_levels(learned.masks, plan.mask_bits, limit)
    codes = signs(learned.codes) > 0
    dictionaries = tuple(
        CondensedDictionary(
            cells=cells,
            words=words,
            neighbours=plan.neighbours,
            codes=pack_codes(codes[index]),
            masks=levels[index, :, : cells[1] - cells[0]],
            weights=np.exp(
                -2 * np.exp(learned.log_sharpness[index]) * np.arange(plan.code_bits + 1)
            ).astype(np.float32),
        )
        for index, (words, cells) in enumerate(zip(plan.words, plan.cells, strict=True))
    )
    record = {
        "options": {"method": "condensed", **asdict(options)},
        "frames": frames.n_frames,
        "seconds": round(frames.seconds, 3),
        "steps": state.step,
        "loss": [round(loss, 6) for loss in state.losses],
    }
    condensed = Condensed(
        grid=make_grid(options.geometry),
        trackers=options.trackers,
        noise_trackers=options.noise_trackers,
        hashes=_hash_groups(learned, plan, frames),
        dictionaries=dictionaries,
        mask_bits=plan.mask_bits,
        vote_scale=2 * limit / top,
        vote_offset=-plan.layers * limit,
    )
    return Model(options.geometry, (), None, record, condensed)


def _hash_groups(learned: Parameters, plan: Plan, frames: CondensedFrames) -> tuple[HashGroup, ...]:
    """Projections on features as they are, for those on features without mean and scaled."""
    rounded = rounded_projection(learned.projection)
    scaled = rounded / np.float32(frames.scale)
    bias = (learned.bias - scaled @ frames.mean).astype(np.float32)
    groups = []
    for index, (first, last) in enumerate(plan.feature_ranges):
        rows = slice(index * WORD, (index + 1) * WORD)
        groups.append(
            HashGroup((first, last), scaled[rows, first:last].astype(np.float32), bias[rows])
        )
    return tuple(groups)
