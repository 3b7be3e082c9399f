"""Files that appear complete or not at all."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path


def destination(path: Path) -> Path:
    """Where the bytes of a file go: links followed, to a regular file or to none as yet.

    Raises:
        OSError: There is a folder, a pipe or a device at ``path``, or the path is impossible.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:  # a link that leads to nothing included
        return Path(os.path.realpath(path))
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return Path(os.path.realpath(path))


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file beside its destination and rename it; a link stays, its target is replaced.

    Raises:
        OSError: It cannot be written, or is there and no regular file; what was at ``path`` is as
            before. ``strerror`` says why.
    """
    path = destination(path)
    # The prefix is short, so that any name that a file may have can be written.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".blsh-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~current_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def current_umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
