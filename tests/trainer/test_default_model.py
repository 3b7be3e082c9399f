"""The bundled model, and the rules of what it may be trained on."""

from __future__ import annotations

import csv
import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from blsh_codegen.layout import lay_out
from blsh_codegen.tables import quantise
from blsh_trainer.audio import write_wav
from blsh_trainer.condensed_options import options_of
from blsh_trainer.model_file import load_model
from blsh_trainer.presets import PRESETS

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "codegen/blsh_codegen/models/default.npz"
CORPUS = ROOT.parent / "shared/corpus"

sys.path.insert(0, str(ROOT / "benchmarks"))
import corpora  # noqa: E402
import train_default_model  # noqa: E402

needs_corpus = pytest.mark.skipif(
    not CORPUS.is_dir(), reason="../shared/corpus is absent: its licences cannot be checked"
)


def test_bundled_model_carries_its_provenance() -> None:
    training = load_model(MODEL).training
    sources = " ".join([*training["speech"], *training["speech"].values(), *training["noise"]])
    for excluded in ("ravdess", "emo", "urdu", "grid", "noisex", "kitchen", "osu100", "test"):
        assert excluded not in sources.lower()
    assert training["speech"] == corpora.COMMERCIAL_SPEECH
    assert training["noise"] == corpora.COMMERCIAL_NOISE
    assert len(training["fingerprint"]) == 64


def test_bundled_model_is_the_base_preset() -> None:
    training = load_model(MODEL).training
    options = dataclasses.replace(PRESETS["base"].options, seed=train_default_model.SEED)
    recorded = dict(training["options"])
    assert recorded.pop("method") == "condensed"
    assert options_of(recorded) == options
    assert training["steps"] == options.steps


@pytest.mark.parametrize("scores", ["validation", "validation_on_made_noise"])
def test_bundled_model_removes_noise_and_raises_intelligibility(scores: str) -> None:
    validation = load_model(MODEL).training[scores]
    before, after = validation["unprocessed"], validation["denoised"]
    assert after["SDR"] > before["SDR"] + 4
    assert after["SI-SDR"] > before["SI-SDR"] + 4
    assert after["STOI"] > before["STOI"]


def test_bundled_model_and_its_tables_fit_their_budgets() -> None:
    assert MODEL.stat().st_size <= 512 * 1024
    layout = lay_out(quantise(load_model(MODEL)))
    budget = PRESETS["base"].budget
    assert layout.table_bytes + 8192 < budget.flash
    assert layout.state_bytes + 1024 < budget.ram


def test_docs_are_what_the_recipe_writes_of_the_bundled_model() -> None:
    model = load_model(MODEL)
    page = (ROOT / "docs/model.md").read_text()
    assert model.sha256 in page
    assert page == train_default_model.document(model)


def write_index(corpus: Path, rows: list[tuple[str, str, str]]) -> None:
    (corpus / "noise").mkdir(parents=True)
    with (corpus / "noise/extra_index.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "start_s", "seconds", "source", "recording"])
        writer.writerows([(name, 0, 1, source, take) for name, source, take in rows])


def test_only_rows_for_commercial_use_are_chosen(tmp_path: Path) -> None:
    write_index(
        tmp_path,
        [
            ("extra/dog/esc50-1.flac", "esc50", "1-100-A"),
            ("extra/cat/esc50-1.flac", "esc50", "1-200-A"),
            ("extra/engine/torcs-a.flac", "torcs", "a"),
            ("extra/rain/moodist-a.flac", "moodist", "a"),
            ("extra/rain/sleepapp-a.flac", "sleepapp", "a"),
            ("extra/mixed/a.flac", "mechvibes", "a"),
            ("extra/mixed/a.flac", "noisy", "b"),
            ("extra/keys/b.flac", "mechvibes", "b"),
            ("extra_urban/train/noisekun-train.flac", "noisekun", "train"),
            ("extra_urban/cafe/noisekun-coffee.flac", "noisekun", "coffee"),
            ("extra/river/noisekun-river.flac", "noisekun", "river"),
        ],
    )
    for name in (
        "train/frogs/moodist-frog.flac",
        "test/office/moodist-office.flac",
        "test/kitchen/picovoice-kitchen.flac",
    ):
        path = tmp_path / "noise" / name
        path.parent.mkdir(parents=True)
        write_wav(path, np.zeros(8, np.float32), corpora.RATE)
    chosen = [p.relative_to(tmp_path / "noise") for p in corpora.commercial_noise(tmp_path)]
    assert [p.as_posix() for p in chosen] == [
        "extra/dog/esc50-1.flac",
        "extra/keys/b.flac",
        "extra/rain/moodist-a.flac",
        "extra/river/noisekun-river.flac",
        "extra_urban/cafe/noisekun-coffee.flac",
        "test/office/moodist-office.flac",
        "train/frogs/moodist-frog.flac",
    ]


@needs_corpus
def test_no_restricted_speaker_is_chosen_from_the_corpus() -> None:
    chosen = corpora.commercial_speech(CORPUS)
    assert len(chosen) > 200
    kinds = {path.parent.name.split("_")[0] for path in chosen}
    assert kinds == {"libri", "vctk", "asterisk", "picovoice"}
    assert {p.parent.name for p in chosen if "asterisk" in p.parent.name} == {"asterisk_ru"}
    assert not any("test" in path.parts for path in chosen)


@needs_corpus
def test_every_source_of_commercial_noise_is_chosen_from_the_corpus() -> None:
    chosen = corpora.commercial_noise(CORPUS)
    assert {path.name.split("-")[0] for path in chosen} == set(corpora.COMMERCIAL_NOISE)
    folders = {path.relative_to(CORPUS / "noise").parts[0] for path in chosen}
    assert folders == {"train", "test", "extra", "extra_urban"}
    assert all(path.is_file() for path in chosen)


@needs_corpus
def test_training_and_validation_share_no_talker_and_no_noise_type() -> None:
    speech, noise = corpora.commercial_speech(CORPUS), corpora.commercial_noise(CORPUS)
    split = train_default_model.make_split(speech, noise)
    training = split.training
    assert len({p.parent for p in set(speech) - set(training.speech)}) == len(split.recorded) == 30
    held_out = {path.parent.name for path in set(noise) - set(training.noise)}
    assert held_out == set(train_default_model.HELD_OUT_NOISE)
    assert not held_out & {path.parent.name for path in training.noise}
    record = load_model(MODEL).training
    assert training.fingerprint == record["fingerprint"]
    assert (len(training.speech), len(training.noise)) == (
        record["speech_files"], record["noise_files"],
    )  # fmt: skip


@needs_corpus
def test_scoring_mixtures_are_those_of_the_published_figures() -> None:
    mixtures = list(corpora.scoring_mixtures(CORPUS / "speech/test", CORPUS / "noise/test", 3, 0.0))
    assert len(mixtures) == 3
    for mixture in mixtures:
        ratio = mixture.speech.std() / mixture.noise.std()
        assert ratio == pytest.approx(1, abs=1e-3)
