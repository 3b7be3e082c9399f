"""Training frames on disk, so that memory does not grow with the corpus."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from blsh_trainer.corpus import mixture_frames
from blsh_trainer.errors import BlshError
from blsh_trainer.mixing import Mixture
from blsh_trainer.model_file import Geometry
from numpy.lib import format as npy

FloatArray = npt.NDArray[np.float32]

_FEATURES, _MASKS, _RECORD = "features.npy", "masks.npy", "frames.json"


@dataclass(frozen=True)
class FrameStore:
    """Frames of training mixtures, mapped from files.

    Attributes:
        features: ``(N, n_bins)`` float32, L2-normalised STFT magnitudes, none silent.
        masks: ``(N, ceil(n_bins / 8))`` uint8, ideal binary masks packed by ``numpy.packbits``.
        starts: Index of each mixture's first frame.
        n_bins: Bins a mask.
        seconds: Length of the mixtures.
    """

    features: FloatArray
    masks: npt.NDArray[np.uint8]
    starts: tuple[int, ...]
    n_bins: int
    seconds: float

    @property
    def n_frames(self) -> int:
        """N."""
        return int(self.features.shape[0])

    @classmethod
    def open(cls, folder: Path) -> FrameStore:
        """Map what `write_frames` wrote."""
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        return cls(
            np.load(folder / _FEATURES, mmap_mode="r"),
            np.load(folder / _MASKS, mmap_mode="r"),
            tuple(record["starts"]),
            record["n_bins"],
            record["seconds"],
        )


def write_frames(
    mixtures: Iterable[Mixture],
    geometry: Geometry,
    folder: Path,
    on_mixture: Callable[[float], None] | None = None,
) -> None:
    """Write the frames of some mixtures, one mixture in memory at a time.

    Args:
        mixtures: Speech and noise.
        geometry: Framing.
        folder: Where to; exists.
        on_mixture: Called with the seconds done so far.

    Raises:
        BlshError: There is no frame with sound.
    """
    starts, n_frames, n_samples = [], 0, 0
    with (
        _ArrayWriter(folder / _FEATURES, np.float32) as features,
        _ArrayWriter(folder / _MASKS, np.uint8) as masks,
    ):
        for mixture in mixtures:
            frames, mask = mixture_frames(mixture, geometry)
            starts.append(n_frames)
            features.append(frames)
            masks.append(mask)
            n_frames += frames.shape[0]
            n_samples += mixture.speech.size
            if on_mixture is not None:
                on_mixture(n_samples / geometry.rate)
    if n_frames == 0:
        raise BlshError("--speech-train, --noise-train: every mixture is silent; give others")
    record = {
        "starts": starts,
        "n_bins": geometry.n_bins,
        "seconds": round(n_samples / geometry.rate, 3),
    }
    (folder / _RECORD).write_text(json.dumps(record), encoding="utf-8")


class _ArrayWriter:
    """An ``.npy`` file of unknown length, appended to; its header is written at the end."""

    _HEADER_BYTES = 128

    def __init__(self, path: Path, dtype: type[np.generic]) -> None:
        self._path, self._dtype = path, np.dtype(dtype)
        self._n_rows, self._n_columns = 0, 0
        self._file: BinaryIO

    def __enter__(self) -> _ArrayWriter:
        self._file = self._path.open("wb")
        self._file.write(bytes(self._HEADER_BYTES))
        return self

    def append(self, rows: npt.NDArray[np.generic]) -> None:
        """Add ``(n, columns)``."""
        self._n_rows, self._n_columns = self._n_rows + rows.shape[0], rows.shape[1]
        self._file.write(np.ascontiguousarray(rows, self._dtype).tobytes())

    def __exit__(self, *_: object) -> None:
        self._file.seek(0)
        shape = (self._n_rows, self._n_columns)
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(self._file, header)
        written = self._file.tell()
        self._file.close()
        if written != self._HEADER_BYTES:
            raise AssertionError(f"{self._path}: a header of {written} bytes")
