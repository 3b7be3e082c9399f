"""What a search tried, as a table, as JSON and as a plot."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

from blsh_trainer.errors import BlshError
from blsh_trainer.files import write_atomically
from blsh_trainer.fitting import Fit, Trial, ranked, trial_of


def pareto_front(trials: tuple[Trial, ...]) -> tuple[Trial, ...]:
    """Trials that no other beats in SDR at no more flash and instructions, cheapest first."""
    front = [trial for trial in trials if not any(_beats(other, trial) for other in trials)]
    return tuple(sorted(front, key=lambda trial: (trial.cost.mips, trial.cost.flash)))


def pareto_table(fit: Fit) -> str:
    """All trials by SDR; an asterisk marks the Pareto front."""
    front = pareto_front(fit.trials)
    lines = ["validation SDR, estimated instructions and flash of what was tried:"]
    for trial in sorted(fit.trials, key=lambda trial: -trial.sdr):
        lines.append(f"{'*' if trial in front else ' '} {trial}")
    return "\n".join(lines)


def write_pareto(model: Path, fit: Fit) -> tuple[Path, ...]:
    """Write the trials beside a model: ``<model>.fit.json``, and a plot where matplotlib is there.

    Returns:
        The files written.

    Raises:
        BlshError: A file cannot be written.
    """
    record = {
        "budget": {"flash": fit.budget.flash, "ram": fit.budget.ram, "mips": fit.budget.mips},
        "trials": [trial.record() for trial in fit.trials],
    }
    parts = {_beside(model, ".fit.json"): json.dumps(record, indent=2).encode() + b"\n"}
    plot = _plot(fit)
    if plot is not None:
        parts[_beside(model, ".fit.png")] = plot
    for path, data in parts.items():
        try:
            write_atomically(path, data)
        except OSError as error:
            raise BlshError(
                f"{path}: cannot write it ({error.strerror}); make room there"
            ) from error
    return tuple(parts)


def load_trials(model: Path) -> tuple[Trial, ...]:
    """The trials that `write_pareto` has written beside a model.

    Raises:
        BlshError: The file is missing or none of its.
    """
    path = _beside(model, ".fit.json")
    try:
        return tuple(trial_of(record) for record in json.loads(path.read_bytes())["trials"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BlshError(
            f"{path}: not what blsh-train --fit writes when its search is over; a training that "
            "--preset began goes on with --preset, else search again without --resume"
        ) from error


def _beside(model: Path, suffix: str) -> Path:
    stem = model.with_suffix("")
    return stem.with_name(stem.name + suffix)


def _plot(fit: Fit) -> bytes | None:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return None
    figure = Figure(figsize=(7, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    fewest = min(trial.options.steps for trial in fit.trials)
    points = axes.scatter(
        [trial.cost.mips for trial in fit.trials], [trial.sdr for trial in fit.trials],
        c=[trial.cost.flash / 1024 for trial in fit.trials],
        s=[20 if trial.options.steps == fewest else 60 for trial in fit.trials],
    )  # fmt: skip
    front = pareto_front(fit.trials)
    axes.scatter(
        [trial.cost.mips for trial in front], [trial.sdr for trial in front],
        s=120, facecolors="none", edgecolors="black", label="Pareto front",
    )  # fmt: skip
    chosen = ranked(fit.trials)[0]
    label = f"chosen, after {chosen.options.steps} steps"
    axes.plot(chosen.cost.mips, chosen.sdr, "r*", markersize=14, label=label)
    axes.axvline(fit.budget.mips, color="grey", linestyle="--", label="budget")
    axes.set_xlabel("M instructions a second (estimated)")
    axes.set_ylabel("validation SDR in dB; small dots: few steps")
    axes.legend()
    figure.colorbar(points, label="flash in KB (estimated)")
    out = BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _beats(a: Trial, b: Trial) -> bool:
    pairs = ((a.cost.mips, b.cost.mips), (a.cost.flash, b.cost.flash), (-a.sdr, -b.sdr))
    return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)
