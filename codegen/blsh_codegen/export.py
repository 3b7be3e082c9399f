"""Write the folder of C that a firmware project takes in."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from blsh_trainer import __version__
from blsh_trainer.errors import BlshError
from blsh_trainer.files import current_umask
from blsh_trainer.model_file import Model, load_model, save_model

from blsh_codegen.blob import model_blob
from blsh_codegen.layout import Layout, lay_out
from blsh_codegen.packaging import (
    copy_selftest,
    package_texts,
    selftest_texts,
    with_table_checks,
)
from blsh_codegen.render import context, data_headers, environment
from blsh_codegen.runtime_cost import RuntimeCost, runtime_cost
from blsh_codegen.schema import EXPORT_SCHEMA_VERSION
from blsh_codegen.shape import Shape, from_manifest, shape_of, to_manifest
from blsh_codegen.tables import Tables, quantise
from blsh_codegen.targets import Target, find_target
from blsh_codegen.toolchain import template_folder

MANIFEST = "blsh_export.json"
MODEL_COPY = "blsh_model.npz"
BLOB = "blsh_model.bin"


@dataclass(frozen=True)
class Export:
    """An exported folder.

    Attributes:
        directory: Where it is.
        target: Name of the target.
        model_sha256: Identity of the model.
        flash_bytes: Tables and runtime code.
        ram_bytes: State of one stream.
        latency_samples: Delay of the output.
        files: Paths in the folder, sorted.
    """

    directory: str
    target: str
    model_sha256: str
    flash_bytes: int
    ram_bytes: int
    latency_samples: int
    files: tuple[str, ...]


def default_model() -> Path:
    """The model that ships with the package."""
    return Path(__file__).with_name("models") / "default.npz"


def export_model(model: Model, target: Target, directory: Path, *, force: bool = False) -> Export:
    """Export a model for a target.

    The folder is made under another name beside its destination and renamed when it is complete.
    A folder from an earlier export is replaced; any other is left alone.

    Args:
        model: A checked model.
        target: The processor.
        directory: Destination.
        force: Replace the destination whatever is in it.

    Raises:
        BlshError: The destination is not to be replaced, or cannot be written.
    """
    directory = Path(os.path.normpath(directory.absolute()))
    try:
        _check_destination(directory, force=force)
    except OSError as error:
        raise BlshError(
            f"{directory}: cannot look there ({error.strerror}); choose another folder with -o"
        ) from error
    tables = quantise(model)
    layout = lay_out(tables)
    cost = runtime_cost(target)
    texts = _texts(model, tables, layout, target, cost)
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
        save_model(model, staging / MODEL_COPY)
        (staging / BLOB).write_bytes(model_blob(tables, layout))
        files = _entries(staging) | {MANIFEST}
        export = Export(
            directory=str(directory),
            target=target.name,
            model_sha256=tables.model_sha256,
            flash_bytes=layout.table_bytes + cost.code_bytes,
            ram_bytes=layout.state_bytes,
            latency_samples=model.geometry.frame - model.geometry.hop,
            files=tuple(sorted(files)),
        )
        manifest = _manifest(export, shape_of(tables, layout))
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


def load_export(directory: Path) -> tuple[Export, Model]:
    """Read the manifest and the model of an exported folder.

    Raises:
        BlshError: The folder is no export, or its model is missing or damaged.
    """
    manifest = _read_manifest(directory)
    try:
        export = Export(
            directory=str(directory),
            target=find_target(manifest["target"]).name,
            model_sha256=str(manifest["model_sha256"]),
            flash_bytes=int(manifest["flash_bytes"]),
            ram_bytes=int(manifest["ram_bytes"]),
            latency_samples=int(manifest["latency_samples"]),
            files=tuple(str(name) for name in manifest["files"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _no_export(directory) from error
    model = load_model(directory / MODEL_COPY)
    if model.sha256 != export.model_sha256:
        raise BlshError(
            f"{directory}: {MODEL_COPY} is not the model that was exported; export it again"
        )
    return export, model


def load_shape(directory: Path) -> Shape:
    """What the firmware that is built from an exported folder has compiled in.

    Raises:
        BlshError: The folder is no export.
    """
    try:
        return from_manifest(_read_manifest(directory)["shape"])
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise _no_export(directory) from error


def _read_manifest(directory: Path) -> Any:
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        version = int(manifest["schema_version"])
    except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise _no_export(directory) from error
    if version != EXPORT_SCHEMA_VERSION:
        raise BlshError(
            f"{directory}: exported with schema {version}, this version reads "
            f"{EXPORT_SCHEMA_VERSION}; export it again"
        )
    return manifest


def _no_export(directory: Path) -> BlshError:
    return BlshError(
        f"{directory}: not a folder made by blsh-export ({MANIFEST} is missing or damaged); "
        "make one with blsh-export"
    )


def _texts(
    model: Model, tables: Tables, layout: Layout, target: Target, cost: RuntimeCost
) -> dict[str, str]:
    names = context(tables, layout, target)
    runtime = template_folder() / "runtime"
    names |= {
        "sources": sorted(path.name for path in runtime.glob("*.c")),
        "flash_bytes": layout.table_bytes + cost.code_bytes,
        "code_bytes": cost.code_bytes,
        "model_open_bytes": cost.model_open_bytes,
        "stack_bytes": cost.stack_bytes,
        "code_bytes_basis": cost.basis,
        **_training_record(model.training),
    }
    headers = data_headers(tables, layout, target)
    return {
        **with_table_checks(headers, layout),
        **package_texts(names),
        **selftest_texts(names, tables, headers, layout),
        "REPORT.md": environment().get_template("REPORT.md.j2").render(names),
    }


def _training_record(training: Mapping[str, Any]) -> dict[str, Any]:
    """A model's training record as the report shows it: validation figures, and the rest."""
    validation = training.get("validation")
    quality: list[tuple[str, Any, Any]] = []
    conditions: dict[str, Any] = {}
    if isinstance(validation, Mapping):
        before, after = validation.get("unprocessed", {}), validation.get("denoised", {})
        quality = [(name, value, after.get(name, "")) for name, value in before.items()]
        conditions = {k: v for k, v in validation.items() if not isinstance(v, Mapping)}
    provenance = {
        name: value
        for name, value in training.items()
        if name != "validation" and isinstance(value, str | int | float)
    }
    return {"quality": quality, "quality_conditions": conditions, "provenance": provenance}


def _copy_runtime(folder: Path, target: Target) -> None:
    templates = template_folder()
    ports = {"blsh_port.h", "blsh_port_generic.h", f"blsh_port_{target.port}.h"}
    for path in sorted((templates / "runtime").iterdir()):
        if path.suffix in (".c", ".h") and (
            not path.name.startswith("blsh_port") or path.name in ports
        ):
            shutil.copyfile(path, folder / path.name)
    copy_selftest(folder, target)
    shutil.copyfile(templates / "LICENSE.MIT-0", folder / "LICENSE")


def _manifest(export: Export, shape: Shape) -> str:
    fields = asdict(export)
    del fields["directory"]
    fields |= {"schema_version": EXPORT_SCHEMA_VERSION, "blsh_version": __version__}
    fields["shape"] = to_manifest(shape)
    return json.dumps(fields, indent=2, sort_keys=True) + "\n"


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
        made = set(json.loads((directory / MANIFEST).read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
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
