"""What makes an exported folder a library of each build system, and a self-test for the board."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blsh_trainer import __version__

from blsh_codegen.golden import golden_vectors
from blsh_codegen.layout import Layout
from blsh_codegen.render import environment
from blsh_codegen.table_check import list_name, list_size, with_checks
from blsh_codegen.tables import Tables
from blsh_codegen.targets import Target
from blsh_codegen.toolchain import template_folder

SELFTEST = "selftest"
PROJECT_URL = "https://arxiv.org/abs/2002.06239"
"""What library managers link to: the method's paper."""

PACKAGE_FILES = {
    "CMakeLists.txt": "CMakeLists.txt.j2",
    "Makefile": "Makefile.j2",
    "idf_component.yml": "idf_component.yml.j2",
    "library.json": "library.json.j2",
    "library.properties": "library.properties.j2",
    "examples/Denoise/Denoise.ino": "Denoise.ino.j2",
    "BLSH.Denoiser.pdsc": "pack.pdsc.j2",
    "zephyr/module.yml": "zephyr_module.yml.j2",
    "zephyr/CMakeLists.txt": "zephyr_CMakeLists.txt.j2",
    "zephyr/Kconfig": "zephyr_Kconfig.j2",
}
"""Files in the exported folder that are for build systems, and their templates."""

_SELFTEST_FILES = {
    f"{SELFTEST}/blsh_golden.h": "blsh_golden.h.j2",
    f"{SELFTEST}/blsh_golden_tables.h": "blsh_golden_tables.h.j2",
}
_DEFAULT_BOARD = "mps2-an386"


def package_texts(names: Mapping[str, Any]) -> dict[str, str]:
    """The files of all build systems by path.

    Args:
        names: What the templates may use: those of :func:`blsh_codegen.render.context`, the
            runtime's ``sources`` and the figures of the report.
    """
    target: Target = names["target"]
    packaging = {
        **names,
        "release": __version__,
        "version": package_version(names["model_sha256"]),
        "url": PROJECT_URL,
        "board": board_script(target) is not None,
        "cross": target.gcc_prefixes[0] if target.gcc_prefixes else "",
    }
    return _rendered(PACKAGE_FILES, packaging)


def selftest_texts(
    names: Mapping[str, Any], tables: Tables, headers: Mapping[str, str], layout: Layout
) -> dict[str, str]:
    """The self-test's generated files by path.

    Args:
        names: As for :func:`package_texts`.
        tables: The quantised model.
        headers: The data headers by file name, as :func:`blsh_codegen.render.data_headers` gives
            them.
        layout: Their layout.
    """
    sizes = {list_name(name): list_size(text, _aliases(layout)) for name, text in headers.items()}
    lists = {name: size for name, size in sizes.items() if size > 1}
    selftest = {**names, "golden": golden_vectors(tables), "check_lists": lists}
    return _rendered(_SELFTEST_FILES, selftest)


def with_table_checks(headers: Mapping[str, str], layout: Layout) -> dict[str, str]:
    """The data headers, each with what the self-test needs to know its tables again."""
    return {name: with_checks(name, text, _aliases(layout)) for name, text in headers.items()}


def _aliases(layout: Layout) -> dict[str, str]:
    return {"blsh_mask_length_t": layout.mask_length_type}


def package_version(model_sha256: str) -> str:
    """Semantic version of an export: the tool's, with the model as build metadata."""
    return f"{__version__}+{model_sha256[:8]}"


def board_script(target: Target) -> Path | None:
    """Linker script of the self-test's image, or ``None`` where no image can be linked."""
    if target.is_wasm or not target.gcc_prefixes:
        return None
    machine = "virt" if target.name.startswith("riscv") else _DEFAULT_BOARD
    machine = target.qemu_machine or machine
    return template_folder() / "link" / f"blsh_{machine.replace('-', '_')}.ld"


def copy_selftest(folder: Path, target: Target) -> None:
    """Copy the hand-written part of the self-test into an exported folder."""
    templates = template_folder()
    destination = folder / SELFTEST
    _copy_files(templates / SELFTEST, destination)
    script = board_script(target)
    if script is not None:
        shutil.copyfile(script, destination / "blsh_board.ld")
        _copy_files(templates / "freestanding", destination / "freestanding")


def _copy_files(source: Path, destination: Path) -> None:
    destination.mkdir()
    for path in sorted(source.iterdir()):
        if path.suffix in (".c", ".h"):
            shutil.copyfile(path, destination / path.name)


def _rendered(files: Mapping[str, str], names: Mapping[str, Any]) -> dict[str, str]:
    env = environment()
    return {path: env.get_template(template).render(names) for path, template in files.items()}
