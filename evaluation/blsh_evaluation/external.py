"""Denoisers of other makes: shell commands that turn a folder of WAV files into another."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from blsh_trainer.audio import read_audio, write_wav
from blsh_trainer.errors import BlshError
from blsh_trainer.quality import package_versions
from scipy import fft

from blsh_evaluation.cache import Cache
from blsh_evaluation.conditions import Condition
from blsh_evaluation.recordings import digest
from blsh_evaluation.tasks import write_scores
from blsh_evaluation.views import MixtureView

FloatArray = npt.NDArray[np.float32]

MAX_DELAY_SECONDS = 0.15


@dataclass(frozen=True)
class Command:
    """A denoiser as ``--system NAME=COMMAND`` names it.

    Attributes:
        name: What the tables call it.
        template: The command; ``{in}`` and ``{out}`` stand for the folders.
    """

    name: str
    template: str

    @classmethod
    def parse(cls, text: str) -> Command:
        """Read ``NAME=COMMAND``.

        Raises:
            BlshError: The text has no name, or a command without ``{in}`` and ``{out}``.
        """
        name, _, template = text.partition("=")
        try:
            words = shlex.split(template)
        except ValueError as error:
            raise BlshError(f"--system {text}: cannot be read ({error})") from None
        if not name or not words or "{in}" not in template or "{out}" not in template:
            raise BlshError(
                f"--system {text}: give NAME=COMMAND with {{in}} and {{out}} in the command, such "
                "as 'mine=./denoise-all {in} {out}'"
            )
        return cls(name, template)

    def key(self) -> list[str]:
        """The command and the contents of the files that it names, as JSON has them."""
        program, *rest = shlex.split(self.template)
        paths = [Path(shutil.which(program) or program), *map(Path, rest)]
        return [self.template, *(digest(path) for path in paths if path.is_file())]

    def run(self, source: Path, sink: Path) -> None:
        """Run it on a folder of WAV files; what ends this process ends the command as well.

        Raises:
            BlshError: It cannot be started, or fails.
        """
        words = [
            word.replace("{in}", str(source)).replace("{out}", str(sink))
            for word in shlex.split(self.template)
        ]
        try:
            process = subprocess.Popen(
                words,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise BlshError(
                f"--system {self.name}: {words[0]} cannot be started ({error.strerror})"
            ) from error
        try:
            said, _ = process.communicate()
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        if process.returncode != 0:
            last = (said.strip() or "no message").splitlines()[-1]
            raise BlshError(
                f"--system {self.name}: the command ended with {process.returncode}: {last}"
            )


@dataclass(frozen=True)
class ExternalTask:
    """A command in one condition, by all measures.

    Attributes:
        cache: Where results are kept.
        condition: The mixtures.
        command: What is tried.
    """

    cache: Cache
    condition: Condition
    command: Command

    @property
    def label(self) -> str:
        """What progress shows."""
        return f"{self.command.name}: {self.condition.label}"

    def run(self) -> Path:
        """As `TableTask.run`."""
        inputs = {
            "condition": self.condition.key(),
            "command": self.command.key(),
            "scored_by": package_versions(),
        }
        return self.cache.step("external", __name__, inputs, self._build)

    def _build(self, folder: Path) -> None:
        rate = self.condition.geometry.rate
        with tempfile.TemporaryDirectory(dir=folder) as work:
            source, sink = Path(work, "in"), Path(work, "out")
            source.mkdir()
            sink.mkdir()
            for place, view in enumerate(self.condition.views()):
                write_wav(source / _name(place), view.mixture.noisy, rate)
            self.command.run(source, sink)
            estimates = self._estimates(sink)
            write_scores(folder, self.condition, lambda view: aligned(view, next(estimates)))

    def _estimates(self, sink: Path) -> Iterator[FloatArray]:
        for place in range(len(self.condition.specs)):
            path = sink / _name(place)
            if not path.exists():
                raise BlshError(
                    f"--system {self.command.name}: the command wrote no {path.name}; it has to "
                    "write a file of the same name for each in {in}"
                )
            yield read_audio(path, allow_silence=True).mono(self.condition.geometry.rate)


def aligned(view: MixtureView, estimate: FloatArray) -> FloatArray:
    """An estimate without its delay, as long as the mixture.

    The delay is that of the largest correlation with the mixture, up to `MAX_DELAY_SECONDS`.
    """
    noisy = view.mixture.noisy
    n_fft = fft.next_fast_len(noisy.size + estimate.size, real=True)
    spectrum = np.conj(fft.rfft(noisy, n_fft)) * fft.rfft(estimate, n_fft)
    lags = fft.irfft(spectrum, n_fft)[: round(MAX_DELAY_SECONDS * view.geometry.rate)]
    shifted = estimate[int(np.argmax(lags)) :][: noisy.size]
    return np.pad(shifted, (0, noisy.size - shifted.size))


def _name(place: int) -> str:
    return f"{place:04d}.wav"
