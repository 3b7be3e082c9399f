"""What a firmware image has compiled in, and whether another model fits it.

A model that is opened at run time shares with the image what is compiled in: the geometry, the
tables that follow from it, and the memory of a state. The first two are bound to it by a checksum,
``BLSH_GEOMETRY_CRC32``; the memory is compared item by item.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from blsh_trainer.errors import BlshError

from blsh_codegen.layout import Layout
from blsh_codegen.masks import MASKS_PER_OFFSET
from blsh_codegen.tables import Tables


@dataclass(frozen=True)
class Shape:
    """What is compiled in.

    Attributes:
        numbers: By name, what must be equal.
        tables: CRC-32 of the tables that must be equal, by name.
        room: By name, what a model may need at most.
    """

    numbers: Mapping[str, int | str]
    tables: Mapping[str, int]
    room: Mapping[str, int]

    @property
    def crc32(self) -> int:
        """Checksum of what must be equal."""
        text = json.dumps([dict(self.numbers), dict(self.tables)], sort_keys=True)
        return zlib.crc32(text.encode())


def shape_of(tables: Tables, layout: Layout) -> Shape:
    """The shape of an image that is exported from a model, and what the model itself needs."""
    geometry, condensed = tables.geometry, layout.condensed
    numbers: dict[str, int | str] = {
        "kind of model": "bands" if condensed is None else "condensed",
        "sampling rate": geometry.rate,
        "frame": geometry.frame,
        "hop": geometry.hop,
        "number of features": tables.n_features,
        "kind of features": geometry.features,
    }
    arrays: dict[str, npt.NDArray[Any]] = {
        "window": tables.window_q15,
        "synthesis window": tables.synthesis_q14,
    }
    room = {
        "features": layout.feature_capacity,
        "words of code": layout.max_code_words,
        "words of scratch memory": layout.scratch_words,
        "neighbours": layout.max_neighbours,
    }
    if condensed is None:
        numbers |= {
            "number of bands": len(layout.bands),
            "masks an offset": MASKS_PER_OFFSET,
            "type of mask lengths": layout.mask_length_type,
        }
        if tables.filterbank is not None:
            bank = tables.filterbank
            parts = (bank.first_bin, bank.n_weights, bank.weights_q15)
            arrays["filterbank"] = np.concatenate([part.view(np.uint16) for part in parts])
    else:
        numbers |= {
            "number of cells": condensed.n_cells,
            "number of trackers": condensed.n_trackers,
            "number of noise trackers": condensed.n_noise_trackers,
            "number of hash groups": len(condensed.groups),
            "number of code words": condensed.n_words,
            "number of dictionaries": len(condensed.code_tables),
            "bits a mask level": condensed.mask_bits,
        }
        arrays |= {
            "grid of cells": condensed.cell_end,
            "trackers": condensed.tracker_shifts,
            "noise trackers": condensed.noise_shifts,
        }
    checksums = {name: zlib.crc32(_little_endian(array)) for name, array in arrays.items()}
    return Shape(numbers, checksums, room)


def _little_endian(array: npt.NDArray[Any]) -> bytes:
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def check_fits(model: Shape, firmware: Shape, firmware_name: str) -> None:
    """Refuse a model that an image could not open.

    Args:
        model: The model's.
        firmware: The image's.
        firmware_name: How the message calls it.

    Raises:
        BlshError: It does not fit; the message names what differs.
    """
    refused = f"the model does not fit the firmware in {firmware_name}: "
    advice = "; train one of the same shape, or export and ship the whole firmware with --target"
    for name, own in model.numbers.items():
        theirs = firmware.numbers.get(name)
        if own != theirs:
            raise BlshError(f"{refused}its {name} is {own}, the firmware's is {theirs}{advice}")
    for name, crc32 in model.tables.items():
        if crc32 != firmware.tables.get(name):
            raise BlshError(f"{refused}its {name} is not the firmware's{advice}")
    for name, needed in model.room.items():
        available = firmware.room.get(name, 0)
        if needed > available:
            raise BlshError(
                f"{refused}it needs room for {needed} {name}, the firmware has it for {available}"
                f"{advice}"
            )


def to_manifest(shape: Shape) -> dict[str, Any]:
    """A shape as the manifest of an export holds it."""
    return {
        "numbers": dict(shape.numbers),
        "tables": dict(shape.tables),
        "room": dict(shape.room),
        "crc32": shape.crc32,
    }


def from_manifest(fields: Mapping[str, Any]) -> Shape:
    """The shape that `to_manifest` has written.

    Raises:
        KeyError, TypeError, ValueError: It is none.
    """
    shape = Shape(
        numbers={str(k): v if isinstance(v, str) else int(v) for k, v in fields["numbers"].items()},
        tables={str(k): int(v) for k, v in fields["tables"].items()},
        room={str(k): int(v) for k, v in fields["room"].items()},
    )
    if fields["crc32"] != shape.crc32:
        raise ValueError("the checksum of the shape is wrong")
    return shape
