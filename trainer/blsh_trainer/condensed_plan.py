"""From options to the plan of a condensed model: which cells and words each dictionary has."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from blsh_trainer.condensation import Plan
from blsh_trainer.condensed_frames import CondensedFrames
from blsh_trainer.condensed_options import CondensedOptions


def make_plan(options: CondensedOptions, frames: CondensedFrames) -> Plan:
    """The plan for some frames, by how much their cells matter."""
    n_cells = frames.gains.shape[1]
    sample = frames.weights[:: max(1, frames.n_frames // 20_000)].astype(np.float64).mean(axis=0)
    return make_plan_of(options, n_cells, frames.mean.size // n_cells, sample)


def make_plan_of(
    options: CondensedOptions,
    n_cells: int,
    kinds: int,
    weights: npt.NDArray[np.float64] | None = None,
) -> Plan:
    """Bands half way between equal weight and equal numbers of cells, staggered by layer.

    Args:
        options: Shape.
        n_cells: G.
        kinds: Features a cell.
        weights: ``(G,)`` how much each cell matters; all the same by default.
    """
    weights = np.ones(n_cells) if weights is None else weights
    share = 0.5 * weights / weights.sum() + 0.5 / n_cells
    edges = np.interp(
        np.linspace(0, 1, options.bands + 1), np.concatenate([[0], np.cumsum(share)]),
        np.arange(n_cells + 1),
    )  # fmt: skip
    cells = [
        pair for layer in range(options.layers) for pair in _staggered(edges, layer, options.layers)
    ]
    centres = np.interp(
        (np.arange(options.words) + 0.5) / options.words * options.bands,
        np.arange(options.bands + 1), edges,
    )  # fmt: skip
    reach = max(1, round(options.reach * n_cells))
    feature_ranges = []
    for centre in centres:
        first = int(np.clip(round(centre - reach / 2), 0, n_cells - reach))
        feature_ranges.append((first * kinds, (first + reach) * kinds))
    return Plan(
        feature_ranges=tuple(feature_ranges),
        words=tuple(_nearest_words(pair, centres, options) for pair in cells),
        cells=tuple(cells),
        n_features=n_cells * kinds,
        n_cells=n_cells,
        layers=options.layers,
        entries=options.entries,
        neighbours=options.neighbours,
        mask_bits=options.mask_bits,
    )


def _staggered(edges: npt.NDArray[np.float64], layer: int, layers: int) -> list[tuple[int, int]]:
    """Tiles of the cells whose inner edges lie ``layer / layers`` of a band higher."""
    places = np.arange(edges.size) + layer / layers
    inner = np.rint(np.interp(places[: edges.size - 1], np.arange(edges.size), edges)).astype(int)
    last = round(float(edges[-1]))
    bounds = sorted({0, *inner.tolist(), last})
    return list(itertools.pairwise(bounds))


def _nearest_words(
    cells: tuple[int, int], centres: npt.NDArray[np.float64], options: CondensedOptions
) -> tuple[int, int]:
    """The run of words whose projections lie around some cells."""
    place = float(np.interp((cells[0] + cells[1] - 1) / 2, centres, np.arange(options.words)))
    first = round(place - (options.compared - 1) / 2)
    first = min(max(first, 0), options.words - options.compared)
    return first, first + options.compared
