"""The deployed system: a model's C, exported and compiled for this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from blsh_codegen.assess import exported_denoiser
from blsh_codegen.denoise import build_key
from blsh_trainer.model_file import load_model

from blsh_evaluation.system import Estimator


@dataclass(frozen=True)
class ExportedModel:
    """A model in fixed point, as a board runs it.

    Attributes:
        name: What the tables call it.
        build: Key of model, code generator, runtime and compiler.
        path: The model file.
    """

    name: str
    build: str
    path: Path

    @classmethod
    def of(cls, name: str, path: Path) -> ExportedModel:
        """A model file; the tables add that it is the exported C.

        Raises:
            BlshError: It cannot be used, or there is no C compiler.
        """
        return cls(f"{name}, exported C", build_key(load_model(path)), path)

    def load(self, cache: Path) -> Estimator:
        """Export and compile, or find it compiled."""
        denoise = exported_denoiser(load_model(self.path))
        return lambda view: np.asarray(denoise(view.mixture.noisy), np.float32)
