"""The model file: all that the code generator knows of training.

A model of the paper's kind is a list of bands. Each band hashes a range of the frame's features
with its own projections, searches its own dictionary and supplies the mask of its own range of
STFT bins; the paper's system is the case of one band over all bins with 1-bit masks. A condensed
model has, in place of bands, the tables of `blsh_trainer.condensed_model`.

On disk a model is an ``.npz`` archive without pickles: a JSON header, a SHA-256 over everything
else, and plain arrays. The SHA-256 is that of the content, not of the zip container, so it is the
model's identity whatever the compression. A model is written in the oldest schema that can hold
it, so that its identity does not change with the version of this module.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from blsh_trainer.archive import read_arrays, written_arrays
from blsh_trainer.condensed_arrays import (
    condensed_arrays,
    condensed_from_arrays,
    condensed_header,
)
from blsh_trainer.condensed_model import MAX_MASK_BITS, Condensed, check_condensed
from blsh_trainer.errors import BlshError
from blsh_trainer.files import write_atomically
from blsh_trainer.json_values import integer, integers, parse_object, word
from blsh_trainer.model_arrays import (
    Arrays,
    checked_array,
    checked_levels,
    content_hash,
    packed_levels,
)

SCHEMA_VERSION = 3
# What files without the features of later schemas are written as, so that others read them.
_CONDENSED_SCHEMA_VERSION = 2
_BANDS_SCHEMA_VERSION = 1
MAX_PROJECTIONS = 4096
MIN_FRAME, MAX_FRAME = 64, 4096

FeatureKind = Literal["stft", "mel", "levels"]
WindowKind = Literal["hann", "sine"]
FloatArray = npt.NDArray[np.float32]


def code_words(n_bits: int) -> int:
    """Number of 32-bit words that hold an ``n_bits`` hash code."""
    return (n_bits + 31) // 32


@dataclass(frozen=True)
class Geometry:
    """Sampling rate and framing shared by all bands.

    Attributes:
        rate: Sampling rate in Hz.
        frame: STFT frame length in samples, a power of two.
        hop: Hop between frames in samples, a power of two, from ``frame / 8`` (beyond that
            overlap the rounding of 16-bit windows adds up) to ``frame / 2`` (a Hann window has no
            inverse beyond that).
        features: ``"stft"`` for magnitudes, ``"mel"`` for weighted means of magnitudes. Either is
            divided by its L2 norm before hashing. ``"levels"`` for those of a condensed model.
        window: ``"hann"``, or ``"sine"``, its square root: ``sin(pi n / frame)``. Both periodic.
    """

    rate: int = 16000
    frame: int = 1024
    hop: int = 256
    features: FeatureKind = "stft"
    window: WindowKind = "hann"

    @property
    def n_bins(self) -> int:
        """Number of STFT bins, from DC to Nyquist."""
        return self.frame // 2 + 1


@dataclass(frozen=True)
class Band:
    """One hash table: projections, dictionary codes and masks.

    Attributes:
        bins: Half-open range of STFT bins that this band's masks cover.
        feature_range: Half-open range of features that are hashed.
        neighbours: K, the number of nearest codes whose masks are averaged.
        mask_bits: Bits a mask level, 1 (ideal binary mask) to 4.
        projection: ``(L, D)`` float32, one projection a row, most significant first.
        bias: ``(L,)`` float32, b_l in units of the normalised features.
        beta: ``(L,)`` float32, the boosting weights beta_l (ones where not boosted).
        codes: ``(T, code_words(L))`` uint32; bit l is bit ``l % 32`` of word ``l // 32``, and is
            set where ``projection[l] @ x + bias[l] >= 0``; unused bits are zero.
        masks: ``(T, n)`` uint8 levels, 0 to ``2**mask_bits - 1``, n the number of ``bins``.
    """

    bins: tuple[int, int]
    feature_range: tuple[int, int]
    neighbours: int
    mask_bits: int
    projection: FloatArray
    bias: FloatArray
    beta: FloatArray
    codes: npt.NDArray[np.uint32]
    masks: npt.NDArray[np.uint8]

    @property
    def n_bits(self) -> int:
        """L, the length of a hash code in bits."""
        return int(self.projection.shape[0])

    @property
    def n_entries(self) -> int:
        """T, the number of dictionary entries."""
        return int(self.codes.shape[0])


@dataclass(frozen=True)
class Model:
    """A trained denoiser.

    Attributes:
        geometry: Framing and feature kind.
        bands: At least one band, whose ``bins`` tile ``[0, n_bins)`` in order; none in a condensed
            model.
        filterbank: ``(M, n_bins)`` float32, non-negative, each row's sum at most 1, for mel
            features; ``None`` for others.
        training: Free-form, JSON-serialisable record of data, options, seed and licence.
        condensed: The tables of a condensed model, which has ``"levels"`` as features.
    """

    geometry: Geometry
    bands: tuple[Band, ...]
    filterbank: FloatArray | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    condensed: Condensed | None = None

    @property
    def n_features(self) -> int:
        """Length of a frame's feature vector."""
        if self.condensed is not None:
            return self.condensed.n_features
        return self.geometry.n_bins if self.filterbank is None else int(self.filterbank.shape[0])

    def with_record(self, **entries: Any) -> Model:
        """The same model with further entries in the record of its training."""
        return replace(self, training={**self.training, **entries})

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of the model's content."""
        return content_hash(_to_arrays(self))


def check_rate(rate: int) -> None:
    """Raise `BlshError` naming the option where a sampling rate in Hz is impossible."""
    if not 4000 <= rate <= 192000:
        raise BlshError(f"--rate {rate}: must be 4000 to 192000 Hz")


def check_geometry(geometry: Geometry) -> None:
    """Raise `BlshError` naming the option where a geometry is impossible."""
    for name, value in (("frame", geometry.frame), ("hop", geometry.hop)):
        if value < 1 or value & (value - 1):
            raise BlshError(f"--{name} {value}: must be a power of two")
    if not MIN_FRAME <= geometry.frame <= MAX_FRAME:
        raise BlshError(f"--frame {geometry.frame}: must be {MIN_FRAME} to {MAX_FRAME} samples")
    if geometry.hop > geometry.frame // 2:
        raise BlshError(
            f"--hop {geometry.hop}: at most half of --frame {geometry.frame}, so that the windows "
            f"overlap; try --hop {geometry.frame // 4}"
        )
    if geometry.hop < geometry.frame // 8:
        raise BlshError(
            f"--hop {geometry.hop}: at least an eighth of --frame {geometry.frame}; "
            f"try --hop {geometry.frame // 4}"
        )
    check_rate(geometry.rate)
    if geometry.features not in get_args(FeatureKind):
        raise BlshError(f"--features {geometry.features}: must be stft, mel or levels")
    if geometry.window not in get_args(WindowKind):
        raise BlshError(f"--window {geometry.window}: must be hann or sine")


def check_model(model: Model) -> None:
    """Raise `BlshError` where a model breaks a promise of `Model` or of what it consists of."""
    check_geometry(model.geometry)
    if (model.filterbank is not None) != (model.geometry.features == "mel"):
        raise BlshError("model: mel features need a filterbank, others have none")
    if (model.condensed is not None) != (model.geometry.features == "levels"):
        raise BlshError("model: a condensed model has levels as features, others have none")
    if model.condensed is not None:
        if model.bands:
            raise BlshError("model: a condensed model has no bands")
        check_condensed(model.condensed, model.geometry.n_bins)
        return
    if model.filterbank is not None:
        bank = model.filterbank
        n_bins = model.geometry.n_bins
        if bank.ndim != 2 or not 1 <= bank.shape[0] <= n_bins or bank.shape[1] != n_bins:
            raise BlshError(f"model: the filterbank's shape {bank.shape} does not fit the frame")
        sums = bank.sum(axis=1, dtype=np.float64)
        if not np.isfinite(bank).all() or bank.min() < 0 or sums.max() > 1 + 1e-5:
            raise BlshError("model: filterbank rows must be non-negative with a sum of at most 1")
    if not model.bands:
        raise BlshError("model: has no band")
    edges = [0] + [band.bins[1] for band in model.bands]
    starts = [band.bins[0] for band in model.bands]
    if starts != edges[:-1] or edges[-1] != model.geometry.n_bins:
        raise BlshError("model: the bands' bin ranges must tile 0 to n_bins in order")
    for index, band in enumerate(model.bands):
        _check_band(band, model.n_features, f"model: band {index}")


def _check_band(band: Band, n_features: int, where: str) -> None:
    n_mask_bins = band.bins[1] - band.bins[0]
    low, high = band.feature_range
    if n_mask_bins < 1 or not 0 <= low < high <= n_features:
        raise BlshError(f"{where}: empty or out-of-range bins {band.bins} or features {low}:{high}")
    if not 1 <= band.mask_bits <= MAX_MASK_BITS:
        raise BlshError(f"{where}: mask_bits {band.mask_bits} is not 1 to {MAX_MASK_BITS}")
    n_bits, n_entries = band.n_bits, band.n_entries
    expected = {
        "projection": (n_bits, high - low),
        "bias": (n_bits,),
        "beta": (n_bits,),
        "codes": (n_entries, code_words(n_bits)),
        "masks": (n_entries, n_mask_bins),
    }
    for name, shape in expected.items():
        if getattr(band, name).shape != shape:
            raise BlshError(f"{where}: {name} has shape {getattr(band, name).shape}, not {shape}")
    if not 1 <= n_bits <= MAX_PROJECTIONS:
        raise BlshError(f"{where}: L = {n_bits} projections, must be 1 to {MAX_PROJECTIONS}")
    if not 1 <= band.neighbours <= min(n_entries, 255):
        raise BlshError(
            f"{where}: K = {band.neighbours} neighbours is impossible with T = {n_entries} "
            "dictionary entries (1 <= K <= min(T, 255))"
        )
    for name in ("projection", "bias", "beta"):
        if not np.isfinite(getattr(band, name)).all():
            raise BlshError(f"{where}: {name} holds NaN or infinity")
    if not (np.abs(band.projection).max(axis=1) > 0).all():
        raise BlshError(f"{where}: a projection is all zero")
    unused = 32 * code_words(n_bits) - n_bits
    if unused and (band.codes[:, -1] >> np.uint32(32 - unused)).any():
        raise BlshError(f"{where}: codes have bits beyond L = {n_bits}")
    if int(band.masks.max()) >= 1 << band.mask_bits:
        raise BlshError(f"{where}: a mask level exceeds {band.mask_bits} bits")


# Type and rank.
_BAND_ARRAYS: dict[str, tuple[type[np.generic], int]] = {
    "projection": (np.float32, 2),
    "bias": (np.float32, 1),
    "beta": (np.float32, 1),
    "codes": (np.uint32, 2),
}


def _to_arrays(model: Model) -> dict[str, npt.NDArray[Any]]:
    geometry = model.geometry
    header: dict[str, Any] = {
        "schema_version": _BANDS_SCHEMA_VERSION,
        "rate": geometry.rate,
        "frame": geometry.frame,
        "hop": geometry.hop,
        "features": geometry.features,
        "bands": [
            {
                "bins": list(band.bins),
                "feature_range": list(band.feature_range),
                "neighbours": band.neighbours,
                "mask_bits": band.mask_bits,
            }
            for band in model.bands
        ],
        "training": dict(model.training),
    }
    if model.condensed is not None or geometry.window != "hann":
        header["schema_version"] = _CONDENSED_SCHEMA_VERSION
        header["window"] = geometry.window
        header["condensed"] = None
    if model.condensed is not None:
        header["condensed"] = condensed_header(model.condensed)
        if model.condensed.noise_trackers:
            header["schema_version"] = SCHEMA_VERSION
    text = json.dumps(header, sort_keys=True, allow_nan=False).encode()
    arrays: dict[str, npt.NDArray[Any]] = {"header": np.frombuffer(text, np.uint8)}
    for index, band in enumerate(model.bands):
        for name, (dtype, _) in _BAND_ARRAYS.items():
            arrays[f"band{index}_{name}"] = np.ascontiguousarray(getattr(band, name), dtype)
        arrays[f"band{index}_masks"] = packed_levels(band.masks, band.mask_bits)
    if model.filterbank is not None:
        arrays["filterbank"] = np.ascontiguousarray(model.filterbank, np.float32)
    if model.condensed is not None:
        arrays |= condensed_arrays(model.condensed)
    return arrays


def save_model(model: Model, path: str | os.PathLike[str]) -> str:
    """Write a model file and return its SHA-256.

    The file appears complete or not at all: it is written beside its destination and renamed.

    Raises:
        BlshError: The model is inconsistent, or the file cannot be written.
    """
    check_model(model)
    arrays = _to_arrays(model)
    sha256 = content_hash(arrays)
    arrays["sha256"] = np.frombuffer(sha256.encode(), np.uint8)
    destination = Path(path)
    try:
        write_atomically(destination, written_arrays(arrays))
    except OSError as error:
        raise BlshError(
            f"{destination}: cannot write the model ({error.strerror}); "
            "make room there or choose another path with -o"
        ) from error
    return sha256


def load_model(path: str | os.PathLike[str]) -> Model:
    """Read and check a model file.

    Raises:
        BlshError: The file is missing, is no model, is damaged (truncated, or its checksum does
            not match), or was written by another schema version.
    """
    path = Path(path)
    arrays = _read_arrays(path)
    header = _read_header(arrays, path)
    stored = arrays.pop("sha256", np.zeros(0, np.uint8)).tobytes().decode("ascii", "replace")
    if stored != content_hash(arrays):
        raise BlshError(
            f"{path}: damaged model (its SHA-256 does not match); fetch or train it again"
        )
    try:
        model = _from_arrays(header, arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise BlshError(f"{path}: not a complete BLSH model ({error}); train it again") from error
    try:
        check_model(model)
    except BlshError as error:
        raise BlshError(f"{path}: {error.message}") from error
    return model


def _read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BlshError(
            f"{path}: cannot read the model ({error.strerror}); name a file that blsh-train wrote"
        ) from error
    try:
        return read_arrays(data)
    except ValueError as error:
        raise BlshError(
            f"{path}: not a BLSH model or damaged; write one with blsh-train"
        ) from error


def _read_header(arrays: Arrays, path: Path) -> dict[str, Any]:
    try:
        header = parse_object(arrays["header"].tobytes())
        version = integer(header["schema_version"])
    except (KeyError, ValueError) as error:
        raise BlshError(f"{path}: not a BLSH model; write one with blsh-train") from error
    if not _BANDS_SCHEMA_VERSION <= version <= SCHEMA_VERSION:
        advice = "upgrade blsh" if version > SCHEMA_VERSION else "train it again"
        raise BlshError(
            f"{path}: model schema {version}, this version reads {_BANDS_SCHEMA_VERSION} to "
            f"{SCHEMA_VERSION}; {advice}"
        )
    return header


def _from_arrays(header: Mapping[str, Any], arrays: Arrays) -> Model:
    has_kinds = header["schema_version"] > _BANDS_SCHEMA_VERSION
    geometry = Geometry(
        rate=integer(header["rate"]),
        frame=integer(header["frame"]),
        hop=integer(header["hop"]),
        features=word(header["features"]),  # type: ignore[arg-type]  # checked by check_geometry
        window=word(header["window"]) if has_kinds else "hann",  # type: ignore[arg-type]
    )
    bands = []
    for index, entry in enumerate(header["bands"]):
        bins, mask_bits = integers(entry["bins"]), integer(entry["mask_bits"])
        bands.append(
            Band(
                bins=bins,
                feature_range=integers(entry["feature_range"]),
                neighbours=integer(entry["neighbours"]),
                mask_bits=mask_bits,
                masks=checked_levels(arrays, f"band{index}_masks", bins, mask_bits),
                **{
                    name: checked_array(arrays, f"band{index}_{name}", dtype, rank)
                    for name, (dtype, rank) in _BAND_ARRAYS.items()
                },
            )
        )
    if not isinstance(header["training"], dict):
        raise ValueError("its training record is not an object")
    condensed = header["condensed"] if has_kinds else None
    bank = checked_array(arrays, "filterbank", np.float32, 2) if "filterbank" in arrays else None
    return Model(
        geometry=geometry,
        bands=tuple(bands),
        filterbank=bank,
        training=header["training"],
        condensed=None if condensed is None else condensed_from_arrays(condensed, arrays),
    )
