"""Write the folder of C that a firmware project takes in."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from blsh_trainer.errors import BlshError
from blsh_trainer.files import current_umask
from blsh_trainer.model_file import Model, save_model

from blsh_codegen.blob import model_blob
from blsh_codegen.layout import Layout, lay_out
from blsh_codegen.manifest import (
    BLOB,
    MANIFEST,
    MODEL_COPY,
    Export,
    exported_files,
    manifest_text,
)
from blsh_codegen.packaging import (
    PACKAGE_FILES,
    copy_selftest,
    package_texts,
    selftest_texts,
    with_table_checks,
)
from blsh_codegen.prefix import DEFAULT_PREFIX, Prefix, rename_folder
from blsh_codegen.render import context, data_headers
from blsh_codegen.report import NO_EVIDENCE, Evidence, Report, make_report, report_texts
from blsh_codegen.runtime_cost import runtime_cost
from blsh_codegen.shape import shape_of
from blsh_codegen.tables import Tables, quantise
from blsh_codegen.targets import Target
from blsh_codegen.toolchain import template_folder


def default_model() -> Path:
    """The model that ships with the package."""
    return Path(__file__).with_name("models") / "default.npz"


def export_model(
    model: Model,
    target: Target,
    directory: Path,
    *,
    force: bool = False,
    prefix: str = DEFAULT_PREFIX,
    evidence: Evidence = NO_EVIDENCE,
) -> Export:
    """Export a model for a target.

    The folder is made under another name beside its destination and renamed when it is complete.
    A folder from an earlier export is replaced; any other is left alone.

    Args:
        model: A checked model.
        target: The processor.
        directory: Destination.
        force: Replace the destination whatever is in it.
        prefix: What the names of the C, its files and packages begin with.
        evidence: Measurements for the report.

    Raises:
        BlshError: The destination is not to be replaced, or cannot be written; or the prefix
            cannot be had.
    """
    names = Prefix(prefix)
    directory = Path(os.path.normpath(directory.absolute()))
    try:
        _check_destination(directory, force=force)
    except OSError as error:
        raise BlshError(
            f"{directory}: cannot look there ({error.strerror}); choose another folder with -o"
        ) from error
    tables = quantise(model)
    layout = lay_out(tables)
    report = make_report(model, tables, layout, target, runtime_cost(target), evidence)
    texts = _texts(tables, layout, target, report)
    staging: Path | None = None
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".blsh-new.", dir=directory.parent))
        staging.chmod(0o777 & ~current_umask())
        _copy_runtime(staging, target)
        for name, text in texts.items():
            path = staging / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        rename_folder(staging, names, PACKAGE_FILES)
        save_model(model, staging / MODEL_COPY)
        (staging / BLOB).write_bytes(model_blob(tables, layout))
        files = _entries(staging) | {MANIFEST}
        export = Export(
            directory=str(directory),
            target=target.name,
            model_sha256=tables.model_sha256,
            flash_bytes=report.flash_bytes,
            ram_bytes=layout.state_bytes,
            latency_samples=model.geometry.frame - model.geometry.hop,
            files=tuple(sorted(files)),
            prefix=names.name,
        )
        manifest = manifest_text(export, shape_of(tables, layout))
        (staging / MANIFEST).write_text(manifest, encoding="utf-8", newline="\n")
        _replace(staging, directory)
        staging = None
    except OSError as error:
        raise BlshError(
            f"{directory}: cannot write the export ({error.strerror or error}); "
            "nothing was changed: make room there or choose another folder with -o"
        ) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    return export


def _texts(tables: Tables, layout: Layout, target: Target, report: Report) -> dict[str, str]:
    names = context(tables, layout, target)
    runtime = template_folder() / "runtime"
    names |= {
        "sources": sorted(path.name for path in runtime.glob("*.c")),
        "flash_bytes": report.flash_bytes,
    }
    headers = data_headers(tables, layout, target)
    return {
        **with_table_checks(headers, layout),
        **package_texts(names),
        **selftest_texts(names, tables, headers, layout),
        **report_texts(report),
    }


def _copy_runtime(folder: Path, target: Target) -> None:
    templates = template_folder()
    ports = {"blsh_port.h", *target.port_headers}
    for path in sorted((templates / "runtime").iterdir()):
        if path.suffix in (".c", ".h") and (
            not path.name.startswith("blsh_port") or path.name in ports
        ):
            shutil.copyfile(path, folder / path.name)
    copy_selftest(folder, target)
    shutil.copyfile(templates / "LICENSE.MIT-0", folder / "LICENSE")


def _entries(folder: Path) -> set[str]:
    """Everything below a folder but the folders that hold something: files, links, empty folders.

    Raises:
        OSError: A folder in it cannot be read.
    """
    if folder.is_symlink() or not folder.is_dir():
        return {""}
    below = {
        f"{child.name}/{entry}".rstrip("/")
        for child in folder.iterdir()
        for entry in _entries(child)
    }
    return below or {""}


def _check_destination(directory: Path, *, force: bool) -> None:
    if not directory.exists() and not directory.is_symlink():
        return
    if not directory.is_dir() or directory.is_symlink():
        raise BlshError(f"{directory}: exists and is not a folder; choose another with -o")
    here = Path.cwd()
    if directory.resolve() in (here, *here.parents, Path.home()):
        raise BlshError(f"{directory}: will not replace this folder; name a new one with -o")
    try:
        present = _entries(directory) - {""}
    except OSError as error:
        raise BlshError(
            f"{error.filename}: cannot be read ({error.strerror}), so {directory} is not replaced; "
            "choose another folder with -o"
        ) from error
    if not present or force:
        return
    try:
        made = exported_files(directory)
    except BlshError:
        raise BlshError(
            f"{directory}: exists and was not made by blsh-export; choose another folder with -o, "
            "or replace it with --force"
        ) from None
    foreign = sorted(present - made)
    if foreign:
        raise BlshError(
            f"{directory}: holds files that blsh-export did not make, such as {foreign[0]}; "
            "move them, choose another folder with -o, or replace all with --force"
        )


def _replace(staging: Path, directory: Path) -> None:
    """Put the finished folder in place; whatever interrupts that, the old one comes back."""
    if not directory.exists():
        staging.rename(directory)
        return
    aside = Path(tempfile.mkdtemp(prefix=".blsh-old.", dir=directory.parent))
    old = aside / directory.name
    try:
        directory.rename(old)
        staging.rename(directory)
    except BaseException:
        if old.exists() and not directory.exists():
            old.rename(directory)
        aside.rmdir()
        raise
    shutil.rmtree(aside)
