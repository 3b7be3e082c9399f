"""Model files come back as they were written, or say why not."""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blsh_trainer.condensed_model import Condensed
from blsh_trainer.errors import BlshError
from blsh_trainer.model_arrays import content_hash
from blsh_trainer.model_file import (
    Band,
    Geometry,
    Model,
    _to_arrays,
    check_geometry,
    check_model,
    load_model,
    save_model,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.models import (
    CONDENSED_MODELS,
    SMALL,
    CondensedSpec,
    general_model,
    random_condensed_model,
    random_model,
)

MEL = Geometry(8000, 128, 32, features="mel")


def test_a_file_is_the_same_bytes_in_every_version_of_numpy_and_python(tmp_path: Path) -> None:
    """As written by NumPy 1.26 under Python 3.12 and by NumPy 2.4 under Python 3.11."""
    save_model(general_model(), tmp_path / "model.npz")
    assert zlib.crc32((tmp_path / "model.npz").read_bytes()) == 4013929212


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


@pytest.mark.parametrize("name", CONDENSED_MODELS)
def test_condensed_models_come_back(name: str, tmp_path: Path) -> None:
    model, path = CONDENSED_MODELS[name], tmp_path / "model.npz"
    assert save_model(model, path) == model.sha256
    loaded = load_model(path)
    assert loaded.sha256 == model.sha256
    assert (loaded.geometry, loaded.bands) == (model.geometry, ())
    one, other = model.condensed, loaded.condensed
    assert one is not None
    assert other is not None
    for pair in ((one, other), *zip(one.hashes, other.hashes, strict=True)):
        assert_equal_fields(*pair)
    for dictionaries in zip(one.dictionaries, other.dictionaries, strict=True):
        assert_equal_fields(*dictionaries)


def assert_equal_fields(one: Any, other: Any) -> None:
    for field in dataclasses.fields(one):
        if field.name not in ("hashes", "dictionaries"):
            assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name


def test_models_of_bands_keep_their_schema_and_identity() -> None:
    """As version 1 of the module named it: identities do not change with the module."""
    for model, version in (
        (general_model(), 1),
        (random_model(Geometry(8000, 128, 32, window="sine")), 2),
        (random_condensed_model(), 2),
    ):
        header = json.loads(_to_arrays(model)["header"].tobytes())
        assert header["schema_version"] == version
        assert ("window" in header) == ("condensed" in header) == (version == 2)
    # What the module of schema 1 made of the same model.
    assert general_model().sha256.startswith("741f52fbc5977e13")


def test_a_window_is_part_of_the_model(tmp_path: Path) -> None:
    hann, sine = (random_model(Geometry(8000, 128, 32, window=w)) for w in ("hann", "sine"))
    assert hann.sha256 != sine.sha256
    save_model(sine, tmp_path / "sine.npz")
    assert load_model(tmp_path / "sine.npz").geometry.window == "sine"


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
    sha256 = np.frombuffer(content_hash(arrays).encode(), np.uint8)
    with path.open("wb") as file:
        np.savez(file, sha256=sha256, **arrays)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 99}, "model schema 99, this version reads 1 to 3; upgrade blsh"),
        ({"schema_version": 0}, "model schema 0, this version reads 1 to 3; train it again"),
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


def with_first(group: str, **changes: object) -> Callable[[Condensed], Condensed]:
    """Changes the first hash group or dictionary."""

    def change(condensed: Condensed) -> Condensed:
        first, *rest = getattr(condensed, group)
        changed = (dataclasses.replace(first, **changes), *rest)
        return dataclasses.replace(condensed, **{group: changed})

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grid": np.array([0, 3, 3, 65], np.uint16)}, "increase strictly"),
        ({"grid": np.array([0, 64], np.uint16)}, "edges from 0 to 65"),
        ({"trackers": ((13, 0), (6, 2))}, "tracker shifts"),
        ({"trackers": ((6, 2),), "noise_trackers": (13,)}, "noise tracker's shift 13"),
        ({"noise_trackers": (1,) * 15}, "17 trackers, at most 16"),
        ({"mask_bits": 5}, "mask_bits 5"),
        ({"mask_bits": 2}, "exceeds 2 bits"),
        ({"vote_scale": 0.0}, "vote_scale"),
        ({"vote_offset": np.inf}, "vote_offset"),
        ({"gain_floor": 1.0}, "gain_floor 1.0"),
        ({"gain_release": -0.1}, "gain_release -0.1"),
        ({"dictionaries": ()}, "a hash group and a dictionary at least"),
        (with_first("hashes", feature_range=(0, 91)), "out-of-range features"),
        (with_first("hashes", projection=np.zeros((32, 90), np.float32)), "all zero"),
        (with_first("hashes", projection=np.ones((31, 90), np.float32)), "bias has shape"),
        (with_first("hashes", bias=np.full(32, np.nan, np.float32)), "bias holds NaN"),
        (with_first("dictionaries", cells=(0, 2)), "masks has shape"),
        (with_first("dictionaries", words=(0, 4)), "out-of-range words"),
        (with_first("dictionaries", neighbours=65), "K = 65 neighbours is impossible"),
        (with_first("dictionaries", weights=np.ones(96, np.float32)), "weights has shape"),
        (with_first("dictionaries", weights=np.zeros(97, np.float32)), "from 1 to no less"),
        (with_first("dictionaries", weights=np.linspace(1, 2, 97, dtype=np.float32)), "increase"),
        (lambda c: dataclasses.replace(c, dictionaries=c.dictionaries[1:]), "cover a cell"),
    ],
)
def test_inconsistent_condensed_models_are_refused(change: Any, message: str) -> None:
    model = random_condensed_model()
    assert model.condensed is not None
    make = change if callable(change) else lambda c: dataclasses.replace(c, **change)
    with pytest.raises(BlshError, match=message):
        check_model(dataclasses.replace(model, condensed=make(model.condensed)))


def test_groups_that_firmware_has_no_room_for_are_refused() -> None:
    """A group is stored from an even feature on: one that starts at an odd one is longer."""

    def with_features(*span: int) -> Model:
        spec = CondensedSpec(n_cells=150, trackers=((3, 3),) * 13, groups=((32, span),))
        return random_condensed_model(Geometry(8000, 512, 256, "levels", "sine"), spec)

    for span in ((0, 2048), (1, 2048), (52, 2100)):
        check_model(with_features(*span))
    for span in ((0, 2049), (1, 2049)):
        with pytest.raises(BlshError, match=f"features {span[0]}:{span[1]}, at most 2048"):
            check_model(with_features(*span))


def test_kinds_of_models_are_not_mixed() -> None:
    condensed, bands = random_condensed_model(), general_model()
    with pytest.raises(BlshError, match="has no bands"):
        check_model(dataclasses.replace(condensed, bands=bands.bands))
    for model in (
        dataclasses.replace(condensed, condensed=None),
        dataclasses.replace(bands, condensed=condensed.condensed),
    ):
        with pytest.raises(BlshError, match="levels as features"):
            check_model(model)
    with pytest.raises(BlshError, match="--window kaiser"):
        check_geometry(dataclasses.replace(SMALL, window="kaiser"))  # type: ignore[arg-type]


def test_possible_geometries_pass() -> None:
    for geometry in (Geometry(), Geometry(48000, 4096, 512), Geometry(8000, 64, 32, "mel")):
        check_geometry(geometry)
