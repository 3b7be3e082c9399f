"""Pictures as PNG files whose bytes depend on the pixels alone.

The pixels are stored, not deflated: what a compressor writes differs from version to version.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

Colour = tuple[int, int, int]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTH, _PALETTE = 4, 3
_LARGEST_BLOCK = 0xFFFF


def png_of(levels: npt.NDArray[np.integer], palette: tuple[Colour, ...]) -> bytes:
    """A picture of up to 16 colours.

    Args:
        levels: ``(height, width)`` indices into the palette, the top row first.
        palette: Red, green and blue of 0 to 255.
    """
    height, width = levels.shape
    if len(palette) > 1 << _DEPTH or levels.min() < 0 or levels.max() >= len(palette):
        raise ValueError("a level has no colour")
    even = np.pad(levels.astype(np.uint8), ((0, 0), (0, width % 2)))
    rows = (even[:, 0::2] << 4) | even[:, 1::2]
    # Each row is preceded by its filter, which is none.
    pixels = np.pad(rows, ((0, 0), (1, 0))).tobytes()
    header = struct.pack(">2I5B", width, height, _DEPTH, _PALETTE, 0, 0, 0)
    return (
        _SIGNATURE
        + _chunk(b"IHDR", header)
        + _chunk(b"PLTE", bytes(channel for colour in palette for channel in colour))
        + _chunk(b"IDAT", _stored(pixels))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def _stored(data: bytes) -> bytes:
    """A zlib stream of stored blocks (RFC 1950 and 1951)."""
    blocks = []
    for start in range(0, len(data), _LARGEST_BLOCK):
        part = data[start : start + _LARGEST_BLOCK]
        is_last = start + _LARGEST_BLOCK >= len(data)
        blocks.append(struct.pack("<BHH", is_last, len(part), len(part) ^ 0xFFFF) + part)
    return b"\x78\x01" + b"".join(blocks) + struct.pack(">I", zlib.adler32(data))
