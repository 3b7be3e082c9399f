"""Checkpoints: a training of a condensed model that goes on where it stopped."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from blsh_trainer.archive import read_arrays
from blsh_trainer.condensation import Parameters, Plan
from blsh_trainer.condensed_options import CondensedOptions, options_of
from blsh_trainer.condensed_training import TrainingState
from blsh_trainer.errors import BlshError
from blsh_trainer.files import write_atomically
from blsh_trainer.json_values import parse_object

_SCHEMA = 2
_MOMENTS = ("parameters", "first", "second")


def save_checkpoint(
    path: Path, state: TrainingState, options: CondensedOptions, fingerprint: str
) -> None:
    """Write where a training is; the file appears complete or not at all.

    Args:
        path: File to write.
        state: Where it is.
        options: Of the training.
        fingerprint: Of its recordings.

    Raises:
        BlshError: The file cannot be written.
    """
    header = {
        "checkpoint": _SCHEMA,
        "options": asdict(options),
        "fingerprint": fingerprint,
        "step": state.step,
        "mask_limit": state.mask_limit,
        "losses": list(state.losses),
        "followed": state.followed,
    }
    arrays: dict[str, Any] = {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)}
    for moment in _moments(state):
        for field in fields(Parameters):
            arrays[f"{moment}_{field.name}"] = getattr(getattr(state, moment), field.name)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    try:
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise BlshError(
            f"{path}: cannot write the checkpoint ({error.strerror}); make room there"
        ) from error


def load_checkpoint(path: Path) -> tuple[TrainingState, CondensedOptions, str]:
    """Read what `save_checkpoint` has written: state, options and fingerprint.

    Raises:
        BlshError: The file cannot be read or is none of its.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BlshError(
            f"--resume {path}: cannot read it ({error.strerror}); name the checkpoint that an "
            "interrupted blsh-train left beside its output"
        ) from error
    try:
        arrays = read_arrays(data)
        header = parse_object(arrays["header"].tobytes())
        if header["checkpoint"] != _SCHEMA:
            raise ValueError("another schema")
        followed = int(header["followed"])
        moments = {
            moment: Parameters(**{f.name: arrays[f"{moment}_{f.name}"] for f in fields(Parameters)})
            for moment in (_MOMENTS if followed == 0 else (*_MOMENTS, "leader"))
        }
        state = TrainingState(
            step=int(header["step"]),
            mask_limit=float(header["mask_limit"]),
            losses=tuple(header["losses"]),
            followed=followed,
            **moments,
        )
        return state, options_of(header["options"]), str(header["fingerprint"])
    except Exception as error:  # damage shows in zipfile, zlib, ast, json, struct or numpy
        raise BlshError(
            f"--resume {path}: not a checkpoint of this version of blsh-train, or damaged; train "
            "again without --resume"
        ) from error


def check_checkpoint(state: TrainingState, plan: Plan, path: Path) -> None:
    """Raise `BlshError` where a checkpoint's arrays do not have a plan's shapes."""
    dictionaries = len(plan.words)
    expected = {
        "projection": (plan.n_bits, plan.n_features),
        "bias": (plan.n_bits,),
        "codes": (dictionaries, plan.entries, plan.code_bits),
        "masks": (dictionaries, plan.entries, plan.widest),
        "log_sharpness": (dictionaries,),
    }
    for moment in _moments(state):
        for name, shape in expected.items():
            if getattr(getattr(state, moment), name).shape != shape:
                raise BlshError(
                    f"--resume {path}: its {name} do not have the shape of this model; another "
                    "version of blsh-train wrote it; train again without --resume"
                )


def _moments(state: TrainingState) -> tuple[str, ...]:
    """The names of a state's sets of parameters."""
    return _MOMENTS if state.leader is None else (*_MOMENTS, "leader")
