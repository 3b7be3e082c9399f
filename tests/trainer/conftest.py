"""What the trainer's tests share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from blsh_trainer.synthetic import write_corpus


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic corpus at 8 kHz."""
    directory = tmp_path_factory.mktemp("corpus")
    write_corpus(directory, speakers=4, clips=2, seconds=1.5, rate=8000, seed=1)
    return directory


@pytest.fixture
def features() -> npt.NDArray[np.float32]:
    """``(400, 12)`` non-negative unit vectors in a few clusters."""
    rng = np.random.default_rng(0)
    centres = rng.random((6, 12)) ** 3
    frames = centres[rng.integers(6, size=400)] + 0.1 * rng.random((400, 12))
    return (frames / np.linalg.norm(frames, axis=1, keepdims=True)).astype(np.float32)
