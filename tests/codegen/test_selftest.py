"""The self-test that ships with an export passes where the C is right and fails where it is not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from blsh_codegen.engines import runtime_sources
from blsh_codegen.toolchain import find_host_compiler

from tests.codegen.folders import exported
from tests.models import general_model


def run_selftest(folder: Path, work: Path) -> subprocess.CompletedProcess[str]:
    """Build the self-test as REPORT.md's reader would, with the host's compiler."""
    selftest = folder / "selftest"
    names = ("blsh_selftest.c", "blsh_selftest_main.c", "blsh_board_stdio.c")
    program = work / "selftest"
    command = [*find_host_compiler().command, "-std=c99", "-O1", "-DBLSH_ENABLE_TAP"]
    command += [f"-I{folder}", f"-I{selftest}", "-o", str(program)]
    command += [str(path) for path in runtime_sources(folder)]
    subprocess.run([*command, *(str(selftest / name) for name in names)], check=True)
    return subprocess.run([program], capture_output=True, check=False, text=True)


def test_passes_on_an_export_as_it_is(tmp_path: Path) -> None:
    done = run_selftest(exported(general_model(), tmp_path / "out"), tmp_path)
    assert (done.returncode, done.stdout) == (0, "PASS: 12 frames, every stage bit-exact\n")


@pytest.mark.parametrize(
    ("name", "right", "wrong", "report"),
    [
        ("blsh_hash.c", "sum >= 0", "sum < 0", "FAIL: hash code differs first in frame 0, band 0"),
        ("blsh_gain.c", "entry % BLSH", "entry & BLSH", "FAIL: gain differs first in frame"),
        ("blsh_frame.c", "+ half) >>", ") >>", "FAIL: output differs first in frame"),
    ],
)
def test_names_the_stage_that_differs(
    name: str, right: str, wrong: str, report: str, tmp_path: Path
) -> None:
    folder = exported(general_model(), tmp_path / "out")
    text = (folder / name).read_text()
    assert right in text
    (folder / name).write_text(text.replace(right, wrong))
    done = run_selftest(folder, tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith(report)


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not on PATH")
def test_cmake_builds_the_folder_and_its_self_test_passes(tmp_path: Path) -> None:
    folder = exported(general_model(), tmp_path / "out")
    build = tmp_path / "build"
    subprocess.run(["cmake", "-S", folder, "-B", build], check=True, capture_output=True)
    subprocess.run(["cmake", "--build", build], check=True, capture_output=True)
    subprocess.run(["ctest", "--test-dir", build], check=True, capture_output=True)
