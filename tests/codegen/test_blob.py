"""A model as data: the blob gives what the compiled-in tables give, or is refused."""

from __future__ import annotations

import dataclasses
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blsh_codegen.blob import HEADER, SECTION, model_blob, sealed
from blsh_codegen.elf_image import read_elf
from blsh_codegen.emulator import emulation_unavailable_reason
from blsh_codegen.engines import EmulatedEngine, HostEngine, runtime_sources
from blsh_codegen.layout import lay_out
from blsh_codegen.library_cache import open_library
from blsh_codegen.manifest import BLOB
from blsh_codegen.schema import EXPORT_SCHEMA_VERSION
from blsh_codegen.shape import shape_of
from blsh_codegen.table_data import Record, table_bytes
from blsh_codegen.tables import quantise
from blsh_codegen.targets import find_target
from blsh_codegen.toolchain import (
    build_firmware,
    compile_shared,
    firmware_unavailable_reason,
    template_folder,
)
from blsh_trainer.model_file import Geometry, Model

from tests.codegen.folders import compare_engine, exported
from tests.models import (
    CONDENSED_MODELS,
    SMALL,
    BandSpec,
    general_model,
    random_condensed_model,
    random_model,
)

MODELS = {
    "general": general_model(),
    "mel": random_model(Geometry(8000, 256, 64, features="mel")),
    "paper": random_model(SMALL, (BandSpec(65, n_bits=150, n_entries=90),)),
    **CONDENSED_MODELS,
}


def retrained(model: Model, seed: int) -> Model:
    """A model of the same shape with other tables."""
    if model.condensed is None:
        return general_model(seed)
    other = random_condensed_model(seed=seed)
    assert other.condensed is not None
    condensed = dataclasses.replace(other.condensed, grid=model.condensed.grid)
    return dataclasses.replace(other, condensed=condensed)


RETRAINED = {
    "general": (general_model(), retrained(general_model(), 7)),
    "condensed": (random_condensed_model(), retrained(random_condensed_model(), 7)),
}
STATUS = dict(
    re.findall(
        r"X\(BLSH_(?:ERROR_)?(\w+), (-?\d+),",
        (template_folder() / "runtime" / "blsh.h").read_text(encoding="utf-8"),
    )
)


def status(name: str) -> int:
    return int(STATUS[name])


def blob_of(model: Model) -> bytes:
    tables = quantise(model)
    return model_blob(tables, lay_out(tables))


def host_engine(model: Model, work: Path) -> HostEngine:
    """Firmware with a model compiled in."""
    folder = exported(model, work / "export")
    return HostEngine(folder, quantise(model), work)


@pytest.mark.parametrize("name", MODELS)
def test_blob_equals_reference_on_the_host(name: str, tmp_path: Path) -> None:
    """The tables of another model are compiled in, so that it is the blob's that are used."""
    engine = host_engine(MODELS[name], tmp_path)
    assert engine.open(blob_of(MODELS[name])) == status("OK")
    for comparison in compare_engine(engine, MODELS[name]):
        assert comparison.difference is None, str(comparison.difference)


@pytest.mark.parametrize("kind", RETRAINED)
@pytest.mark.parametrize("target", ["cortex-m4", "cortex-m0plus"])
def test_a_retrained_model_in_the_firmware_of_another_equals_its_own_reference(
    target: str, kind: str, tmp_path: Path
) -> None:
    chosen = find_target(target)
    reason = emulation_unavailable_reason(chosen) or firmware_unavailable_reason(chosen)
    if reason is not None:
        pytest.skip(reason)
    compiled_in, update = RETRAINED[kind]
    folder = exported(compiled_in, tmp_path / "export", target)
    engine = EmulatedEngine(folder, quantise(compiled_in), chosen, tmp_path)
    for comparison in compare_engine(engine, compiled_in, frames=6):
        assert comparison.difference is None, str(comparison.difference)
    assert engine.open(blob_of(update)) == status("OK")
    for comparison in compare_engine(engine, update, frames=12):
        assert comparison.difference is None, str(comparison.difference)


NAMES_OF_KIND = {"bands": general_model(), "condensed": random_condensed_model()}


@pytest.mark.parametrize("kind", NAMES_OF_KIND)
def test_the_blob_has_the_tables_of_the_runtimes_list_in_its_order(kind: str) -> None:
    text = (template_folder() / "runtime" / "blsh_model.h").read_text(encoding="utf-8")
    condensed, bands = re.findall(r"#define BLSH_TABLE_LIST\(X\).*?\n\n", text, re.DOTALL)
    listed = re.findall(r"X\(\w+, (\w+)\)", condensed if kind == "condensed" else bands)
    layout = lay_out(quantise(NAMES_OF_KIND[kind]))
    assert list(layout.trained) == listed


@pytest.mark.parametrize("kind", NAMES_OF_KIND)
def test_the_blob_is_laid_out_as_documented(kind: str, tmp_path: Path) -> None:
    """Read by another way than it was written, from an exported folder."""
    model = NAMES_OF_KIND[kind]
    blob = (exported(model, tmp_path / "export") / BLOB).read_bytes()
    magic, schema, length, geometry, sha256, floor, release, n_tables = struct.unpack_from(
        HEADER, blob
    )
    tables = quantise(model)
    layout = lay_out(tables)
    assert (magic, schema, length) == (b"BLSM", EXPORT_SCHEMA_VERSION, len(blob))
    assert geometry == shape_of(tables, layout).crc32
    assert f"0x{geometry:08X}u" in (tmp_path / "export" / "blsh_config.h").read_text()
    assert sha256.hex() == model.sha256
    assert (floor, release) == ((1638, 16384) if kind == "condensed" else (0, 0))
    end = struct.calcsize(HEADER) + n_tables * struct.calcsize(SECTION)
    for n, table in enumerate(layout.trained.values()):
        offset, size = struct.unpack_from(SECTION, blob, 56 + 8 * n)
        assert offset == -(-end // 4) * 4
        assert blob[offset : offset + size] == table_bytes(table)
        end = offset + size
    assert len(blob) == -(-end // 4) * 4 + 4
    assert int.from_bytes(blob[-4:], "little") == zlib.crc32(blob[:-4])


@pytest.mark.parametrize("kind", NAMES_OF_KIND)
def test_flash_is_that_of_the_trained_tables_in_the_blob(kind: str) -> None:
    layout = lay_out(quantise(NAMES_OF_KIND[kind]))
    trained = sum(len(table_bytes(table)) for table in layout.trained.values())
    headers = ("blsh_projection.h", "blsh_codes.h", "blsh_masks.h")
    assert trained == sum(layout.flash_bytes[name] for name in headers)


@pytest.fixture(scope="module", params=NAMES_OF_KIND)
def firmware(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[HostEngine, bytes]:
    """An engine, and the blob of the model that it has compiled in."""
    model = NAMES_OF_KIND[request.param]
    return host_engine(model, tmp_path_factory.mktemp(request.param)), blob_of(model)


def test_part_of_a_blob_is_refused_and_more_than_it_is_not(
    firmware: tuple[HostEngine, bytes],
) -> None:
    engine, blob = firmware
    for length in {*range(100), *range(100, len(blob), 97), len(blob) - 4, len(blob) - 1}:
        assert engine.open(blob[:length]) == status("MODEL"), length
    assert engine.open(blob + bytes(100)) == status("OK")


def test_every_changed_byte_is_noticed(firmware: tuple[HostEngine, bytes]) -> None:
    engine, blob = firmware
    rng = np.random.default_rng(0)
    found = set()
    for place in {*range(200), *rng.integers(200, len(blob), 500).tolist(), len(blob) - 1}:
        damaged = bytearray(blob)
        damaged[place] ^= 1 << int(rng.integers(8))
        found.add(engine.open(bytes(damaged)))
    assert found == {status(name) for name in ("MODEL", "SCHEMA", "CHECKSUM")}


API = """
    int blsh_init_model(void *state, const void *model);
    int blsh_model_open(void *model, const void *blob, size_t bytes);
    int blsh_process(void *state, const int16_t *input, int16_t *output);
"""


def test_a_stream_is_not_started_with_a_model_that_was_not_opened(tmp_path: Path) -> None:
    model = general_model()
    folder = exported(model, tmp_path / "export")
    built = compile_shared(runtime_sources(folder), [folder], tmp_path / "blsh.so")
    ffi, library = open_library(API, built.path)
    blob = (folder / BLOB).read_bytes()
    memory: Any = ffi.new("uint32_t[]", len(blob) // 4 + 1)
    state, opened = ffi.new("int64_t[]", 1000), ffi.new("int64_t[]", 100)
    ffi.buffer(state)[:], ffi.buffer(opened)[:] = b"\xa5" * 8000, b"\xa5" * 800
    samples = ffi.new("int16_t[]", 32)
    ffi.memmove(memory, blob, len(blob))
    for arguments in ((ffi.NULL, memory), (opened, ffi.NULL)):
        assert library.blsh_model_open(*arguments, len(blob)) == status("NULL")
    assert library.blsh_model_open(opened, memory, len(blob) - 1) == status("MODEL")
    assert library.blsh_init_model(state, opened) == status("NOT_INITIALISED")
    assert library.blsh_process(state, samples, samples) == status("NOT_INITIALISED")
    for shift in (1, 2, 3):
        ffi.memmove(ffi.cast("char *", memory) + shift, blob, len(blob))
        misaligned = ffi.cast("char *", memory) + shift
        assert library.blsh_model_open(opened, misaligned, len(blob)) == status("ALIGNMENT")
    ffi.memmove(memory, blob, len(blob))
    assert library.blsh_model_open(opened, memory, len(blob)) == status("OK")
    assert library.blsh_init_model(state, ffi.NULL) == status("NULL")
    assert library.blsh_init_model(ffi.NULL, opened) == status("NULL")
    assert library.blsh_init_model(state, opened) == status("OK")
    assert library.blsh_process(state, samples, samples) == status("OK")


def changed(blob: bytes, place: int, value: bytes) -> bytes:
    """A blob with other bytes at a place, and the checksum that fits them."""
    return sealed(blob[:place] + value + blob[place + len(value) : -4])


def test_what_everyone_can_seal_is_not_believed(firmware: tuple[HostEngine, bytes]) -> None:
    engine, blob = firmware
    word = (0xFFFFFFF0).to_bytes(4, "little")
    assert engine.open(changed(blob, 0, b"BLSN")) == status("MODEL")
    assert engine.open(changed(blob, 4, b"\x02")) == status("SCHEMA")
    assert engine.open(changed(blob, 12, b"\0\0")) == status("GEOMETRY")
    assert engine.open(changed(blob, 48, b"\0\x80")) == status("TABLES")
    assert engine.open(changed(blob, 52, b"\xff")) == status("GEOMETRY")
    for section in range(56, 56 + 8 * 10, 8):
        for place in (section, section + 4):
            assert engine.open(changed(blob, place, word)) == status("TABLES")
        misplaced = int.from_bytes(blob[section : section + 4], "little") + 1
        assert engine.open(changed(blob, section, misplaced.to_bytes(4, "little"))) < 0
        assert engine.open(changed(blob, section, (8).to_bytes(4, "little"))) < 0


def test_a_model_of_other_geometry_is_refused(firmware: tuple[HostEngine, bytes]) -> None:
    engine, _ = firmware
    others = (CONDENSED_MODELS["three layers"], MODELS["mel"], MODELS["paper"])
    assert {engine.open(blob_of(other)) for other in others} == {status("GEOMETRY")}


FREE = {"unused", "base"}
"""Fields that may have any value: no reader relies on them."""


def test_every_field_of_every_record_is_checked(firmware: tuple[HostEngine, bytes]) -> None:
    """None may have all its bits set, in any record of the model."""
    engine, blob = firmware
    kind = "condensed" if engine.open(blob_of(NAMES_OF_KIND["condensed"])) == 0 else "bands"
    trained = lay_out(quantise(NAMES_OF_KIND[kind])).trained
    refused = {status("TABLES"), status("CAPACITY")}
    checked = 0
    for n, table in enumerate(trained.values()):
        if not isinstance(table, tuple):
            continue
        start, _ = struct.unpack_from(SECTION, blob, 56 + 8 * n)
        for record in table:
            for place, size, name in fields_of(record):
                outcome = engine.open(changed(blob, start + place, b"\xff" * size))
                assert outcome in ({0} if name in FREE else refused), (record, name)
                checked += 1
            start += len(record.packed())
    assert checked > 50


def fields_of(record: Record) -> list[tuple[int, int, str]]:
    """Place, size and name of each field of a record."""
    letters = "".join(
        letter * int(count or 1) for count, letter in re.findall(r"(\d*)([IHB])", record.FORMAT)
    )
    places, place = [], 0
    for field, letter in zip(dataclasses.fields(record), letters, strict=True):
        size = struct.calcsize(letter)
        places.append((place, size, field.name))
        place += size
    assert place == struct.calcsize(record.FORMAT)
    return places


NUMBERS = {
    "bands": {
        "projection_q15": [32767] * 16,
        "code_inversions": [0xFFFFFFFF],
        "huffman_limits": [0, 32769, 32768],
        "huffman_offsets": [0, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9999],
        "huffman_symbols": [255],
        "mask_offsets": [1 << 30],
        "gain_q15": [-1],
    },
    "condensed": {
        "hash_bias": [(1 << 30) + 1],
        "vote_weights": [0],
        "gain_of_votes_q15": [-1],
    },
}


@pytest.mark.parametrize(
    ("kind", "table"), [(k, name) for k, own in NUMBERS.items() for name in own]
)
def test_numbers_on_which_a_stage_relies_are_checked(kind: str, table: str, tmp_path: Path) -> None:
    engine = host_engine(NAMES_OF_KIND[kind], tmp_path)
    blob = blob_of(NAMES_OF_KIND[kind])
    trained = lay_out(quantise(NAMES_OF_KIND[kind])).trained
    numbers = trained[table]
    assert isinstance(numbers, np.ndarray)
    start, _ = struct.unpack_from(SECTION, blob, 56 + 8 * list(trained).index(table))
    bad = np.array(NUMBERS[kind][table], numbers.dtype).tobytes()
    assert engine.open(changed(blob, start, bad)) == status("TABLES")
    assert engine.open(changed(blob, start, table_bytes(numbers)[: len(bad)])) == status("OK")


def test_a_model_that_needs_more_memory_is_refused(tmp_path: Path) -> None:
    """More neighbours, more bits, in a firmware of the same geometry."""
    specs = {
        "small": BandSpec(65, n_bits=40, n_entries=60, neighbours=5),
        "neighbours": BandSpec(65, n_bits=40, n_entries=60, neighbours=6),
        "bits": BandSpec(65, n_bits=65, n_entries=60, neighbours=5),
        "fewer": BandSpec(65, n_bits=33, n_entries=90, neighbours=4),
    }
    models = {name: random_model(SMALL, (spec,)) for name, spec in specs.items()}
    engine = host_engine(models["small"], tmp_path)
    assert engine.open(blob_of(models["neighbours"])) == status("CAPACITY")
    assert engine.open(blob_of(models["bits"])) == status("CAPACITY")
    assert engine.open(blob_of(models["fewer"])) == status("OK")
    for comparison in compare_engine(engine, models["fewer"], frames=8):
        assert comparison.difference is None, str(comparison.difference)


@pytest.mark.parametrize("kind", NAMES_OF_KIND)
def test_without_the_compiled_in_model_its_tables_take_no_flash(kind: str, tmp_path: Path) -> None:
    target = find_target("cortex-m4")
    reason = firmware_unavailable_reason(target)
    if reason is not None:
        pytest.skip(reason)
    model = NAMES_OF_KIND[kind]
    folder = exported(model, tmp_path / "export", target.name)
    trained = lay_out(quantise(model)).trained
    names = {f"blsh_{name}" for name in trained}
    flash = {}
    for define in ("BLSH_WITH_BUILTIN_MODEL", "BLSH_NO_BUILTIN_MODEL"):
        image = read_elf(
            build_firmware(
                target,
                runtime_sources(folder),
                [folder],
                tmp_path / f"{define}.elf",
                defines={define: None},
                roots=("blsh_init", "blsh_init_model", "blsh_model_open", "blsh_process")[
                    define == "BLSH_NO_BUILTIN_MODEL" :
                ],
            )
        )
        present = names & set(image.symbols)
        assert present == (names if "WITH" in define else set())
        assert ("blsh_init" in image.symbols) == ("WITH" in define)
        flash[define] = image.flash_bytes
    saved = flash["BLSH_WITH_BUILTIN_MODEL"] - flash["BLSH_NO_BUILTIN_MODEL"]
    assert saved >= sum(len(table_bytes(table)) for table in trained.values())
