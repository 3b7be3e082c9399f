"""``blsh-verify`` says yes to a good export and finds what is wrong with a bad one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from blsh_codegen.conformance import STAGES
from blsh_codegen.emulator import emulation_unavailable_reason
from blsh_codegen.targets import find_target
from blsh_codegen.toolchain import ziglang_available

from tests.codegen.folders import exported
from tests.interrupts import interrupt, interruptible
from tests.models import general_model

FRAMES = "12"


def verify(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does: the engines live in processes of their own."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("blsh-verify")), *map(str, arguments)],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(general_model(), tmp_path_factory.mktemp("good") / "out", "cortex-m4")


def edited(tmp_path: Path, name: str, right: str, wrong: str, target: str = "generic") -> Path:
    folder = exported(general_model(), tmp_path / "out", target)
    text = (folder / name).read_text()
    assert right in text
    (folder / name).write_text(text.replace(right, wrong))
    return folder


def test_good_export_is_bit_exact_on_every_engine_that_is_here(good: Path) -> None:
    done = verify(good, "--frames", FRAMES, "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["bit_exact"], report["first_difference"]) == (0, True, None)
    assert report["stages"] == list(STAGES)
    assert report["engines"][0] == "host-cffi"
    named = {"tables", "host-cffi", "unicorn-cortex-m4", "unicorn-cortex-m4-gcc", "qemu-mps2-an386"}
    assert set(report["engines"]) | set(report["skipped"]) == named
    assert report["frames"] % (int(FRAMES) * 8) == 0
    if emulation_unavailable_reason(find_target("cortex-m4")) is None and ziglang_available():
        usage = report["usage"]["unicorn-cortex-m4"]
        assert sum(usage["stages"].values()) == usage["instructions_per_second"] > 1e5
        assert 0 < usage["stack_bytes"] < 1024


def test_table_for_people(good: Path) -> None:
    done = verify(good, "--frames", FRAMES)
    assert done.returncode == 0
    assert "random integers" in done.stdout
    assert "bit-exact on host-cffi" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr  # no colour in a pipe


def test_difference_is_named_and_exits_with_1(tmp_path: Path) -> None:
    folder = edited(tmp_path, "blsh_nearest.c", "d < distance[n - 1]", "d <= distance[n - 1]")
    done = verify(folder, "--frames", FRAMES, "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["bit_exact"]) == (1, False)
    assert report["first_difference"]["stage"] == "neighbour index"
    assert report["first_difference"]["engine"] == "host-cffi"


@pytest.mark.parametrize("table", ["blsh_codes[", "blsh_mask_stream[", "blsh_gain_q15["])
def test_a_flipped_bit_that_no_signal_reaches_is_found_in_its_table(
    table: str, tmp_path: Path
) -> None:
    folder = exported(general_model(), tmp_path / "out")
    header = next(p for p in folder.glob("*.h") if f" {table}" in p.read_text())
    text = header.read_text()
    start = text.index("{", text.index(f" {table}"))
    end = text.index("}", start)
    numbers = text[start + 1 : end].rstrip().rstrip(",").split(",")
    last = numbers[-1].strip()
    flipped = f"0x{int(last[:-1], 16) ^ 1 << 31:08X}u" if last.endswith("u") else str(int(last) ^ 1)
    header.write_text(f"{text[: start + 1]}{','.join([*numbers[:-1], flipped])}{text[end:]}")
    done = verify(folder, "--frames", "8", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["bit_exact"]) == (1, False)
    assert any(failure.startswith(f"tables: {header.name}") for failure in report["failures"])


def test_ctrl_c_ends_quietly_with_130(good: Path) -> None:
    command = [Path(sys.executable).with_name("blsh-verify"), good, "--frames", "2000"]
    with interruptible(command) as process:
        time.sleep(4)
        told = interrupt(process)
    assert process.returncode == 130
    assert told.strip() == "interrupted: nothing was changed"


def test_c_that_crashes_is_reported_not_suffered(tmp_path: Path) -> None:
    folder = edited(
        tmp_path,
        "blsh_gain.c",
        "masks.stream = model->mask_stream +",
        "masks.stream = (uint8_t *)8 +",
    )
    done = verify(folder, "--frames", FRAMES, "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["bit_exact"]) == (1, False)
    assert report["failures"] == ["host-cffi: the exported C crashed"]


@pytest.mark.parametrize(
    ("name", "right", "wrong", "message"),
    [
        ("blsh_hash.c", "unsigned bit, n;", "unsigned bit, n", "does not compile"),
        ("blsh_config.h", "SCHEMA_VERSION 4", "SCHEMA_VERSION 3", "export the folder again, whole"),
        ("blsh_config.h", "STATE_BYTES ", "STATE_BYTES 1", "does not compile"),
    ],
)
def test_c_that_does_not_compile_is_one_line_and_exits_with_2(
    name: str, right: str, wrong: str, message: str, tmp_path: Path
) -> None:
    done = verify(edited(tmp_path, name, right, wrong), "--frames", FRAMES)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_no_compiler_says_what_was_looked_for(good: Path, tmp_path: Path) -> None:
    hidden = (
        "import importlib.util as u; f = u.find_spec;"
        "u.find_spec = lambda n, *a: None if n == 'ziglang' else f(n, *a);"
        "from blsh_codegen.cli_verify import verify; verify()"
    )
    done = subprocess.run(
        [sys.executable, "-c", hidden, good],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "PATH": str(tmp_path), "CC": ""},
    )
    assert done.returncode == 2
    for word in ("no C compiler found", "$CC", "cc, gcc, clang", "ziglang"):
        assert word in done.stderr


def test_a_folder_that_is_no_export(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        done = verify(folder)
        assert done.returncode == 2
        assert "not a folder made by blsh-export" in done.stderr
