"""Training of condensed models from recordings to the model file, and `blsh-train --preset`."""

from __future__ import annotations

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from blsh_trainer import condensed_training
from blsh_trainer.augmentation import Mixer, coloured_noise
from blsh_trainer.checkpoint import load_checkpoint, save_checkpoint
from blsh_trainer.cli import train
from blsh_trainer.condensation import Rounding, predicted_gains
from blsh_trainer.condensed_denoiser import (
    cell_gains,
    cell_votes,
    condensed_bits,
    entry_bits,
    released,
)
from blsh_trainer.condensed_frames import CondensedFrames
from blsh_trainer.condensed_options import CondensedOptions
from blsh_trainer.condensed_plan import make_plan
from blsh_trainer.condensed_training import (
    build_condensed,
    collect,
    learn,
    start,
    train_condensed,
)
from blsh_trainer.corpus import Recordings, find_recordings
from blsh_trainer.denoiser import denoise
from blsh_trainer.errors import BlshError
from blsh_trainer.fitting import largest_preset
from blsh_trainer.holdout import hold_out, validation_mixtures
from blsh_trainer.metrics import si_sdr
from blsh_trainer.mixing import draw_mixtures
from blsh_trainer.model_file import check_model, load_model
from blsh_trainer.presets import PRESETS, Budget, at_rate, parse_bytes
from click.testing import CliRunner, Result

SMALL = CondensedOptions(
    rate=8000, frame=512, hop=256, words=2, compared=2, reach=0.6, bands=3, layers=2, entries=32,
    neighbours=4, minutes=2, steps=150,
)  # fmt: skip


@pytest.fixture(scope="module")
def recordings(corpus: Path) -> Recordings:
    return find_recordings([corpus / "speech/train"], [corpus / "noise/train"])


@pytest.fixture(scope="module")
def frames(recordings: Recordings) -> CondensedFrames:
    return collect(recordings, SMALL)


def test_training_denoises_talkers_it_has_not_heard(corpus: Path, frames: CondensedFrames) -> None:
    model = learn(SMALL, frames)
    check_model(model)
    assert model.training["loss"][-1] < 0.7 * _first_loss(frames)
    test = find_recordings([corpus / "speech/test"], [corpus / "noise/train"])
    gains = []
    for mixture in draw_mixtures(
        test.speech, test.noise, rate=8000, snrs_db=[0.0], minutes=0.3,
        rng=np.random.default_rng(0),
    ):  # fmt: skip
        after = si_sdr(mixture.speech, denoise(model, mixture.noisy))
        gains.append(after - si_sdr(mixture.speech, mixture.noisy))
    assert np.mean(gains) > 2


def _first_loss(frames: CondensedFrames) -> float:
    plan = make_plan(SMALL, frames)
    losses: list[float] = []
    one = dataclasses.replace(SMALL, steps=2)
    train_condensed(start(one, plan, frames), one, plan, frames, lambda _, x: losses.append(x))
    return losses[0]


def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(
    frames: CondensedFrames, tmp_path: Path
) -> None:
    plan = make_plan(SMALL, frames)
    whole = train_condensed(start(SMALL, plan, frames), SMALL, plan, frames)

    def stop(state: condensed_training.TrainingState, _: float) -> None:
        if state.step == 90:
            save_checkpoint(tmp_path / "c", state, SMALL, "f")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_condensed(start(SMALL, plan, frames), SMALL, plan, frames, stop)
    state, options, fingerprint = load_checkpoint(tmp_path / "c")
    assert (state.step, options, fingerprint) == (90, SMALL, "f")
    resumed = train_condensed(state, options, plan, frames)
    one, other = (build_condensed(s, SMALL, plan, frames) for s in (whole, resumed))
    assert one.condensed is not None and other.condensed is not None
    for a, b in zip(one.condensed.dictionaries, other.condensed.dictionaries, strict=True):
        assert (a.codes == b.codes).all() and (a.masks == b.masks).all()


def test_the_model_computes_what_was_trained(frames: CondensedFrames) -> None:
    plan = make_plan(SMALL, frames)
    state = train_condensed(start(SMALL, plan, frames), SMALL, plan, frames)
    condensed = build_condensed(state, SMALL, plan, frames).condensed
    assert condensed is not None
    index = np.arange(0, frames.n_frames, 7)
    rounding = Rounding(True, state.mask_limit, weights=True)
    expected = predicted_gains(state.parameters, plan, frames.standardised(index), rounding)
    bits = condensed_bits(condensed, frames.together(index))
    votes = cell_votes(condensed, entry_bits(condensed), bits)
    votes = condensed.vote_scale * votes + condensed.vote_offset
    gains = 1 / (1 + np.exp(-votes))
    # A bit whose projection is zero but for rounding may fall either way.
    close = np.abs(gains - expected).max(axis=1) < 1e-3
    assert close.mean() > 0.99


def test_noise_trackers_follow_the_gains_of_the_stream_itself(recordings: Recordings) -> None:
    """Frames followed by a model's gains have the features that it sees when it denoises."""
    few = dataclasses.replace(SMALL, minutes=0.5)
    frames = collect(recordings, few)
    plan = make_plan(few, frames)
    state = train_condensed(start(few, plan, frames), few, plan, frames)
    condensed = build_condensed(state, few, plan, frames).condensed
    assert condensed is not None
    rounding = Rounding(True, state.mask_limit, weights=True)
    gains = np.full(frames.gains.shape, np.nan, np.float32)

    def gains_of(index: np.ndarray, noise: np.ndarray) -> np.ndarray:
        features = frames.standardised(index, noise)
        gains[index] = predicted_gains(state.parameters, plan, features, rounding)
        return gains[index]

    with ThreadPoolExecutor(1) as pool:
        followed = frames.followed(gains_of, pool)
    assert not np.array_equal(followed.noise, frames.noise)
    n_streams, per_stream, n_cells = frames.levels.shape
    streams = gains.reshape(n_streams, per_stream - 1, n_cells)
    levels = frames.levels.astype(np.float32) / 256
    alone = np.stack([cell_gains(condensed, one, 1)[1:] for one in levels])
    # Features kept in 16 bits turn a bit now and then, which gains remember for a few frames.
    assert (np.abs(alone - streams) < 1e-3).mean() > 0.9


def test_mixtures_depend_on_their_number_alone(recordings: Recordings) -> None:
    mixer = Mixer(recordings.speech, recordings.noise, 8000, 1.0, 5)
    all_of, few = list(mixer.mixtures(6)), list(mixer.mixtures(3))
    for a, b in zip(few, all_of, strict=False):
        assert (a.speech == b.speech).all() and (a.noise == b.noise).all()
    assert len({m.snr_db for m in all_of}) >= 4
    assert all(np.abs(m.noisy).max() <= 0.951 and m.speech.size == 8000 for m in all_of)


def test_coloured_noise_has_a_spectrum_of_its_own() -> None:
    one, other = (coloured_noise(8000, 8000, np.random.default_rng(seed)) for seed in (0, 1))
    spectra = [np.abs(np.fft.rfft(x))[1:].reshape(-1, 400).mean(axis=1) for x in (one, other)]
    ratio = np.log(spectra[0] / spectra[1])
    assert np.ptp(ratio) > 0.5


def test_gains_fall_no_faster_than_the_release_and_no_lower_than_the_floor() -> None:
    gains = np.array([[1.0], [0.0], [0.0], [0.0]], np.float32)
    assert released(gains, 0.2, 0.5)[:, 0].tolist() == pytest.approx([1, 0.5, 0.25, 0.2])


def test_the_split_shares_no_talker_and_no_noise_type(recordings: Recordings) -> None:
    split = hold_out(recordings, 0)
    for kind in ("speech", "noise"):
        training, validation = (
            {p.parent.name for p in getattr(part, kind)}
            for part in (split.training, split.validation)
        )
        assert training and validation and not training & validation
        assert training | validation == {p.parent.name for p in getattr(recordings, kind)}
    mixtures = validation_mixtures(split.validation, 8000, 0, count=2)
    assert len(mixtures) == 2


def test_one_noise_type_cannot_be_split(recordings: Recordings) -> None:
    alone = dataclasses.replace(recordings, noise=recordings.noise[:1])
    with pytest.raises(BlshError, match="--noise: validation holds out"):
        hold_out(alone, 0)


def command(corpus: Path, output: Path, *options: str) -> Result:
    arguments = ["--speech", str(corpus / "speech/train"), "--noise", str(corpus / "noise/train")]
    return CliRunner().invoke(train, [*arguments, "-o", str(output), *options])


TINY = ("--preset", "tiny", "--rate", "8000", "--minutes", "1", "--steps", "20")


def test_a_preset_trains_a_condensed_model(corpus: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.npz"
    result = command(corpus, output, *TINY, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    model = load_model(output)
    assert model.geometry.frame == 512 and model.condensed is not None
    assert told["sha256"] == model.sha256
    assert told["estimated_cost"]["mips"] > 0
    assert model.training["preset"] == "tiny"


def test_the_same_seed_gives_the_same_bytes(corpus: Path, tmp_path: Path) -> None:
    hashes = set()
    for name in ("a.npz", "b.npz"):
        assert command(corpus, tmp_path / name, *TINY).exit_code == 0
        model = load_model(tmp_path / name)
        record = {k: v for k, v in model.training.items() if k != "learning_seconds"}
        hashes.add(dataclasses.replace(model, training=record).sha256)
    assert len(hashes) == 1


def test_ctrl_c_leaves_a_checkpoint_that_resume_takes(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = condensed_training._step

    def interrupted(state: condensed_training.TrainingState, *rest: object) -> object:
        if state.step == 10:
            raise KeyboardInterrupt
        return original(state, *rest)  # type: ignore[arg-type]

    output = tmp_path / "m.npz"
    monkeypatch.setattr(condensed_training, "_step", interrupted)
    result = command(corpus, output, *TINY)
    assert result.exit_code == 130
    assert "--resume" in result.stderr and not output.exists()
    monkeypatch.undo()
    checkpoint = tmp_path / "m.npz.checkpoint"
    assert load_checkpoint(checkpoint)[0].step == 10
    result = command(corpus, output, "--preset", "tiny", "--resume", str(checkpoint))
    assert result.exit_code == 0, result.output
    assert load_model(output).training["steps"] == 20
    assert not checkpoint.exists()


FIT = (
    "--fit", "--flash", "64K", "--ram", "16K", "--mips", "6", "--rate", "8000", "--minutes", "1",
    "--steps", "20",
)  # fmt: skip


@pytest.fixture
def few_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blsh_trainer.fitting.BRIEF_TRIALS", 3)
    monkeypatch.setattr("blsh_trainer.fitting.NEAR_TRIALS", 1)
    monkeypatch.setattr("blsh_trainer.fitting.LONGER_TRIALS", 2)
    monkeypatch.setattr("blsh_trainer.fitting.FRONT_ENDS", ((512, 256),))
    monkeypatch.setattr("blsh_trainer.fitting.BANDS", (4, 8))


@pytest.mark.usefixtures("few_trials")
def test_a_fit_goes_on_with_the_training_of_its_winner(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, whole = tmp_path / "m.npz", tmp_path / "whole.npz"
    assert command(corpus, whole, *FIT).exit_code == 0

    def interrupted(*_: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr("blsh_trainer.cli_condensed.train_condensed", interrupted)
    assert command(corpus, output, *FIT).exit_code == 130
    monkeypatch.undo()
    checkpoint = ("--resume", f"{output}.checkpoint")
    result = command(corpus, output, *FIT[:7], *checkpoint, "--json")
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["trials"]) == 7
    models = [load_model(path).with_record(learning_seconds=0) for path in (output, whole)]
    assert models[0].sha256 == models[1].sha256
    (tmp_path / "m.fit.json").write_text("{}")
    save_checkpoint(tmp_path / "m.npz.checkpoint", *_untouched(corpus))
    result = command(corpus, output, *FIT[:7], *checkpoint)
    assert result.exit_code == 2
    assert "m.fit.json: not what blsh-train --fit writes" in result.stderr


def _untouched(corpus: Path) -> tuple[condensed_training.TrainingState, CondensedOptions, str]:
    recordings = find_recordings([corpus / "speech/train"], [corpus / "noise/train"])
    frames = collect(recordings, SMALL)
    fingerprint = hold_out(recordings, SMALL.seed).training.fingerprint
    return start(SMALL, make_plan(SMALL, frames), frames), SMALL, fingerprint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--preset", "tiny", "--projections", "9"), "--projections: is for the paper's models"),
        (("--preset", "tiny", "--fit"), "--preset, --fit: choose one"),
        (("--flash", "64K"), "--flash: belongs to --fit"),
        (("--steps", "9"), "--steps: belongs to --fit; add it or --preset"),
        (("--preset", "tiny", "--flash", "1K"), "--flash: belongs to --fit"),
        (("--fit", "--flash", "64K"), "--fit: needs --flash, --ram and --mips"),
        (("--fit", "--flash", "x", "--ram", "1K", "--mips", "1"), "--flash x: give a number"),
        (("--fit", "--flash", "1K", "--ram", "1K", "--mips", "0"), "--mips 0: must be above 0"),
        (("--fit", "--flash", "1K", "--ram", "1K", "--mips", "1"), "--fit: no shape fits"),
        (("--preset", "tiny", "--steps", "1"), "--steps 1: must be 2 to"),
        (("--preset", "tiny", "--resume", "nowhere"), "--resume nowhere: cannot read it"),
    ],
)
def test_bad_options_are_named(
    corpus: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    result = command(corpus, tmp_path / "m.npz", *options)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("few_trials")
def test_fit_returns_the_best_of_what_it_tried_within_the_budget(
    corpus: Path, tmp_path: Path
) -> None:
    output = tmp_path / "m.npz"
    result = command(corpus, output, *FIT, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert len(told["trials"]) == 7
    trackers = {len(trial["options"]["trackers"]) for trial in told["trials"]}
    assert trackers == {3, 6}, "the preset has fewer, and learns from frames of its own"
    shapes = [{**trial["options"], "steps": 0} for trial in told["trials"][:4]]
    assert all(one not in shapes[:n] for n, one in enumerate(shapes)), "brief trials differ"
    cost = told["estimated_cost"]
    assert cost["flash"] <= 64 << 10 and cost["ram"] <= 16 << 10 and cost["mips"] <= 6
    assert load_model(output).condensed is not None
    written = {Path(path).name for path in told["written"]}
    assert "m.fit.json" in written
    assert json.loads((tmp_path / "m.fit.json").read_text())["budget"]["mips"] == 6


def test_a_fit_tries_the_largest_preset_within_the_budget() -> None:
    base = CondensedOptions(steps=50, minutes=2, seed=3)
    for name, preset in PRESETS.items():
        shape = largest_preset(base, preset.budget, "cortex-m4")
        assert shape == dataclasses.replace(preset.options, steps=50, minutes=2, seed=3), name
    assert largest_preset(base, Budget(1 << 10, 1 << 10, 1), "cortex-m4") is None


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(BlshError, match="not a checkpoint of this version"):
        load_checkpoint(tmp_path / "c")


def test_presets_fit_their_options_and_rates() -> None:
    for preset in PRESETS.values():
        preset.options.check()
    assert at_rate(PRESETS["base"].options, 48000).frame == 4096
    assert at_rate(PRESETS["base"].options, 8000).hop == 256
    assert [parse_bytes("flash", text) for text in ("64K", "1M", "123")] == [65536, 1 << 20, 123]
