"""Training and tests share no sample, and tests are balanced."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from blsh_evaluation.mixtures import draw_specs
from blsh_evaluation.protocol import HELD_OUT_TAIL, Folders, Protocols, open_test, split_corpus
from blsh_evaluation.recordings import Part, in_turn, read_genders
from blsh_trainer.audio import read_mono, write_wav
from blsh_trainer.errors import BlshError
from blsh_trainer.synthetic import synthetic_noise, synthetic_speech

SHARED = Path(__file__).parents[3] / "shared"


def stretches(parts: list[Part]) -> dict[Path, list[tuple[float, float]]]:
    found: dict[Path, list[tuple[float, float]]] = {}
    for part in parts:
        found.setdefault(part.path, []).append((part.start, part.stop))
    return found


def parts_of(protocols: Protocols, name: str) -> list[Part]:
    (test,) = (test for test in protocols.tests if test.name == name)
    corners = (test.speech, test.noise)
    return [part for corner in corners for parts in corner.parts.values() for part in parts]


@pytest.mark.parametrize("name", ["closed", "open"])
def test_no_test_hears_what_training_heard(protocols: Protocols, name: str) -> None:
    heard = stretches([*protocols.training.speech, *protocols.training.noise])
    for part in parts_of(protocols, name):
        for start, stop in heard.get(part.path, []):
            assert stop <= part.start or part.stop <= start


def test_closed_has_the_training_talkers_and_types_and_open_others(protocols: Protocols) -> None:
    closed, unheard = protocols.tests
    trained = {part.path.parent.name for part in protocols.training.speech}
    types = {part.path.parent.name for part in protocols.training.noise}
    assert set(closed.speech.parts) <= trained
    assert set(closed.noise.parts) == types
    assert not set(unheard.speech.parts) & trained
    assert not set(unheard.noise.parts) & types


def test_training_reads_its_part_only(protocols: Protocols) -> None:
    part = protocols.training.noise[0]
    whole = Part(part.path).read(16000)
    heard = protocols.training.read(part.path, 16000)
    assert heard.size == round((1 - HELD_OUT_TAIL) * whole.size)
    assert np.array_equal(heard, whole[: heard.size])


def one_file_a_talker(folder: Path, seconds: float) -> Folders:
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for talker in range(3):
            name = folder / f"speech/{split}/{split}{talker}"
            name.mkdir(parents=True)
            write_wav(name / "a.wav", synthetic_speech(seconds, 16000, rng), 16000)
        name = folder / f"noise/{split}/{split}"
        name.mkdir(parents=True)
        write_wav(name / "a.wav", synthetic_noise("pink", 8.0, 16000, rng), 16000)
    return Folders.of_corpus(folder)


def test_the_end_of_an_only_recording_is_kept(tmp_path: Path) -> None:
    protocols = split_corpus(one_file_a_talker(tmp_path, 8.0), talkers=2, seed=0)
    cut = [part for part in protocols.training.speech if part.stop < 1]
    assert [part.stop for part in cut] == [1 - HELD_OUT_TAIL] * 2
    assert len(protocols.training.speech) == 3


def test_recordings_too_short_to_keep_any_of_are_said(tmp_path: Path) -> None:
    folders = one_file_a_talker(tmp_path, 2.0)
    with pytest.raises(BlshError, match=r"--speech-train .*speech/train: no talker has two"):
        split_corpus(folders, talkers=2, seed=0)


def test_test_folders_must_be_others(corpus: Path) -> None:
    good = Folders.of_corpus(corpus)
    shared = Folders(good.speech_train, good.noise_train, good.speech_train, good.noise_test)
    with pytest.raises(
        BlshError, match=r"--speech-test .*: speaker1 is a folder of --speech-train"
    ):
        split_corpus(shared, talkers=2, seed=0)


def test_a_copy_under_another_name_is_found(tmp_path: Path) -> None:
    folders = one_file_a_talker(tmp_path, 8.0)
    shutil.copy(folders.speech_train / "train1/a.wav", folders.speech_test / "test2/b.wav")
    with pytest.raises(BlshError, match=r"test2/b\.wav is the same recording as .*train1/a\.wav"):
        split_corpus(folders, talkers=2, seed=0)


def test_a_silent_end_of_a_noise_is_not_kept(tmp_path: Path) -> None:
    folders = one_file_a_talker(tmp_path, 8.0)
    samples = read_mono(folders.noise_train / "train/a.wav", 16000)
    samples[-40000:] = 0
    write_wav(folders.noise_train / "train/a.wav", samples, 16000)
    with pytest.raises(BlshError, match=r"--noise-train .*: of no recording has the last quarter"):
        split_corpus(folders, talkers=2, seed=0)


def test_a_silent_stretch_in_the_open_test_is_named(tmp_path: Path) -> None:
    folders = one_file_a_talker(tmp_path, 8.0)
    samples = np.zeros(8 * 16000, np.float32)
    samples[0] = 0.5
    write_wav(folders.noise_test / "test/a.wav", samples, 16000)
    protocol = open_test(folders.speech_test, folders.noise_test)
    with pytest.raises(BlshError, match=r"test/a\.wav: the stretch that the test draws is silent"):
        draw_specs(protocol, 3, 16000)


def test_a_test_of_too_few_utterances_says_how_many_it_needs(tmp_path: Path) -> None:
    folders = one_file_a_talker(tmp_path, 8.0)
    protocol = open_test(folders.speech_test, folders.noise_test)
    assert len(draw_specs(protocol, 6, 16000)) == 6
    with pytest.raises(BlshError, match=r"--speech-test: .* 3 utterances for its 7 .* needs 4"):
        draw_specs(protocol, 7, 16000)


def test_missing_folder_is_named(corpus: Path) -> None:
    good = Folders.of_corpus(corpus)
    missing = Folders(good.speech_train, corpus / "nowhere", good.speech_test, good.noise_test)
    with pytest.raises(BlshError, match="nowhere: no such folder"):
        split_corpus(missing, talkers=2, seed=0)


def test_genders_alternate_where_the_corpus_tells() -> None:
    names = [f"t{n}" for n in range(8)]
    genders = {name: "f" if n < 3 else "m" for n, name in enumerate(names)}
    order = in_turn(names, genders, np.random.default_rng(0))
    assert sorted(order) == names
    told = [genders[name] for name in order]
    assert all(set(told[n : n + 2]) == {"f", "m"} for n in (0, 2, 4))
    assert told[6:] == ["m", "m"]


def test_genders_are_read_from_a_table(tmp_path: Path) -> None:
    assert read_genders(tmp_path) == {}
    (tmp_path / "speakers.csv").write_text("speaker,gender\nanna, F\nben,M\n")
    with pytest.raises(BlshError, match="names no folder beside it"):
        read_genders(tmp_path)
    (tmp_path / "ben").mkdir()
    assert read_genders(tmp_path) == {"anna": "f", "ben": "m"}
    (tmp_path / "speakers.csv").write_text("name,sex\nanna,F\n")
    with pytest.raises(BlshError, match=r"speakers\.csv: cannot be read"):
        read_genders(tmp_path)


def test_same_seed_same_mixtures(protocols: Protocols) -> None:
    one, again = (draw_specs(protocols.tests[0], 5, 16000) for _ in range(2))
    assert one == again
    assert one != draw_specs(protocols.tests[0], 5, 16000, seed=8)


def test_mixtures_are_at_their_ratio(protocols: Protocols) -> None:
    for spec in draw_specs(protocols.tests[1], 4, 16000):
        for snr_db in (-5.0, 0.0, 5.0):
            mixture = spec.read(snr_db, 16000)
            ratio = mixture.speech.astype(float).std() / mixture.noise.astype(float).std()
            assert 20 * np.log10(ratio) == pytest.approx(snr_db, abs=1e-3)
            assert np.abs(mixture.noisy).max() < 0.96


@pytest.mark.skipif(
    not (SHARED / "tools/score.py").exists(), reason="../shared/tools/score.py is absent"
)
def test_open_mixtures_are_those_of_the_scoring_tool() -> None:
    """The figures of `blsh-evaluate` can be compared with those of any other denoiser."""
    spec = importlib.util.spec_from_file_location("score", SHARED / "tools/score.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    sys.modules["score"] = tool
    spec.loader.exec_module(tool)
    speech, noise = (SHARED / "corpus" / kind / "test" for kind in ("speech", "noise"))
    theirs = tool.mixtures(tool.load(str(speech)), tool.load(str(noise)), 12, 0.0)
    ours = draw_specs(open_test(speech, noise), 12, 16000)
    for (clean, sound, _, kind), one in zip(theirs, ours, strict=True):
        mixture = one.read(0.0, 16000)
        assert one.noise_type == kind
        assert np.array_equal(mixture.speech, clean.astype(np.float32))
        assert np.array_equal(mixture.noise, sound.astype(np.float32))
