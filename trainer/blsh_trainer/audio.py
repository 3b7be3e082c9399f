"""Audio files in and out: any rate and channel count, checked, converted, written atomically."""

from __future__ import annotations

import errno
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from blsh_trainer.errors import BlshError
from blsh_trainer.files import write_atomically

FloatArray = npt.NDArray[np.float32]
StrPath = str | os.PathLike[str]

INT16_FULL_SCALE = 32768
SUFFIXES = (".wav", ".flac", ".ogg", ".oga")
# Peaks beyond these are no recordings: 24-bit integers kept as floats are the loudest in use.
MIN_PEAK, MAX_PEAK = 1e-10, 1e7
# A header that claims others would have resampling make memory of nothing.
MIN_RATE, MAX_RATE = 1000, 1_000_000
MAX_SAMPLES = 1 << 30
"""Of all channels together: eighteen hours of mono at 16 kHz."""
_BLOCK_SAMPLES = 1 << 20
_MAX_CHUNKS = 10_000


@dataclass(frozen=True)
class AudioFile:
    """A recording as it is stored.

    Attributes:
        samples: ``(n, channels)`` float32, full scale is 1.
        rate: Sampling rate in Hz.
    """

    samples: FloatArray
    rate: int

    def mono(self, rate: int) -> FloatArray:
        """Mean of the channels, resampled to ``rate`` Hz: ``(n,)`` float32."""
        return resampled(self.samples.mean(axis=1, dtype=np.float32), self.rate, rate)


def resampled(samples: FloatArray, rate_in: int, rate_out: int) -> FloatArray:
    """Band-limited resampling along the first axis; same rate gives the same samples."""
    if rate_in == rate_out or samples.shape[0] == 0:
        return samples
    return np.asarray(soxr.resample(samples, rate_in, rate_out, quality="HQ"), np.float32)


def list_audio(directory: StrPath) -> list[Path]:
    """Audio files below a folder, in order of their names.

    Links to files and folders are followed; a folder that is reached twice counts once.

    Raises:
        BlshError: The folder is missing, is no folder or holds no audio, or one below it cannot be
            read.
    """
    folder = Path(directory)
    try:
        files = _audio_below(folder)
    except (FileNotFoundError, NotADirectoryError) as error:
        gone = isinstance(error, FileNotFoundError)
        raise BlshError(
            f"{error.filename}: {'no such folder' if gone else 'is not a folder'}; "
            "give one that holds WAV, FLAC or OGG files"
        ) from error
    except OSError as error:
        raise BlshError(
            f"{error.filename}: cannot be read ({error.strerror}); check its name and permissions"
        ) from error
    if not files:
        raise BlshError(f"{folder}: no WAV, FLAC or OGG file in it; give a folder with recordings")
    return sorted(files, key=lambda p: p.relative_to(folder).as_posix())


def read_audio(path: StrPath, *, allow_silence: bool = False) -> AudioFile:
    """Read a recording with its own rate and channels.

    Args:
        path: A WAV, FLAC or OGG file.
        allow_silence: Accept a recording whose samples are all zero.

    Raises:
        BlshError: The file is missing, unreadable, truncated, empty, silent, not finite, too long,
            or at a level or rate that no recording has.
    """
    path = Path(path)
    try:
        if _is_cut_short(path):
            raise BlshError(f"{path}: the recording is truncated; copy it again or remove it")
        _check_chunks(path)
        with soundfile.SoundFile(os.fsencode(path)) as file:  # of any name
            expected, rate = file.frames, int(file.samplerate)
            _check_shape(path, rate, expected * file.channels)
            samples = _read_samples(file)
    except OSError as error:
        raise BlshError(
            f"{path}: cannot be opened ({error.strerror}); check its name and permissions"
        ) from error
    except soundfile.LibsndfileError as error:
        raise BlshError(
            f"{path}: not readable as audio ({error.error_string.strip().rstrip('.')}); "
            "convert it to WAV or remove it"
        ) from error
    except TypeError as error:  # a name that ends in .raw
        raise BlshError(
            f"{path}: raw samples have no rate; convert the file to WAV or pipe it in"
        ) from error
    if samples.shape[0] < expected:
        raise BlshError(f"{path}: the recording is truncated; copy it again or remove it")
    if samples.shape[0] == 0:
        raise BlshError(f"{path}: the recording has no samples; remove it")
    if not np.isfinite(samples).all():
        raise BlshError(f"{path}: holds NaN or infinite samples; export it again or remove it")
    peak = float(max(samples.max(), -samples.min()))
    if not allow_silence and peak == 0:
        raise BlshError(f"{path}: every sample is zero; remove it or record it again")
    if peak > MAX_PEAK or (not allow_silence and peak < MIN_PEAK):
        raise BlshError(
            f"{path}: its peak is {peak:.2g} times full scale, which no recording has; "
            "export it again or remove it"
        )
    return AudioFile(np.asarray(samples, np.float32), rate)


def _read_samples(file: soundfile.SoundFile) -> FloatArray:
    """``(n, channels)``, block by block: memory for what is there, not for what is claimed."""
    blocks = []
    frames = max(1, _BLOCK_SAMPLES // file.channels)
    while (block := file.read(frames, dtype="float32", always_2d=True)).shape[0]:
        blocks.append(block)
    return np.concatenate(blocks) if blocks else np.zeros((0, file.channels), np.float32)


def _check_shape(path: Path, rate: int, n_samples: int) -> None:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise BlshError(
            f"{path}: its rate is {rate} Hz, which no recording has ({MIN_RATE} to {MAX_RATE}); "
            "export it again or remove it"
        )
    if n_samples > MAX_SAMPLES:
        raise BlshError(f"{path}: claims {n_samples} samples, more than {MAX_SAMPLES}; split it")


def read_mono(path: StrPath, rate: int) -> FloatArray:
    """Read a recording as ``(n,)`` float32 at ``rate`` Hz, n at least 1.

    Raises:
        BlshError: As `read_audio`, or the file is too short to leave a sample at that rate.
    """
    samples = read_audio(path).mono(rate)
    if samples.size == 0:
        raise BlshError(
            f"{path}: the recording is too short, nothing is left of it at {rate} Hz; remove it"
        )
    return samples


def to_int16(samples: npt.NDArray[np.floating]) -> npt.NDArray[np.int16]:
    """Full scale 1 to int16, rounded and saturated."""
    scaled = np.rint(np.asarray(samples, np.float64) * INT16_FULL_SCALE)
    return np.clip(scaled, -INT16_FULL_SCALE, INT16_FULL_SCALE - 1).astype(np.int16)


def write_wav(path: StrPath, samples: npt.NDArray[np.floating], rate: int) -> None:
    """Write a 16-bit WAV that appears complete or not at all.

    Args:
        path: Destination; an existing file is replaced.
        samples: ``(n,)`` or ``(n, channels)``, full scale 1; beyond it is clipped.
        rate: Sampling rate in Hz.

    Raises:
        BlshError: The file cannot be written.
    """
    path = Path(path)
    buffer = io.BytesIO()
    pcm = to_int16(samples)
    soundfile.write(buffer, pcm, rate, format="WAV", subtype="PCM_16")
    try:
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise BlshError(
            f"{path}: cannot be written ({error.strerror}); choose another path"
        ) from error


def _audio_below(top: Path) -> list[Path]:
    """Audio files below a folder; real folders are visited before links to folders."""
    files: list[Path] = []
    real, linked = [top], list[Path]()
    visited: set[tuple[int, int]] = set()
    while real or linked:
        folder = real.pop() if real else linked.pop(0)
        status = folder.stat()
        if (status.st_dev, status.st_ino) in visited:
            continue
        visited.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            path = folder / entry.name
            if _leads_to_folder(entry):
                (linked if entry.is_symlink() else real).append(path)
            elif path.suffix.lower() in SUFFIXES and path.is_file():
                files.append(path)
    return files


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link to itself
            return False
        raise


def _is_cut_short(path: Path) -> bool:
    """Whether a file ends before its container says; libsndfile itself does not complain."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
            declared = int.from_bytes(head[4:8], "little")
            streamed = declared in (0, 0xFFFFFFFF)  # written to a pipe: length never filled in
            return not streamed and size < declared + 8  # less the id and the length
        if head[:4] == b"OggS":
            file.seek(max(0, size - 65536))
            tail = file.read()
            last = tail.rfind(b"OggS")
            return last < 0 or _is_unfinished_page(tail[last:])
    return False


def _check_chunks(path: Path) -> None:
    """Raise `BlshError` where a chunk of a WAV file reaches past its end, the samples excepted.

    Of a length near 2**32 libsndfile makes a step back, and reads the same chunks for ever.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] not in (b"RIFF", b"RIFX", b"RF64") or head[8:12] != b"WAVE":
            return
        order: Literal["little", "big"] = "big" if head[:4] == b"RIFX" else "little"
        for _ in range(_MAX_CHUNKS):
            chunk = file.read(8)
            length = int.from_bytes(chunk[4:], order)
            after = file.tell() + length + length % 2
            if len(chunk) < 8 or (chunk[:4] == b"data" and after >= size):
                return
            if after > size + 1:
                break
            file.seek(after)
    raise BlshError(f"{path}: its chunks are damaged; convert it to WAV again or remove it")


def _is_unfinished_page(page: bytes) -> bool:
    """Whether the last page of an Ogg stream lacks the end flag or some of its bytes."""
    if len(page) < 27 or not page[5] & 4:
        return True
    segments = page[27 : 27 + page[26]]
    return len(segments) < page[26] or len(page) < 27 + page[26] + sum(segments)
