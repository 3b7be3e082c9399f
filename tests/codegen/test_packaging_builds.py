"""The exported folder builds as it is, from a copy outside the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from blsh_codegen.qemu import qemu_unavailable_reason, run_board_image
from blsh_codegen.targets import find_target
from blsh_codegen.toolchain import find_gcc, template_folder, ziglang_available

from tests.codegen.folders import exported
from tests.models import general_model

M4 = find_target("cortex-m4")
FREESTANDING = template_folder() / "freestanding"
ZIG = f"{sys.executable} -m ziglang"
PATH = f"{os.environ['PATH']}{os.pathsep}{Path(sys.executable).parent}"
"""Where tools are looked for: cmake may be the one of the virtual environment."""

needs_cmake = pytest.mark.skipif(
    shutil.which("cmake", path=PATH) is None, reason="cmake is not on PATH"
)
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not on PATH")
needs_zig = pytest.mark.skipif(not ziglang_available(), reason="ziglang is not installed")
needs_arm_gcc = pytest.mark.skipif(find_gcc(M4) is None, reason="arm-none-eabi-gcc is not on PATH")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(general_model(), tmp_path_factory.mktemp("export") / "blsh", "cortex-m4")


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    """A copy of the exported folder, as a firmware project would hold it."""
    return Path(shutil.copytree(pristine, tmp_path / "project" / "blsh"))


def run(command: Sequence[object], cwd: Path) -> str:
    """Run a tool that must succeed without a warning; returns its standard output."""
    words = [str(word) for word in command]
    environment = {**os.environ, "PATH": PATH}
    done = subprocess.run(
        words, capture_output=True, check=False, cwd=cwd, env=environment, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stderr.lower(), done.stderr
    return done.stdout


APPLICATION = """\
#include "blsh.h"
#include <stdio.h>

static blsh_state_t state;

int main(void)
{
    static int16_t hop[BLSH_HOP];

    return blsh_init(&state) == BLSH_OK ? (int)blsh_process(&state, hop, hop) : 1;
}
"""

ADD_SUBDIRECTORY = "add_subdirectory(blsh)\n"
FETCH_CONTENT = """\
include(FetchContent)
FetchContent_Declare(blsh URL ${CMAKE_CURRENT_SOURCE_DIR}/blsh.tar.gz)
FetchContent_MakeAvailable(blsh)
"""


def cmake_project(project: Path, takes_in: str, languages: str = "C") -> None:
    source = "main.c" if languages == "C" else "main.cpp"
    (project / source).write_text(APPLICATION)
    (project / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.15)\n"
        "if(POLICY CMP0135)\n  cmake_policy(SET CMP0135 NEW)\nendif()\n"
        f"project(firmware LANGUAGES {languages})\n{takes_in}"
        f"add_executable(firmware {source})\n"
        "target_link_libraries(firmware PRIVATE blsh)\n"
    )


def built_by_cmake(source: Path, *options: str) -> Path:
    build = source.parent / "cmake-build"
    run(["cmake", "-S", source, "-B", build, *options], source)
    run(["cmake", "--build", build], source)
    return build


@needs_cmake
@pytest.mark.parametrize("languages", ["C", "C CXX"])
def test_cmake_add_subdirectory(languages: str, folder: Path) -> None:
    cmake_project(folder.parent, ADD_SUBDIRECTORY, languages)
    build = built_by_cmake(folder.parent)
    run([build / "firmware"], folder)
    assert not list(build.rglob("blsh_selftest*")), "the self-test is not the user's to build"


@needs_cmake
def test_cmake_fetch_content(folder: Path) -> None:
    with tarfile.open(folder.parent / "blsh.tar.gz", "w:gz") as archive:
        archive.add(folder, "blsh")
    shutil.rmtree(folder)
    cmake_project(folder.parent, FETCH_CONTENT)
    run([built_by_cmake(folder.parent) / "firmware"], folder.parent)


@needs_cmake
def test_cmake_alone_builds_the_self_test_and_it_passes(folder: Path) -> None:
    build = built_by_cmake(folder)
    run(["ctest", "--test-dir", build], folder)


def cross(compiler: Sequence[str], flags: Sequence[str]) -> list[str]:
    return [
        "-DCMAKE_SYSTEM_NAME=Generic",
        "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY",
        f"-DCMAKE_C_COMPILER={';'.join(compiler)}",
        f"-DCMAKE_C_FLAGS={' '.join(flags)} -idirafter {FREESTANDING}",
    ]


@needs_cmake
@needs_arm_gcc
def test_cmake_with_a_cross_compiler_builds_the_library_alone(folder: Path) -> None:
    build = built_by_cmake(folder, *cross([str(find_gcc(M4))], M4.gcc_flags))
    assert (build / "libblsh.a").exists()
    assert not (build / "blsh_selftest").exists()


@needs_cmake
@needs_zig
def test_cmake_with_zig(folder: Path) -> None:
    compiler = folder.parent / "zig-cc"
    compiler.write_text(f'#!/bin/sh\nexec {ZIG} cc "$@"\n')
    compiler.chmod(0o755)
    flags = [*M4.zig_flags, "-fno-sanitize=all"]
    build = built_by_cmake(folder, *cross([str(compiler)], flags))
    assert (build / "libblsh.a").exists()


@needs_make
def test_make_builds_the_library_and_its_self_test_passes(folder: Path) -> None:
    run(["make", "--silent"], folder)
    assert (folder / "build" / "libblsh.a").exists()
    assert run(["make", "--silent", "check"], folder).startswith("PASS")


@needs_make
@needs_zig
def test_make_with_zig(folder: Path) -> None:
    flags = f"-O2 -fno-sanitize=all {' '.join(M4.zig_flags)} -idirafter {FREESTANDING}"
    make = ["make", "--silent", f"CC={ZIG} cc", f"AR={ZIG} ar", f"CFLAGS={flags}"]
    run(make, folder)
    assert (folder / "build" / "libblsh.a").exists()


@needs_make
@pytest.mark.parametrize("name", ["cortex-m4", "riscv32imc-zbb"])
def test_make_with_a_cross_compiler_builds_an_image_that_passes_on_the_board(
    name: str, tmp_path: Path
) -> None:
    target = find_target(name)
    reason = qemu_unavailable_reason(target)
    if reason is not None:
        pytest.skip(reason)
    folder = exported(general_model(), tmp_path / "blsh", name)
    prefix = str(find_gcc(target)).removesuffix("gcc")
    run(["make", "--silent", f"CROSS={prefix}", "all", "image"], folder)
    assert (folder / "build" / "libblsh.a").exists()
    done = run_board_image(folder / "build" / "blsh_selftest.elf", target)
    assert (done.exit_code, done.stdout[:5]) == (0, "PASS:")


@needs_make
def test_make_image_without_a_cross_compiler_says_what_to_give(folder: Path) -> None:
    done = subprocess.run(
        ["make", "image"], capture_output=True, check=False, cwd=folder, text=True
    )
    assert done.returncode != 0
    assert "make CROSS=arm-none-eabi- image" in done.stderr


ZEPHYR_STUB = """\
set(CONFIG_BLSH y)
set(CONFIG_BLSH_OPTIMISE_FOR_SPEED y)
add_library(zephyr_interface INTERFACE)
macro(zephyr_include_directories)
    foreach(folder ${ARGN})
        get_filename_component(folder ${folder} ABSOLUTE)
        target_include_directories(zephyr_interface INTERFACE ${folder})
    endforeach()
endmacro()
macro(zephyr_library_named name)
    set(ZEPHYR_CURRENT_LIBRARY ${name})
    add_library(${name} STATIC)
    target_link_libraries(${name} PUBLIC zephyr_interface)
endmacro()
macro(zephyr_library_sources)
    target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endmacro()
macro(zephyr_library_compile_options)
    target_compile_options(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endmacro()
add_subdirectory(blsh/zephyr)
"""

ESP_IDF_STUB = """\
set(ESP_PLATFORM 1)
function(idf_component_register)
    cmake_parse_arguments(ARG "" "" "SRCS;INCLUDE_DIRS" ${ARGN})
    list(TRANSFORM ARG_SRCS PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
    add_library(blsh STATIC ${ARG_SRCS})
    get_filename_component(folder ${ARG_INCLUDE_DIRS} ABSOLUTE BASE_DIR ${CMAKE_CURRENT_LIST_DIR})
    target_include_directories(blsh PUBLIC ${folder})
endfunction()
add_subdirectory(blsh)
"""


@needs_cmake
@pytest.mark.parametrize("stub", [ZEPHYR_STUB, ESP_IDF_STUB], ids=["zephyr", "esp-idf"])
def test_cmake_files_of_frameworks_build_against_stubs_of_their_functions(
    stub: str, folder: Path
) -> None:
    """The SDKs are not here; their CMake functions are replaced by what they come down to."""
    cmake_project(folder.parent, stub)
    run([built_by_cmake(folder.parent) / "firmware"], folder)
