"""Recordings as a corpus has them: parts of files, by talker or noise type."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from blsh_trainer.audio import list_audio, read_mono
from blsh_trainer.errors import BlshError
from blsh_trainer.mixing import FloatArray

SPEAKERS_FILE = "speakers.csv"


@dataclass(frozen=True)
class Part:
    """A stretch of a recording.

    Attributes:
        path: The recording.
        start: Where it begins, as a share of the recording's length.
        stop: Where it ends, likewise.
    """

    path: Path
    start: float = 0.0
    stop: float = 1.0

    def read(self, rate: int) -> FloatArray:
        """``(n,)`` float32 at ``rate`` Hz."""
        samples = read_mono(self.path, rate)
        return samples[round(self.start * samples.size) : round(self.stop * samples.size)]


@dataclass(frozen=True)
class Corner:
    """One side of a test: the parts to draw from, by talker or noise type.

    Attributes:
        parts: Parts of recordings by the name of their folder.
        genders: What the corpus says of each talker; empty where it says nothing.
    """

    parts: Mapping[str, tuple[Part, ...]]
    genders: Mapping[str, str]


def by_folder(directory: Path) -> dict[str, list[Path]]:
    """Recordings by the folder in ``directory`` that they are in, however deep, in order of names.

    Raises:
        BlshError: There are none.
    """
    folders: dict[str, list[Path]] = {}
    for path in list_audio(directory):
        name, *below = path.relative_to(directory).parts
        folders.setdefault(name if below else ".", []).append(path)
    return folders


def read_genders(directory: Path) -> dict[str, str]:
    """What ``speakers.csv`` in a folder of talkers says of them; nothing where it is not there.

    Raises:
        BlshError: It has no columns ``speaker`` and ``gender``.
    """
    path = directory / SPEAKERS_FILE
    if not path.exists():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        genders = {row["speaker"].strip(): row["gender"].strip().lower() for row in rows}
    except (KeyError, AttributeError, UnicodeDecodeError, csv.Error, OSError) as error:
        raise BlshError(
            f"{path}: cannot be read as a table of speakers; give it the columns "
            "speaker and gender, or remove it"
        ) from error
    if not any((directory / name).is_dir() for name in genders):
        raise BlshError(
            f"{path}: names no folder beside it; give the names of the talkers' folders"
        )
    return genders


def in_turn(
    names: Sequence[str], genders: Mapping[str, str], rng: np.random.Generator
) -> list[str]:
    """Names in a random order in which genders alternate, where they are known.

    What is over of the more frequent gender comes last, those of whom nothing is said in between.
    """
    order = [str(name) for name in rng.permutation(names)]
    if not any(name in genders for name in names):
        return order
    groups: dict[str, list[str]] = {}
    for name in order:
        groups.setdefault(genders.get(name, ""), []).append(name)
    rank = {name: place for group in groups.values() for place, name in enumerate(group)}
    return sorted(order, key=lambda name: rank[name])


def digest(path: Path) -> str:
    """SHA-256 of a file's contents."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
