"""The tables of a condensed model as a header and arrays of a model file, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from blsh_trainer.condensed_model import Condensed, CondensedDictionary, HashGroup
from blsh_trainer.json_values import integer, integers, number
from blsh_trainer.model_arrays import Arrays, checked_array, checked_levels, packed_levels

_NUMBERS = ("mask_bits", "vote_scale", "vote_offset", "gain_floor", "gain_release")


def condensed_header(condensed: Condensed) -> dict[str, Any]:
    """What the header says of a condensed model."""
    header = {
        "trackers": [list(shifts) for shifts in condensed.trackers],
        "hashes": [{"feature_range": list(group.feature_range)} for group in condensed.hashes],
        "dictionaries": [
            {
                "cells": list(dictionary.cells),
                "words": list(dictionary.words),
                "neighbours": dictionary.neighbours,
            }
            for dictionary in condensed.dictionaries
        ],
        **{name: getattr(condensed, name) for name in _NUMBERS},
    }
    if condensed.noise_trackers:  # which older schemas know nothing of
        header["noise_trackers"] = list(condensed.noise_trackers)
    return header


def condensed_arrays(condensed: Condensed) -> dict[str, npt.NDArray[Any]]:
    """Its arrays by name."""
    arrays: dict[str, npt.NDArray[Any]] = {"grid": np.ascontiguousarray(condensed.grid, np.uint16)}
    for index, group in enumerate(condensed.hashes):
        for name in ("projection", "bias"):
            arrays[f"hash{index}_{name}"] = np.ascontiguousarray(getattr(group, name), np.float32)
    for index, one in enumerate(condensed.dictionaries):
        arrays[f"dictionary{index}_codes"] = np.ascontiguousarray(one.codes, np.uint32)
        arrays[f"dictionary{index}_weights"] = np.ascontiguousarray(one.weights, np.float32)
        arrays[f"dictionary{index}_masks"] = packed_levels(one.masks, condensed.mask_bits)
    return arrays


def condensed_from_arrays(header: Mapping[str, Any], arrays: Arrays) -> Condensed:
    """A condensed model from what the header says of it and the arrays of the file.

    Raises:
        KeyError, TypeError, ValueError: They are incomplete or of the wrong type or rank.
    """
    mask_bits = integer(header["mask_bits"])
    hashes = tuple(
        HashGroup(
            feature_range=integers(entry["feature_range"]),
            projection=checked_array(arrays, f"hash{index}_projection", np.float32, 2),
            bias=checked_array(arrays, f"hash{index}_bias", np.float32, 1),
        )
        for index, entry in enumerate(header["hashes"])
    )
    dictionaries = []
    for index, entry in enumerate(header["dictionaries"]):
        cells = integers(entry["cells"])
        dictionaries.append(
            CondensedDictionary(
                cells=cells,
                words=integers(entry["words"]),
                neighbours=integer(entry["neighbours"]),
                codes=checked_array(arrays, f"dictionary{index}_codes", np.uint32, 2),
                masks=checked_levels(arrays, f"dictionary{index}_masks", cells, mask_bits),
                weights=checked_array(arrays, f"dictionary{index}_weights", np.float32, 1),
            )
        )
    return Condensed(
        grid=checked_array(arrays, "grid", np.uint16, 1),
        trackers=tuple(integers(shifts) for shifts in header["trackers"]),
        hashes=hashes,
        dictionaries=tuple(dictionaries),
        mask_bits=mask_bits,
        noise_trackers=tuple(integer(shift) for shift in header.get("noise_trackers", [])),
        **{name: number(header[name]) for name in _NUMBERS if name != "mask_bits"},
    )
