"""Model files come back as they were written, or say why not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from blsh_trainer.errors import BlshError
from blsh_trainer.model_file import (
    Band,
    Geometry,
    Model,
    _content_hash,
    check_geometry,
    check_model,
    load_model,
    save_model,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.models import SMALL, general_model, random_model

MEL = Geometry(8000, 128, 32, features="mel")


@pytest.mark.parametrize("model", [general_model(), random_model(MEL)], ids=["general", "mel"])
def test_round_trip(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    assert save_model(model, path) == model.sha256
    loaded = load_model(path)
    assert loaded.sha256 == model.sha256
    assert loaded.geometry == model.geometry
    assert loaded.training == model.training
    for one, other in zip(model.bands, loaded.bands, strict=True):
        for field in dataclasses.fields(Band):
            assert np.array_equal(getattr(one, field.name), getattr(other, field.name))


def test_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    save_model(general_model(), tmp_path / "one")
    save_model(general_model(), tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


SAVED: dict[str, bytes] = {}


def saved_bytes(tmp: Path) -> bytes:
    if not SAVED:
        save_model(general_model(), tmp / "m.npz")
        SAVED["bytes"] = (tmp / "m.npz").read_bytes()
    return SAVED["bytes"]


@given(st.data())
def test_any_flipped_bit_or_truncation_is_a_clear_error_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    good = saved_bytes(folder)
    damaged = bytearray(good)
    if data.draw(st.booleans()):
        damaged[data.draw(st.integers(0, len(good) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del damaged[data.draw(st.integers(0, len(good) - 1)) :]
    path = folder / "damaged.npz"
    path.write_bytes(bytes(damaged))
    try:
        loaded = load_model(path)
    except BlshError as error:
        assert str(path) in error.message
        assert "\n" not in error.message
    else:  # bits of the zip container that carry no content, such as time stamps
        assert loaded.sha256 == general_model().sha256


@given(st.binary(max_size=300))
def test_any_bytes_are_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "model.npz"
    path.write_bytes(content)
    with pytest.raises(BlshError, match="not a BLSH model"):
        load_model(path)


def with_header(path: Path, **changes: object) -> None:
    """Rewrite a model file's header, with a checksum that fits."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files if name != "sha256"}
    header = json.loads(arrays["header"].tobytes()) | changes
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    sha256 = np.frombuffer(_content_hash(arrays).encode(), np.uint8)
    with path.open("wb") as file:
        np.savez(file, sha256=sha256, **arrays)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 99}, "model schema 99, this version reads 1; upgrade blsh"),
        ({"schema_version": 0}, "model schema 0, this version reads 1; train it again"),
        ({"hop": 128}, "--hop 128: at most half of --frame 128"),
        ({"hop": 8}, "--hop 8: at least an eighth of --frame 128"),
        ({"frame": 100}, "--frame 100: must be a power of two"),
        ({"rate": 10}, "--rate 10"),
        ({"features": "cepstrum"}, "--features cepstrum"),
        ({"bands": []}, "has no band"),
        ({"bands": "none"}, "not a complete BLSH model"),
        ({"frame": 256}, "tile 0 to n_bins"),
    ],
)
def test_wrong_headers_say_what_is_wrong(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.npz"
    save_model(general_model(), path)
    with_header(path, **changes)
    with pytest.raises(BlshError) as caught:
        load_model(path)
    assert message in caught.value.message
    assert str(path) in caught.value.message


def test_missing_file_and_unwritable_destination(tmp_path: Path) -> None:
    with pytest.raises(BlshError, match="cannot read the model"):
        load_model(tmp_path / "none.npz")
    with pytest.raises(BlshError, match="cannot write the model"):
        save_model(general_model(), tmp_path / "no" / "such" / "folder.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"neighbours": 61}, "K = 61 neighbours is impossible with T = 60"),
        ({"neighbours": 0}, "K = 0"),
        ({"mask_bits": 5}, "mask_bits 5"),
        ({"bins": (0, 64)}, "tile"),
        ({"feature_range": (0, 64)}, "projection has shape"),
        ({"bias": np.full(48, np.nan, np.float32)}, "bias holds NaN"),
        ({"projection": np.zeros((48, 65), np.float32)}, "all zero"),
        ({"codes": np.full((60, 2), 2**32 - 1, np.uint32)}, "bits beyond L = 48"),
        ({"masks": np.full((60, 65), 2, np.uint8)}, "exceeds 1 bits"),
    ],
)
def test_inconsistent_bands_are_refused(change: dict[str, object], message: str) -> None:
    model = random_model(SMALL)
    band = dataclasses.replace(model.bands[0], **change)  # type: ignore[arg-type]
    with pytest.raises(BlshError, match=message):
        check_model(dataclasses.replace(model, bands=(band,)))


def test_possible_geometries_pass() -> None:
    for geometry in (Geometry(), Geometry(48000, 4096, 512), Geometry(8000, 64, 32, "mel")):
        check_geometry(geometry)
