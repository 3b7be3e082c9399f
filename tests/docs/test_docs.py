"""What the documentation shows is run or compiled; what cannot be run here is at least parsed."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from blsh_codegen.cli_bench import bench
from blsh_codegen.cli_denoise import denoise
from blsh_codegen.cli_export import export
from blsh_codegen.cli_verify import verify
from blsh_codegen.export import default_model, export_model
from blsh_codegen.layout import lay_out
from blsh_codegen.tables import quantise
from blsh_codegen.targets import find_target
from blsh_codegen.toolchain import WARNING_FLAGS, find_host_compiler
from blsh_evaluation.cli import evaluate
from blsh_trainer.cli import train
from blsh_trainer.condensed_options import CondensedOptions
from blsh_trainer.model_file import Geometry, Model, load_model
from blsh_trainer.presets import PRESETS

from tests.codegen.cost_calibration import untrained
from tests.docs.blocks import PAGES, ROOT, Block, blocks
from tests.docs.sizing import CHANGES, END, START, TABLES
from tests.models import PAPER, BandSpec, random_model

COMMANDS: dict[str, click.Command] = {
    "blsh-bench": bench,
    "blsh-denoise": denoise,
    "blsh-evaluate": evaluate,
    "blsh-export": export,
    "blsh-train": train,
    "blsh-verify": verify,
}
RUN = {"blsh-export", "blsh-verify", "blsh-bench", "make", "cmake", "ctest", "qemu-system-arm"}
"""Commands that are run as they stand."""
ELSEWHERE = {"west"}
"""Tools of SDKs that are not here: their commands are only read."""
LANGUAGES = {"", "c", "cmake", "console", "ini", "python", "sh"}

PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
"""Where tools are looked for, the virtual environment's first."""
SHELL = blocks("sh", "console")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "blsh"
    export_model(load_model(default_model()), find_target("cortex-m4"), out)
    return out


@pytest.fixture(scope="module")
def prefixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the two exports of the integration guide."""
    out = tmp_path_factory.mktemp("prefixed")
    for prefix in ("voice", "radio"):
        export_model(random_model(), find_target("cortex-m4"), out / prefix, prefix=prefix)
    return out


def test_every_block_is_of_a_language_that_is_checked() -> None:
    for page in PAGES:
        fences = re.findall(r"^```(\w*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(fences) % 2 == 0, page
        assert set(fences) <= LANGUAGES, page


@pytest.mark.parametrize("block", blocks("c"), ids=str)
def test_c_compiles(block: Block, folder: Path, prefixed: Path) -> None:
    """Against exports, without a warning."""
    command = [*find_host_compiler().command, "-std=c99", *WARNING_FLAGS, "-Werror"]
    command += [f"-I{folder}", f"-I{folder / 'selftest'}"]
    command += [f"-I{prefixed / 'voice'}", f"-I{prefixed / 'radio'}", "-fsyntax-only", "-xc", "-"]
    done = subprocess.run(command, input=block.text, capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def words_of(command: str) -> list[str]:
    """A command's words up to a pipe or redirection, without variables set before it."""
    words = shlex.split(command, comments=True)
    for n, word in enumerate(words):
        if word in ("|", "<", ">", "&&", "2>"):
            words = words[:n]
            break
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    return words


@pytest.mark.parametrize(
    "command", [f"{block}: {line}" for block in SHELL for line in block.commands]
)
def test_commands_have_options_that_exist(command: str) -> None:
    name, *arguments = words_of(command.split(": ", 1)[1])
    if name in COMMANDS:
        if not {"-h", "--help", "--version"} & set(arguments):
            with COMMANDS[name].make_context(name, list(arguments)):
                pass
    elif name == "make" and command.startswith("README"):
        dry = ["make", "--dry-run", "--always-make", *arguments]
        subprocess.run(dry, check=True, cwd=ROOT, capture_output=True)
    elif name == "python":
        assert (ROOT / arguments[0]).is_file()
    else:
        assert name in RUN | ELSEWHERE, f"say how {name} is to be checked"


RUNNABLE = [
    block
    for block in SHELL
    if not block.page.startswith("README") and {words_of(line)[0] for line in block.commands} & RUN
]


@pytest.mark.parametrize("block", RUNNABLE, ids=str)
def test_commands_run(block: Block, folder: Path, tmp_path: Path) -> None:
    """In an empty folder that holds an export and a model; `blsh-train` was only parsed above."""
    if not any(line.endswith("-o blsh") for line in block.commands):
        shutil.copytree(folder, tmp_path / "blsh")
    for name in ("model.npz", "my_model.npz"):
        shutil.copyfile(default_model(), tmp_path / name)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for line in block.commands:
        words = words_of(line)
        if words[0] not in RUN:
            continue
        cross = next((w for w in words if w.startswith("CROSS=")), "")
        for tool in (words[0], f"{cross.removeprefix('CROSS=')}gcc" if cross else ""):
            if tool and shutil.which(tool, path=PATH) is None:
                pytest.skip(f"{tool} is not on PATH")
        done = subprocess.run(
            words,
            capture_output=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PATH": PATH},
            text=True,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def test_the_self_test_of_the_guide_is_run_where_it_can_be() -> None:
    """The list above is not empty by an accident of its filter."""
    ran = {words_of(line)[0] for block in RUNNABLE for line in block.commands}
    assert ran >= RUN - {"blsh-verify"}


@pytest.mark.skipif(shutil.which("cmake", path=PATH) is None, reason="cmake is not on PATH")
@pytest.mark.parametrize("block", blocks("cmake"), ids=str)
def test_cmake_configures(block: Block, folder: Path, prefixed: Path, tmp_path: Path) -> None:
    """In a project with a target called firmware; ESP-IDF's function is a stand-in."""
    shutil.copytree(prefixed, tmp_path, dirs_exist_ok=True)
    shutil.copytree(folder, tmp_path / "blsh")
    shutil.make_archive(str(tmp_path / "blsh"), "gztar", tmp_path, "blsh")
    (tmp_path / "main.c").write_text('#include "blsh.h"\nint main(void) { return 0; }\n')
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.15)\nproject(firmware LANGUAGES C)\n"
        "if(POLICY CMP0135)\n  cmake_policy(SET CMP0135 NEW)\nendif()\n"
        "function(idf_component_register)\nendfunction()\n"
        f"add_executable(firmware main.c)\n{block.text}"
    )
    configure = ["cmake", "-S", tmp_path, "-B", tmp_path / "build"]
    done = subprocess.run(
        configure, capture_output=True, check=False, env={**os.environ, "PATH": PATH}, text=True
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


@pytest.mark.parametrize("block", blocks("ini"), ids=str)
def test_ini_parses(block: Block) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(block.text)
    assert parser.sections()


@pytest.fixture(scope="module")
def formulas() -> dict[str, Any]:
    """The functions of the sizing guide."""
    found: dict[str, Any] = {}
    for block in blocks("python"):
        exec(block.text, found)
    return found


CONDENSED: dict[str, Callable[[], Model]] = {
    "bundled": lambda: load_model(default_model()),
    "tiny": lambda: untrained(PRESETS["tiny"].options),
    "short frames": lambda: untrained(
        CondensedOptions(frame=512, hop=128, words=3, compared=1, entries=40, mask_bits=3, bands=5)
    ),
}


@pytest.mark.parametrize("name", CONDENSED)
def test_formulas_of_the_sizing_guide_hold(name: str, formulas: dict[str, Any]) -> None:
    model = CONDENSED[name]()
    layout = lay_out(quantise(model))
    condensed, tables = model.condensed, layout.condensed
    assert condensed is not None
    assert tables is not None
    (counters,) = {one.n_counters for one in tables.code_tables}
    first, cells = condensed.dictionaries[0], [one.n_cells for one in condensed.dictionaries]
    words, frame, hop = condensed.n_words, model.geometry.frame, model.geometry.hop
    bits, n_cells = condensed.mask_bits, condensed.n_cells
    expected = {
        "window": formulas["window_bytes"](frame),
        "twiddle": formulas["twiddle_bytes"](frame),
        "levels": formulas["levels_bytes"](
            n_cells, len(condensed.trackers), len(condensed.noise_trackers)
        ),
        "projection": sum(
            formulas["projection_bytes"](1, group.row_length) for group in tables.groups
        ),
        "codes": formulas["codes_bytes"](
            words, len(cells), first.n_words, first.n_entries, counters
        ),
        "masks": formulas["masks_bytes"](cells, first.n_entries, bits, condensed.layers)
        + tables.vote_weights.nbytes,
    }
    assert {f"blsh_{table}.h": size for table, size in expected.items()} == layout.flash_bytes
    most_counters = (32 * first.n_words).bit_length()
    scratch = max(1 + most_counters, formulas["up"](max(cells), 2 * (16 // bits)))
    state = formulas["state_bytes"](
        frame, hop, n_cells, words, first.neighbours, scratch, condensed.n_kinds - 1
    )
    assert state == layout.state_bytes


PAPERS: dict[str, Callable[[], Model]] = {
    "paper": lambda: random_model(
        PAPER, (BandSpec(513, n_bits=150, n_entries=300, neighbours=10),)
    ),
    "small": lambda: random_model(Geometry(8000, 128, 32, features="mel"), n_mels=22),
}


@pytest.mark.parametrize("name", PAPERS)
def test_formulas_for_the_papers_models_hold(name: str, formulas: dict[str, Any]) -> None:
    tables = quantise(PAPERS[name]())
    layout = lay_out(tables)
    (band,) = layout.bands
    frame, hop, n_features = tables.geometry.frame, tables.geometry.hop, tables.n_features
    sizes = layout.flash_bytes
    projection = formulas["paper_projection_bytes"](band.n_bits, n_features)
    assert projection == sizes["blsh_projection.h"]
    codes = formulas["paper_codes_bytes"](band.n_bits, band.n_entries, band.n_counters)
    assert codes == sizes["blsh_codes.h"]
    assert formulas["window_bytes"](frame) == sizes["blsh_window.h"]
    assert formulas["twiddle_bytes"](frame) == sizes["blsh_twiddle.h"]
    state = formulas["paper_state_bytes"](
        frame, hop, n_features, band.n_bits, band.neighbours, band.masks.n_bins
    )
    assert state == layout.state_bytes
    assert sum(code.nbytes for code in band.masks.codes) <= 640
    width = (1 << band.masks.mask_bits) - 1
    assert band.gain_q15.nbytes == 2 * (band.neighbours * width + 1)


def test_the_sizing_table_is_of_the_bundled_model_and_the_presets() -> None:
    """Sizes of its first row that need no measuring; the rest: python -m tests.docs.sizing."""
    page = (ROOT / "docs" / "sizing.md").read_text(encoding="utf-8")
    rows = page.split(START)[1].split(END)[0].splitlines()[2:]
    assert [line.split("|")[1].strip() for line in rows] == ["bundled", *CHANGES]
    sizes = lay_out(quantise(load_model(default_model()))).flash_bytes
    stated = [cell.strip() for cell in rows[0].split("|")[2:5]]
    assert stated == [f"{sizes[f'blsh_{table}.h']:,}" for table in TABLES]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        other = page if not path else page.parent / path
        assert other.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", other.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, target


def slug(heading: str) -> str:
    """A heading as GitHub makes an anchor of it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_guide_names_each_ecosystem_and_says_what_was_done() -> None:
    page = (ROOT / "docs" / "integration.md").read_text(encoding="utf-8")
    rows = [
        line for line in page.splitlines() if "**built and run**" in line or "validated" in line
    ]
    assert [row.split("|")[1].strip() for row in rows] == [
        *("CMake", "Make", "Zephyr", "ESP-IDF", "Arduino", "PlatformIO", "CMSIS-Pack"),
    ]


def test_the_api_reference_names_every_public_function_and_status() -> None:
    header = (
        ROOT / "firmware_templates" / "blsh_firmware_templates" / "runtime" / "blsh.h"
    ).read_text(encoding="utf-8")
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    prototypes = re.findall(
        r"^(?:blsh_status_t|uint32_t|const char \*)\s*\w+\([^)]*\);", header, re.M
    )
    assert len(prototypes) >= 4
    for prototype in prototypes:
        assert f"### `{prototype.rstrip(';')}`" in page, prototype
    for name, value in re.findall(r"X\((BLSH_\w+), (-?\d+),", header):
        assert f"| `{name}` | {value} |" in page, name
