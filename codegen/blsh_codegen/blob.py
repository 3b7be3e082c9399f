"""The trained tables as one file: ``blsh_model.bin``, which ``blsh_model_open()`` reads.

All numbers are little-endian:

    offset  bytes
         0      4  "BLSM"
         4      4  version of the layout of exports
         8      4  length of all, the checksum included
        12      4  checksum of the geometry that the firmware must share
        16     32  SHA-256 of the model
        48    2+2  gain floor and release with which streams start, in Q15
        52      4  number of tables n
        56    8 n  offset and length of each table
               ..  the tables, each from a multiple of 4 on, zeros between them
       end      4  CRC-32 of all before it
"""

from __future__ import annotations

import struct
import zlib

from blsh_codegen.layout import Layout
from blsh_codegen.reference import default_settings
from blsh_codegen.schema import EXPORT_SCHEMA_VERSION
from blsh_codegen.shape import shape_of
from blsh_codegen.table_data import table_bytes
from blsh_codegen.tables import Tables

MAGIC = b"BLSM"
HEADER = "<4s3I32s2hI"
SECTION = "<2I"
ALIGNMENT = 4


def model_blob(tables: Tables, layout: Layout) -> bytes:
    """The blob of a model for firmware of its own shape."""
    sections = [table_bytes(table) for table in layout.trained.values()]
    start = struct.calcsize(HEADER) + len(sections) * struct.calcsize(SECTION)
    places, body = b"", b""
    for section in sections:
        places += struct.pack(SECTION, start + len(body), len(section))
        body += section + bytes(-len(section) % ALIGNMENT)
    settings = default_settings(tables)
    header = struct.pack(
        HEADER,
        MAGIC,
        EXPORT_SCHEMA_VERSION,
        start + len(body) + 4,
        shape_of(tables, layout).crc32,
        bytes.fromhex(tables.model_sha256),
        settings.floor_q15,
        settings.release_q15,
        len(sections),
    )
    return sealed(header + places + body)


def sealed(content: bytes) -> bytes:
    """Content with its checksum behind it."""
    return content + struct.pack("<I", zlib.crc32(content))
