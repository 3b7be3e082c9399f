"""Shared libraries: loaded through cffi, compiled once and kept for later processes."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import cffi
from blsh_trainer.errors import BlshError

Library = TypeVar("Library")


def open_library(api: str, library: Path) -> tuple[cffi.FFI, Any]:
    """Load a compiled library through cffi.

    Args:
        api: C declarations of what is used of it.
        library: Its path.
    """
    ffi = cffi.FFI()
    ffi.cdef(api)
    try:
        return ffi, ffi.dlopen(str(library), getattr(ffi, "RTLD_LOCAL", 0))
    except OSError as error:
        raise BlshError(f"{library}: the compiled runtime cannot be loaded ({error})") from error


def cached_library(
    key: str, load: Callable[[Path], Library], build: Callable[[Path], object]
) -> Library:
    """Load a library from the cache, or build it there first.

    The cache is ``$XDG_CACHE_HOME/blsh``, by default ``~/.cache/blsh``; where it cannot be
    written the library lives in a temporary folder for as long as the process.

    Args:
        key: Names everything that the library depends on, as part of a file name.
        load: Opens the library at a path. One in the cache that it cannot open is built again.
        build: Writes the library to a path, in one step: other processes may do the same.

    Raises:
        BlshError: What ``build`` raises, or ``load`` of what was built.
    """
    path = _cache_folder() / f"{key}.so"
    if path.exists() and path.stat().st_size:
        with suppress(BlshError):
            return load(path)
    build(path)
    return load(path)


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    folder = Path(base) / "blsh"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    spare = Path(tempfile.mkdtemp(prefix="blsh-cache-"))
    atexit.register(shutil.rmtree, spare, ignore_errors=True)
    return spare
