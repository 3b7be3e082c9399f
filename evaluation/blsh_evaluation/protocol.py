"""Who and what is heard in training, in the closed test and in the open one.

Closed: talkers and noise types of the training, but utterances and stretches of noise that it never
heard. Open: other talkers and other noise types. Both tests draw talkers and noise types in turn,
so that each counts alike, women and men too where the corpus tells who is who.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from blsh_trainer.audio import list_audio
from blsh_trainer.errors import BlshError
from blsh_trainer.mixing import FloatArray

from blsh_evaluation.recordings import Corner, Part, by_folder, digest, in_turn, read_genders

HELD_OUT_UTTERANCES = 0.15
"""Of a talker with several recordings, the share that the closed test keeps; at least one."""
HELD_OUT_TAIL = 0.25
"""Of a recording that is all there is of a talker or of a noise, the share at its end."""
MIN_SECONDS, MIN_NOISE_SECONDS = 1.5, 0.5
"""What is kept of a recording has to be this long, with sound in it; noise is repeated."""

_SPLIT_STREAM = 31

Contents = Mapping[Path, Mapping[Path, str]]
"""Digests of the recordings of each folder."""


@dataclass(frozen=True)
class Protocol:
    """A test: speech and noise to mix.

    Attributes:
        name: ``"closed"`` or ``"open"``.
        speech: Talkers.
        noise: Noise types.
    """

    name: str
    speech: Corner
    noise: Corner


@dataclass(frozen=True)
class TrainingSide:
    """What is left to learn from.

    Attributes:
        speech: A part of each recording that is heard.
        noise: Likewise.
    """

    speech: tuple[Part, ...]
    noise: tuple[Part, ...]

    @cached_property
    def _parts(self) -> dict[Path, Part]:
        return {part.path: part for part in (*self.speech, *self.noise)}

    def read(self, path: Path, rate: int) -> FloatArray:
        """The part of a recording that training hears, at ``rate`` Hz."""
        return self._parts[path].read(rate)


@dataclass(frozen=True)
class Protocols:
    """A corpus, split.

    Attributes:
        training: To learn from.
        tests: The closed and the open test.
        fingerprint: SHA-256 over all recordings and the split.
    """

    training: TrainingSide
    tests: tuple[Protocol, ...]
    fingerprint: str


@dataclass(frozen=True)
class Folders:
    """The folders of a corpus; each holds a folder a talker or noise type.

    Attributes:
        speech_train: Talkers to learn from.
        noise_train: Noise types to learn from.
        speech_test: Other talkers.
        noise_test: Other noise types.
    """

    speech_train: Path
    noise_train: Path
    speech_test: Path
    noise_test: Path

    def each(self) -> tuple[Path, ...]:
        """All four."""
        return self.speech_train, self.noise_train, self.speech_test, self.noise_test

    @classmethod
    def of_corpus(cls, corpus: Path) -> Folders:
        """The usual layout: ``{speech,noise}/{train,test}``."""
        return cls(
            corpus / "speech/train",
            corpus / "noise/train",
            corpus / "speech/test",
            corpus / "noise/test",
        )


def split_corpus(folders: Folders, *, talkers: int, seed: int, rate: int = 16000) -> Protocols:
    """Take the closed test out of the training side and put the open one beside it.

    Of each talker of the closed test some recordings are kept from training, or the end of the
    only one; of each noise recording its end.

    Args:
        folders: The corpus.
        talkers: How many talkers of the training side the closed test is about, drawn by ``seed``;
            all where there are fewer.
        seed: Of the choices.
        rate: Sampling rate in Hz, by which lengths are judged.

    Raises:
        BlshError: A folder is missing or empty, or has too little to keep something from training.
    """
    speech = by_folder(folders.speech_train)
    noise = by_folder(folders.noise_train)
    genders = read_genders(folders.speech_train)
    rng = np.random.default_rng([seed, _SPLIT_STREAM])
    tested = _test_talkers(speech, genders, talkers, rng, rate)
    if not tested:
        raise BlshError(
            f"--speech-train {folders.speech_train}: no talker has two recordings, or one of "
            f"{MIN_SECONDS / HELD_OUT_TAIL:g} s or more, so nothing can be kept for the closed "
            "test; give longer recordings"
        )
    heard_speech = [
        part
        for name, paths in speech.items()
        for part in (tested[name][0] if name in tested else [Part(path) for path in paths])
    ]
    heard_noise = [_cut(path)[0] for paths in noise.values() for path in paths]
    kept_noise = _usable(
        {name: tuple(_cut(path)[1] for path in paths) for name, paths in noise.items()}, rate
    )
    if not kept_noise:
        raise BlshError(
            f"--noise-train {folders.noise_train}: of no recording has the last quarter "
            f"{MIN_NOISE_SECONDS:g} s with sound to keep for the closed test; give longer ones"
        )
    closed = Protocol(
        "closed",
        Corner({name: tuple(kept) for name, (_, kept) in tested.items()}, genders),
        Corner(kept_noise, {}),
    )
    unheard = open_test(folders.speech_test, folders.noise_test)
    contents = {
        folder: {path: digest(path) for path in list_audio(folder)} for folder in folders.each()
    }
    for kind, train, test, names in (
        (
            "speech",
            folders.speech_train,
            folders.speech_test,
            speech.keys() & unheard.speech.parts.keys(),
        ),
        (
            "noise",
            folders.noise_train,
            folders.noise_test,
            noise.keys() & unheard.noise.parts.keys(),
        ),
    ):
        _check_apart(kind, train, test, names, contents)
    return Protocols(
        TrainingSide(tuple(heard_speech), tuple(heard_noise)),
        (closed, unheard),
        _fingerprint(folders.speech_train, contents, heard_speech),
    )


def open_test(speech: Path, noise: Path) -> Protocol:
    """The open test on folders of talkers and of noise types, all of their recordings whole.

    Raises:
        BlshError: A folder is missing or empty.
    """
    return Protocol(
        "open",
        _whole(by_folder(speech), read_genders(speech)),
        _whole(by_folder(noise), {}),
    )


def _check_apart(kind: str, train: Path, test: Path, shared: Set[str], contents: Contents) -> None:
    """Raise `BlshError` where test and training have folders of one name, or recordings, in common.

    Recordings are compared by their contents: a copy under another name is the same recording.
    """
    names = sorted(shared - {"."})
    if names:
        raise BlshError(
            f"--{kind}-test {test}: {names[0]} is a folder of --{kind}-train {train} as well; the "
            "open test needs others"
        )
    heard = {content: path for path, content in contents[train].items()}
    for path, content in contents[test].items():
        if content in heard:
            raise BlshError(
                f"--{kind}-test {test}: {path} is the same recording as "
                f"{heard[content]} of the training; remove one of them"
            )


def _test_talkers(
    speech: Mapping[str, Sequence[Path]],
    genders: Mapping[str, str],
    talkers: int,
    rng: np.random.Generator,
    rate: int,
) -> dict[str, tuple[list[Part], list[Part]]]:
    """Heard and kept parts of the talkers of the closed test."""
    found: dict[str, tuple[list[Part], list[Part]]] = {}
    for name in in_turn(sorted(speech), genders, rng):
        if len(found) == talkers:
            break
        heard, kept = _kept_of_talker(speech[name], rng)
        if all(_has_sound(part, rate, MIN_SECONDS * rate) for part in kept):
            found[name] = heard, kept
    return found


def _usable(parts: Mapping[str, tuple[Part, ...]], rate: int) -> dict[str, tuple[Part, ...]]:
    """Parts with `MIN_NOISE_SECONDS`; folders that have none left are left out."""
    least = MIN_NOISE_SECONDS * rate
    usable = {
        name: tuple(part for part in some if _has_sound(part, rate, least))
        for name, some in parts.items()
    }
    return {name: some for name, some in usable.items() if some}


def _has_sound(part: Part, rate: int, least: float) -> bool:
    samples = part.read(rate)
    return samples.size >= least and bool(samples.any())


def _cut(path: Path) -> tuple[Part, Part]:
    """The part of a recording that training hears, and the tail that is kept from it."""
    return Part(path, 0.0, 1 - HELD_OUT_TAIL), Part(path, 1 - HELD_OUT_TAIL, 1.0)


def _kept_of_talker(
    paths: Sequence[Path], rng: np.random.Generator
) -> tuple[list[Part], list[Part]]:
    if len(paths) == 1:
        heard, tail = _cut(paths[0])
        return [heard], [tail]
    count = max(1, math.floor(HELD_OUT_UTTERANCES * len(paths)))
    kept = set(rng.choice(len(paths), count, replace=False).tolist())
    return (
        [Part(path) for i, path in enumerate(paths) if i not in kept],
        [Part(path) for i, path in enumerate(paths) if i in kept],
    )


def _whole(folders: Mapping[str, Sequence[Path]], genders: Mapping[str, str]) -> Corner:
    return Corner(
        {name: tuple(Part(path) for path in paths) for name, paths in folders.items()}, genders
    )


def _fingerprint(speech_train: Path, contents: Contents, heard: Sequence[Part]) -> str:
    fingerprint = hashlib.sha256()
    for folder, digests in contents.items():
        for path, content in digests.items():
            fingerprint.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
        fingerprint.update(repr(sorted(read_genders(folder).items())).encode())
    for part in heard:
        name = part.path.relative_to(speech_train).as_posix()
        fingerprint.update(f"{name} {part.start} {part.stop}\n".encode())
    return fingerprint.hexdigest()
