"""The command as a user meets it: everything once, resumed, interrupted, refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from blsh_evaluation.cli import evaluate
from blsh_evaluation.mixtures import draw_specs
from blsh_evaluation.profiles import PROFILES
from blsh_evaluation.protocol import open_test
from blsh_evaluation.tasks import CurveTask, TableTask
from blsh_trainer.audio import read_audio
from blsh_trainer.metrics import si_sdr
from blsh_trainer.quality import MEASURES
from blsh_trainer.synthetic import write_corpus
from click.testing import CliRunner

from tests.interrupts import interrupt, interruptible

COMMAND = Path(sys.executable).with_name("blsh-evaluate")
QUICK = PROFILES["quick"]
SYSTEMS = (
    "unprocessed",
    "oracle IRM",
    "oracle IBM",
    *(f"KNN {kind}, {share}" for kind in ("STFT", "mel") for share in ("1%", "10%", "100%")),
    *(f"{method}, {share}" for method in ("LSH", "BLSH") for share in ("1%", "10%")),
    *(f"BLSH, {share}, exported C" for share in ("1%", "10%")),
)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quick profile on the synthetic corpus, interrupted once and gone on with."""
    out = tmp_path_factory.mktemp("evaluation") / "out"
    words = [str(COMMAND), "--synthetic", "--profile", "quick", "--jobs", "2", "-o", str(out)]
    with interruptible(words) as process:
        deadline = time.monotonic() + 300
        while not list(out.glob("cache/blsh-*")):  # the projections are learned
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        said = interrupt(process)
    (learned,) = out.glob("cache/blsh-*/projections.npz")
    before = learned.stat()
    assert process.returncode == 130
    assert "Interrupted; to go on from here, repeat the command." in said
    assert "Traceback" not in said
    assert not (out / "results.json").exists()
    done = subprocess.run([*words, "--json"], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (out / "results.json").read_text()
    assert (learned.stat().st_ino, learned.stat().st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )
    return out


def test_an_interrupted_run_is_gone_on_with(out: Path) -> None:
    """What had been learned was not learned again, and nothing half-made is left."""
    assert len(list(out.glob("cache/frames-*"))) == 1
    assert len(list(out.glob("cache/blsh-*"))) == 1
    assert not list(out.glob("cache/.*"))


def test_results_have_every_system_and_measure(out: Path) -> None:
    results = json.loads((out / "results.json").read_text())
    assert [(t["protocol"], t["snr_db"]) for t in results["tables"]] == [
        ("closed", 0.0),
        ("open", 0.0),
    ]
    for table in results["tables"]:
        assert tuple(table["systems"]) == SYSTEMS
        for system in table["systems"].values():
            assert set(system["measures"]) <= set(MEASURES)
            assert {"SDR", "SIR", "SAR", "SI-SDR"} <= set(system["measures"])
            for name, rows in system["utterances"].items():
                assert len(rows) == QUICK.mixtures
                figures = system["measures"][name]
                assert figures["mean"] == pytest.approx(np.mean(rows), abs=1e-3)
                assert figures["low"] <= figures["mean"] <= figures["high"]


def test_figures_are_in_the_order_that_they_must_be(out: Path) -> None:
    """Oracles above all, dictionaries better than nothing, the C as good as the research code."""
    for table in json.loads((out / "results.json").read_text())["tables"]:
        sdr = {name: s["measures"]["SDR"]["mean"] for name, s in table["systems"].items()}
        assert sdr["unprocessed"] == pytest.approx(0, abs=0.5)
        assert min(sdr["oracle IBM"], sdr["oracle IRM"]) == max(
            min(sdr["oracle IBM"], sdr["oracle IRM"]), *(sdr[name] for name in SYSTEMS[3:])
        )
        assert all(sdr[name] > sdr["unprocessed"] for name in SYSTEMS[1:])
        assert sdr["BLSH, 10%, exported C"] == pytest.approx(sdr["BLSH, 10%"], abs=0.05)


def test_claims_come_with_intervals(out: Path) -> None:
    claims = json.loads((out / "results.json").read_text())["claims"]
    assert len(claims) == 4
    for claim in claims:
        assert claim["verdict"]
        for finding in claim["findings"]:
            assert finding["low"] <= finding["value"] <= finding["high"]


class Page(HTMLParser):
    """What a page shows and refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.sources += [found[name] for name in ("src", "href") if name in found]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_needs_no_other_file(out: Path, tmp_path: Path) -> None:
    page = Page()
    page.feed((out / "report.html").read_text())
    assert all(re.match(r"data:(image/png|audio/flac);base64,", s) for s in page.sources)
    sounds = [source for source in page.sources if source.startswith("data:audio")]
    assert len(sounds) == len(SYSTEMS)
    for system in SYSTEMS:
        assert system in page.text
    assert "O(Q D T)" in page.text
    assert "O(L T)" in page.text
    assert len([s for s in page.sources if s.startswith("data:image")]) == 3
    for name in ("figure2.png", "figure3.png", "boosting.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")


def test_sounds_are_what_was_scored(out: Path) -> None:
    """The example's SI-SDR from its sound, of every step, is one that the tables have."""
    results = json.loads((out / "results.json").read_text())
    scored = {
        round(system["utterances"]["SI-SDR"][0], 1)
        for table in results["tables"]
        for system in table["systems"].values()
    }
    spec = draw_specs(
        open_test(out / "synthetic/speech/test", out / "synthetic/noise/test"),
        QUICK.mixtures,
        16000,
    )
    speech = spec[0].read(0.0, 16000).speech
    sounds = [read_audio(step / "example.flac") for step in out.glob("cache/scores-*")]
    assert len(sounds) == 2 * len(SYSTEMS)
    heard = [
        si_sdr(speech, sound.samples[:, 0])
        for sound in sounds
        if sound.samples.shape[0] == speech.size
    ]
    opened = [value for value in heard if value > -5]  # the closed test has another utterance
    assert len(opened) >= len(SYSTEMS)
    assert {round(value, 1) for value in opened} <= scored


def test_a_second_run_does_nothing_again(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("done again")

    for task in (TableTask, CurveTask):
        monkeypatch.setattr(task, "_build", refuse)
    monkeypatch.setattr(
        "blsh_evaluation.scoring.run_tasks", lambda tasks, jobs, done: [t.run() for t in tasks]
    )
    monkeypatch.setattr("blsh_evaluation.artefacts.learn", refuse)
    monkeypatch.setattr("blsh_evaluation.artefacts.write_frames", refuse)
    before = {path: path.stat().st_mtime_ns for path in out.glob("cache/*")}
    done = CliRunner().invoke(
        evaluate, ["--synthetic", "--profile", "quick", "--jobs", "1", "-o", str(out)]
    )
    assert done.exit_code == 0, done.output
    assert "closed test, 0 dB" in done.output
    assert "BLSH is better than LSH at every L: " in done.output
    assert {path: path.stat().st_mtime_ns for path in out.glob("cache/*")} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "out"], "--speech-train: missing; give the four folders, or --corpus"),
        (["--synthetic", "--corpus", "x", "-o", "out"], "--synthetic: takes the place"),
        (["--corpus", "nowhere", "-o", "out"], "nowhere/speech/train: no such folder"),
        (["--corpus", "x", "-o", "file"], "-o file: file: File exists"),
        (["--synthetic", "-o", "out", "--model", "x"], "--model x: give NAME=FILE"),
        (["--synthetic", "-o", "out", "--model", "a=b.npz"], "b.npz"),
        (["--synthetic", "-o", "out", "--system", "x"], "--system x: give NAME=COMMAND"),
        (["--synthetic", "-o", "out", "--system", "LSH=a {in} {out}"], "the name LSH is taken"),
    ],
)
def test_mistakes_end_in_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    done = CliRunner().invoke(evaluate, arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not Path("out").exists()


def test_a_corpus_that_is_too_small_says_what_is_missing(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    write_corpus(corpus, speakers=3, clips=2, seconds=2.0)
    done = CliRunner().invoke(
        evaluate, ["--corpus", str(corpus), "--profile", "quick", "-o", str(tmp_path / "out")]
    )
    assert done.exit_code == 2
    assert re.search(
        r"--speech-train: .* frames, and a dictionary of 1% has \d of them", done.stderr
    )
    assert "min of speech or more" in done.stderr
