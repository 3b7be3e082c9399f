"""The self-test on emulated cores passes on a good export and names any table that is damaged."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blsh_codegen.emulator import Emulator, emulation_unavailable_reason
from blsh_codegen.engines import runtime_sources
from blsh_codegen.layout import lay_out
from blsh_codegen.qemu import build_board_image, qemu_unavailable_reason, run_board_image
from blsh_codegen.render import data_headers
from blsh_codegen.table_check import tables_of
from blsh_codegen.tables import quantise
from blsh_codegen.targets import find_target
from blsh_codegen.toolchain import build_firmware, firmware_unavailable_reason
from blsh_trainer.errors import BlshError
from blsh_trainer.model_file import Geometry, Model

from tests.codegen.folders import exported
from tests.models import general_model, random_condensed_model, random_model

MODELS = {
    "stft": general_model(),
    "mel": random_model(Geometry(8000, 128, 32, features="mel")),
    "condensed": random_condensed_model(),
}
PASSED = "PASS: 12 frames, every stage bit-exact\n"

# Captures the report, as a board would send it through its UART.
BOARD = """\
#include "blsh_selftest.h"

char captured[4096];
unsigned captured_length;

void capture(char character);
int start(void);

void capture(char character)
{
    if (captured_length < sizeof captured) {
        captured[captured_length++] = character;
    }
}

int start(void)
{
    captured_length = 0;
    return blsh_selftest(capture);
}
"""


@dataclass
class Board:
    """A self-test image in an emulated core's memory."""

    emulator: Emulator

    def run(self) -> tuple[int, str]:
        status = self.emulator.call("start")
        length = int.from_bytes(self.emulator.read("captured_length", 4), "little")
        return status, self.emulator.read("captured", length).decode("ascii")


def board(model: Model, name: str, work: Path) -> Board:
    target = find_target(name)
    reason = emulation_unavailable_reason(target) or firmware_unavailable_reason(target)
    if reason is not None:
        pytest.skip(reason)
    folder = exported(model, work / "export", name)
    (work / "board.c").write_text(BOARD)
    image = build_firmware(
        target,
        [*runtime_sources(folder), folder / "selftest" / "blsh_selftest.c", work / "board.c"],
        [folder, folder / "selftest"],
        work / "selftest.elf",
        defines={"BLSH_ENABLE_TAP": None},
        roots=("start",),
    )
    return Board(Emulator(image, target))


def headers_of(model: Model) -> dict[str, str]:
    """The data headers of a model."""
    tables = quantise(model)
    return data_headers(tables, lay_out(tables), find_target("generic"))


def table_names(model: Model) -> list[str]:
    """Names of all tables that the self-test is told of."""
    aliases = {"blsh_mask_length_t": lay_out(quantise(model)).mask_length_type}
    return [t.name for text in headers_of(model).values() for t in tables_of(text, aliases)]


@pytest.mark.parametrize("name", ["cortex-m0plus", "cortex-m4", "cortex-m33", "riscv32imc"])
def test_passes_on_emulated_cores_and_fails_after_a_flipped_bit(name: str, tmp_path: Path) -> None:
    tested = board(MODELS["stft"], name, tmp_path)
    assert tested.run() == (0, PASSED)
    code = bytearray(tested.emulator.read("blsh_codes", 4))
    code[0] ^= 1
    tested.emulator.write("blsh_codes", bytes(code))
    assert tested.run() == (1, "FAIL: table blsh_codes is not what was exported\n")


@pytest.mark.parametrize("kind", MODELS)
def test_a_flipped_bit_in_any_table_fails_with_its_name(kind: str, tmp_path: Path) -> None:
    """First, last and three random bits of every table, in the image's own memory."""
    tested = board(MODELS[kind], "cortex-m4", tmp_path)
    names = table_names(MODELS[kind])
    assert len(names) == len(set(names))
    rng = np.random.default_rng(0)
    for name in names:
        size = tested.emulator.symbol(name).size
        good = tested.emulator.read(name, size)
        for bit in {0, 8 * size - 1, *rng.integers(0, 8 * size, 3).tolist()}:
            bad = bytearray(good)
            bad[bit // 8] ^= 1 << bit % 8
            tested.emulator.write(name, bytes(bad))
            assert tested.run() == (1, f"FAIL: table {name} is not what was exported\n"), bit
        tested.emulator.write(name, good)
    assert tested.run() == (0, PASSED)


@pytest.mark.parametrize("kind", ["stft", "condensed"])
def test_every_table_of_every_header_is_checked(kind: str, tmp_path: Path) -> None:
    """Names are found here in another way than by the generator."""
    folder = exported(MODELS[kind], tmp_path / "out")
    expected = [
        line.split("[")[0].split()[-1]
        for header in headers_of(MODELS[kind])
        for line in (folder / header).read_text().split("/* For the self-test")[0].splitlines()
        if line.startswith("static ")
    ]
    assert table_names(MODELS[kind]) == expected
    some = {
        "stft": {"blsh_window_q15", "blsh_twiddle_q15", "blsh_codes", "blsh_gain_q15"},
        "condensed": {"blsh_log2_q8", "blsh_hash_weights", "blsh_code_tables", "blsh_masks"},
    }
    assert some[kind] <= set(expected)


def test_a_table_in_a_form_that_cannot_be_checked_stops_the_export() -> None:
    with pytest.raises(BlshError, match="cannot check"):
        tables_of("static const float x[1] = {1.0f};\n", {})


@pytest.mark.parametrize("compiler", ["gcc", pytest.param("zig", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["cortex-m4", "riscv32imc-zbb"])
def test_names_the_damaged_table_under_qemu(name: str, compiler: Any, tmp_path: Path) -> None:
    target = find_target(name)
    reason = qemu_unavailable_reason(target, compiler=compiler)
    reason = reason or firmware_unavailable_reason(target, compiler)
    if reason is not None:
        pytest.skip(reason)
    folder = exported(MODELS["stft"], tmp_path / "export", name)
    codes = folder / "blsh_codes.h"
    text = codes.read_text()
    first = text.index("0x")
    digit = "1" if text[first + 9] == "0" else "0"
    codes.write_text(text[: first + 9] + digit + text[first + 10 :])
    selftest = folder / "selftest"
    image = build_board_image(
        target,
        [
            *runtime_sources(folder),
            selftest / "blsh_selftest.c",
            selftest / "blsh_selftest_main.c",
        ],
        [folder, selftest],
        tmp_path / "selftest.elf",
        defines={"BLSH_ENABLE_TAP": None},
        compiler=compiler,
    )
    done = run_board_image(image, target)
    assert done.stdout == "FAIL: table blsh_codes is not what was exported\n"
    assert done.exit_code == 1


def test_the_self_test_is_listed_and_complete(tmp_path: Path) -> None:
    """What the folder's Makefile and the docs name is there."""
    folder = exported(MODELS["stft"], tmp_path / "out", "cortex-m4")
    files = json.loads((folder / "blsh_export.json").read_text())["files"]
    for name in ("blsh_board.ld", "blsh_table_check.h", "freestanding/blsh_mem.c"):
        assert f"selftest/{name}" in files
    shutil.rmtree(folder)
    folder = exported(MODELS["stft"], tmp_path / "out", "generic")
    assert not (folder / "selftest" / "blsh_board.ld").exists()
