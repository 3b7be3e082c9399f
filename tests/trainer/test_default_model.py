"""The bundled model, and the rules of what it may be trained on."""

from __future__ import annotations

import csv
import dataclasses
import sys
from pathlib import Path

import pytest
from blsh_trainer.model_file import load_model

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
    for excluded in ("ravdess", "emo", "urdu", "grid", "moodist"):
        assert excluded not in sources.lower()
    assert all(training["noise"].values())
    assert training["options"]["seed"] >= 0
    assert len(training["fingerprint"]) == 64


def test_bundled_model_removes_noise_at_little_cost_in_intelligibility() -> None:
    validation = load_model(MODEL).training["validation"]
    before, after = validation["unprocessed"], validation["denoised"]
    assert after["SDR"] > before["SDR"] + 3
    assert after["SI-SDR"] > before["SI-SDR"] + 3
    # Masks averaged from binary ones cost some STOI at 0 dB; it must stay a small price.
    assert after["STOI"] > before["STOI"] - 0.03


def test_bundled_model_and_its_tables_fit_512_kb() -> None:
    assert MODEL.stat().st_size <= 512 * 1024
    band = load_model(MODEL).bands[0]
    masks = band.n_entries * -(-(band.bins[1] - band.bins[0]) * band.mask_bits // 8)
    assert masks + band.codes.nbytes + 2 * band.projection.size < 512 * 1024


def test_docs_name_the_bundled_model() -> None:
    model = load_model(MODEL)
    assert model.sha256 in (ROOT / "docs/model.md").read_text()


def write_index(corpus: Path, rows: list[tuple[str, str, str]]) -> None:
    (corpus / "noise").mkdir(parents=True)
    with (corpus / "noise/extra_index.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "start_s", "seconds", "source", "recording"])
        writer.writerows([(name, 0, 1, source, take) for name, source, take in rows])


def test_the_recipe_records_what_the_bundled_model_does() -> None:
    bundled = load_model(MODEL)
    added = {
        **bundled.training,
        "options": {**bundled.training["options"], "target": "scaled"},
        "boosting": {"rank": 128},
    }
    model = dataclasses.replace(bundled, training=added)
    again = dataclasses.replace(model, training=train_default_model.first_record(model))
    assert again.sha256 == bundled.sha256 != model.sha256


def test_only_rows_for_commercial_use_are_chosen(tmp_path: Path) -> None:
    write_index(
        tmp_path,
        [
            ("extra/dog/esc50-1.flac", "esc50", "1-100-A"),
            ("extra/cat/esc50-1.flac", "esc50", "1-200-A"),
            ("extra/engine/torcs-a.flac", "torcs", "a"),
            ("extra/rain/moodist-a.flac", "moodist", "a"),
            ("extra/mixed/a.flac", "mechvibes", "a"),
            ("extra/mixed/a.flac", "noisy", "b"),
            ("extra/keys/b.flac", "mechvibes", "b"),
            ("extra_urban/train/noisekun-train.flac", "noisekun", "train"),
            ("extra/river/noisekun-river.flac", "noisekun", "river"),
        ],
    )
    chosen = [p.relative_to(tmp_path / "noise") for p in corpora.commercial_noise(tmp_path)]
    assert [p.as_posix() for p in chosen] == [
        "extra/dog/esc50-1.flac",
        "extra/keys/b.flac",
        "extra/river/noisekun-river.flac",
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
def test_every_commercial_source_exists_in_the_corpus() -> None:
    chosen = {path.name.split("-")[0] for path in corpora.commercial_noise(CORPUS)}
    assert chosen <= set(corpora.COMMERCIAL_NOISE)
    assert len(chosen) >= 8


@needs_corpus
def test_scoring_mixtures_are_those_of_the_published_figures() -> None:
    mixtures = list(corpora.scoring_mixtures(CORPUS / "speech/test", CORPUS / "noise/test", 3, 0.0))
    assert len(mixtures) == 3
    for mixture in mixtures:
        ratio = mixture.speech.std() / mixture.noise.std()
        assert ratio == pytest.approx(1, abs=1e-3)
