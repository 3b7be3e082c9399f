"""Results of steps on disk, found again by what they were made from.

A step's folder is named by a hash over its inputs and over the source of every module that it can
reach, so that nothing stale is ever taken for a result. It appears complete or not at all: a run
that is cut off loses the step in progress and nothing else.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from blsh_trainer.errors import BlshError

_KEY_DIGITS = 16


@dataclass(frozen=True)
class Cache:
    """A folder of results.

    Attributes:
        directory: Where they are; made where missing.
    """

    directory: Path

    def step(
        self,
        kind: str,
        module: str,
        inputs: Mapping[str, Any],
        build: Callable[[Path], None],
    ) -> Path:
        """The folder of a step's result, made by ``build`` where it is not there yet.

        Args:
            kind: What it is, the first part of the folder's name.
            module: Name of the module that makes it; its source and that of all modules of this
                project that it imports belong to the key.
            inputs: All else that decides what the result is, as JSON has it.
            build: Writes the result into the folder that it is given.

        Raises:
            BlshError: The folder cannot be written.
        """
        folder = self.directory / self.name_of(kind, module, inputs)
        if folder.is_dir():
            return folder
        work: Path | None = None
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix=f".{os.getpid()}-", dir=self.directory))
            build(work)
            work.chmod(0o755)
            _take_place(work, folder)
        except OSError as error:
            raise BlshError(
                f"{error.filename or self.directory}: {error.strerror}; check the path given with "
                "--cache and the room there"
            ) from error
        finally:
            if work is not None:
                shutil.rmtree(work, ignore_errors=True)
        return folder

    def sweep(self) -> None:
        """Remove what processes that are no more have begun and not ended."""
        for path in self.directory.glob(".[0-9]*-*"):
            if not _is_alive(int(path.name[1:].partition("-")[0])):
                shutil.rmtree(path, ignore_errors=True)

    def name_of(self, kind: str, module: str, inputs: Mapping[str, Any]) -> str:
        """Name of a step's folder."""
        text = json.dumps([source_stamp(module), inputs], sort_keys=True)
        return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _take_place(work: Path, folder: Path) -> None:
    try:
        work.rename(folder)
    except OSError:
        if not folder.is_dir():  # or else another process was faster, with the same result
            raise


@lru_cache
def source_stamp(module: str) -> str:
    """SHA-256 over the source of a module and of all modules of this project that it imports."""
    digest = hashlib.sha256()
    for name in sorted(_reachable(module)):
        digest.update(name.encode() + _source_path(name).read_bytes())
    return digest.hexdigest()


def _reachable(module: str) -> set[str]:
    found: set[str] = set()
    left = [module]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left.extend(_imports(name))
    return found


@lru_cache
def _imports(module: str) -> tuple[str, ...]:
    tree = ast.parse(_source_path(module).read_bytes())
    names = {
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module is not None
    }
    return tuple(sorted(name for name in names if name.startswith("blsh_")))


def _source_path(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    return Path(spec.origin)
