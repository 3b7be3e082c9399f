"""The command `blsh-train`."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from blsh_trainer.cli_blsh import train_blsh
from blsh_trainer.cli_condensed import Request, fit_budget, train_preset
from blsh_trainer.cost_model import TARGETS
from blsh_trainer.errors import BlshError
from blsh_trainer.files import destination
from blsh_trainer.presets import PRESETS, Budget, parse_bytes
from blsh_trainer.streams import escape_what_cannot_be_encoded
from blsh_trainer.training import TrainingOptions

_DEFAULT = TrainingOptions()
# What --preset and --fit share with the paper's models; of the rest they decide themselves.
_SHARED_OPTIONS = ("rate", "minutes", "seed")


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.option(
    "--speech", required=True, multiple=True, type=click.Path(path_type=Path), metavar="DIR",
    help="Folder of clean speech: WAV, FLAC or OGG of any rate; may be repeated.",
)  # fmt: skip
@click.option(
    "--noise", required=True, multiple=True, type=click.Path(path_type=Path), metavar="DIR",
    help="Folder of noise; each sub-folder is a type, drawn equally often; may be repeated.",
)  # fmt: skip
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="MODEL",
    help="Model file to write (.npz).",
)  # fmt: skip
@click.option(
    "--preset", type=click.Choice(list(PRESETS)),
    help="Train a condensed model of a set budget instead of the paper's: tiny (64 KB flash, 8.5 M "
    "instructions a second on a Cortex-M4), base (256 KB, 17 M) or max (1 MB, 60 M).",
)  # fmt: skip
@click.option(
    "--fit", is_flag=True,
    help="Search for the best condensed model within --flash, --ram and --mips.",
)  # fmt: skip
@click.option(
    "--flash", metavar="BYTES", help="Budget of code and tables, such as 256K, for --fit."
)
@click.option("--ram", metavar="BYTES", help="Budget of state and stack, such as 32K, for --fit.")
@click.option("--mips", type=float, help="Budget in million instructions a second, for --fit.")
@click.option(
    "--target", type=click.Choice(list(TARGETS)), default=TARGETS[0],
    help="Core that the costs of --fit and --preset are estimated for.",
)  # fmt: skip
@click.option("--steps", type=int, help="Gradient steps, for --preset and --fit; 8000 or so.")
@click.option("--projections", default=_DEFAULT.projections, help="L, bits of a hash code.")
@click.option(
    "--dictionary", default=_DEFAULT.dictionary, metavar="SIZE",
    help="Entries: a count, or a share of the training frames such as 1%.",
)  # fmt: skip
@click.option("--neighbours", default=_DEFAULT.neighbours, help="K, masks averaged a frame.")
@click.option(
    "--sampling", type=click.Choice(["random", "clusters"]), default=_DEFAULT.sampling,
    help="Entries: training frames drawn at random, or clusters of all frames by their codes.",
)  # fmt: skip
@click.option(
    "--mask-bits", default=_DEFAULT.mask_bits,
    help="Bits of a mask level, 1 to 4; 1 is the ideal binary mask.",
)  # fmt: skip
@click.option(
    "--mask-slope", default=_DEFAULT.mask_slope, metavar="ERROR",
    help="Save flash: gain error that a bit of a compressed mask is worth, such as 0.1.",
)  # fmt: skip
@click.option(
    "--method", type=click.Choice(["blsh", "lsh"]), default=_DEFAULT.method,
    help="Boosted or random projections.",
)  # fmt: skip
@click.option(
    "--distance", type=click.Choice(["squared", "cross-entropy"]), default=_DEFAULT.distance,
    help="Distance between the similarity of frames and that of their bits.",
)  # fmt: skip
@click.option(
    "--aim", type=click.Choice(["scaled", "raw"]), default=_DEFAULT.aim,
    help="Similarity that boosting aims at: that of the frames as in the paper (raw), or the same "
    "with the likely neighbours spread over the upper half; see docs/training.md.",
)  # fmt: skip
@click.option("--features", type=click.Choice(["stft", "mel"]), default=_DEFAULT.features)
@click.option("--mels", default=_DEFAULT.mels, help="Mel filters, for --features mel.")
@click.option("--frame", default=_DEFAULT.frame, help="Frame in samples, a power of two.")
@click.option("--hop", default=_DEFAULT.hop, help="Hop in samples, a power of two.")
@click.option("--rate", default=_DEFAULT.rate, help="Sampling rate of the model in Hz.")
@click.option(
    "--snr", type=float, multiple=True, default=_DEFAULT.snr, metavar="DB",
    help="Signal-to-noise ratio of the mixtures in dB; repeat to draw from several.",
)  # fmt: skip
@click.option(
    "--minutes", type=float, default=None,
    help="Minutes of mixtures; without it, each speech file once.",
)  # fmt: skip
@click.option("--seed", default=_DEFAULT.seed, help="Seed of everything random.")
@click.option(
    "--resume", type=click.Path(path_type=Path), metavar="MODEL",
    help="Go on from a model of the same recordings; all its options become the defaults. "
    "--projections, --dictionary, --neighbours and what masks are made of may change.",
)  # fmt: skip
@click.option(
    "--validation/--no-validation", default=True,
    help="Hold out some talkers and noise types and keep the model's scores on them with it.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.version_option(package_name="blsh")
@click.pass_context
def train(
    context: click.Context,
    /,
    speech: tuple[Path, ...],
    noise: tuple[Path, ...],
    output: Path,
    resume: Path | None,
    validation: bool,
    as_json: bool,
    preset: str | None,
    fit: bool,
    flash: str | None,
    ram: str | None,
    mips: float | None,
    target: str,
    steps: int | None,
    **choices: Any,
) -> None:
    """Train a denoising model from clean speech and noise.

    Boosting follows Algorithm 2 of Kim, Yang and Kim (ICASSP 2020), with another --aim by
    default.

    Ctrl-C while projections are learned saves those learned so far as a model; --resume goes on.

    With --preset or --fit a condensed model is trained instead, which is better and cheaper (see
    docs/condensed.md). Ctrl-C then leaves OUTPUT.checkpoint to --resume from.
    """
    given = {
        name
        for name in choices
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    escape_what_cannot_be_encoded()
    condensed = _condensed_request(choices, given, preset, fit, flash, ram, mips, target, steps)
    check_writable(output)
    if condensed is not None:
        request = replace(
            condensed, speech=speech, noise=noise, output=output, resume=resume, as_json=as_json,
            validation=validation,
        )  # fmt: skip
        context.exit(fit_budget(request) if fit else train_preset(request))
    context.exit(train_blsh(speech, noise, output, resume, as_json, choices, given, validation))


def _condensed_request(
    choices: dict[str, Any],
    given: set[str],
    preset: str | None,
    fit: bool,
    flash: str | None,
    ram: str | None,
    mips: float | None,
    target: str,
    steps: int | None,
) -> Request | None:
    """What the options ask of a condensed model, ``None`` where they ask for one of the paper's."""
    budget = {"flash": flash, "ram": ram, "mips": mips}
    if preset is None and not fit:
        for name, value in {**budget, "steps": steps}.items():
            if value is not None:
                raise BlshError(
                    f"--{name}: belongs to --fit; add it"
                    + (" or --preset" if name == "steps" else "")
                )
        return None
    if preset is not None and fit:
        raise BlshError("--preset, --fit: choose one; --fit takes --flash, --ram and --mips")
    for name in choices:
        if name in given and name not in _SHARED_OPTIONS:
            raise BlshError(
                f"--{name}: is for the paper's models; --preset and --fit choose it themselves"
            )
    shared = {name: choices[name] for name in _SHARED_OPTIONS if name in given}
    if steps is not None:
        shared["steps"] = steps
    request = Request((), (), Path(), target, shared, preset=preset)
    if not fit:
        for name, value in budget.items():
            if value is not None:
                raise BlshError(f"--{name}: belongs to --fit; --preset {preset} has a budget")
        return request
    if flash is None or ram is None or mips is None:
        raise BlshError("--fit: needs --flash, --ram and --mips, such as 256K, 32K and 17")
    if not 0 < mips < math.inf:
        raise BlshError(f"--mips {mips:g}: must be above 0 and finite")
    limits = Budget(parse_bytes("flash", flash), parse_bytes("ram", ram), mips)
    return replace(request, budget=limits)


def check_writable(output: Path) -> None:
    """Raise `BlshError` where a file cannot be written, before any work is done for it."""
    try:
        with tempfile.TemporaryFile(dir=destination(output).parent):
            pass
    except IsADirectoryError as error:
        raise BlshError(
            f"-o {output}: is a folder; give the name of a file such as model.npz"
        ) from error
    except OSError as error:
        raise BlshError(
            f"-o {output}: cannot write there ({error.strerror}); "
            "choose another path or make the folder"
        ) from error
