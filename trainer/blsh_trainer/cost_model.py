"""What a condensed model will cost on a core, estimated from its shape.

Instructions, flash and RAM are each a weighted sum of a few counts: multiplications, planes of
codes searched, mask levels added up and so on. The weights are in ``cost_model.json``, measured
once on emulated cores (``python -m tests.codegen.cost_calibration`` writes it); a test holds the
estimates within 5 % of what ``blsh-bench`` counts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from blsh_trainer.condensation import WORD
from blsh_trainer.condensed_options import CondensedOptions
from blsh_trainer.condensed_plan import make_plan_of
from blsh_trainer.levels import make_grid
from blsh_trainer.model_file import Geometry, Model
from blsh_trainer.presets import Budget

TARGETS = ("cortex-m4", "cortex-m0plus", "cortex-m33", "riscv32imc")
QUANTITIES = ("instructions", "flash", "ram")
_LANES = 32


@dataclass(frozen=True)
class Cost:
    """What a denoiser costs.

    Attributes:
        flash: Bytes of code and constant tables.
        ram: Bytes of one stream's state and of stack.
        mips: Million instructions a second of audio.
    """

    flash: int
    ram: int
    mips: float

    def fits(self, budget: Budget) -> bool:
        """Whether no part exceeds a budget."""
        return self.flash <= budget.flash and self.ram <= budget.ram and self.mips <= budget.mips

    def __str__(self) -> str:
        return (
            f"{self.flash / 1024:.0f} KB flash, {self.ram / 1024:.1f} KB RAM and {self.mips:.1f} M "
            "instructions a second"
        )


@dataclass(frozen=True)
class DictionaryShape:
    """Size of a dictionary.

    Attributes:
        words: Code words compared.
        entries: T.
        neighbours: K.
        cells: Cells covered.
    """

    words: int
    entries: int
    neighbours: int
    cells: int


@dataclass(frozen=True)
class Shape:
    """All that the cost of a condensed model depends on.

    Attributes:
        geometry: Framing.
        cells: G.
        kinds: Features a cell.
        groups: Rows and columns of each group of projections.
        dictionaries: One entry a dictionary.
        mask_bits: Bits of a mask level.
        layers: J.
    """

    geometry: Geometry
    cells: int
    kinds: int
    groups: tuple[tuple[int, int], ...]
    dictionaries: tuple[DictionaryShape, ...]
    mask_bits: int
    layers: int

    def counts(self) -> dict[str, float]:
        """What the cost is a weighted sum of; instructions are those of a frame."""
        frame, per_half = self.geometry.frame, 16 // self.mask_bits
        blocks = [-(-one.entries // _LANES) for one in self.dictionaries]
        halves = [-(-one.cells // per_half) for one in self.dictionaries]
        both = list(zip(self.dictionaries, blocks, halves, strict=True))
        words = sum(rows for rows, _ in self.groups) // WORD
        return {
            "one": 1.0,
            "frame": float(frame),
            "fft": frame * math.log2(frame),
            "overlap": float(frame - self.geometry.hop),
            "cells": float(self.cells),
            "features": float(self.cells * self.kinds),
            "tracked": float(self.cells * (self.kinds - 1)),
            "macs": float(sum(rows * (-(-columns // 4) * 4) for rows, columns in self.groups)),
            "rows": float(sum(rows for rows, _ in self.groups)),
            "words": float(words),
            "dictionaries": float(len(self.dictionaries)),
            "planes": float(sum(WORD * one.words * b for one, b, _ in both)),
            "blocks": float(sum(blocks)),
            "chosen": float(sum(one.neighbours * math.log2(2 * b) for one, b, _ in both)),
            "votes": float(sum(one.neighbours * h for one, _, h in both)),
            "voters": float(sum(one.neighbours for one in self.dictionaries)),
            "covered": float(sum(one.cells for one in self.dictionaries)),
            "masks": float(sum(one.entries * h for one, _, h in both)),
            "gains": float(self.layers * ((1 << self.mask_bits) - 1)),
        }


@lru_cache(maxsize=1)
def _weights() -> dict[str, dict[str, dict[str, float]]]:
    text = files("blsh_trainer").joinpath("cost_model.json").read_text()
    loaded: dict[str, dict[str, dict[str, float]]] = json.loads(text)
    return loaded


def cost_of_shape(shape: Shape, target: str) -> Cost:
    """Estimated cost of a shape on one of `TARGETS`."""
    counts = shape.counts()

    def total(quantity: str) -> float:
        return sum(w * counts[name] for name, w in _weights()[target][quantity].items())

    frames_a_second = shape.geometry.rate / shape.geometry.hop
    return Cost(
        flash=round(total("flash")),
        ram=round(total("ram")),
        mips=total("instructions") * frames_a_second / 1e6,
    )


def shape_of(model: Model) -> Shape:
    """The shape of a condensed model."""
    condensed = model.condensed
    if condensed is None:
        raise ValueError("only condensed models have a cost model")
    return Shape(
        model.geometry,
        condensed.n_cells,
        condensed.n_kinds,
        tuple((g.projection.shape[0], g.projection.shape[1]) for g in condensed.hashes),
        tuple(
            DictionaryShape(d.n_words, d.n_entries, d.neighbours, d.n_cells)
            for d in condensed.dictionaries
        ),
        condensed.mask_bits,
        condensed.layers,
    )


def estimated_cost(model: Model, target: str) -> Cost:
    """Estimated cost of a condensed model."""
    return cost_of_shape(shape_of(model), target)


def estimated_cost_of(options: CondensedOptions, target: str) -> Cost:
    """Estimated cost of what some options will give, all cells taken to matter the same."""
    cells = make_grid(options.geometry).size - 1
    plan = make_plan_of(options, cells, options.kinds)
    return cost_of_shape(
        Shape(
            options.geometry,
            cells,
            options.kinds,
            tuple((WORD, last - first) for first, last in plan.feature_ranges),
            tuple(
                DictionaryShape(_width(words), plan.entries, plan.neighbours, _width(covered))
                for words, covered in zip(plan.words, plan.cells, strict=True)
            ),
            plan.mask_bits,
            plan.layers,
        ),
        target,
    )


def _width(pair: Sequence[int]) -> int:
    return pair[1] - pair[0]
