"""``results.json`` and ``report.html``, from the same results."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
from blsh_trainer import __version__
from blsh_trainer.model_file import Geometry
from blsh_trainer.quality import MEASURES
from jinja2 import Environment, PackageLoader, StrictUndefined

from blsh_evaluation.claims import Claim, check_claims
from blsh_evaluation.complexity import Cost, costs
from blsh_evaluation.results import CURVE_METHODS, Curves, Results, Table
from blsh_evaluation.statistics import LEVEL, RESAMPLES, Summary, summarise

DoubleArray = npt.NDArray[np.float64]

_DIGITS = {"STOI": 3}


def summaries(table: Table) -> dict[str, dict[str, Summary]]:
    """Each system's figures by measure; what is not installed is left out."""
    return {
        system: {
            measure: summarise(rows[:, place])
            for place, measure in enumerate(MEASURES)
            if not np.isnan(rows[:, place]).any()
        }
        for system, rows in table.scores.items()
    }


def complexity_of(results: Results) -> list[Cost]:
    """The complexity table."""
    options = results.options
    geometry = Geometry(options["rate"], options["frame"], options["hop"])
    profile = results.profile
    return costs(
        geometry,
        results.corpus.training_frames,
        profile.shares,
        profile.n_bits,
        options["mels"],
    )


def json_of(results: Results) -> str:
    """Everything but sounds and pictures, with the scores of each utterance."""
    fields = {
        "version": __version__,
        "profile": asdict(results.profile),
        "corpus": asdict(results.corpus),
        "options": dict(results.options),
        "confidence": {"level": LEVEL, "resamples": RESAMPLES},
        "trained_elsewhere": list(results.guests),
        "claims": [_claim(claim) for claim in check_claims(results)],
        "tables": [_table(table) for table in results.tables],
        "curves": [_curves(curves, results) for curves in results.curves],
        "complexity": [
            {**asdict(cost), "total_bytes": cost.total_bytes} for cost in complexity_of(results)
        ],
        "epsilon": results.epsilon.round(6).tolist(),
        "beta": results.beta.round(6).tolist(),
    }
    return json.dumps(fields, indent=1) + "\n"


def html_of(results: Results, figures: Mapping[str, bytes]) -> str:
    """One page that needs no other file.

    Args:
        results: What was found.
        figures: PNG files by name.
    """
    env = Environment(
        loader=PackageLoader("blsh_evaluation"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    env.filters["grouped"] = "{:,}".format
    env.filters["figure"] = _figure
    return env.get_template("report.html.j2").render(
        version=__version__,
        results=results,
        measures=MEASURES,
        tables=[(table, summaries(table)) for table in results.tables],
        claims=check_claims(results),
        complexity=complexity_of(results),
        figures={name: _data_uri(data, "image/png") for name, data in figures.items()},
        sounds={name: _data_uri(data, "audio/flac") for name, data in results.sounds.items()},
        level=round(100 * LEVEL),
    )


def _figure(summary: Summary, measure: str, part: str) -> str:
    return f"{getattr(summary, part):.{_DIGITS.get(measure, 2)}f}"


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _claim(claim: Claim) -> dict[str, Any]:
    return {**asdict(claim), "verdict": claim.verdict}


def _table(table: Table) -> dict[str, Any]:
    found = summaries(table)
    return {
        "protocol": table.protocol,
        "snr_db": table.snr_db,
        "systems": {
            system: {
                "measures": {name: asdict(summary) for name, summary in found[system].items()},
                "utterances": {
                    name: rows[:, MEASURES.index(name)].round(4).tolist() for name in found[system]
                },
            }
            for system, rows in table.scores.items()
        },
    }


def _curves(curves: Curves, results: Results) -> dict[str, Any]:
    """Mean over utterances, and mean and deviation of that over dictionaries."""
    fields: dict[str, Any] = {"protocol": curves.protocol, "snr_db": curves.snr_db}
    for m, method in enumerate(CURVE_METHODS):
        for s, share in enumerate(results.profile.shares):
            by_draw: DoubleArray = curves.sdr[:, m, s].mean(axis=0)
            fields[f"{method}, {share:.0%}"] = {
                "n_bits": list(results.profile.curve_bits),
                "sdr": by_draw.mean(axis=0).round(4).tolist(),
                "deviation": by_draw.std(axis=0).round(4).tolist(),
                "si_sdr": curves.si_sdr[:, m, s].mean(axis=(0, 1)).round(4).tolist(),
            }
    return fields
