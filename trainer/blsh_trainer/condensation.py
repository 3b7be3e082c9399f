"""Condensed dictionaries: projections, codes and masks of the entries learned together.

A frame's features x are hashed to a code h of signs. Each dictionary compares some words of it
with the T codes it holds and takes the average of the masks of the K nearest, weighted by a power
of how much nearer they are; masks are log-odds, and the sum over the dictionaries that cover a
grid cell goes through a sigmoid. So T entries in each of J layers stand for T^J masks.

Everything is learned by gradient descent on the squared gain error. Signs, of projections as of
the entries' bits, are passed by their gradient as if they were hyperbolic tangents
("straight-through"; Bengio, Leonard and Courville 2013), and so is rounding to what the runtime
stores. The gradients are written out here; the tests compare them with finite differences.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float32]

WORD = 32
WEIGHT_LEVELS = 127
"""Largest magnitude of a stored weight of a projection."""
_TIE = 2.0**-12
"""Advance of each earlier entry over the next: of equal distances the lower index is nearer."""


@dataclass(frozen=True)
class Plan:
    """The shape of a condensed model.

    Attributes:
        feature_ranges: Half-open range of features that each group of `WORD` projections sees.
        words: Half-open range of code words that each of R dictionaries compares; equally many.
        cells: Half-open range of grid cells that each dictionary's masks cover.
        n_features: D.
        n_cells: G.
        layers: J, how many dictionaries cover each cell.
        entries: T.
        neighbours: K.
        mask_bits: Bits of a stored mask level.
    """

    feature_ranges: tuple[tuple[int, int], ...]
    words: tuple[tuple[int, int], ...]
    cells: tuple[tuple[int, int], ...]
    n_features: int
    n_cells: int
    layers: int
    entries: int
    neighbours: int
    mask_bits: int

    @property
    def n_bits(self) -> int:
        """H, bits of a frame's code."""
        return WORD * len(self.feature_ranges)

    @property
    def code_bits(self) -> int:
        """L, bits that a dictionary compares."""
        first, last = self.words[0]
        return WORD * (last - first)

    @property
    def widest(self) -> int:
        """Cells of the widest dictionary."""
        return max(last - first for first, last in self.cells)

    def seen(self) -> FloatArray:
        """``(H, D)``: 1 where a projection may have a weight."""
        seen = np.zeros((self.n_bits, self.n_features), np.float32)
        for group, (first, last) in enumerate(self.feature_ranges):
            seen[group * WORD : (group + 1) * WORD, first:last] = 1
        return seen


@dataclass(frozen=True)
class Parameters:
    """What is learned; also the shape of its gradients and of the optimiser's moments.

    Attributes:
        projection: ``(H, D)`` on standardised features.
        bias: ``(H,)``.
        codes: ``(R, T, L)``; their signs are the entries' codes.
        masks: ``(R, T, C)`` log-odds, C the cells of the widest dictionary.
        log_sharpness: ``(R,)``: the weight of a neighbour falls by ``exp(-2 s)`` a bit.
    """

    projection: FloatArray
    bias: FloatArray
    codes: FloatArray
    masks: FloatArray
    log_sharpness: FloatArray

    def map(self, change: Any, *others: Parameters) -> Parameters:
        """Apply a function to each array, and to those of the same name in others."""
        names = [field.name for field in fields(self)]
        return Parameters(
            **{n: change(getattr(self, n), *(getattr(o, n) for o in others)) for n in names}
        )


@dataclass(frozen=True)
class Rounding:
    """Which roundings of the runtime the forward pass makes.

    Attributes:
        nearest_only: Average the K nearest; all entries otherwise.
        mask_limit: Log-odds of the outermost mask levels, or 0 for masks that are not rounded.
        weights: Round the projections as they are stored.
    """

    nearest_only: bool = True
    mask_limit: float = 0.0
    weights: bool = False


@dataclass(frozen=True)
class Batch:
    """Frames to learn from.

    Attributes:
        features: ``(n, D)`` standardised.
        gains: ``(n, G)`` ideal gains.
        weights: ``(n, G)`` weight of each squared error.
    """

    features: FloatArray
    gains: FloatArray
    weights: FloatArray


def initial_parameters(
    plan: Plan, features: FloatArray, gains: FloatArray, rng: np.random.Generator
) -> Parameters:
    """Random projections, and entries that are training frames.

    Args:
        plan: Shape.
        features: ``(T, D)`` standardised features of some frames.
        gains: ``(T, G)`` their ideal gains.
        rng: Source of the projections.
    """
    seen = plan.seen()
    projection = rng.standard_normal(seen.shape).astype(np.float32) * seen
    projection /= np.sqrt(seen.sum(axis=1, keepdims=True))
    bias = (0.3 * rng.standard_normal(plan.n_bits)).astype(np.float32)
    signs = np.where(features @ projection.T + bias >= 0, np.float32(0.3), np.float32(-0.3))
    bits = np.stack([signs[:, WORD * first : WORD * last] for first, last in plan.words])
    noise = 0.05 * rng.standard_normal(bits.shape).astype(np.float32)
    odds = 0.1 + 0.8 * gains
    log_odds = np.log(odds / (1 - odds)) / plan.layers
    masks = np.zeros((len(plan.cells), plan.entries, plan.widest), np.float32)
    for index, (first, last) in enumerate(plan.cells):
        masks[index, :, : last - first] = log_odds[:, first:last]
    sharpness = np.full(len(plan.words), np.log(8 / plan.code_bits), np.float32)
    return Parameters(projection, bias, bits + noise, masks, sharpness)


def rounded_projection(projection: FloatArray) -> FloatArray:
    """Projections as the runtime stores them, in their own scale: ``WEIGHT_LEVELS`` steps a row."""
    step = np.maximum(np.abs(projection).max(axis=1, keepdims=True), 1e-12) / WEIGHT_LEVELS
    return (np.rint(projection / step) * step).astype(np.float32)


def mask_levels(masks: FloatArray, mask_bits: int, limit: float) -> npt.NDArray[np.uint8]:
    """Log-odds to levels, 0 for ``-limit`` and the highest for ``limit``."""
    top = (1 << mask_bits) - 1
    return np.clip(np.rint((masks / limit + 1) * top / 2), 0, top).astype(np.uint8)


def rounded_masks(masks: FloatArray, mask_bits: int, limit: float) -> FloatArray:
    """Log-odds of the levels of `mask_levels`."""
    top = (1 << mask_bits) - 1
    return (mask_levels(masks, mask_bits, limit) * np.float32(2 * limit / top) - limit).astype(
        np.float32
    )


def signs(values: FloatArray) -> FloatArray:
    """-1 and +1, +1 for zero."""
    return np.where(values >= 0, np.float32(1), np.float32(-1))


def attention(similarity: FloatArray, sharpness: float, neighbours: int | None) -> FloatArray:
    """Weights of the entries: a softmax over all, or over the nearest.

    Args:
        similarity: ``(n, T)`` products of signs, L less twice the distance.
        sharpness: s.
        neighbours: K, or ``None`` for all entries.

    Returns:
        ``(n, T)`` float32, rows of sum 1.
    """
    n_entries = similarity.shape[1]
    weights = np.exp(sharpness * (similarity - similarity.max(axis=1, keepdims=True)))
    if neighbours is not None and neighbours < n_entries:
        ranked = similarity - np.float32(_TIE) * np.arange(n_entries, dtype=np.float32)
        threshold = np.partition(ranked, n_entries - neighbours, axis=1)[:, n_entries - neighbours]
        weights *= ranked >= threshold[:, None]
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def predicted_gains(
    parameters: Parameters, plan: Plan, features: FloatArray, rounding: Rounding
) -> FloatArray:
    """``(n, G)`` gains for ``(n, D)`` standardised features."""
    stored = _stored(parameters, plan, rounding)
    hashed = signs(features @ stored.projection.T + stored.bias)
    return _sigmoid(_votes(stored, plan, hashed, rounding)[0])


def loss_and_gradients(
    parameters: Parameters, plan: Plan, batch: Batch, rounding: Rounding
) -> tuple[float, Parameters]:
    """Weighted squared gain error, summed over a batch, and its straight-through gradients."""
    stored = _stored(parameters, plan, rounding)
    projected = batch.features @ stored.projection.T + stored.bias
    hashed = signs(projected)
    votes, attentions, similarities = _votes(stored, plan, hashed, rounding)
    gains = _sigmoid(votes)
    error = gains - batch.gains
    loss = float(np.vdot(batch.weights * error, error))
    d_votes = 2 * batch.weights * error * gains * (1 - gains)
    d_hashed = np.zeros_like(hashed)
    d_codes, d_masks = np.empty_like(stored.codes), np.zeros_like(stored.masks)
    d_sharpness = np.empty_like(stored.log_sharpness)
    for index, ((low, high), (first, last)) in enumerate(zip(plan.words, plan.cells, strict=True)):
        weights, width = attentions[index], last - first
        d_mean = np.ascontiguousarray(d_votes[:, first:last])
        d_masks[index, :, :width] = weights.T @ d_mean
        d_weights = d_mean @ stored.masks[index, :, :width].T
        d_weights -= np.einsum("nt,nt->n", d_weights, weights)[:, None]
        d_weights *= weights  # now the gradient with respect to s times the similarity
        sharpness = np.exp(stored.log_sharpness[index])
        d_sharpness[index] = sharpness * np.vdot(d_weights, similarities[index])
        d_weights *= sharpness
        bits = slice(WORD * low, WORD * high)
        d_hashed[:, bits] += d_weights @ stored.codes[index]
        d_codes[index] = d_weights.T @ hashed[:, bits]
    d_projected = d_hashed * (1 - np.tanh(projected) ** 2)
    d_codes *= 1 - np.tanh(parameters.codes) ** 2
    return loss, Parameters(
        projection=(d_projected.T @ batch.features) * plan.seen(),
        bias=d_projected.sum(axis=0),
        codes=d_codes,
        masks=d_masks,
        log_sharpness=d_sharpness,
    )


def _stored(parameters: Parameters, plan: Plan, rounding: Rounding) -> Parameters:
    """The parameters that the forward pass uses: codes as signs, the rest rounded as asked."""
    stored = replace(parameters, codes=signs(parameters.codes))
    if rounding.weights:
        stored = replace(stored, projection=rounded_projection(stored.projection))
    if rounding.mask_limit:
        masks = rounded_masks(stored.masks, plan.mask_bits, rounding.mask_limit)
        stored = replace(stored, masks=masks)
    return stored


def _votes(
    stored: Parameters, plan: Plan, hashed: FloatArray, rounding: Rounding
) -> tuple[FloatArray, list[FloatArray], list[FloatArray]]:
    """Log-odds of the cells' gains; each dictionary's attention and similarities."""
    votes = np.zeros((hashed.shape[0], plan.n_cells), hashed.dtype)
    attentions, similarities = [], []
    neighbours = plan.neighbours if rounding.nearest_only else None
    for index, ((low, high), (first, last)) in enumerate(zip(plan.words, plan.cells, strict=True)):
        similarity = hashed[:, WORD * low : WORD * high] @ stored.codes[index].T
        sharpness = float(np.exp(stored.log_sharpness[index]))
        weights = attention(similarity, sharpness, neighbours)
        votes[:, first:last] += weights @ stored.masks[index, :, : last - first]
        attentions.append(weights)
        similarities.append(similarity)
    return votes, attentions, similarities


def _sigmoid(values: FloatArray) -> FloatArray:
    gains: FloatArray = special.expit(values)
    return gains
