"""The exported C is clean: strict compilers, C++, sanitizers, its symbols, MISRA."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from blsh_codegen.engines import runtime_sources
from blsh_codegen.reference import process
from blsh_codegen.signals import conformance_signals
from blsh_codegen.tables import quantise
from blsh_codegen.targets import TARGETS, Target
from blsh_codegen.toolchain import find_gcc, template_folder, ziglang_available
from blsh_trainer.model_file import Geometry

from tests.codegen.folders import exported
from tests.models import (
    CONDENSED_MODELS,
    BandSpec,
    CondensedSpec,
    general_model,
    random_condensed_model,
    random_model,
)

WARNINGS = (
    *("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wsign-conversion"),
    *("-Wshadow", "-Wcast-qual", "-Wundef", "-Werror"),
)
C99 = ("-std=c99", "-Wstrict-prototypes", *WARNINGS)
CXX = ("-x", "c++", "-std=c++11", *WARNINGS)
FREESTANDING = ("-ffreestanding", "-isystem", str(template_folder() / "freestanding"))
ZIG = (sys.executable, "-m", "ziglang")

MODELS = {
    "general": general_model(),
    "mel": random_model(Geometry(8000, 256, 64, features="mel")),
    "condensed": CONDENSED_MODELS["one layer"],  # with trackers of both kinds
}
PORTS = {target.port: target.name for target in reversed(TARGETS.values())}
"""A target for each port."""


def run(command: Sequence[object], **options: object) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(
        words, capture_output=True, text=True, check=False, timeout=300, **options
    )


def compilers() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Command and flags of every C and C++ compiler for this machine."""
    found = {}
    for name in ("gcc", "clang"):
        if shutil.which(name):
            found[name] = ((name,), C99)
    for name in ("g++", "clang++"):
        if shutil.which(name):
            found[name] = ((name,), CXX)
    if ziglang_available():
        found["zig cc"] = ((*ZIG, "cc"), C99)
    if ziglang_available() and not {"g++", "clang++"} & set(found):
        found["zig c++"] = ((*ZIG, "c++"), CXX)
    return found


def cross_compilers() -> dict[str, tuple[Target, str]]:
    """Targets and cross compilers that can be tried here."""
    found = {}
    for name, target in TARGETS.items():
        if target.zig_flags and ziglang_available():
            found[f"{name}-zig"] = (target, "zig")
        if target.gcc_prefixes and find_gcc(target):
            found[f"{name}-gcc"] = (target, "gcc")
    return found


COMPILERS = compilers()
CROSS = cross_compilers()


def compile_each(
    command: Sequence[str], flags: Sequence[str], folder: Path, work: Path
) -> list[Path]:
    """Compile every source by itself; the first complaint fails the test."""
    objects = []
    for source in runtime_sources(folder):
        objects.append(work / f"{source.stem}.o")
        done = run([*command, *flags, "-I", folder, "-c", source, "-o", objects[-1]])
        assert (done.returncode, done.stderr.strip()) == (0, ""), done.stderr
    return objects


def cross_command(target: Target, compiler: str) -> tuple[str, ...]:
    if compiler == "zig":
        return (*ZIG, "cc", *target.zig_flags, "-fno-sanitize=all")
    return (str(find_gcc(target)), *target.gcc_flags)


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("kind", ["general", "condensed"])
def test_no_compiler_for_this_machine_warns(
    kind: str, compiler: str, port: str, tmp_path: Path
) -> None:
    """Some of gcc's warnings come from its optimiser; clang's are all known after parsing."""
    command, flags = COMPILERS[compiler]
    folder = exported(MODELS[kind], tmp_path / "export", PORTS[port])
    flags = (*flags, *(("-fsyntax-only",) if "clang" in compiler else ("-O2", "-c")))
    selftest = folder / "selftest" / "blsh_selftest.c"
    tapped = ("-DBLSH_ENABLE_TAP", selftest)
    for extra in ((), tapped):
        done = run(
            [*command, *flags, "-I", folder.resolve(), *extra, *runtime_sources(folder)],
            cwd=tmp_path,
        )
        assert (done.returncode, done.stderr.strip()) == (0, ""), done.stderr


def slow_unless(fast: Sequence[str], names: Sequence[str]) -> list[object]:
    """Parameters of a test, all but a few of which are left to the slow tier."""
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", slow_unless(("cortex-m4-zig", "cortex-m4-gcc"), list(CROSS)))
@pytest.mark.parametrize("kind", ["mel", "condensed"])
def test_no_cross_compiler_warns_and_only_memory_functions_are_called(
    kind: str, name: str, tmp_path: Path
) -> None:
    """Beside its own symbols a runtime needs three of libc and the compiler's own helpers."""
    target, compiler = CROSS[name]
    folder = exported(MODELS[kind], tmp_path / "export", target.name)
    objects = compile_each(
        cross_command(target, compiler), (*C99, *FREESTANDING, "-O2"), folder, tmp_path
    )
    if target.is_wasm:
        return
    defined, wanted = symbols(objects)
    assert {symbol for symbol in defined if not symbol.startswith("blsh_")} == set()
    from_outside = wanted - defined
    helpers = {one for one in from_outside if re.fullmatch(HELPERS, one)}
    assert from_outside - helpers <= {"memcpy", "memmove", "memset"}


HELPERS = r"__aeabi_\w+|__u?(div|mod)[sd]i3|__(mul|ash[lr]|lshr)di3|__gnu_thumb1_case_\w+|__clzsi2"
"""What compilers call for operations that a core lacks, and EABI names of the memory functions."""


def symbols(objects: Sequence[Path]) -> tuple[set[str], set[str]]:
    """Global symbols that object files define, and those that they leave undefined."""
    elffile = pytest.importorskip("elftools.elf.elffile")
    defined, wanted = set(), set()
    for path in objects:
        with path.open("rb") as file:
            for symbol in elffile.ELFFile(file).get_section_by_name(".symtab").iter_symbols():
                if symbol["st_info"]["bind"] == "STB_LOCAL" or not symbol.name:
                    continue
                (wanted if symbol["st_shndx"] == "SHN_UNDEF" else defined).add(symbol.name)
    return defined, wanted


@pytest.mark.skipif("gcc" not in COMPILERS, reason="gcc is not on PATH")
@pytest.mark.parametrize("kind", ["general", "condensed"])
def test_nothing_mutable_is_global(kind: str, tmp_path: Path) -> None:
    """Every object in a section that is written is a bug: streams must not share memory."""
    elffile = pytest.importorskip("elftools.elf.elffile")
    folder = exported(MODELS[kind], tmp_path / "export")
    for path in compile_each(("gcc",), (*C99, "-fno-pic"), folder, tmp_path):
        with path.open("rb") as file:
            for section in elffile.ELFFile(file).iter_sections():
                if section.name.startswith((".data", ".bss")):
                    assert section["sh_size"] == 0, f"{path.name}: {section.name}"


DRIVER = r"""
#include <stdio.h>
#include "blsh.h"

/* Hops from stdin, denoised to stdout. The state lies in memory of its exact size. */
int main(void)
{
    static blsh_state_t state;
    int16_t samples[BLSH_HOP];

    if (blsh_process(&state, samples, samples) != BLSH_ERROR_NOT_INITIALISED) { return 2; }
    if (blsh_init(&state) != BLSH_OK) { return 3; }
    while (fread(samples, sizeof samples, 1, stdin) == 1) {
        if (blsh_process(&state, samples, samples) != BLSH_OK) { return 4; }
        if (fwrite(samples, sizeof samples, 1, stdout) != 1) { return 5; }
    }
    return 0;
}
"""
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1")


def sanitizing_compiler(work: Path) -> str:
    """A compiler whose sanitizers link and run here."""
    probe = work / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    for name in ("gcc", "clang"):
        if shutil.which(name):
            done = run([name, *SANITIZERS, probe, "-o", work / "probe"])
            if done.returncode == 0 and run([work / "probe"]).returncode == 0:
                return name
    pytest.skip("no gcc or clang with AddressSanitizer and UndefinedBehaviorSanitizer")


WIDE = random_model(
    Geometry(8000, 64, 16),
    (BandSpec(2, mask_bits=2), BandSpec(33, n_entries=255, neighbours=255, mask_bits=4)),
)


SANITIZED = {
    "wide": WIDE,
    "three layers": CONDENSED_MODELS["three layers"],
    "all vote": CONDENSED_MODELS["every entry votes"],
    **MODELS,
}


@pytest.mark.parametrize(
    ("name", "port"),
    [
        pytest.param(
            name,
            port,
            marks=() if port == "generic" or name in ("general", "condensed") else pytest.mark.slow,
        )
        for name in SANITIZED
        for port in PORTS
    ],
)
def test_sanitizers_find_nothing_on_any_conformance_signal(
    name: str, port: str, tmp_path: Path
) -> None:
    model = SANITIZED[name]
    compiler = sanitizing_compiler(tmp_path)
    folder = exported(model, tmp_path / "export", PORTS[port])
    (tmp_path / "driver.c").write_text(DRIVER)
    driver = tmp_path / "driver"
    sources = (*runtime_sources(folder), tmp_path / "driver.c")
    built = run([compiler, "-std=c99", *SANITIZERS, "-I", folder, *sources, "-o", driver])
    assert built.returncode == 0, built.stderr
    tables = quantise(model)
    for signal in conformance_signals(model.geometry, 40):
        done = subprocess.run(
            [driver], input=signal.samples.tobytes(), capture_output=True, check=False, timeout=300
        )
        assert done.returncode == 0, f"{signal.name}: {done.stderr.decode(errors='replace')}"
        output = np.frombuffer(done.stdout, np.int16)
        assert np.array_equal(output, process(tables, signal.samples).output.ravel()), signal.name


FINDING = re.compile(
    r"^(?P<file>[^:]+):(?P<line>\d+):(?P<rule>[\w.-]+):(?P<text>.*)$", re.MULTILINE
)
MISRA = "misra-c2012-"
SUPPRESSED = {
    "clarifyCalculation",  # as rule 12.1
    "shiftTooManyBitsSigned",  # as rule 10.1
    "unusedStructMember",  # files are judged one by one
    "missingIncludeSystem",
}


def documented_deviations() -> set[str]:
    text = (Path(__file__).parents[2] / "docs" / "misra.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| (\d+\.\d+) \|", text, re.MULTILINE))


FEW_NUMBERS = (
    BandSpec(9, n_bits=8, n_entries=5, neighbours=1, mask_bits=3, feature_range=(0, 4)),
    BandSpec(33, n_bits=8, n_entries=9, neighbours=3, feature_range=(0, 4)),
)
JUDGED = {
    "general": random_model(Geometry(8000, 64, 16), FEW_NUMBERS),
    "mel": random_model(Geometry(8000, 64, 16, features="mel"), FEW_NUMBERS, n_mels=4),
    "condensed": random_condensed_model(
        Geometry(8000, 64, 32, "levels", "sine"),
        CondensedSpec(
            n_cells=6,
            trackers=((6, 2),),
            noise_trackers=(3,),
            groups=((32, (0, 4)),),
            entries=(3,),
            neighbours=(2,),
            width=3,
        ),
    ),
}
"""All of the C with tables of a few numbers: cppcheck takes time and memory for each of them."""


@pytest.mark.slow
@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("kind", JUDGED)
def test_every_finding_of_cppcheck_is_a_documented_deviation(
    kind: str, port: str, tmp_path: Path
) -> None:
    if shutil.which("cppcheck") is None:
        pytest.skip("cppcheck is not on PATH")
    folder = exported(JUDGED[kind], tmp_path / "export", PORTS[port])
    checks = ("--addon=misra", "--enable=style,warning,performance,portability", "--std=c99")
    template = "--template={file}:{line}:{id}:{message}"
    done = run(["cppcheck", "--quiet", *checks, template, "-I", folder, *runtime_sources(folder)])
    assert done.returncode == 0, done.stderr
    findings = [match.groupdict() for match in FINDING.finditer(done.stderr)]
    assert findings, done.stderr
    allowed = SUPPRESSED | {MISRA + rule for rule in documented_deviations()}
    surplus = [
        f"{Path(one['file']).name}:{one['line']}: {one['rule']} {one['text']}"
        for one in findings
        if one["rule"] not in allowed
    ]
    assert surplus == [], "\n".join(surplus)


def test_deviations_are_listed_once_each_with_a_reason() -> None:
    text = (Path(__file__).parents[2] / "docs" / "misra.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| \d+\.\d+ \|", line)]
    assert all(len(row.split(" | ")) == 4 and len(row) > 60 for row in rows)
    assert max(Counter(row.split(" | ")[0] for row in rows).values()) == 1
