"""Finding compilers and building with them."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import sys
from pathlib import Path

import pytest
from blsh_codegen import toolchain
from blsh_codegen.elf_image import read_elf
from blsh_codegen.targets import find_target
from blsh_codegen.toolchain import HostCompiler, build_firmware, compile_shared, find_host_compiler
from blsh_trainer.errors import BlshError

needs_zig = pytest.mark.skipif(not toolchain.ziglang_available(), reason="ziglang is not installed")
needs_elftools = pytest.mark.skipif(
    importlib.util.find_spec("elftools") is None, reason="pyelftools is not installed"
)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with one empty folder, and no $CC."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CC", raising=False)
    return folder


def add_tool(folder: Path, name: str) -> None:
    tool = write(folder / name, "#!/bin/sh\n")
    tool.chmod(0o755)


def test_cc_comes_before_gcc_before_clang_before_zig(bare_path: Path) -> None:
    if toolchain.ziglang_available():
        assert find_host_compiler().is_zig
    for name in ("clang", "gcc", "cc"):
        add_tool(bare_path, name)
        assert find_host_compiler() == HostCompiler(name, (name,))


def test_the_cc_variable_wins_and_may_hold_arguments(
    bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_tool(bare_path, "cc")
    add_tool(bare_path, "mycc")
    monkeypatch.setenv("CC", "mycc -m64")
    assert find_host_compiler().command == ("mycc", "-m64")


def test_a_wrong_cc_variable_is_named(bare_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_tool(bare_path, "cc")
    monkeypatch.setenv("CC", "nosuchcc")
    with pytest.raises(BlshError, match=r"\$CC, 'nosuchcc', was not found"):
        find_host_compiler()


def test_a_bare_metal_cc_variable_is_not_the_host_compiler(
    bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_tool(bare_path, "cc")
    add_tool(bare_path, "arm-none-eabi-gcc")
    monkeypatch.setenv("CC", "arm-none-eabi-gcc")
    assert find_host_compiler().name == "cc"


def test_without_any_compiler_the_error_says_what_was_looked_for(
    bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ziglang", None)
    with pytest.raises(BlshError) as caught:
        find_host_compiler()
    message = caught.value.message
    assert "looked for $CC, cc, gcc, clang, ziglang" in message
    assert "blsh[emulation]" in message


def host_compilers() -> list[HostCompiler]:
    found = [HostCompiler(name, (name,)) for name in ("gcc", "clang") if shutil.which(name)]
    if toolchain.ziglang_available():
        found.append(HostCompiler("zig cc", (sys.executable, "-m", "ziglang", "cc")))
    return found


@pytest.mark.parametrize("compiler", host_compilers(), ids=lambda one: one.name)
def test_a_shared_library_can_be_called(compiler: HostCompiler, tmp_path: Path) -> None:
    include = tmp_path / "include"
    include.mkdir()
    write(include / "scale.h", "int scaled(int x);\n")
    source = write(
        tmp_path / "scale.c", '#include "scale.h"\nint scaled(int x) { return x * SCALE; }\n'
    )
    built = compile_shared(
        [source], [include], tmp_path / "scale.so", defines={"SCALE": 7}, compiler=compiler
    )
    assert built.compiler is compiler
    assert built.warnings == ()
    assert ctypes.CDLL(str(built.path)).scaled(6) == 42
    assert sorted(path.name for path in tmp_path.iterdir()) == ["include", "scale.c", "scale.so"]


@pytest.mark.skipif(not host_compilers(), reason="no host compiler")
def test_warnings_are_returned(tmp_path: Path) -> None:
    source = write(
        tmp_path / "narrow.c",
        "short narrow(int x);\nshort narrow(int x) { return x; }\n",
    )
    built = compile_shared([source], [], tmp_path / "narrow.so")
    assert len(built.warnings) == 1
    assert "narrow.c:2" in built.warnings[0]
    assert "conversion" in built.warnings[0]


@pytest.mark.skipif(not host_compilers(), reason="no host compiler")
def test_the_first_compiler_error_is_quoted_and_the_old_library_stays(tmp_path: Path) -> None:
    source = write(tmp_path / "broken.c", "int f(void) { return unknown_name; }\n")
    output = tmp_path / "broken.so"
    output.write_bytes(b"old")
    with pytest.raises(BlshError) as caught:
        compile_shared([source], [], output)
    assert "broken.c:1" in caught.value.message
    assert "unknown_name" in caught.value.message
    assert "\n" not in caught.value.message
    assert output.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.c", "broken.so"]


def test_the_folder_of_the_output_must_exist(tmp_path: Path) -> None:
    compiler = HostCompiler("none", ("none",))
    with pytest.raises(BlshError, match="no such folder"):
        compile_shared([], [], tmp_path / "missing" / "a.so", compiler=compiler)


def test_a_compiler_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    compiler = HostCompiler("none", (str(tmp_path / "no-such-compiler"),))
    with pytest.raises(BlshError, match="no-such-compiler"):
        compile_shared([], [], tmp_path / "a.so", compiler=compiler)


def test_the_generic_target_has_no_image(tmp_path: Path) -> None:
    with pytest.raises(BlshError, match="target generic is not cross-compiled"):
        build_firmware(find_target("generic"), [], [], tmp_path / "a.elf")


def test_a_missing_cross_compiler_is_named(bare_path: Path, tmp_path: Path) -> None:
    with pytest.raises(BlshError, match="arm-none-eabi-gcc not on PATH"):
        build_firmware(find_target("cortex-m4"), [], [], tmp_path / "a.elf", compiler="gcc")


def test_a_missing_ziglang_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ziglang", None)
    with pytest.raises(BlshError, match=r"ziglang is not installed: pip install 'blsh\[emulation"):
        build_firmware(find_target("cortex-m4"), [], [], tmp_path / "a.elf")


TWO_FUNCTIONS = """\
#include <stdint.h>
static const int16_t table_q15[3] = {1, -2, 3};
int used(int i);
int used(int i) { return table_q15[i]; }
uint64_t spare(uint64_t a, uint64_t b);
uint64_t spare(uint64_t a, uint64_t b) { return a / b; }
"""


@needs_zig
@needs_elftools
def test_an_image_keeps_everything_or_what_the_roots_need(tmp_path: Path) -> None:
    target = find_target("cortex-m4")
    source = write(tmp_path / "two.c", TWO_FUNCTIONS)
    whole = read_elf(build_firmware(target, [source], [], tmp_path / "whole.elf"))
    part = read_elf(build_firmware(target, [source], [], tmp_path / "part.elf", roots=["used"]))
    assert {"used", "spare", "table_q15"} <= set(whole.symbols)
    assert "used" in part.symbols
    assert "spare" not in part.symbols
    # Of the compiler's runtime library only the division is linked.
    assert part.flash_bytes < 64 < whole.flash_bytes < 4096


@needs_zig
def test_a_firmware_error_is_quoted(tmp_path: Path) -> None:
    source = write(tmp_path / "undefined.c", "int g(void);\nint f(void) { return g(); }\n")
    with pytest.raises(BlshError, match=r"does not compile: .*undefined symbol: g"):
        build_firmware(find_target("cortex-m4"), [source], [], tmp_path / "a.elf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["undefined.c"]
