"""The manifest of an exported folder: what it is an export of, for whom, and what it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from blsh_trainer import __version__
from blsh_trainer.errors import BlshError
from blsh_trainer.json_values import integer, parse_object
from blsh_trainer.model_file import Model, load_model

from blsh_codegen.prefix import DEFAULT_PREFIX, Prefix
from blsh_codegen.schema import EXPORT_SCHEMA_VERSION
from blsh_codegen.shape import Shape, from_manifest, to_manifest
from blsh_codegen.targets import find_target

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
        prefix: What the names in its C begin with.
    """

    directory: str
    target: str
    model_sha256: str
    flash_bytes: int
    ram_bytes: int
    latency_samples: int
    files: tuple[str, ...]
    prefix: str = DEFAULT_PREFIX


def manifest_text(export: Export, shape: Shape) -> str:
    """The manifest of a folder.

    Args:
        export: What it holds.
        shape: What firmware that is built from it has compiled in.
    """
    fields = asdict(export)
    del fields["directory"]
    if export.prefix == DEFAULT_PREFIX:
        del fields["prefix"]
    fields |= {
        "schema_version": EXPORT_SCHEMA_VERSION,
        "blsh_version": __version__,
        "license": "MIT-0",
        "shape": to_manifest(shape),
    }
    return json.dumps(fields, indent=2, sort_keys=True) + "\n"


def load_export(directory: Path) -> tuple[Export, Model]:
    """Read the manifest and the model of an exported folder.

    Raises:
        BlshError: The folder is no export, or its model is missing or damaged.
    """
    manifest = _read_manifest(directory)
    prefix = _prefix(manifest, directory)
    try:
        export = Export(
            directory=str(directory),
            target=find_target(manifest["target"]).name,
            model_sha256=str(manifest["model_sha256"]),
            flash_bytes=integer(manifest["flash_bytes"]),
            ram_bytes=integer(manifest["ram_bytes"]),
            latency_samples=integer(manifest["latency_samples"]),
            files=tuple(str(name) for name in manifest["files"]),
            prefix=prefix.name,
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _no_export(directory) from error
    except BlshError as error:
        raise BlshError(f"{directory}: {error.message}; export it again") from error
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


def exported_prefix(directory: Path) -> Prefix:
    """What the names in an exported folder begin with.

    Raises:
        BlshError: The folder is no export.
    """
    return _prefix(_read_manifest(directory), directory)


def exported_files(directory: Path) -> set[str]:
    """The files that an export has put into a folder.

    Raises:
        BlshError: The folder is no export, of whatever version.
    """
    try:
        return {str(name) for name in _parsed(directory)["files"]}
    except (KeyError, TypeError) as error:
        raise _no_export(directory) from error


def _read_manifest(directory: Path) -> dict[str, Any]:
    manifest = _parsed(directory)
    try:
        version = integer(manifest["schema_version"])
    except (ValueError, KeyError) as error:
        raise _no_export(directory) from error
    if version != EXPORT_SCHEMA_VERSION:
        raise BlshError(
            f"{directory}: exported with schema {version}, this version reads "
            f"{EXPORT_SCHEMA_VERSION}; export it again"
        )
    return manifest


def _parsed(directory: Path) -> dict[str, Any]:
    try:
        return parse_object((directory / MANIFEST).read_bytes())
    except (OSError, ValueError) as error:
        raise _no_export(directory) from error


def _prefix(manifest: Mapping[str, Any], directory: Path) -> Prefix:
    try:
        return Prefix(str(manifest.get("prefix", DEFAULT_PREFIX)))
    except BlshError as error:
        raise _no_export(directory) from error


def _no_export(directory: Path) -> BlshError:
    return BlshError(
        f"{directory}: not a folder made by blsh-export ({MANIFEST} is missing or damaged); "
        "make one with blsh-export"
    )
