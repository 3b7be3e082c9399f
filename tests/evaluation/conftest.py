"""What the evaluation's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from blsh_evaluation.artefacts import Learning
from blsh_evaluation.cache import Cache
from blsh_evaluation.conditions import Condition
from blsh_evaluation.experiment import draw_conditions
from blsh_evaluation.learned import Learned, learn_all
from blsh_evaluation.profiles import Profile
from blsh_evaluation.protocol import Folders, Protocols, split_corpus
from blsh_trainer.synthetic import write_corpus
from blsh_trainer.training import TrainingOptions

PROFILE = Profile(
    name="test",
    mixtures=3,
    snrs_db=(0.0,),
    n_bits=24,
    curve_bits=(5, 24, 33),
    picture_bits=(2, 24),
    shares=(0.05, 0.2),
    draws=2,
)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic corpus at 16 kHz."""
    directory = tmp_path_factory.mktemp("corpus")
    write_corpus(directory, speakers=4, clips=2, seconds=2.0, seed=1)
    return directory


@pytest.fixture(scope="session")
def protocols(corpus: Path) -> Protocols:
    return split_corpus(Folders.of_corpus(corpus), talkers=3, seed=0)


@pytest.fixture(scope="session")
def learning(protocols: Protocols, tmp_path_factory: pytest.TempPathFactory) -> Learning:
    options = TrainingOptions(projections=PROFILE.most_bits, neighbours=5)
    return Learning(Cache(tmp_path_factory.mktemp("cache")), protocols, options)


@pytest.fixture(scope="session")
def learned(learning: Learning) -> Learned:
    return learn_all(learning, PROFILE)


@pytest.fixture(scope="session")
def conditions(learning: Learning) -> list[Condition]:
    """Closed and open, three mixtures each."""
    return draw_conditions(learning.protocols, PROFILE, learning.options)
