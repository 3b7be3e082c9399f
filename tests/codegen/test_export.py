"""An export is complete, reproducible, and never spoils what was there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from blsh_codegen.cli_export import export as export_command
from blsh_codegen.export import default_model, export_model
from blsh_codegen.layout import lay_out
from blsh_codegen.manifest import MANIFEST, load_export
from blsh_codegen.tables import quantise
from blsh_codegen.targets import TARGETS, find_target
from blsh_trainer.errors import BlshError
from blsh_trainer.model_file import save_model
from click.testing import CliRunner, Result

from tests.codegen.folders import exported
from tests.models import general_model


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "model.npz"
    save_model(general_model(), path)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(export_command, [str(a) for a in arguments])


@pytest.mark.parametrize("target", TARGETS)
def test_folder_holds_what_the_manifest_lists_and_only_the_ports_it_needs(
    target: str, tmp_path: Path
) -> None:
    folder = exported(general_model(), tmp_path / "out", target)
    files = set(contents(folder))
    assert files == set(json.loads((folder / MANIFEST).read_text())["files"])
    expected = {"blsh_config.h", "blsh_projection.h", "blsh_codes.h", "blsh_masks.h", "blsh.h"}
    expected |= {
        "blsh.c",
        "CMakeLists.txt",
        "REPORT.md",
        "report.html",
        "LICENSE",
        "selftest/blsh_golden.h",
    }
    assert expected <= files
    ports = {name for name in files if name.startswith("blsh_port_")}
    needed = {"blsh_port_generic.h", f"blsh_port_{find_target(target).port}.h"}
    needed |= {"blsh_port_cortex_m4.h"} if target == "cortex-m55" else set()
    assert ports == needed


@pytest.mark.parametrize("kind", ["bands", "bundled"])
def test_same_model_gives_the_same_bytes_anywhere(
    kind: str, model_file: Path, tmp_path: Path
) -> None:
    """Other folder, locale, time zone, hash seed, and arithmetic of another processor."""
    script = (
        "import sys; from pathlib import Path; from blsh_trainer.model_file import load_model;"
        "from blsh_codegen.export import export_model;"
        "from blsh_codegen.targets import find_target;"
        "export_model(load_model(sys.argv[1]), find_target('cortex-m4'), Path(sys.argv[2]))"
    )
    for name, environment in (
        ("one", {"LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "1"}),
        (
            "deeper/two",
            {
                "LC_ALL": "de_DE.UTF-8",
                "TZ": "Asia/Tokyo",
                "PYTHONHASHSEED": "2",
                # Kernels of the linear algebra, and of NumPy, for processors long gone.
                "OPENBLAS_CORETYPE": "Prescott",
                "OPENBLAS_NUM_THREADS": "1",
                "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512_SKX X86_V3 X86_V4",
            },
        ),
    ):
        model = model_file if kind == "bands" else default_model()
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script, model, tmp_path / name],
            check=True,
            env={**os.environ, **environment},
        )
    one, two = contents(tmp_path / "one"), contents(tmp_path / "deeper" / "two")
    assert one == two
    assert {"REPORT.md", "report.html"} <= one.keys()
    everything = b"".join(one.values())
    for path in (str(tmp_path), str(model_file.parent), str(Path.home()), str(Path.cwd())):
        if len(path) > 1:
            assert path.encode() not in everything


def test_json_is_one_object_with_the_promised_keys(model_file: Path, tmp_path: Path) -> None:
    result = run("--target", "cortex-m4", "--model", model_file, "-o", tmp_path / "out", "--json")
    fields = json.loads(result.stdout)
    model = general_model()
    layout = lay_out(quantise(model))
    assert fields["directory"] == str(tmp_path / "out")
    assert fields["target"] == "cortex-m4"
    assert fields["model_sha256"] == model.sha256
    assert fields["ram_bytes"] == layout.state_bytes
    assert layout.table_bytes < fields["flash_bytes"] < layout.table_bytes + 16_000
    assert fields["latency_samples"] == 96
    assert set(fields["files"]) == set(contents(tmp_path / "out"))


def test_exporting_again_replaces_the_folder(model_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("--target", "cortex-m4", "--model", model_file, "-o", out).exit_code == 0
    assert run("--target", "generic", "--model", model_file, "-o", out).exit_code == 0
    assert load_export(out)[0].target == "generic"
    assert not (out / "blsh_port_cortex_m4.h").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.npz", "out"]


def test_a_folder_of_the_users_is_left_alone_unless_told(model_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "firmware"
    out.mkdir()
    (out / "main.c").write_text("int main(void);")
    arguments = ("--target", "generic", "--model", model_file, "-o", out)
    refused = run(*arguments)
    assert refused.exit_code == 2
    assert "was not made by blsh-export" in refused.stderr
    assert "--force" in refused.stderr
    assert contents(out) == {"main.c": b"int main(void);"}
    assert run(*arguments, "--force").exit_code == 0
    assert "main.c" not in contents(out)


def test_a_file_added_to_an_export_is_not_lost(model_file: Path, tmp_path: Path) -> None:
    out = exported(general_model(), tmp_path / "out")
    (out / "my_notes.txt").write_text("precious")
    refused = run("--target", "generic", "--model", model_file, "-o", out)
    assert refused.exit_code == 2
    assert "my_notes.txt" in refused.stderr
    assert (out / "my_notes.txt").read_text() == "precious"


@pytest.mark.parametrize("kind", ["folder", "link", "dangling link"])
def test_folders_and_links_of_the_users_count_as_theirs(
    kind: str, model_file: Path, tmp_path: Path
) -> None:
    for out in (tmp_path / "fresh", exported(general_model(), tmp_path / "export")):
        mine = out / "mine"
        if kind == "folder":
            mine.mkdir(parents=True)
        else:
            out.mkdir(exist_ok=True)
            mine.symlink_to(tmp_path if kind == "link" else tmp_path / "nowhere")
        refused = run("--target", "generic", "--model", model_file, "-o", out)
        assert refused.exit_code == 2
        assert mine.is_dir() if kind == "folder" else mine.is_symlink()


def test_an_interrupt_between_the_two_renames_brings_the_old_export_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = exported(general_model(), tmp_path / "out")
    before = contents(tmp_path)
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if self.name.startswith(".blsh-new."):
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_model(general_model(seed=1), find_target("generic"), out)
    assert contents(tmp_path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_the_current_folder_is_never_replaced(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    for folder in (Path(), tmp_path):
        refused = run("--target", "generic", "--model", model_file, "-o", folder, "--force")
        assert refused.exit_code == 2
        assert "will not replace this folder" in refused.stderr


def test_destination_that_is_a_file(model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    refused = run("--target", "generic", "--model", model_file, "-o", tmp_path / "out")
    assert refused.exit_code == 2
    assert "is not a folder" in refused.stderr
    assert (tmp_path / "out").read_text() == "mine"


def test_unknown_target_lists_the_known_and_suggests_the_nearest(model_file: Path) -> None:
    result = run("--target", "cortex-m44", "--model", model_file)
    assert result.exit_code == 2
    assert "did you mean 'cortex-m4'" in result.stderr
    assert all(name in result.stderr for name in TARGETS)


@pytest.mark.parametrize("limit", [200, 20_000])
def test_full_disk_leaves_nothing_behind(limit: int, model_file: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands in for a disk that fills up half way."""
    out = exported(general_model(seed=1), tmp_path / "out")
    before = contents(tmp_path)
    script = (
        "import resource, sys;"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}));"
        "from blsh_codegen.cli_export import export; export()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "--target", "generic", "--model", model_file, "-o", out],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 2
    assert str(out) in done.stderr
    assert "nothing was changed" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert contents(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_parent(model_file: Path, tmp_path: Path) -> None:
    parent = tmp_path / "locked"
    parent.mkdir(mode=0o500)
    refused = run("--target", "generic", "--model", model_file, "-o", parent / "out")
    assert refused.exit_code == 2
    assert "cannot write the export" in refused.stderr


def test_parent_that_is_a_file(model_file: Path, tmp_path: Path) -> None:
    refused = run("--target", "generic", "--model", model_file, "-o", model_file / "out")
    assert refused.exit_code == 2
    assert "cannot write the export" in refused.stderr


def test_a_folder_that_is_no_export_is_named(tmp_path: Path) -> None:
    with pytest.raises(BlshError, match="not a folder made by blsh-export"):
        load_export(tmp_path)


@pytest.mark.parametrize(
    "text", ['"x"', "5", "null", "[]", "{", '{"schema_version": 4, "target": 5}']
)
def test_a_damaged_manifest_is_named(text: str, tmp_path: Path) -> None:
    out = exported(general_model(), tmp_path / "out")
    (out / MANIFEST).write_text(text)
    with pytest.raises(BlshError, match="not a folder made by blsh-export"):
        load_export(out)


def test_a_newer_export_says_so(tmp_path: Path) -> None:
    out = exported(general_model(), tmp_path / "out")
    newer = json.loads((out / MANIFEST).read_text()) | {"schema_version": 99, "more": 1}
    (out / MANIFEST).write_text(json.dumps(newer))
    with pytest.raises(BlshError, match="exported with schema 99, this version reads 4"):
        load_export(out)


def test_an_export_with_another_model_inside_is_refused(tmp_path: Path) -> None:
    out = exported(general_model(), tmp_path / "out")
    save_model(general_model(seed=1), out / "blsh_model.npz")
    with pytest.raises(BlshError, match="not the model that was exported"):
        load_export(out)


def test_an_interrupted_export_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("blsh_codegen.export.save_model", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_model(general_model(), find_target("generic"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
