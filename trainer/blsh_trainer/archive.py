"""Arrays to an ``.npz`` archive, and from one that nobody vouches for.

``numpy.load`` allocates what a member's header claims, and inflates what its zip entry holds. Here
a header has to agree with the bytes that follow it before any array is made, and an archive that
unpacks to many times its own size is refused.
"""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

MAX_EXPANSION = 50
"""Times its own size that an archive may unpack to; models deflate to a tenth at most."""

FREE_BYTES = 16 << 20
"""What any archive may unpack to."""

# Attributes of the files in an archive, which Python would take from the system.
_UNIX, _OWNER_READS_AND_WRITES = 3, 0o600 << 16
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HEADER_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def written_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """What ``numpy.savez`` writes, but the same bytes in every version of NumPy and Python.

    Not compressed, since what zlib writes differs from version to version as well.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")  # dated 1980
            member.create_system, member.external_attr = _UNIX, _OWNER_READS_AND_WRITES
            content = io.BytesIO()
            npy.write_array(content, array, version=(1, 0), allow_pickle=False)
            archive.writestr(member, content.getvalue())
    return buffer.getvalue()


def read_arrays(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an archive by name; no pickles.

    Raises:
        ValueError: It is no archive of plain arrays, is damaged, or unpacks to far more than it is.
    """
    try:
        with warnings.catch_warnings(), zipfile.ZipFile(io.BytesIO(data)) as archive:
            warnings.simplefilter("error")  # of headers that only just can be read
            entries = archive.infolist()
            names = {entry.filename.removesuffix(".npy") for entry in entries}
            if len(names) != len(entries) or any(e.compress_type not in _METHODS for e in entries):
                raise ValueError("entries that numpy.savez does not write")
            if sum(e.file_size for e in entries) > max(FREE_BYTES, MAX_EXPANSION * len(data)):
                raise ValueError("unpacks to far more than it is")
            return {
                entry.filename.removesuffix(".npy"): _array(_unpacked(archive, entry))
                for entry in entries
            }
    except Exception as error:  # damage shows in zipfile, zlib, ast, struct or numpy
        raise ValueError(f"not an archive of arrays ({error})") from error


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as file:
        # Asked for a number of bytes, zipfile inflates no more, whatever the entry holds.
        data = file.read(entry.file_size)
    if len(data) != entry.file_size:
        raise ValueError(f"{entry.filename} is cut short")
    return data


def _array(member: bytes) -> npt.NDArray[Any]:
    stream = io.BytesIO(member)
    read_header = _HEADER_READERS[npy.read_magic(stream)]
    shape, is_fortran, dtype = read_header(stream)
    start = stream.tell()
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(member) - start:
        raise ValueError("a header that its data does not fit")
    order: Any = "F" if is_fortran else "C"
    return np.ndarray(shape, dtype, member, start, order=order).copy()
