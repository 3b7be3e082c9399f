"""Find a C compiler and build shared libraries for the host and images for a target."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from blsh_trainer.errors import BlshError

from blsh_codegen.targets import Target

WARNING_FLAGS = (
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wshadow",
    "-Wcast-qual",
)
"""Warnings that the exported C is free of."""

_HOST_COMPILERS = ("cc", "gcc", "clang")
_ZIG_HINT = "pip install 'blsh[emulation]' (or ziglang) provides one"
_COMPILE_SECONDS = 600.0

FirmwareCompiler = Literal["zig", "gcc"]
Defines = Mapping[str, str | int | None]


@dataclass(frozen=True)
class HostCompiler:
    """A C compiler for the machine this runs on.

    Attributes:
        name: What to call it in messages and reports.
        command: The command that runs it.
    """

    name: str
    command: tuple[str, ...]

    @property
    def is_zig(self) -> bool:
        """Whether this is the compiler of the ``ziglang`` package."""
        return "ziglang" in self.command


@dataclass(frozen=True)
class SharedLibrary:
    """A library built for the host.

    Attributes:
        path: The library, to be opened with ``cffi.FFI().dlopen`` or ``ctypes.CDLL``.
        compiler: The compiler that built it.
        warnings: The compiler's warnings, one line each.
    """

    path: Path
    compiler: HostCompiler
    warnings: tuple[str, ...]


def ziglang_available() -> bool:
    """Whether the ``ziglang`` package, a complete C cross compiler, is installed."""
    return importlib.util.find_spec("ziglang") is not None


def find_host_compiler() -> HostCompiler:
    """Find a C compiler for this machine: ``$CC``, cc, gcc, clang, else ziglang's.

    A ``$CC`` that names a bare-metal cross compiler is passed over: it says nothing about the host.

    Raises:
        BlshError: There is none, or ``$CC`` names one that does not exist.
    """
    try:
        chosen = shlex.split(os.environ.get("CC", ""))
    except ValueError as error:
        raise BlshError(f"$CC cannot be read ({error}): correct the variable or unset it") from None
    if chosen and not re.search(r"none-e(abi|lf)|unknown-elf", chosen[0]):
        if shutil.which(chosen[0]) is None:
            raise BlshError(
                f"the C compiler named by $CC, {chosen[0]!r}, was not found: "
                "correct the variable or unset it"
            )
        return HostCompiler(Path(chosen[0]).name, tuple(chosen))
    for name in _HOST_COMPILERS:
        if shutil.which(name) is not None:
            return HostCompiler(name, (name,))
    if ziglang_available():
        return HostCompiler("zig cc", zig_command())
    looked_for = ", ".join(("$CC", *_HOST_COMPILERS, "ziglang"))
    raise BlshError(f"no C compiler found (looked for {looked_for}): {_ZIG_HINT}")


def compile_shared(
    sources: Sequence[Path],
    includes: Sequence[Path],
    output: Path,
    *,
    defines: Defines | None = None,
    compiler: HostCompiler | None = None,
) -> SharedLibrary:
    """Build a shared library for this machine, to be loaded with cffi in ABI mode.

    Args:
        sources: C files.
        includes: Include folders.
        output: The library to write; replaced in one step when it exists.
        defines: Macros; ``None`` as a value defines the name alone.
        compiler: The compiler; found by :func:`find_host_compiler` when not given.

    Raises:
        BlshError: No compiler, or the code does not compile (its first error is quoted).
    """
    chosen = compiler or find_host_compiler()
    flags = ["-std=c99", "-O2", "-fPIC", "-shared", *WARNING_FLAGS]
    if chosen.is_zig:
        # By default zig compiles for this very processor, and libraries outlive it in a cache.
        flags += ["-fno-sanitize=all", "-mcpu=baseline"]
    with tempfile.TemporaryDirectory(prefix=".blsh-", dir=_existing_parent(output)) as folder:
        built = Path(folder) / output.name
        messages = run_compiler(
            [
                *chosen.command,
                *flags,
                *compiler_inputs(sources, includes, defines),
                "-o",
                str(built),
            ]
        )
        _take_over(built, output, chosen.name)
    warnings = tuple(line for line in messages if "warning:" in line)
    return SharedLibrary(output, chosen, warnings)


def _take_over(built: Path, output: Path, compiler: str) -> None:
    """Put what a compiler made in its place."""
    if not built.exists():
        raise BlshError(f"{compiler} wrote no output: is it a C compiler? Correct or unset $CC")
    built.replace(output)


def find_gcc(target: Target) -> str | None:
    """The gcc cross compiler for a target that is on PATH, or ``None``."""
    names = (f"{prefix}gcc" for prefix in target.gcc_prefixes)
    return next((name for name in names if shutil.which(name) is not None), None)


def firmware_unavailable_reason(target: Target, compiler: FirmwareCompiler = "zig") -> str | None:
    """Why no image can be built for a target with a compiler, or ``None`` when one can be."""
    if target.is_wasm:
        return f"target {target.name} is a WebAssembly module, not an image"
    if compiler == "zig":
        if not target.zig_flags:
            return f"target {target.name} is not cross-compiled"
        return None if ziglang_available() else f"ziglang is not installed: {_ZIG_HINT}"
    if not target.gcc_prefixes:
        return f"target {target.name} is not cross-compiled"
    if find_gcc(target) is None:
        return " and ".join(f"{prefix}gcc" for prefix in target.gcc_prefixes) + " not on PATH"
    return None


def build_firmware(
    target: Target,
    sources: Sequence[Path],
    includes: Sequence[Path],
    output: Path,
    *,
    defines: Defines | None = None,
    optimise: str = "-O2",
    compiler: FirmwareCompiler = "zig",
    roots: Sequence[str] = (),
    linker_script: Path | None = None,
    entry: str = "0",
    wrap: Sequence[str] = (),
) -> Path:
    """Build a freestanding image: no libc, no start-up code, symbols kept.

    memcpy, memmove, memset and the arithmetic helpers come from the compiler's own runtime
    (zig), or from ``freestanding/blsh_mem.c`` and libgcc (gcc).

    Args:
        target: The processor.
        sources: C files.
        includes: Include folders.
        output: The ELF file to write; replaced in one step when it exists.
        defines: Macros; ``None`` as a value defines the name alone.
        optimise: The optimisation flag.
        compiler: ``"zig"`` (the ziglang package) or ``"gcc"`` (a cross compiler on PATH).
        roots: With none, everything in the sources is kept. Else only what these symbols need:
            the figure for flash is then what a shipped image would hold.
        linker_script: Memory layout; the emulator's own when not given.
        entry: Entry symbol or address.
        wrap: Functions whose calls from other files go to ``__wrap_<name>`` (ld's ``--wrap``).

    Returns:
        The path of the image.

    Raises:
        BlshError: The compiler is missing, or the code does not compile.
    """
    reason = firmware_unavailable_reason(target, compiler)
    if reason is not None:
        raise BlshError(f"cannot build for {target.name} with {compiler}: {reason}")
    script = linker_script or template_folder() / "link" / "blsh_emulator.ld"
    runtime = template_folder() / "freestanding"
    sections = "-f" if roots else "-fno-"
    flags = [
        *("-std=c99", optimise, "-g", "-ffreestanding", "-fomit-frame-pointer"),
        *("-fno-unwind-tables", "-fno-asynchronous-unwind-tables"),
        *(f"{sections}function-sections", f"{sections}data-sections"),
        *("-nostdlib", "-isystem", str(runtime), f"-Wl,-T,{script}"),
        *("-Wl,--gc-sections", f"-Wl,--entry={entry}"),
        *(f"-Wl,-u,{symbol}" for symbol in roots),
        *(f"-Wl,--wrap={symbol}" for symbol in wrap),
    ]
    sources = list(sources)
    if compiler == "zig":
        command = [*zig_command(), *target.zig_flags]
        flags += ["-rtlib=compiler-rt", "-fno-sanitize=all"]
        libraries = []
    else:
        command = [str(find_gcc(target)), *target.gcc_flags]
        # -fbuiltin: loops that clear or copy become calls, as in the hosted builds that ship.
        flags += ["-fbuiltin", "-Wl,--build-id=none"]
        sources.append(runtime / "blsh_mem.c")
        libraries = ["-lgcc"]
    with tempfile.TemporaryDirectory(prefix=".blsh-", dir=_existing_parent(output)) as folder:
        built = Path(folder) / output.name
        inputs = compiler_inputs(sources, includes, defines)
        run_compiler([*command, *flags, *inputs, *libraries, "-o", str(built)])
        built.replace(output)
    return output


def template_folder() -> Path:
    """The installed folder of the C runtime, linker scripts and self-test support."""
    return Path(str(resources.files("blsh_firmware_templates")))


def zig_command() -> tuple[str, ...]:
    """The command of the ziglang package's C compiler."""
    return (sys.executable, "-m", "ziglang", "cc")


def compiler_inputs(
    sources: Sequence[Path], includes: Sequence[Path], defines: Defines | None
) -> list[str]:
    """Macros, include folders and sources as arguments of a compiler."""
    macros = [f"-D{k}" if v is None else f"-D{k}={v}" for k, v in (defines or {}).items()]
    return [*macros, *(f"-I{folder}" for folder in includes), *(str(path) for path in sources)]


def _existing_parent(output: Path) -> Path:
    parent = output.absolute().parent
    if not parent.is_dir():
        raise BlshError(f"{parent}: no such folder to write {output.name} to: create it first")
    return parent


def run_compiler(command: Sequence[str]) -> list[str]:
    """Run a compiler and return the lines it printed; its failure becomes a one-line error."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            env=_compiler_environment(),
            errors="replace",
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=_COMPILE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BlshError(f"the C compiler {command[0]!r} could not be run: {error}") from error
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    if done.returncode != 0:
        is_error = re.compile(r"\berror\b|undefined|will not fit|overflowed", re.IGNORECASE)
        first = next((line for line in lines if is_error.search(line)), "")
        told = first or (lines[0] if lines else f"exit code {done.returncode}")
        if any("No space left" in line or "File too large" in line for line in lines):
            raise BlshError(f"the C compiler could not write its output ({told}): free some space")
        raise BlshError(f"the C code does not compile: {told}")
    return lines


def _compiler_environment() -> dict[str, str]:
    """The environment, with zig's cache moved to the temporary folder where home is read-only."""
    environment = {**os.environ, "LC_ALL": "C"}
    if "ZIG_GLOBAL_CACHE_DIR" not in environment:
        base = Path(environment.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
        nearest = next(folder for folder in (base, *base.parents) if folder.exists())
        if not os.access(nearest, os.W_OK):
            spare = Path(tempfile.gettempdir()) / f"blsh-zig-cache-{os.getuid()}"
            environment["ZIG_GLOBAL_CACHE_DIR"] = str(spare)
    return environment
