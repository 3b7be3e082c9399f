"""Each system against its definition, and the research code against what is deployed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from blsh_evaluation.artefacts import (
    Learning,
    choose_subset,
    leading_bits,
    load_projections,
)
from blsh_evaluation.conditions import Condition
from blsh_evaluation.exported import ExportedModel
from blsh_evaluation.frame_store import FrameStore
from blsh_evaluation.learned import Learned
from blsh_evaluation.neighbours import (
    CosineNeighbours,
    Dictionary,
    HashedNeighbours,
    mean_mask,
    nearest_by_cosine,
)
from blsh_evaluation.results import BLSH
from blsh_evaluation.system import Oracle, Unprocessed
from blsh_evaluation.views import MixtureView
from blsh_trainer.denoiser import denoise
from blsh_trainer.errors import BlshError
from blsh_trainer.features import mel_filterbank
from blsh_trainer.hashing import hash_bits, pack_codes
from blsh_trainer.metrics import si_sdr
from blsh_trainer.model_file import load_model


@pytest.fixture(scope="module")
def view(conditions: list[Condition]) -> MixtureView:
    return next(conditions[1].views())


def test_unprocessed_is_the_mixture(view: MixtureView) -> None:
    estimate = Unprocessed().load(Path())(view)
    assert np.array_equal(estimate, view.mixture.speech + view.mixture.noise)


@pytest.mark.parametrize("kind", ["IBM", "IRM"])
def test_oracles_follow_their_definition(view: MixtureView, kind: str) -> None:
    speech, noise = view.speech_magnitude, view.noise_magnitude
    masks = {
        "IBM": (speech > noise).astype(np.float32),
        "IRM": np.sqrt(speech**2 / (speech**2 + noise**2 + 1e-30)),
    }
    estimate = Oracle(kind).load(Path())(view)  # type: ignore[arg-type]
    assert estimate == pytest.approx(view.masked(masks[kind]), abs=1e-6)
    before = si_sdr(view.mixture.speech, view.mixture.noisy)
    assert si_sdr(view.mixture.speech, estimate) > before + 5


@pytest.mark.parametrize("n_entries", [7, 40])
def test_nearest_by_cosine_equals_sorting(n_entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks of sixteen entries, the last one of eight."""
    monkeypatch.setattr("blsh_evaluation.neighbours._ENTRY_BLOCK", 16)
    rng = np.random.default_rng(n_entries)
    query, frames = rng.random((5, 9), np.float32), rng.random((90, 9), np.float32)
    entries = np.sort(rng.choice(90, n_entries, replace=False))
    found = nearest_by_cosine(query, frames, entries, None, 4)
    expected = np.argsort(-(query @ frames[entries].T), axis=1)[:, :4]
    assert np.array_equal(np.sort(found), np.sort(expected))


def test_mel_neighbours_compare_normalised_mel_bands(learned: Learned, view: MixtureView) -> None:
    entries = np.asarray(FrameStore.open(learned.frames).features[:50])
    bank = mel_filterbank(16000, 1024, 20)
    mel = entries @ bank.T
    mel /= np.linalg.norm(mel, axis=1, keepdims=True)
    query = view.features[5:8] @ bank.T
    found = nearest_by_cosine(query, entries, np.arange(50), bank, 3)
    assert np.array_equal(np.sort(found), np.sort(np.argsort(-(query @ mel.T), axis=1)[:, :3]))


def test_mean_mask_is_the_mean() -> None:
    rng = np.random.default_rng(0)
    masks = rng.random((20, 13)) > 0.5
    nearest = rng.integers(20, size=(6, 4))
    mean = mean_mask(np.packbits(masks, axis=1), nearest, 13)
    assert mean == pytest.approx(masks[nearest].mean(axis=1), abs=1e-6)


@pytest.mark.parametrize("n_bits", [1, 24, 32, 33])
def test_leading_bits_are_those_of_fewer_projections(n_bits: int) -> None:
    bits = np.random.default_rng(0).random((9, 33)) > 0.5
    assert np.array_equal(leading_bits(pack_codes(bits), n_bits), pack_codes(bits[:, :n_bits]))


@pytest.mark.parametrize("n_bits", [5, 24, 33])
def test_hashing_is_what_the_trainer_calls_denoising(
    learning: Learning, learned: Learned, view: MixtureView, n_bits: int
) -> None:
    """The float reference of a model with the same dictionary, sample for sample."""
    system = hashed(learning, learned, n_bits)
    model = load_model(learning.model(learned.boosted.projections, n_bits, 0.2, 1))
    estimate = system.load(learning.cache.directory)(view)
    assert np.array_equal(estimate, denoise(model, view.mixture.noisy))


def test_the_exported_c_is_near_the_research_code(
    learning: Learning, learned: Learned, view: MixtureView
) -> None:
    path = learning.model(learned.boosted.projections, 24, 0.2, 1)
    in_c = ExportedModel.of("C", path).load(Path())(view)
    research = hashed(learning, learned, 24).load(learning.cache.directory)(view)
    scores = [si_sdr(view.mixture.speech, estimate) for estimate in (in_c, research)]
    # Quantisation turns a few hash bits near zero; docs/training.md has 0.01 dB on real speech.
    assert scores[0] == pytest.approx(scores[1], abs=0.1)


def hashed(learning: Learning, learned: Learned, n_bits: int) -> HashedNeighbours:
    return HashedNeighbours(
        BLSH,
        learned.boosted.projections.parent.name,
        learned.boosted.codes.parent.name,
        Dictionary(learned.frames.name, 0.2, 1, learning.options.seed),
        n_bits,
        learning.options.neighbours,
    )


@pytest.mark.parametrize("mels", [0, 80])
def test_cosine_neighbours_average_the_masks_of_the_nearest(
    learning: Learning, learned: Learned, view: MixtureView, mels: int
) -> None:
    """Of a whole dictionary, worked out again by sorting."""
    store = FrameStore.open(learned.frames)
    system = CosineNeighbours(Dictionary(learned.frames.name, 1.0, 0, 0), 5, mels, 16000)
    assert system.name == f"KNN {'mel' if mels else 'STFT'}, 100%"
    entries, query = np.asarray(store.features), view.features
    if mels:
        bank = mel_filterbank(16000, 1024, mels)
        entries, query = (
            x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30)
            for x in (entries @ bank.T, query @ bank.T)
        )
    nearest = np.argsort(-(query @ entries.T), axis=1, kind="stable")[:, :5]
    masks = np.unpackbits(store.masks, axis=1, count=store.n_bins)
    expected = view.masked(masks[nearest].mean(axis=1, dtype=np.float32))
    # A neighbour may be another where two are equally near up to rounding.
    difference = system.load(learning.cache.directory)(view) - expected
    assert np.mean(difference**2) < 1e-4 * np.mean(expected**2)


def test_frames_on_disk_are_those_of_the_trainer(learning: Learning, learned: Learned) -> None:
    store = FrameStore.open(learned.frames)
    assert isinstance(store.features, np.memmap)
    assert store.features.shape[0] == store.masks.shape[0] == store.n_frames
    assert store.starts[0] == 0
    assert np.linalg.norm(store.features, axis=1) == pytest.approx(1, abs=1e-5)
    assert store.n_bins == 513


def test_projections_are_those_of_the_trainer(learning: Learning, learned: Learned) -> None:
    """Codes of all frames, from the projections that the step has."""
    store, files = FrameStore.open(learned.frames), learned.boosted
    projections = load_projections(files.projections)
    bits = hash_bits(np.asarray(store.features), projections.projection, projections.bias)
    codes = np.load(files.codes)
    differing = np.unpackbits((codes ^ pack_codes(bits)).view(np.uint8), axis=1).sum()
    assert differing <= 1e-5 * bits.size  # sums in another order, near zero


def test_subsets_differ_by_draw_and_not_by_run() -> None:
    first, again, other = (choose_subset(1000, 0.1, draw, 0) for draw in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.size == np.unique(first).size == 100


def test_too_little_speech_says_how_much_is_needed(learning: Learning) -> None:
    with pytest.raises(BlshError, match=r"--speech-train: 0\.\d+ min .* give \d.* min of speech"):
        learning.check_subset(0.001)
