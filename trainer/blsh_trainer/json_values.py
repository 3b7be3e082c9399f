"""JSON that nobody vouches for: values of the right type, or `ValueError`."""

from __future__ import annotations

import json
import math
from typing import Any

MAX_DEPTH = 32


def parse_object(text: bytes) -> dict[str, Any]:
    """Read a JSON object whose numbers are finite and whose nesting is shallow.

    Raises:
        ValueError: The text is none.
    """
    try:
        value = json.loads(text, parse_constant=finite, parse_float=finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")
    _check_depth(value, MAX_DEPTH)
    return value


def integer(value: Any) -> int:
    """A JSON integer of at most 64 bits; neither a truth value nor a fraction."""
    if not isinstance(value, int) or isinstance(value, bool) or value.bit_length() > 63:
        raise ValueError(f"{value!r:.40} is not an integer of at most 64 bits")
    return value


def number(value: Any) -> float:
    """A JSON number that a float can hold."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{value!r:.40} is not a number")
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(f"{value!r:.40} is too large") from error


def integers(value: Any) -> tuple[int, int]:
    """A pair of JSON integers."""
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"{value!r:.40} is not a pair")
    return integer(value[0]), integer(value[1])


def word(value: Any) -> str:
    """A short JSON string that can be shown in a line."""
    if not isinstance(value, str) or not value.isprintable() or len(value) > 40:
        raise ValueError(f"{value!r:.40} is not a word")
    return value


def finite(text: str) -> float:
    """A float from its text; neither infinite nor NaN."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.40} is not finite")
    return value


def _check_depth(value: Any, levels: int) -> None:
    if levels == 0:
        raise ValueError("nested too deeply")
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            _check_depth(child, levels - 1)
