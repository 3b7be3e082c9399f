"""A model's training record as reports show it.

The record is free-form JSON: whatever is not as `blsh-train` writes it is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blsh_trainer.quality import MEASURES, left_out

VALIDATION, FIXED_POINT = "validation", "fixed_point"
_CONDITIONS = {"seconds": "Seconds of each, at most", "snr_db": "SNR in dB"}


@dataclass(frozen=True)
class Score:
    """Mean of a measure over the validation mixtures.

    Attributes:
        measure: Its name.
        unprocessed: Of the noisy speech.
        floating: Denoised by the float model, before quantisation.
        fixed: Denoised by the exported C; ``None`` where it was not measured.
    """

    measure: str
    unprocessed: float
    floating: float
    fixed: float | None


@dataclass(frozen=True)
class Quality:
    """Scores on validation mixtures.

    Attributes:
        scores: By measure.
        conditions: What the mixtures are.
        missing: Measures that were left out, and the package that each needs.
    """

    scores: tuple[Score, ...]
    conditions: tuple[tuple[str, str], ...]
    missing: tuple[tuple[str, str], ...]

    @property
    def has_fixed(self) -> bool:
        """Whether the exported C was scored too."""
        return any(score.fixed is not None for score in self.scores)


@dataclass(frozen=True)
class Section:
    """Facts about where a model comes from.

    Attributes:
        title: What they are about.
        rows: Names and values.
    """

    title: str
    rows: tuple[tuple[str, str], ...]


def quality_of(
    training: Mapping[str, Any], fixed: Mapping[str, float] | None = None
) -> Quality | None:
    """The scores in a training record, ``None`` where there are none.

    Args:
        training: The record.
        fixed: Scores of the exported C, in place of those in the record.
    """
    validation = training.get(VALIDATION)
    if not isinstance(validation, Mapping):
        return None
    before, after = _numbers(validation.get("unprocessed")), _numbers(validation.get("denoised"))
    exported = _numbers(validation.get(FIXED_POINT)) if fixed is None else dict(fixed)
    names = [name for name in MEASURES if name in before and name in after]
    if not names:
        return None
    scores = tuple(Score(n, before[n], after[n], exported.get(n)) for n in names)
    conditions = tuple(
        (_CONDITIONS.get(k, _words(k).capitalize()), _text(v))
        for k, v in validation.items()
        if _is_scalar(v)
    )
    return Quality(scores, conditions, tuple(left_out(before).items()))


def provenance_of(training: Mapping[str, Any]) -> tuple[Section, ...]:
    """The rest of a training record: what stands alone, then one section for each group."""
    rest = {name: part for name, part in training.items() if not name.startswith(VALIDATION)}
    alone = tuple((_words(k), _text(v)) for k, v in rest.items() if _is_scalar(v))
    sections = [Section("Training", alone)] if alone else []
    for name, group in rest.items():
        if isinstance(group, Mapping):
            rows = tuple(
                (str(k), _text(v)) for k, v in group.items() if _is_scalar(v) or _is_row(v)
            )
            if rows:
                sections.append(Section(_words(name).capitalize(), rows))
    return tuple(sections)


def _numbers(scores: Any) -> dict[str, float]:
    if not isinstance(scores, Mapping):
        return {}
    return {str(k): float(v) for k, v in scores.items() if type(v) in (int, float)}


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _is_row(value: Any) -> bool:
    return isinstance(value, list) and all(_is_scalar(item) for item in value)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _words(name: str) -> str:
    return name.replace("_", " ")
