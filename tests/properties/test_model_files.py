"""Whatever a model file holds: a model that can be exported, or one line that says why not."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from blsh_codegen.export import export_model
from blsh_codegen.layout import lay_out
from blsh_codegen.tables import quantise
from blsh_codegen.targets import find_target
from blsh_trainer.archive import FREE_BYTES, read_arrays
from blsh_trainer.checkpoint import load_checkpoint
from blsh_trainer.errors import BlshError
from blsh_trainer.model_arrays import content_hash
from blsh_trainer.model_file import Geometry, Model, load_model, save_model
from hypothesis import example, given
from hypothesis import strategies as st

from tests.models import BandSpec, CondensedSpec, random_condensed_model, random_model
from tests.properties.tiers import Tier, in_tiers
from tests.properties.values import HUGE, json_values

Arrays = dict[str, npt.NDArray[Any]]

MODELS = {
    "bands": random_model(
        Geometry(8000, 64, 16), (BandSpec(12, 31, 9, 3, 2), BandSpec(33, 40, 7, 7, 1, (3, 20)))
    ),
    "mel": random_model(
        Geometry(8000, 64, 32, "mel"), (BandSpec(33, 33, 8, 2, 4),), n_mels=12
    ),
    "condensed": random_condensed_model(
        Geometry(8000, 64, 32, "levels", "sine"),
        CondensedSpec(n_cells=12, groups=((32, None), (32, (1, 30))), entries=(6, 5)),
    ),
}  # fmt: skip
KINDS = st.sampled_from(list(MODELS))


def stored(model: Model, folder: Path) -> bytes:
    save_model(model, folder / "good.npz")
    return (folder / "good.npz").read_bytes()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("good")
    return {kind: stored(model, folder) for kind, model in MODELS.items()}


def loaded(content: bytes, folder: Path) -> Model | None:
    """The model, or ``None`` where the file is refused in a line that names it."""
    path = folder / "model.npz"
    path.write_bytes(content)
    try:
        return load_model(path)
    except BlshError as error:
        assert str(path) in error.message
        assert error.message.isprintable() and len(error.message) < len(str(path)) + 400
        return None


def check_usable(model: Model) -> None:
    """It has an identity, and fixed-point tables or a reason why not."""
    assert model.sha256
    try:
        lay_out(quantise(model))
    except BlshError as error:
        assert error.message.isprintable()


def check_exported(model: Model, folder: Path) -> None:
    """It keeps its identity when saved, and becomes C or says why not."""
    check_usable(model)
    save_model(model, folder / "again.npz")
    assert load_model(folder / "again.npz").sha256 == model.sha256
    try:
        export_model(model, find_target("generic"), folder / "out")
    except BlshError as error:
        assert error.message.isprintable()


# --- Bytes --------------------------------------------------------------------------------------

PLACE = st.floats(0, 1, exclude_max=True)
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), PLACE, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("insert"), PLACE, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("delete"), PLACE, st.integers(1, 200)),
        st.tuples(st.just("repeat"), PLACE, st.integers(1, 200)),
        st.tuples(st.just("end"), PLACE, st.just(0)),
        st.tuples(st.just("splice"), PLACE, KINDS),
    ),
    min_size=1,
    max_size=4,
)


def edited(
    content: bytes, edits: Sequence[tuple[str, float, Any]], good: dict[str, bytes]
) -> bytes:
    for kind, place, what in edits:
        at = int(place * len(content))
        before, after = content[:at], content[at:]
        if kind == "write":
            content = before + what + after[len(what) :]
        elif kind == "insert":
            content = before + what + after
        elif kind == "delete":
            content = before + after[what:]
        elif kind == "repeat":
            content = before + after[:what] + after
        elif kind == "splice":
            content = before + good[what][int(place * len(good[what])) :]
        else:
            content = before
    return content


@in_tiers
def test_edited_bytes(tier: Tier, good: dict[str, bytes], tmp_path: Path) -> None:
    @tier(150)
    @given(KINDS, EDITS)
    @example("bands", [("end", 0.0, 0)])
    def check(kind: str, edits: Sequence[tuple[str, float, Any]]) -> None:
        model = loaded(edited(good[kind], edits, good), tmp_path)
        # Bytes of the zip container that carry no content may change.
        assert model is None or model.sha256 in {one.sha256 for one in MODELS.values()}

    check()


# --- Content, with a checksum that fits ---------------------------------------------------------


def arrays_of(content: bytes) -> Arrays:
    with np.load(io.BytesIO(content)) as archive:
        return {name: archive[name] for name in archive.files if name != "sha256"}


def signed(arrays: Arrays) -> bytes:
    sha256 = np.frombuffer(content_hash(arrays).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, sha256=sha256, **arrays)
    return buffer.getvalue()


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a JSON value, with each of its keys."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    found = [(value, key) for key in keys]
    for key in keys:
        if isinstance(value[key], dict | list):
            found += places(value[key])
    return found


def with_values(arrays: Arrays, changes: Sequence[tuple[int, Any]]) -> Arrays:
    header = json.loads(arrays["header"].tobytes())
    for number, value in changes:
        all_places = places(header)
        container, key = all_places[number % len(all_places)]
        container[key] = value
    return {**arrays, "header": np.frombuffer(json.dumps(header).encode(), np.uint8)}


@in_tiers
def test_headers_of_any_content(tier: Tier, good: dict[str, bytes], tmp_path: Path) -> None:
    @tier(150)
    @given(KINDS, st.lists(st.tuples(st.integers(0, 99), json_values), min_size=1, max_size=3))
    @example("bands", [(6, HUGE)])
    @example("bands", [(6, {"note": float("nan")})])
    def check(kind: str, changes: Sequence[tuple[int, Any]]) -> None:
        model = loaded(signed(with_values(arrays_of(good[kind]), changes)), tmp_path)
        if model is not None:
            check_exported(model, tmp_path)

    check()


@pytest.mark.parametrize("kind", MODELS)
def test_each_value_of_a_header_may_be_of_any_type(
    kind: str, good: dict[str, bytes], tmp_path: Path
) -> None:
    arrays = arrays_of(good[kind])
    n_places = len(places(json.loads(arrays["header"].tobytes())))
    for value in (None, True, -1, 2.5, 10**9, "x", [], {}, [0, 1], [[]], [None, "x"], float("nan")):
        for place in range(n_places):
            model = loaded(signed(with_values(arrays, [(place, value)])), tmp_path)
            if model is not None:
                quantise(model)


@pytest.mark.parametrize("depth", [20, 200, 900, 100_000])
def test_nesting_of_any_depth(depth: int, good: dict[str, bytes], tmp_path: Path) -> None:
    arrays = arrays_of(good["bands"])
    header = json.loads(arrays["header"].tobytes()) | {"training": {"note": 0}}
    text = json.dumps(header).replace('"note": 0', f'"note": {"[" * depth}{"]" * depth}')
    arrays["header"] = np.frombuffer(text.encode(), np.uint8)
    model = loaded(signed(arrays), tmp_path)
    assert (model is not None) == (depth == 20)


@pytest.mark.parametrize("name", ["options", "epsilon", "validation", "loss"])
def test_a_training_record_of_any_content_is_exported(
    name: str, good: dict[str, bytes], tmp_path: Path
) -> None:
    arrays = arrays_of(good["bands"])
    for value in (None, 5, "x", [], {}, {"unprocessed": 5, "denoised": []}, {"unprocessed": {}}):
        header = json.loads(arrays["header"].tobytes()) | {"training": {name: value}}
        text = np.frombuffer(json.dumps(header).encode(), np.uint8)
        model = loaded(signed({**arrays, "header": text}), tmp_path)
        assert model is not None
        check_exported(model, tmp_path)


DTYPES = (
    "<f4",
    ">f4",
    "<f8",
    "<f2",
    "<u4",
    ">u4",
    "<i4",
    "u1",
    "i1",
    "?",
    "<c8",
    "<U3",
    "S4",
    "V2",
    "M8[s]",
)
CHANGES = st.one_of(
    st.tuples(st.just("cast"), st.sampled_from(DTYPES)),
    st.tuples(st.just("fill"), st.sampled_from(
        [0, 1, 255, -1, 1e-45, 1e-38, 3e38, -3e38, np.nan, np.inf, 127.5]
    )),
    st.tuples(st.just("cut"), st.integers(0, 40)),
    st.tuples(st.just("reshape"), st.sampled_from([(-1,), (1, -1), (-1, 1), (-1, 1, 1)])),
    st.tuples(st.just("shape"), st.lists(st.integers(0, 40), max_size=3).map(tuple)),
    st.tuples(st.just("one"), st.sampled_from([0, 7, 2**31, np.nan, 3e38])),
    st.tuples(st.just("drop"), st.just(0)),
)  # fmt: skip


def changed(array: npt.NDArray[Any], kind: str, what: Any) -> npt.NDArray[Any]:
    with np.errstate(all="ignore"):
        if kind == "cast":
            return np.zeros(array.shape, what) if what[-1] == "]" else array.astype(what)
        if kind == "fill":
            return np.full_like(array, np.array(what).astype(array.dtype))
        if kind == "cut":
            return array[:what]
        if kind == "reshape":
            return array.reshape(what)
        if kind == "shape":
            return np.ones(what, array.dtype)
        one = array.copy()
        one.reshape(-1)[:1] = np.array(what).astype(array.dtype)
        return one


@in_tiers
@pytest.mark.filterwarnings("ignore:.*cast")
def test_arrays_of_any_type_shape_and_value(
    tier: Tier, good: dict[str, bytes], tmp_path: Path
) -> None:
    @tier(150)
    @given(KINDS, st.lists(st.tuples(st.integers(0, 99), CHANGES), min_size=1, max_size=3))
    @example("mel", [(5, ("cast", "<U3"))])
    def check(kind: str, changes: Sequence[tuple[int, tuple[str, Any]]]) -> None:
        original = arrays_of(good[kind])
        arrays = dict(original)
        names = [name for name in arrays if name != "header"]
        for number, (how, what) in changes:
            name = names[number % len(names)]
            if how == "drop":
                arrays.pop(name, None)
            else:
                arrays[name] = changed(original[name], how, what)
        model = loaded(signed(arrays), tmp_path)
        if model is not None:
            check_usable(model)

    check()


# --- Archives that claim more than they hold ----------------------------------------------------


def member(shape: str, data: bytes = b"", dtype: str = "'<f4'") -> bytes:
    """An ``.npy`` file with a header of our own."""
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def peak_bytes_of_refusing(content: bytes, folder: Path) -> int:
    tracemalloc.start()
    try:
        assert loaded(content, folder) is None
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "shape",
    ["(1000000000000,)", "(1000000, 1000000)", "(2147483647, 1, 1)", "(-1, -4)", "(0, 10**30)",
     "(" + "1, " * 70 + ")", "(1e9,)", "(True,)", "5", "(10000000000000000000000000,)"],
)  # fmt: skip
def test_a_header_that_claims_what_is_not_there_allocates_nothing(
    shape: str, tmp_path: Path
) -> None:
    content = archive({"header.npy": member(shape, b"1234"), "sha256.npy": member("(1,)", b"1234")})
    assert peak_bytes_of_refusing(content, tmp_path) < 1 << 20


def test_a_bomb_is_not_inflated(tmp_path: Path) -> None:
    """A gigabyte of zeros deflates to a megabyte; half as much is a thousand entries of one."""
    many = {f"a{n}.npy": member("(131072,)", bytes(4 << 17)) for n in range(100)}
    for zeros in (many, {"header.npy": member("(67108864,)", bytes(4 << 26))}):
        content = archive(zeros, zipfile.ZIP_DEFLATED)
        assert len(content) < 1 << 20
        assert peak_bytes_of_refusing(content, tmp_path) < 4 << 20


def test_a_bomb_that_lies_about_its_size_is_not_inflated(tmp_path: Path) -> None:
    size = 64 << 20
    content = archive({"header.npy": bytes(size)}, zipfile.ZIP_DEFLATED)
    told = size.to_bytes(4, "little")
    assert content.count(told) == 2
    content = content.replace(told, (1000).to_bytes(4, "little"))
    assert peak_bytes_of_refusing(content, tmp_path) < 4 << 20


def test_models_may_be_compressed(good: dict[str, bytes], tmp_path: Path) -> None:
    """Nothing in a model's identity depends on the container."""
    for kind, model in MODELS.items():
        with zipfile.ZipFile(io.BytesIO(good[kind])) as file:
            members = {name: file.read(name) for name in file.namelist()}
        again = loaded(archive(members, zipfile.ZIP_DEFLATED), tmp_path)
        assert again is not None and again.sha256 == model.sha256
    zeros = {"zeros": np.zeros(FREE_BYTES // 8 - 100)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **zeros)
    assert (read_arrays(buffer.getvalue())["zeros"] == 0).all()


@in_tiers
def test_checkpoints_of_any_content(tier: Tier, good: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "model.npz.checkpoint"

    @tier(30)
    @given(KINDS, st.dictionaries(st.sampled_from(["checkpoint", "options", "step"]), json_values))
    def check(kind: str, header: dict[str, Any]) -> None:
        text = json.dumps({"checkpoint": 1, **header}).encode()
        path.write_bytes(signed({**arrays_of(good[kind]), "header": np.frombuffer(text, np.uint8)}))
        with pytest.raises(BlshError, match="not a checkpoint of this version"):
            load_checkpoint(path)

    check()
