"""What REPORT.md and report.html say is what their sources say, the same on every machine."""

from __future__ import annotations

import base64
import json
import re
import struct
import sys
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blsh_codegen.assess import fixed_point_scores, held_out_mixtures
from blsh_codegen.bench import run_benchmark
from blsh_codegen.cli_export import export as export_command
from blsh_codegen.clip_report import clip_frames, clip_report
from blsh_codegen.compute_cost import STAND_IN, compute_cost
from blsh_codegen.emulator import emulation_unavailable_reason
from blsh_codegen.export import default_model, export_model
from blsh_codegen.layout import lay_out
from blsh_codegen.png import png_of
from blsh_codegen.provenance import provenance_of, quality_of
from blsh_codegen.report import Evidence, Report, make_report, report_texts
from blsh_codegen.runtime_cost import runtime_cost
from blsh_codegen.signals import conformance_signals, noisy_clip
from blsh_codegen.spectrogram import COLUMNS, LEVELS, palette, spectrogram
from blsh_codegen.tables import quantise
from blsh_codegen.targets import TARGETS, find_target
from blsh_codegen.usage import STAGES
from blsh_trainer.cli import train
from blsh_trainer.denoiser import denoise
from blsh_trainer.errors import BlshError
from blsh_trainer.mixing import Mixture, mix_at
from blsh_trainer.model_file import Geometry, Model, load_model
from blsh_trainer.quality import mean_scores
from blsh_trainer.stage_cost import calibration
from blsh_trainer.synthetic import synthetic_noise, synthetic_speech, write_corpus
from click.testing import CliRunner, Result

from tests.codegen.cost_calibration import BANDS, untrained_bands
from tests.codegen.folders import exported
from tests.models import SMALL, general_model, random_condensed_model, random_model

M4 = find_target("cortex-m4")
RECORD = {
    "options": {"method": "condensed", "seed": 7, "snr": [0.0, 5.0]},
    "fingerprint": "f" * 64,
    "loss": [0.5, 0.25],
    "preset": None,
    "validation": {
        "mixtures": 24,
        "snr_db": 0.0,
        "unprocessed": {"SDR": 0.25, "STOI": 0.75},
        "denoised": {"SDR": 6.5, "STOI": 0.8125},
        "fixed_point": {"SDR": 6.375, "STOI": 0.8},
    },
}


def report_of(model: Model, target: str = "cortex-m4", **measured: Any) -> Report:
    tables, chosen = quantise(model), find_target(target)
    cost = runtime_cost(chosen)
    return make_report(model, tables, lay_out(tables), chosen, cost, Evidence(**measured))


def recorded(training: dict[str, Any]) -> Model:
    return replace(general_model(), training=training)


def markdown_table(text: str, title: str) -> list[list[str]]:
    """Rows of the first table after a title, without its headings and emphasis."""
    lines = text.split(f"## {title}\n")[1].splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("| ---"))
    rows = []
    for line in lines[first + 1 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.replace("**", "").strip() for cell in line.strip("|").split("|")])
    return rows


@pytest.fixture(scope="module")
def bundled() -> Model:
    return load_model(default_model())


@pytest.fixture(scope="module")
def folder(bundled: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(bundled, tmp_path_factory.mktemp("report") / "out", "cortex-m4")


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return (folder / "REPORT.md").read_text(encoding="utf-8")


def test_memory_is_that_of_the_layout_and_sums_up(bundled: Model, folder: Path, text: str) -> None:
    layout, cost = lay_out(quantise(bundled)), runtime_cost(M4)
    rows = {name: int(size) for name, size in markdown_table(text, "Memory")}
    tables = {name: size for name, size in rows.items() if name.endswith(".h")}
    assert tables == layout.flash_bytes
    assert rows["runtime code, at most"] == cost.code_bytes
    assert rows["flash"] == sum(tables.values()) + cost.code_bytes
    assert rows["RAM, each stream (`BLSH_STATE_BYTES`)"] == layout.state_bytes
    assert rows["stack, at most"] == cost.stack_bytes
    assert rows["flash"] == json.loads((folder / "blsh_export.json").read_text())["flash_bytes"]


def test_latency_is_that_of_the_geometry(text: str) -> None:
    rows = [row[1:] for row in markdown_table(text, "Latency")]
    assert rows == [["512", "32.0"], ["512", "32.0"], ["1024", "64.0"]]


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_instructions_and_a_clock_by_stage(target: str) -> None:
    for model in (general_model(), random_condensed_model()):
        compute = compute_cost(model, find_target(target))
        assert tuple(stage.name for stage in compute.stages) == STAGES
        assert compute.instructions == sum(stage.instructions for stage in compute.stages) > 0
        assert compute.clock_hz >= compute.instructions
        assert not compute.is_counted
        assert compute.basis.startswith(
            "Estimated" if target in calibration() else "Nothing was counted on this target"
        )
        assert (STAND_IN in compute.basis) == (target not in calibration())


def test_stages_of_the_report_sum_to_its_total(bundled: Model, text: str) -> None:
    *stages, total = markdown_table(text, "Computation")
    compute = compute_cost(bundled, M4)
    assert [row[0] for row in stages] == list(STAGES)
    for column, exact in ((1, compute.instructions), (2, compute.clock_hz)):
        assert float(total[column]) == pytest.approx(exact / 1e6, abs=0.005)
        # Each is rounded to two digits.
        rounding = 0.005 * (len(stages) + 1)
        assert sum(float(row[column]) for row in stages) == pytest.approx(
            float(total[column]), abs=rounding
        )


# Shapes that the calibration has not seen.
OTHER_BANDS = {
    "bands": replace(BANDS[0], projections=120, dictionary="1500", neighbours=8),
    "many neighbours": replace(BANDS[0], dictionary="512", neighbours=24),
    "levels": replace(BANDS[0], dictionary="512", mask_bits=2, neighbours=12),
}


@pytest.mark.parametrize("kind", ["bundled", *OTHER_BANDS])
def test_estimates_by_stage_are_near_the_counts(kind: str, bundled: Model) -> None:
    reason = emulation_unavailable_reason(M4)
    if reason:
        pytest.skip(reason)
    model = bundled if kind == "bundled" else untrained_bands(OTHER_BANDS[kind])
    estimate = compute_cost(model, M4)
    counted = compute_cost(model, M4, run_benchmark(model, M4, seconds=0.5).usage)
    assert counted.is_counted
    assert "Counted on the emulated core" in counted.basis
    assert estimate.instructions == pytest.approx(counted.instructions, rel=0.05)
    assert estimate.clock_hz == pytest.approx(counted.clock_hz, rel=0.05)
    for mine, found in zip(estimate.stages, counted.stages, strict=True):
        # A stage may be off by more than the whole, but not by much of the whole.
        assert abs(mine.instructions - found.instructions) < 0.05 * counted.instructions


def test_measured_counts_replace_the_estimates(tmp_path: Path) -> None:
    reason = emulation_unavailable_reason(M4)
    if reason:
        pytest.skip(reason)
    out = tmp_path / "out"
    result = run("--target", "cortex-m4", "-o", out, "--measure")
    assert result.exit_code == 0, result.output
    text = (out / "REPORT.md").read_text()
    usage = run_benchmark(load_model(default_model()), M4).usage
    rows = {row[0]: float(row[1]) for row in markdown_table(text, "Computation")}
    expected = {**usage.stages, "all": usage.instructions_per_second}
    assert rows == {name: round(count / 1e6, 2) for name, count in expected.items()}
    assert f"compiler: {usage.compiler}" in text
    assert f"{usage.runtime_code_bytes} bytes of runtime code" in text


def test_what_cannot_be_measured_is_refused_and_nothing_written(tmp_path: Path) -> None:
    result = run("--target", "esp32", "-o", tmp_path / "out", "--measure")
    assert result.exit_code == 2
    assert "cannot benchmark esp32" in result.stderr
    assert not list(tmp_path.iterdir())


def test_quality_before_and_after_quantisation_is_that_of_the_record() -> None:
    texts = report_texts(report_of(recorded(RECORD)))
    assert markdown_table(texts["REPORT.md"], "Quality") == [
        ["SDR", "0.250", "6.500", "6.375"],
        ["STOI", "0.750", "0.812", "0.800"],
    ]
    for text in texts.values():
        assert "PESQ was left out: the package pesq was not installed" in text
        assert "not measured" not in text
    cells = r"<th>SDR</th><td>0.250</td><td>6.500</td><td>6.375</td>"
    assert cells in texts["report.html"]


def test_fresh_scores_of_the_c_replace_those_of_the_record() -> None:
    report = report_of(recorded(RECORD), fixed_point={"SDR": 6.0})
    assert report.quality is not None
    assert [score.fixed for score in report.quality.scores] == [6.0, None]


@pytest.mark.parametrize(
    "training",
    [
        {},
        {"validation": 5},
        {"validation": {"unprocessed": 3}},
        {"validation": {"unprocessed": {"SDR": "high"}, "denoised": {"SDR": [1]}}},
        {"options": ["x"], "speech": {"a": {}}, "validation": {"denoised": {"SDR": 1.0}}},
    ],
)
def test_a_record_of_another_make_is_no_error(training: dict[str, Any]) -> None:
    assert quality_of(training) is None
    assert provenance_of(training) == ()
    for text in report_texts(report_of(recorded(training))).values():
        assert "carries no validation figures" in text
        assert "says nothing of its training" in text


def test_provenance_shows_options_seed_and_sources(bundled: Model, text: str, page: str) -> None:
    for shown in (text.replace("\\", ""), page):
        assert bundled.sha256 in shown
        assert bundled.training["fingerprint"] in shown
        assert str(bundled.training["options"]["seed"]) in shown
        for source in bundled.training["noise"].values():
            assert source in shown


def test_foreign_text_stays_text() -> None:
    nasty = "<script>alert(1)</script> | [x](http://evil)\n# title"
    texts = report_texts(report_of(recorded({"note": nasty})))
    assert "<script" not in "".join(texts.values())
    assert not re.search(r"(?<!\\)\]\(http", texts["REPORT.md"])
    assert "\n# title" not in texts["REPORT.md"]
    parsed = Page()
    parsed.feed(texts["report.html"])
    assert nasty in parsed.text


class Page(HTMLParser):
    """Checks that tags nest, and collects what is in them."""

    VOID = ("meta", "image", "line", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[int]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice"
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.rows.append([])
        elif tag == "tr":
            self.rows[-1].append(0)
        elif tag in ("td", "th"):
            self.rows[-1][-1] += 1
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def parsed(page: str) -> Page:
    parsed = Page()
    parsed.feed(page)
    parsed.close()
    return parsed


def test_html_is_well_formed_and_stands_alone(page: str, parsed: Page) -> None:
    assert page.startswith("<!DOCTYPE html>")
    assert parsed.open == []
    assert not {"script", "link", "iframe", "img"} & {tag for tag, _ in parsed.tags}
    links = [a[n] for _, a in parsed.tags for n in ("href", "src", "srcset") if n in a]
    assert all(link is not None and link.startswith("data:image/png") for link in links)
    assert "http" not in re.sub(r'href="data:[^"]*"', "", page)
    assert "url(" not in page
    for rows in parsed.rows:
        assert len(set(rows)) == 1, "rows of a table with different numbers of cells"
    assert len(page) < 300_000


def test_html_has_every_section_and_both_schemes(page: str) -> None:
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles == [
        *("Before and after", "Quality", "Computation", "Memory", "Latency", "Geometry"),
        *("Provenance", "Licence"),
    ]
    for media in ("prefers-color-scheme: dark", "@media print"):
        assert media in page
    assert 'name="viewport" content="width=device-width' in page


def test_both_reports_say_the_same_numbers(text: str, parsed: Page) -> None:
    plain = parsed.text.replace(",", "")
    for title in ("Memory", "Computation", "Latency", "Quality"):
        for row in markdown_table(text, title):
            for cell in row[1:]:
                assert cell in plain


def decoded(png: bytes) -> np.ndarray:
    """Levels of a picture, all of its checksums verified."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    place = 8
    while place < len(png):
        (size,) = struct.unpack_from(">I", png, place)
        kind, data = png[place + 4 : place + 8], png[place + 8 : place + 8 + size]
        assert struct.unpack_from(">I", png, place + 8 + size) == (zlib.crc32(kind + data),)
        chunks[kind] = data
        place += 12 + size
    assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    width, height, depth, kind = struct.unpack(">2I2B", chunks[b"IHDR"][:10])
    assert (depth, kind) == (4, 3)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()
    levels = np.stack([rows[:, 1:] >> 4, rows[:, 1:] & 15], axis=2).reshape(height, -1)
    return levels[:, :width]


@pytest.mark.parametrize("width", [1, 6, 7, 900])
def test_pictures_decode_to_what_they_are_made_of(width: int) -> None:
    levels = np.random.default_rng(0).integers(0, LEVELS, (150, width))
    assert (decoded(png_of(levels, palette())) == levels).all()


def test_a_level_without_a_colour_is_refused() -> None:
    with pytest.raises(ValueError, match="no colour"):
        png_of(np.array([[LEVELS]]), palette())


def test_a_tone_is_bright_where_it_sounds() -> None:
    tables = quantise(random_model(Geometry(8000, 256, 64)))
    time = np.arange(8000)
    tone = np.where(time < 4000, np.sin(2 * np.pi * 1500 * time / 8000), 0)
    found = spectrogram(tables, (20000 * tone).astype(np.int16))
    assert found.bits.shape == (128, COLUMNS)
    assert found.nyquist_hz == 4000
    # Row 0 is Nyquist: 1500 Hz lie 1500 / 4000 from the bottom.
    assert (found.bits[:, :100].argmax(axis=0) == 127 - 48).all()
    levels = decoded(found.png(int(found.bits.max())))
    assert (levels[79, :100] == LEVELS - 1).all()
    assert (levels[79, 140:] == 0).all()


def test_the_pictures_of_the_page_are_those_of_the_clip(bundled: Model, page: str) -> None:
    tables = quantise(bundled)
    uris = re.findall(r'href="data:image/png;base64,([^"]*)"', page)
    clip = clip_report(bundled, tables)
    assert [base64.b64decode(uri) for uri in uris] == [one.png for one in clip.pictures]
    before, after = (decoded(one.png) for one in clip.pictures)
    assert before.max() == LEVELS - 1
    assert after.mean() < before.mean() / 2


def test_the_picture_is_the_same_on_every_machine() -> None:
    """The bytes as they were when this was written; they change with the synthetic speech only."""
    clip = clip_report(general_model(), quantise(general_model()))
    assert zlib.crc32(clip.pictures[0].png) == PICTURE_CRC32


PICTURE_CRC32 = 62320159


def test_quantisation_costs_next_to_nothing_on_the_clip(bundled: Model) -> None:
    clip = clip_report(bundled, quantise(bundled))
    assert clip.seconds == pytest.approx(3, abs=0.05)
    assert clip.fixed_db > clip.unprocessed_db + 5
    assert clip.fixed_db == pytest.approx(clip.float_db, abs=0.1)
    assert clip.agreement_db is not None
    assert clip.agreement_db > 30


def test_a_silent_output_is_no_error() -> None:
    model = general_model()
    silent = [replace(band, masks=np.zeros_like(band.masks)) for band in model.bands]
    silent_model = replace(model, bands=tuple(silent))
    assert clip_report(silent_model, quantise(silent_model)).agreement_db is None


@pytest.mark.parametrize(
    "geometry", [SMALL, Geometry(), Geometry(48000, 512, 64), Geometry(4000, 4096, 2048)]
)
def test_the_clip_is_noisy_speech_of_a_bounded_length(geometry: Geometry) -> None:
    frames = clip_frames(geometry)
    assert 4 * geometry.frame <= frames * geometry.hop
    assert frames <= 256
    clip = noisy_clip(geometry, frames)
    signals = {one.name: one.samples for one in conformance_signals(geometry, frames)}
    assert (clip.noisy == signals["noisy speech"]).all()
    noise = clip.noisy - clip.speech
    assert np.mean(noise**2) == pytest.approx(np.mean(clip.speech**2), rel=0.1)


def made_mixtures(count: int, rate: int) -> list[Mixture]:
    rng = np.random.default_rng(1)
    return [
        mix_at(synthetic_speech(2, rate, rng), synthetic_noise("pink", 2, rate, rng), 0)
        for _ in range(count)
    ]


def test_the_c_scores_what_the_float_model_scores(bundled: Model) -> None:
    mixtures = made_mixtures(3, 16000)
    fixed = fixed_point_scores(bundled, mixtures)
    floating = mean_scores(mixtures, lambda noisy: denoise(bundled, noisy))
    assert fixed.keys() == floating.keys()
    for measure in ("SDR", "SI-SDR"):
        assert fixed[measure] == pytest.approx(floating[measure], abs=0.1)


@pytest.mark.parametrize("package", ["pystoi", "pesq"])
def test_a_measure_whose_package_is_absent_is_left_out(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # what import sees of a package not installed
    scores = mean_scores(made_mixtures(1, 16000), lambda samples: samples)
    assert {"pystoi": "STOI", "pesq": "PESQ"}[package] not in scores
    assert {"SDR", "SIR", "SAR", "SI-SDR"} <= scores.keys()


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(export_command, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A corpus and a model that was trained on it."""
    directory = tmp_path_factory.mktemp("trained")
    write_corpus(directory, speakers=4, clips=2, seconds=1.5, rate=8000, seed=1)
    arguments = [
        *("--speech", directory / "speech/train", "--noise", directory / "noise/train"),
        *("-o", directory / "model.npz", "--rate", "8000", "--frame", "256", "--hop", "64"),
        *("--projections", "12", "--dictionary", "200", "--neighbours", "5", "--seed", "3"),
    ]
    result = CliRunner().invoke(train, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    return directory, directory / "model.npz"


def test_training_keeps_scores_and_export_adds_those_of_the_c(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    corpus, path = trained
    validation = load_model(path).training["validation"]
    assert validation["mixtures"] == 2  # of the one talker held out
    assert validation["unprocessed"].keys() == validation["denoised"].keys() >= {"SDR", "SI-SDR"}
    arguments = ("--target", "generic", "--model", path, "-o", tmp_path / "out")
    assert run(*arguments).exit_code == 0
    before = markdown_table((tmp_path / "out/REPORT.md").read_text(), "Quality")
    assert {row[3] for row in before} == {"not measured"}
    folders = ("--speech", corpus / "speech/train", "--noise", corpus / "noise/train")
    assert run(*arguments, *folders).exit_code == 0
    after = markdown_table((tmp_path / "out/REPORT.md").read_text(), "Quality")
    assert [row[:3] for row in after] == [row[:3] for row in before]
    expected = fixed_point_scores(
        load_model(path), held_out_mixtures(load_model(path), (folders[1],), (folders[3],))
    )
    assert {row[0]: float(row[3]) for row in after} == expected
    sdr = {row[0]: row for row in after}["SDR"]
    assert float(sdr[3]) == pytest.approx(float(sdr[2]), abs=0.3)


def test_other_recordings_than_those_of_the_training_are_refused(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    corpus, path = trained
    folders = ("--speech", corpus / "speech/train", "--noise", corpus / "noise/test")
    arguments = ("--target", "generic", "-o", tmp_path / "out")
    for model, message in (
        (("--model", path), "was trained on other recordings"),
        ((), "was trained on other recordings"),
    ):
        refused = run(*arguments, *model, *folders)
        assert refused.exit_code == 2
        assert message in refused.stderr
    alone = run(*arguments, "--speech", corpus)
    assert alone.exit_code == 2
    assert "--speech, --noise: give both" in alone.stderr
    assert not (tmp_path / "out").exists()


def test_a_model_without_validation_cannot_be_scored() -> None:
    with pytest.raises(BlshError, match="held nothing out"):
        held_out_mixtures(general_model(), (), ())


@pytest.mark.parametrize("target", TARGETS)
def test_every_file_of_an_export_says_its_licence(target: str, tmp_path: Path) -> None:
    export_model(general_model(), find_target(target), tmp_path / "out")
    for path in sorted((tmp_path / "out").rglob("*")):
        if path.is_dir() or path.suffix in (
            ".npz",
            ".bin",
        ):  # tables; the model's record has its licence
            continue
        text = path.read_text(encoding="utf-8")
        if path.name == "LICENSE":
            assert text.startswith("MIT No Attribution")
        elif path.suffix in (".c", ".h", ".ld", ".ino", ".txt", ".yml", ".md", ".html", ".pdsc"):
            said = "SPDX-License-Identifier: MIT-0" in text or 'license: "MIT-0"' in text
            assert said, path.name
        else:
            assert "MIT-0" in text, path.name
