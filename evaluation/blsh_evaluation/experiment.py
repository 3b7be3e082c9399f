"""The evaluation from corpus to results: learn once, then score everything side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from blsh_trainer.training import TrainingOptions

from blsh_evaluation.artefacts import Learning, load_projections
from blsh_evaluation.cache import Cache
from blsh_evaluation.conditions import Condition
from blsh_evaluation.exported import ExportedModel
from blsh_evaluation.external import Command
from blsh_evaluation.frame_store import FrameStore
from blsh_evaluation.learned import Learned, learn_all
from blsh_evaluation.mixtures import draw_specs
from blsh_evaluation.profiles import Profile
from blsh_evaluation.protocol import Folders, Protocols, split_corpus
from blsh_evaluation.results import BLSH, LSH, Corpus, Results, Similarities
from blsh_evaluation.scoring import score_curves, score_tables, table_systems
from blsh_evaluation.similarities import self_similarities
from blsh_evaluation.tasks import EXAMPLE


@dataclass(frozen=True)
class Request:
    """What is to be evaluated.

    Attributes:
        folders: The corpus.
        profile: Extent.
        cache: Folder where results of steps are kept.
        seed: Of everything random.
        jobs: Processes side by side.
        models: Further models, run as exported C.
        commands: Further denoisers.
    """

    folders: Folders
    profile: Profile
    cache: Path
    seed: int = 0
    jobs: int = 1
    models: tuple[ExportedModel, ...] = ()
    commands: tuple[Command, ...] = ()

    @property
    def guests(self) -> tuple[str, ...]:
        """Names of the models and commands."""
        return (*(m.name for m in self.models), *(c.name for c in self.commands))


def evaluate_corpus(request: Request) -> Results:
    """Run every experiment.

    Raises:
        BlshError: The corpus is too small or cannot be used, or a system fails.
        KeyboardInterrupt: Ctrl-C; a later call goes on from there.
    """
    profile, cache = request.profile, Cache(request.cache)
    cache.sweep()
    options = TrainingOptions(projections=profile.most_bits, seed=request.seed)
    protocols = split_corpus(request.folders, talkers=profile.mixtures, seed=request.seed)
    conditions = draw_conditions(protocols, profile, options)
    learning = Learning(cache, protocols, options, profile.minutes)
    learned = learn_all(learning, profile)
    systems = [
        *table_systems(learned, profile, options),
        *_exported(request, learning, learned),
        *request.models,
    ]
    tables, sounds = score_tables(cache, conditions, systems, request.commands, request.jobs)
    boosted = load_projections(learned.boosted.projections)
    return Results(
        profile=profile,
        corpus=_describe(request.folders, protocols, FrameStore.open(learned.frames)),
        options=options.record(),
        tables=tables,
        curves=score_curves(cache, conditions, learned, profile, options, request.jobs),
        similarities=_similarities(conditions, learned, profile),
        epsilon=boosted.epsilon,
        beta=boosted.beta.astype(np.float64),
        sounds=sounds,
        guests=request.guests,
    )


def draw_conditions(
    protocols: Protocols, profile: Profile, options: TrainingOptions
) -> list[Condition]:
    """Every test at every ratio; the same mixtures at each."""
    return [
        Condition(protocol.name, snr_db, specs, options.geometry, protocols.fingerprint)
        for protocol in protocols.tests
        for specs in [tuple(draw_specs(protocol, profile.mixtures, options.rate))]
        for snr_db in profile.snrs_db
    ]


def _exported(request: Request, learning: Learning, learned: Learned) -> list[ExportedModel]:
    """The exported C of the boosted models in the tables."""
    n_bits, boosted = request.profile.n_bits, learned.boosted.projections
    return [
        ExportedModel.of(f"{BLSH}, {share:.0%}", learning.model(boosted, n_bits, share, 0))
        for share in request.profile.shares
    ]


def _similarities(
    conditions: Sequence[Condition], learned: Learned, profile: Profile
) -> Similarities:
    condition = next(c for c in conditions if c.protocol == "open")
    view = next(condition.views(EXAMPLE))
    methods = {
        method: load_projections(learned.hashes[method][0].projections) for method in (BLSH, LSH)
    }
    sounding = view.features.any(axis=1)
    return self_similarities(view.features[sounding], methods, profile.picture_bits)


def _describe(folders: Folders, protocols: Protocols, store: FrameStore) -> Corpus:
    return Corpus(
        folders={role: str(folder) for role, folder in asdict(folders).items()},
        fingerprint=protocols.fingerprint,
        training_minutes=round(store.seconds / 60, 2),
        training_frames=store.n_frames,
        talkers={test.name: len(test.speech.parts) for test in protocols.tests},
        noise_types={test.name: len(test.noise.parts) for test in protocols.tests},
        genders_known=all(
            test.speech.genders.keys() & test.speech.parts.keys() for test in protocols.tests
        ),
    )
