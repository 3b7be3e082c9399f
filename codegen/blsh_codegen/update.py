"""A blob alone, for firmware that was exported before: what an over-the-air update sends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from blsh_trainer.errors import BlshError
from blsh_trainer.files import write_atomically
from blsh_trainer.model_file import Model

from blsh_codegen.blob import MAGIC, model_blob
from blsh_codegen.layout import lay_out
from blsh_codegen.manifest import load_shape
from blsh_codegen.shape import check_fits, shape_of
from blsh_codegen.tables import quantise


@dataclass(frozen=True)
class Update:
    """A blob that was written.

    Attributes:
        file: Where it is.
        firmware: The exported folder that it fits.
        model_sha256: Identity of the model.
        bytes: Its length.
    """

    file: str
    firmware: str
    model_sha256: str
    bytes: int


def export_blob(model: Model, firmware: Path, output: Path, *, force: bool = False) -> Update:
    """Write a model as a blob for firmware that was exported from another.

    Args:
        model: A checked model.
        firmware: The folder that the firmware was built from.
        output: The file to write; an older blob there is replaced.
        force: Replace the file whatever it is.

    Raises:
        BlshError: The folder is no export, the model does not fit it, or the file is something else
            or cannot be written.
    """
    tables = quantise(model)
    layout = lay_out(tables)
    check_fits(shape_of(tables, layout), load_shape(firmware), str(firmware))
    blob = model_blob(tables, layout)
    try:
        if not force and output.exists() and not _is_blob(output):
            raise BlshError(
                f"{output}: exists and is no blob; name another file with -o, or replace it with "
                "--force"
            )
        write_atomically(output, blob)
    except OSError as error:
        raise BlshError(
            f"{output}: cannot be written ({error.strerror or error}); name another file with -o"
        ) from error
    return Update(str(output), str(firmware), model.sha256, len(blob))


def _is_blob(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC
