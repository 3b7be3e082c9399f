"""The figures of the paper as PNG files."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from blsh_trainer.errors import BlshError

from blsh_evaluation.results import BLSH, CURVE_METHODS, LSH, Curves, Results

_COLOURS = {BLSH: "#b73779", LSH: "#3f6fb5"}
_STYLES = ("--", "-")
_DPI = 120


def need_matplotlib() -> None:
    """Raise `BlshError` where figures cannot be drawn."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise BlshError(
            "matplotlib is not installed, which draws the figures; pip install 'blsh[evaluation]'"
        ) from error


def draw_figures(results: Results) -> Mapping[str, bytes]:
    """PNG files by name."""
    import matplotlib

    matplotlib.use("Agg")
    return {
        "figure2.png": _similarities(results),
        "figure3.png": _curves(results),
        "boosting.png": _boosting(results),
    }


def _similarities(results: Results) -> bytes:
    """Figure 2: self-similarity of frames, by themselves and by their first L bits."""
    from matplotlib import pyplot

    found = results.similarities
    bits = results.profile.picture_bits
    figure, axes = pyplot.subplots(
        len(found.by_method),
        len(bits) + 1,
        figsize=(2.1 * (len(bits) + 1), 2.3 * len(found.by_method)),
        layout="constrained",
        squeeze=False,
    )
    for row, (method, matrices) in enumerate(found.by_method.items()):
        panels = [("original", found.original)]
        panels += [(f"{method}, L = {n}", matrices[n]) for n in bits]
        for axis, (title, matrix) in zip(axes[row], panels, strict=True):
            image = axis.imshow(matrix, vmin=0, vmax=1, cmap="magma", interpolation="nearest")
            axis.set_title(title, fontsize=9)
            axis.set_xticks([])
            axis.set_yticks([])
    figure.colorbar(image, ax=axes, shrink=0.8, label="similarity")
    return _png(figure)


def _curves(results: Results) -> bytes:
    """Figure 3: SDR over L, mean and standard deviation over random dictionaries."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1, len(results.curves), figsize=(5.2 * len(results.curves), 4), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for axis, curves in zip(axes[0], results.curves, strict=True):
        for method in (BLSH, LSH):
            for share, label in enumerate(results.profile.shares):
                _curve(axis, results, curves, method, share, f"{method}, {label:.0%}")
        axis.set(
            title=f"{curves.protocol} test, {curves.snr_db:g} dB",
            xlabel="L, bits of a hash code",
            ylabel="SDR in dB",
        )
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, loc="lower right")
    return _png(figure)


def _curve(
    axis: Any, results: Results, curves: Curves, method: str, share: int, label: str
) -> None:
    by_draw = curves.sdr[:, CURVE_METHODS.index(method), share].mean(axis=0)
    mean, deviation = by_draw.mean(axis=0), by_draw.std(axis=0)
    bits, colour = np.array(results.profile.curve_bits), _COLOURS[method]
    axis.plot(bits, mean, color=colour, linestyle=_STYLES[share % 2], marker=".", label=label)
    axis.fill_between(bits, mean - deviation, mean + deviation, color=colour, alpha=0.2, lw=0)


def _boosting(results: Results) -> bytes:
    """Weighted error and coefficient of each boosted bit: whether there was anything to learn."""
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(6, 3), layout="constrained")
    axis.plot(results.epsilon, color=_COLOURS[BLSH], label="weighted error of the bit")
    axis.plot(results.beta, color=_COLOURS[LSH], label="coefficient of the bit")
    axis.axhline(0.5, color="grey", lw=0.8, ls=":")
    axis.set(xlabel="l", ylim=(0, None))
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return _png(figure)


def _png(figure: Any) -> bytes:
    from matplotlib import pyplot

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    pyplot.close(figure)
    return buffer.getvalue()
