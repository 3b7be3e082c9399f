"""The ``blsh-evaluate`` command."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import click
from blsh_codegen.console import json_option, print_table
from blsh_trainer.errors import INTERRUPTED, BlshError
from blsh_trainer.files import write_atomically
from blsh_trainer.quality import MEASURES
from blsh_trainer.streams import escape_what_cannot_be_encoded
from blsh_trainer.synthetic import write_corpus

from blsh_evaluation.claims import check_claims
from blsh_evaluation.experiment import Request, evaluate_corpus
from blsh_evaluation.exported import ExportedModel
from blsh_evaluation.external import Command
from blsh_evaluation.plots import draw_figures, need_matplotlib
from blsh_evaluation.profiles import PROFILES
from blsh_evaluation.protocol import Folders
from blsh_evaluation.report import html_of, json_of, summaries
from blsh_evaluation.results import OWN_NAMES, Results

MAX_JOBS = 8
"""More are of use only where there is memory for them."""

_FOLDER = click.Path(path_type=Path)


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.option(
    "--corpus", type=_FOLDER, metavar="DIR",
    help="Folder with speech/train, noise/train, speech/test and noise/test: the defaults of the "
    "four options below.",
)  # fmt: skip
@click.option("--speech-train", type=_FOLDER, metavar="DIR", help="A folder for each talker.")
@click.option("--noise-train", type=_FOLDER, metavar="DIR", help="A folder for each noise type.")
@click.option("--speech-test", type=_FOLDER, metavar="DIR", help="Other talkers, likewise.")
@click.option("--noise-test", type=_FOLDER, metavar="DIR", help="Other noise types, likewise.")
@click.option(
    "--synthetic", is_flag=True,
    help="Try it without recordings: on speech and noise made from nothing.",
)  # fmt: skip
@click.option(
    "-o", "--output", required=True, type=_FOLDER, metavar="OUT",
    help="Folder for report.html, results.json and the figures.",
)  # fmt: skip
@click.option(
    "--profile", type=click.Choice(list(PROFILES)), default="full",
    help="All of the paper's experiments, or each of them on a few mixtures.",
)  # fmt: skip
@click.option(
    "--model", "models", multiple=True, metavar="NAME=FILE",
    help="A model file to compare as exported C; may be repeated.",
)  # fmt: skip
@click.option(
    "--system", "systems", multiple=True, metavar="NAME=COMMAND",
    help="Another denoiser: a command with {in} and {out} for two folders of WAV files; may be "
    "repeated.",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(min=0), default=0,
    help="Of what is kept from training, of mixing, learning and dictionaries; the mixtures of a "
    "test are the same for all.",
)  # fmt: skip
@click.option(
    "--jobs", type=click.IntRange(min=1), default=min(os.cpu_count() or 1, MAX_JOBS),
    show_default=f"all cores, {MAX_JOBS} at most",
    help="Processes side by side, of up to 0.7 GB each.",
)  # fmt: skip
@click.option(
    "--cache", type=_FOLDER, metavar="DIR", show_default="OUT/cache",
    help="Folder for the results of steps, by which an interrupted run goes on.",
)  # fmt: skip
@json_option
@click.version_option(package_name="blsh")
@click.pass_context
def evaluate(
    context: click.Context,
    /,
    corpus: Path | None,
    synthetic: bool,
    output: Path,
    profile: str,
    models: tuple[str, ...],
    systems: tuple[str, ...],
    seed: int,
    jobs: int,
    cache: Path | None,
    as_json: bool,
    **folders: Path | None,
) -> None:
    """Repeat the paper's experiments on a corpus, with every system side by side.

    Closed and open test, SDR to PESQ of oracle masks, nearest neighbours with and without hashing
    and the exported C; quality over the length of the code; what each system costs. Learned from
    the training folders only.

    Every step is kept: after Ctrl-C or a crash the same command goes on where it was.
    """
    escape_what_cannot_be_encoded()
    need_matplotlib()
    commands = tuple(Command.parse(text) for text in systems)
    named = tuple(_named_model(text) for text in models)
    _check_names([*(guest.name for guest in named), *(guest.name for guest in commands)])
    is_new = not output.exists()
    try:
        output.mkdir(parents=True, exist_ok=True)
        request = Request(
            _folders(corpus, synthetic, output, folders),
            PROFILES[profile],
            cache or output / "cache",
            seed,
            jobs,
            named,
            commands,
        )
        results = evaluate_corpus(request)
        document = json_of(results)
        _write(output, results, document)
    except BlshError:
        if is_new:
            with suppress(OSError):  # unless something of use is in it
                output.rmdir()
        raise
    except KeyboardInterrupt:
        click.echo("Interrupted; to go on from here, repeat the command.", err=True)
        context.exit(INTERRUPTED)
    except OSError as error:
        raise BlshError(
            f"-o {output}: {error.filename or output}: {error.strerror}; check the path and the "
            "room there"
        ) from error
    if as_json:
        click.echo(document, nl=False)
        return
    _show(results)
    click.echo(f"report  {output / 'report.html'}")


def _check_names(guests: Sequence[str]) -> None:
    """Raise `BlshError` where a guest has the name of another, or might have one of ours."""
    for place, name in enumerate(guests):
        if name in guests[:place] or name.startswith(OWN_NAMES):
            raise BlshError(
                f"--model, --system: the name {name} is taken; choose another (those that begin "
                f"with {', '.join(OWN_NAMES)} are the evaluation's own)"
            )


def _folders(
    corpus: Path | None, synthetic: bool, output: Path, given: Mapping[str, Path | None]
) -> Folders:
    if synthetic:
        if corpus is not None or any(given.values()):
            raise BlshError("--synthetic: takes the place of a corpus; leave one of them out")
        corpus = output / "synthetic"
        write_corpus(corpus, speakers=8, clips=4, seconds=4.0)
    usual = None if corpus is None else Folders.of_corpus(corpus)
    chosen = {}
    for role in (field.name for field in fields(Folders)):
        folder = given[role] or (None if usual is None else getattr(usual, role))
        if folder is None:
            raise BlshError(
                f"--{role.replace('_', '-')}: missing; give the four folders, or --corpus, or "
                "--synthetic to try it without recordings"
            )
        chosen[role] = folder
    return Folders(**chosen)


def _named_model(text: str) -> ExportedModel:
    name, _, path = text.partition("=")
    if not name or not path:
        raise BlshError(f"--model {text}: give NAME=FILE, such as mine=model.npz")
    return ExportedModel.of(name, Path(path))


def _write(output: Path, results: Results, document: str) -> None:
    figures = draw_figures(results)
    for name, data in figures.items():
        write_atomically(output / name, data)
    write_atomically(output / "results.json", document.encode())
    write_atomically(output / "report.html", html_of(results, figures).encode())


def _show(results: Results) -> None:
    for table in results.tables:
        if table.snr_db != results.profile.snrs_db[0]:
            continue
        found = summaries(table)
        rows = [
            (
                system,
                *(
                    f"{figures[measure].mean:.2f}" if measure in figures else "-"
                    for measure in MEASURES
                ),
            )
            for system, figures in found.items()
        ]
        title = f"{table.protocol} test, {table.snr_db:g} dB, {results.profile.mixtures} mixtures"
        print_table(title, ("", *MEASURES), rows)
    for claim in check_claims(results):
        click.echo(f"{claim.text}: {claim.verdict}")
