"""blsh-train from the outside."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from blsh_codegen.masks import compress
from blsh_trainer.audio import read_mono, write_wav
from blsh_trainer.boosting import BoostedHashing
from blsh_trainer.cli import train
from blsh_trainer.denoiser import denoise
from blsh_trainer.metrics import si_sdr
from blsh_trainer.mixing import Mixture, draw_mixtures
from blsh_trainer.model_file import Model, load_model, save_model
from blsh_trainer.weak_learner import Ascent
from click.testing import CliRunner, Result

from tests.interrupts import interrupt, interruptible

SMALL = ("--rate", "8000", "--frame", "256", "--hop", "64", "--projections", "12")
SIZES = ("--dictionary", "200", "--neighbours", "5")


def run(corpus: Path, output: Path, *options: str) -> Result:
    arguments = ["--speech", str(corpus / "speech/train"), "--noise", str(corpus / "noise/train")]
    return CliRunner().invoke(train, [*arguments, "-o", str(output), *SMALL, *SIZES, *options])


def trained(corpus: Path, output: Path, *options: str) -> Model:
    result = run(corpus, output, *options)
    assert result.exit_code == 0, result.output
    return load_model(output)


def unheard(corpus: Path, noise: str) -> list[Mixture]:
    """Talkers of the test split in some noise at 0 dB."""
    drawn = draw_mixtures(
        sorted((corpus / "speech/test").rglob("*.wav")),
        sorted((corpus / noise).rglob("*.wav")),
        rate=8000,
        snrs_db=[0],
        minutes=None,
        rng=np.random.default_rng(0),
    )
    return list(drawn)


def interrupted_after(monkeypatch: pytest.MonkeyPatch, rounds: int) -> None:
    """Make the next boosting end as Ctrl-C would after some rounds."""
    original = BoostedHashing._round

    def interrupted(self: BoostedHashing, *arguments: object) -> object:
        if self.bias_.size == rounds:
            monkeypatch.setattr(BoostedHashing, "_round", original)
            raise KeyboardInterrupt
        return original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(BoostedHashing, "_round", interrupted)


def test_trains_a_model_that_denoises_speakers_and_noise_it_has_not_heard(
    corpus: Path, tmp_path: Path
) -> None:
    everything = ("--projections", "48", "--dictionary", "30%", "--no-validation")
    model = trained(corpus, tmp_path / "m.npz", *everything)
    assert "validation" not in model.training
    mixtures = unheard(corpus, "noise/train/pink")
    gains = [
        si_sdr(m.speech, denoise(model, m.noisy)) - si_sdr(m.speech, m.noisy) for m in mixtures
    ]
    assert np.mean(gains) > 3


@pytest.mark.parametrize("features", ["stft", "mel"])
@pytest.mark.parametrize(
    "method", [("blsh",), ("blsh", "--distance", "cross-entropy"), ("lsh",)], ids=" ".join
)
def test_every_method_gives_a_valid_model(
    corpus: Path, tmp_path: Path, features: str, method: tuple[str, ...]
) -> None:
    model = trained(
        corpus, tmp_path / "m.npz", "--features", features, "--mels", "40", "--method", *method
    )
    band = model.bands[0]
    assert (band.n_bits, band.n_entries, band.neighbours, band.mask_bits) == (12, 200, 5, 1)
    assert band.projection.shape[1] == (40 if features == "mel" else 129)
    assert 0.1 < band.masks.mean() < 0.9
    if method[0] == "lsh":
        assert (band.beta == 1).all()
        assert (band.bias == 0).all()


@pytest.mark.parametrize("mask_bits", [1, 3])
def test_masks_of_clusters_and_of_fewer_bits_are_better_or_smaller(
    corpus: Path, tmp_path: Path, mask_bits: int
) -> None:
    bits = ("--mask-bits", str(mask_bits), "--projections", "32", "--no-validation")
    rough = trained(corpus, tmp_path / "rough.npz", *bits, "--mask-slope", "0.3")
    exact = trained(corpus, tmp_path / "exact.npz", *bits)
    clusters = trained(corpus, tmp_path / "c.npz", *bits, "--sampling", "clusters")
    assert exact.bands[0].mask_bits == mask_bits
    sizes = [compress(m.bands[0].masks, mask_bits).stream.nbytes for m in (rough, exact)]
    assert sizes[0] < 0.8 * sizes[1]
    assert len({m.bands[0].codes.tobytes() for m in (rough, exact, clusters)}) == 2
    mixtures = unheard(corpus, "noise/train")
    random, clustered = (
        np.mean([si_sdr(one.speech, denoise(m, one.noisy)) for one in mixtures])
        for m in (exact, clusters)
    )
    assert clustered > random


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--mask-bits", "5"), "--mask-bits 5: must be 1 to 4"),
        (("--mask-slope", "-1"), "--mask-slope -1: must be 0 to 10"),
        (("--mask-slope", "nan"), "--mask-slope nan: must be 0 to 10"),
    ],
)
def test_impossible_masks_are_refused(
    corpus: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    result = run(corpus, tmp_path / "m.npz", *options)
    assert result.exit_code != 0
    assert message in str(result.exception) + result.output


def test_same_seed_same_model_other_seed_other_model(corpus: Path, tmp_path: Path) -> None:
    options = ("--projections", "4", "--snr", "-5", "--snr", "5", "--minutes", "0.1")
    digests = [
        trained(corpus, tmp_path / f"{i}.npz", *options, "--seed", seed).sha256
        for i, seed in enumerate(("1", "1", "2"))
    ]
    assert digests[0] == digests[1] != digests[2]


def test_ctrl_c_saves_what_is_learned_and_resume_gives_the_uninterrupted_model(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(corpus, tmp_path / "whole.npz", "--seed", "7")
    partial = tmp_path / "partial.npz"
    interrupted_after(monkeypatch, 5)
    result = run(corpus, partial, "--seed", "7")
    assert result.exit_code == 130
    assert f"--resume {partial}" in result.stderr
    assert load_model(partial).bands[0].n_bits == 5
    # The seed need not be repeated: it comes from the model.
    resumed = trained(corpus, tmp_path / "resumed.npz", "--resume", str(partial))
    assert resumed.sha256 == whole.sha256


def test_ctrl_c_before_the_first_projection_saves_nothing(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted_after(monkeypatch, 0)
    result = run(corpus, tmp_path / "m.npz")
    assert result.exit_code == 130
    assert "nothing saved" in result.stderr
    assert not list(tmp_path.iterdir())


def test_ctrl_c_while_mixing_saves_nothing(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("blsh_trainer.cli_blsh.collect_frames", interrupt)
    result = run(corpus, tmp_path / "m.npz")
    assert result.exit_code == 130
    assert "nothing saved" in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_real_ctrl_c_saves_a_valid_model(corpus: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.npz"
    command = [sys.executable, "-c", "from blsh_trainer.cli import train; train()",
               "--speech", str(corpus / "speech/train"), "--noise", str(corpus / "noise/train"),
               "-o", str(output), *SMALL, *SIZES, "--projections", "1000"]  # fmt: skip
    with interruptible(command) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(6)  # long enough to learn some projections, too short for all
        message = interrupt(process)
    assert process.returncode == 130, message
    if output.exists():
        assert "--resume" in message
        assert 1 <= load_model(output).bands[0].n_bits < 1000
    else:
        assert "nothing saved" in message


def test_resume_takes_every_option_from_the_model(corpus: Path, tmp_path: Path) -> None:
    first, again = tmp_path / "first.npz", tmp_path / "again.npz"
    one = trained(
        corpus, first, "--features", "mel", "--mels", "30", "--snr", "-5", "--snr", "5",
        "--minutes", "0.1", "--distance", "cross-entropy", "--aim", "raw", "--seed", "3",
    )  # fmt: skip
    bare = ["--speech", str(corpus / "speech/train"), "--noise", str(corpus / "noise/train")]
    result = CliRunner().invoke(train, [*bare, "-o", str(again), "--resume", str(first)])
    assert result.exit_code == 0, result.output
    assert load_model(again).sha256 == one.sha256
    more = ("--resume", str(first), "--projections", "13")
    result = CliRunner().invoke(train, [*bare, "-o", str(again), *more])
    assert result.exit_code == 0, result.output
    assert (load_model(again).bands[0].n_bits, load_model(again).bands[0].n_entries) == (13, 200)


def test_the_target_and_all_settings_of_boosting_are_recorded(corpus: Path, tmp_path: Path) -> None:
    scaled = trained(corpus, tmp_path / "scaled.npz", "--projections", "3")
    raw = trained(corpus, tmp_path / "raw.npz", "--projections", "3", "--aim", "raw")
    lsh = trained(corpus, tmp_path / "lsh.npz", "--method", "lsh")
    assert [m.training["options"]["aim"] for m in (scaled, raw)] == ["scaled", "raw"]
    assert scaled.training["boosting"]["target_quantile"] == 0.95
    assert raw.training["boosting"] == {**scaled.training["boosting"], "target_quantile": None}
    assert "boosting" not in lsh.training
    assert not np.array_equal(scaled.bands[0].projection, raw.bands[0].projection)
    parameters = set(inspect.signature(BoostedHashing).parameters)
    elsewhere = {"n_projections", "ascent", "warm_start", "random_state"}
    settings = set(scaled.training["boosting"])
    assert parameters - elsewhere <= settings
    assert len(settings) >= len(parameters - elsewhere) + len(dataclasses.fields(Ascent))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boosting": {"rank": 64}}, "another version of blsh-train.* rank 64 where .* 128"),
        ({"boosting": {"momentum": 0.9}}, "momentum 0.9 where this one has unset"),
        ({"boosting": None}, "another version of blsh-train"),
        ({"options": {"aim": None}}, "which --aim .*; train a new model"),
        ({"options": {"mels": "many"}}, "record of --mels is damaged"),
        ({"options": {"snr": 3}}, "record of --snr is damaged"),
        ({"options": {"distance": "far"}}, "--distance far: must be squared or cross-entropy"),
        ({"options": None}, "needs a model written by blsh-train"),
        ({"epsilon": [0.3]}, "record of epsilon is damaged"),
    ],
)
def test_resume_refuses_what_another_version_learned(
    corpus: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    model = trained(corpus, tmp_path / "first.npz", "--projections", "4")
    training = dict(model.training)
    for key, value in change.items():
        merged = {**training[key], **value} if isinstance(value, dict) else value
        if isinstance(merged, dict):
            merged = {name: item for name, item in merged.items() if name != "aim" or item}
        training[key] = merged
    save_model(dataclasses.replace(model, training=training), tmp_path / "changed.npz")
    result = run(corpus, tmp_path / "m.npz", "--resume", str(tmp_path / "changed.npz"))
    assert_refused(result, f"({tmp_path}/changed.npz: )?.*{message}")
    assert not (tmp_path / "m.npz").exists()


def test_resume_may_change_dictionary_and_neighbours(corpus: Path, tmp_path: Path) -> None:
    first = tmp_path / "first.npz"
    one = trained(corpus, first, "--projections", "4")
    two = trained(corpus, tmp_path / "two.npz", "--projections", "4", "--resume", str(first),
                  "--dictionary", "50", "--neighbours", "3")  # fmt: skip
    assert np.array_equal(one.bands[0].projection, two.bands[0].projection)
    assert two.bands[0].n_entries == 50


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--seed", "1"), "trained with --seed 0, not 1"),
        (("--features", "mel"), "trained with --features stft, not mel"),
        (("--aim", "raw"), "trained with --aim scaled, not raw"),
        (("--hop", "128"), "trained with --hop 64, not 128"),
        (("--snr", "5"), "trained with --snr 0, not 5"),
        (("--minutes", "1"), "trained with --minutes all, not 1"),
        (("--projections", "3"), "--projections 3: .* already has 4"),
    ],
)
def test_resume_refuses_other_options(
    corpus: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    first = tmp_path / "first.npz"
    trained(corpus, first, "--projections", "4", "--method", "lsh")
    assert_refused(run(corpus, tmp_path / "m.npz", "--resume", str(first), *options), message)


def test_resume_refuses_other_recordings(corpus: Path, tmp_path: Path) -> None:
    first, other = tmp_path / "first.npz", tmp_path / "corpus"
    trained(corpus, first, "--method", "lsh")
    shutil.copytree(corpus, other)
    clip = next(iter((other / "speech/train").rglob("*.wav")))
    write_wav(clip, 0.5 * read_mono(clip, 8000), 8000)
    assert_refused(
        run(other, tmp_path / "m.npz", "--resume", str(first)), "trained on other recordings"
    )


def assert_refused(result: Result, message: str) -> None:
    assert result.exit_code == 2, result.output
    line = result.stderr.strip()
    assert line.startswith("Error: ")
    assert "\n" not in line
    assert re.search(message, line), line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--frame", "1000"), "--frame 1000: must be a power of two"),
        (("--hop", "100"), "--hop 100: must be a power of two"),
        (("--hop", "512"), "--hop 512: at most half"),
        (("--rate", "100"), "--rate 100"),
        (("--projections", "0"), "--projections 0"),
        (("--dictionary", "0"), "--dictionary 0"),
        (("--dictionary", "lots"), "--dictionary lots"),
        (("--dictionary", "100000"), "--dictionary 100000: there are only"),
        (("--neighbours", "0"), "--neighbours 0"),
        (("--neighbours", "201"), "--neighbours 201: the dictionary has only 200"),
        (("--dictionary", "0.1%"), "--neighbours 5: the dictionary has only 1 "),
        (("--features", "mel", "--mels", "500"), "--mels 500"),
        (("--minutes", "0"), "--minutes 0"),
        (("--minutes", "nan"), "--minutes nan"),
        (("--minutes", "inf"), "--minutes inf: must be 0.001 to 100000"),
        (("--minutes", "1e300"), "--minutes 1e.300"),
        (("--minutes", "1e-9"), "--minutes 1e-09"),
        (("--speech", "n" * 300), "nnn: cannot be read .*too long"),
        (("--seed", "-1"), "--seed -1"),
        (("--snr", "nan"), "--snr"),
        (("--resume", "missing.npz"), "missing.npz: cannot read"),
        (("--speech", "missing"), "missing: no such folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_impossible_options_are_one_line_and_leave_the_output_alone(
    corpus: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    output = tmp_path / "m.npz"
    output.write_text("precious")
    assert_refused(run(corpus, output, *options), message)
    assert output.read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 1


def test_output_is_checked_before_training(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "blsh_trainer.cli_blsh.find_recordings", lambda *_: pytest.fail("began to work")
    )
    assert_refused(run(corpus, tmp_path / "none" / "m.npz"), "-o .*m.npz: cannot write there")
    assert_refused(run(corpus, tmp_path), "-o .*: is a folder")
    assert_refused(run(corpus, tmp_path / ("m" * 256)), "-o .*m: cannot write there .*too long")
    os.mkfifo(tmp_path / "pipe")
    assert_refused(run(corpus, tmp_path / "pipe"), "-o .*pipe: cannot write there .*not a regular")
    assert (tmp_path / "pipe").is_fifo()


def test_the_longest_name_that_a_file_may_have_can_be_written(corpus: Path, tmp_path: Path) -> None:
    output = tmp_path / ("m" * 251 + ".npz")
    trained(corpus, output, "--projections", "2")
    assert list(tmp_path.iterdir()) == [output]


def write_clips(folder: Path, samples: np.ndarray, rate: int = 8000) -> Path:  # type: ignore[type-arg]
    folder.mkdir(parents=True)
    path = folder / "clip.wav"
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


@pytest.mark.parametrize("kind", ["speech", "noise"])
@pytest.mark.parametrize("options", [(), ("--minutes", "1")], ids=["once", "minutes"])
def test_a_recording_of_which_resampling_leaves_nothing_is_named(
    corpus: Path, tmp_path: Path, kind: str, options: tuple[str, ...]
) -> None:
    bad = write_clips(tmp_path / "bad", np.full(1, 0.5), 192000)
    arguments = run_arguments(corpus, **{kind: bad.parent})
    result = CliRunner().invoke(
        train, [*arguments, "-o", str(tmp_path / "m.npz"), *SMALL, *SIZES, *options]
    )
    assert_refused(result, f"^Error: {bad}: the recording is too short")


@pytest.mark.parametrize("kind", ["speech", "noise"])
@pytest.mark.parametrize("level", [1e38, 1e30, 1e-38])
def test_a_recording_at_an_impossible_level_is_named(
    corpus: Path, tmp_path: Path, kind: str, level: float
) -> None:
    samples = level * np.random.default_rng(0).uniform(-1, 1, 8000)
    bad = write_clips(tmp_path / "bad", samples)
    arguments = run_arguments(corpus, **{kind: bad.parent})
    result = CliRunner().invoke(train, [*arguments, "-o", str(tmp_path / "m.npz"), *SMALL, *SIZES])
    assert_refused(result, f"^Error: {bad}: its peak is .* times full scale")


@pytest.mark.parametrize("levels", [(9e6, 2e-10), (2e-10, 9e6), (9e6, 9e6), (2e-10, 2e-10)])
@pytest.mark.parametrize("snr", ["-100", "100"])
def test_the_loudest_and_quietest_recordings_train(
    tmp_path: Path, levels: tuple[float, float], snr: str
) -> None:
    rng = np.random.default_rng(0)
    speech, noise = (level * rng.uniform(-1, 1, 16000) for level in levels)
    write_clips(tmp_path / "speech", speech)
    write_clips(tmp_path / "noise", noise)
    arguments = run_arguments(tmp_path, speech=tmp_path / "speech", noise=tmp_path / "noise")
    output = tmp_path / "m.npz"
    result = CliRunner().invoke(
        train, [*arguments, "-o", str(output), *SMALL, *SIZES, "--snr", snr]
    )
    assert result.exit_code == 0, result.output
    assert (np.diff(load_model(output).bands[0].masks.mean(axis=1)) == 0).mean() > 0.5


def test_a_single_frame_with_sound_is_too_little_to_boost(corpus: Path, tmp_path: Path) -> None:
    # With two frames a hop, a sample at the start of a hop meets one window's zero.
    write_clips(tmp_path / "speech", np.full(1, 0.5))
    write_clips(tmp_path / "noise", np.full(8000, 0.5))
    arguments = run_arguments(corpus, speech=tmp_path / "speech", noise=tmp_path / "noise")
    sizes = ("--frame", "64", "--hop", "32", "--dictionary", "1", "--neighbours", "1")
    command = [*arguments, "-o", str(tmp_path / "m.npz"), *SMALL, *sizes]
    assert_refused(CliRunner().invoke(train, command), "--speech: .*only one frame with sound")


def run_arguments(corpus: Path, **folders: Path) -> list[str]:
    chosen = {kind: corpus / kind / "train" for kind in ("speech", "noise")} | folders
    return [word for kind in chosen for word in (f"--{kind}", str(chosen[kind]))]


def test_a_bad_recording_is_named(corpus: Path, tmp_path: Path) -> None:
    other = tmp_path / "corpus"
    shutil.copytree(corpus, other)
    bad = other / "speech/train/zz/broken.wav"
    bad.parent.mkdir()
    bad.write_bytes(b"RIFF but not really")
    assert_refused(run(other, tmp_path / "m.npz"), f"{bad}: not readable")
    assert not (tmp_path / "m.npz").exists()


def test_json_is_one_object_and_nothing_else(corpus: Path, tmp_path: Path) -> None:
    result = run(corpus, tmp_path / "m.npz", "--json", "--projections", "3")
    fields = json.loads(result.stdout)
    assert fields["sha256"] == load_model(tmp_path / "m.npz").sha256
    assert (fields["projections"], fields["dictionary"]) == (3, 200)
    assert fields["interrupted"] is False
    assert result.stderr == ""


def test_a_pipe_sees_neither_bars_nor_colour(corpus: Path, tmp_path: Path) -> None:
    result = run(corpus, tmp_path / "m.npz", "--projections", "3")
    assert "\x1b" not in result.output
    assert result.stdout.count("\n") == 1
    assert result.stderr == ""
