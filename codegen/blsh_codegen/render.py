"""Tables to C text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import astuple
from typing import Any

import numpy as np
import numpy.typing as npt
from blsh_trainer import __version__
from jinja2 import Environment, PackageLoader, StrictUndefined

from blsh_codegen.layout import Layout
from blsh_codegen.masks import MASKS_PER_OFFSET
from blsh_codegen.schema import EXPORT_SCHEMA_VERSION
from blsh_codegen.shape import shape_of
from blsh_codegen.table_data import table_bytes
from blsh_codegen.tables import Tables
from blsh_codegen.targets import Target

LINE_WIDTH = 100

_SHARED_HEADERS = ("blsh_config.h", "blsh_window.h", "blsh_twiddle.h")
_BAND_HEADERS = ("blsh_filterbank.h", "blsh_projection.h", "blsh_codes.h", "blsh_masks.h")
_CONDENSED_HEADERS = ("blsh_levels.h", "blsh_projection.h", "blsh_codes.h", "blsh_masks.h")


def environment() -> Environment:
    """The Jinja2 environment of all templates; HTML is escaped."""
    env = Environment(
        loader=PackageLoader("blsh_firmware_templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
    )
    env.filters["c_rows"] = c_rows
    env.filters["c_struct"] = c_struct
    env.filters["markdown"] = markdown
    env.filters["millions"] = millions
    env.filters["grouped"] = "{:,}".format
    env.filters["c_bytes"] = lambda table: len(table_bytes(table))
    return env


def c_rows(values: npt.NDArray[Any], style: str = "dec") -> str:
    """An array's numbers as indented lines of a C initialiser.

    Args:
        values: Integers; several dimensions are flattened.
        style: ``"dec"``, or ``"hex"`` for unsigned words.
    """
    flat = values.ravel().tolist()
    if style == "hex":
        digits = 2 * values.itemsize
        items = [f"0x{value:0{digits}X}u" for value in flat]
    else:
        items = [str(value) for value in flat]
    return "\n".join(_wrapped(items))


def c_struct(record: Any) -> str:
    """A dataclass of integers as a C initialiser, in the order of its fields."""
    return "{" + ", ".join(str(int(value)) for value in astuple(record)) + "}"


def markdown(text: str) -> str:
    """Foreign text as Markdown that shows it on one line and means nothing else."""
    escaped = re.sub(r"([\\`*_\[\]|#])", r"\\\1", " ".join(text.split()))
    return escaped.replace("<", "&lt;").replace(">", "&gt;")


def millions(count: int) -> str:
    """A count in millions, to two digits."""
    return f"{count / 1e6:.2f}"


def _wrapped(items: list[str]) -> Iterator[str]:
    line = "   "
    for item in items:
        if len(line) + len(item) + 2 > LINE_WIDTH:
            yield line
            line = "   "
        line += f" {item},"
    yield line


def context(tables: Tables, layout: Layout, target: Target) -> dict[str, Any]:
    """The names that every template may use."""
    return {
        "tool_version": __version__,
        "schema_version": EXPORT_SCHEMA_VERSION,
        "model_sha256": tables.model_sha256,
        "target": target,
        "geometry": tables.geometry,
        "n_features": tables.n_features,
        "output_shift": tables.output_shift,
        "masks_per_offset": MASKS_PER_OFFSET,
        "mask_length_type": layout.mask_length_type,
        "geometry_crc32": shape_of(tables, layout).crc32,
        "layout": layout,
        "bands": layout.bands,
        "banded": layout.banded,
        "window_q15": tables.window_q15,
        "synthesis_q14": tables.synthesis_q14,
        "twiddle_q15": tables.twiddle_q15,
        "magnitude_q15": tables.magnitude_q15.astype(np.uint16),
        "filterbank": tables.filterbank,
        "condensed": layout.condensed,
    }


def data_headers(tables: Tables, layout: Layout, target: Target) -> dict[str, str]:
    """The generated headers by file name."""
    templates = {name: f"{name}.j2" for name in _SHARED_HEADERS}
    if layout.condensed is None:
        templates |= {name: f"{name}.j2" for name in _BAND_HEADERS}
    else:
        templates |= {name: f"condensed/{name}.j2" for name in _CONDENSED_HEADERS}
    env, names = environment(), context(tables, layout, target)
    return {name: env.get_template(path).render(names) for name, path in templates.items()}
