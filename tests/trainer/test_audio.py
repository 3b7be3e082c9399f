"""Audio comes in whatever its format, or is refused in one line that names the file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from blsh_trainer.audio import list_audio, read_audio, read_mono, write_wav
from blsh_trainer.errors import BlshError


def tone(rate: int, seconds: float = 0.5) -> np.ndarray:  # type: ignore[type-arg]
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(round(rate * seconds)) / rate)).astype("f4")


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_any_format_becomes_mono_at_the_wanted_rate(
    tmp_path: Path, suffix: str, channels: int, rate: int
) -> None:
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, np.repeat(tone(rate)[:, None], channels, axis=1), rate)
    original = read_audio(path)
    assert (original.rate, original.samples.shape[1]) == (rate, channels)
    mono = read_mono(path, 16000)
    assert mono.dtype == np.float32
    assert abs(mono.size - 8000) <= 1
    # Resampling and Vorbis leave -30 dB or less of error away from the ends.
    middle = slice(1000, 7000)
    assert np.abs(mono[middle] - tone(16000)[middle]).max() < 0.03


def test_write_wav_clips_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    write_wav(path, np.array([0, 0.25, -1.5, 1.5]), 8000)
    assert read_audio(path).samples[:, 0].tolist() == [0, 0.25, -1, 32767 / 32768]
    assert [p.name for p in tmp_path.iterdir()] == ["out.wav"]


def test_write_wav_where_it_cannot(tmp_path: Path) -> None:
    with pytest.raises(BlshError, match=r"missing/out\.wav: cannot be written"):
        write_wav(tmp_path / "missing" / "out.wav", np.zeros(4), 8000)


def test_write_wav_refuses_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BlshError, match=r"pipe: cannot be written \(not a regular file\)"):
        write_wav(tmp_path / "pipe", np.zeros(4), 8000)
    with pytest.raises(BlshError, match=r"cannot be written \(Is a directory\)"):
        write_wav(tmp_path, np.zeros(4), 8000)


def test_list_audio_is_sorted_and_goes_into_folders(tmp_path: Path) -> None:
    for name in ("b/2.wav", "b/1.FLAC", "a.ogg", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [p.relative_to(tmp_path).as_posix() for p in list_audio(tmp_path)]
    assert names == ["a.ogg", "b/1.FLAC", "b/2.wav"]


def test_list_audio_follows_links_once(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    (inside / "b").mkdir(parents=True)
    outside.mkdir()
    for path in (inside / "b/1.wav", outside / "2.wav"):
        path.touch()
    (inside / "a").symlink_to(inside / "b")  # the real folder counts, not the link before it
    (inside / "b/loop").symlink_to(inside)
    (inside / "b/self").symlink_to(inside / "b/self")
    (inside / "c").symlink_to(outside)
    (inside / "d").symlink_to(outside)
    (outside / "back").symlink_to(inside)
    names = [p.relative_to(inside).as_posix() for p in list_audio(inside)]
    assert names == ["b/1.wav", "c/2.wav"]
    (tmp_path / "link").symlink_to(inside)
    assert len(list_audio(tmp_path / "link")) == 2


def test_an_unreadable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.wav").touch()
    original = os.scandir

    def scandir(path: Path) -> object:  # as for a user without permission; root has it always
        if path.name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(BlshError, match=r"closed: cannot be read \(Permission denied\)"):
        list_audio(tmp_path)


def test_missing_or_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, problem in (
        ("none", "no such folder"),
        ("file", "is not a folder"),
        ("", "no WAV, FLAC or OGG"),
    ):
        with pytest.raises(BlshError, match=problem) as error:
            list_audio(tmp_path / name)
        assert str(tmp_path / name) in error.value.message


def write_bad(kind: str, path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 4000).astype(np.float32)
    if kind == "zero length":
        soundfile.write(path, samples[:0], 8000, format="WAV")
    elif kind == "silent":
        soundfile.write(path, 0 * samples, 8000, format="WAV")
    elif kind in ("nan", "inf"):
        samples[100] = np.nan if kind == "nan" else np.inf
        soundfile.write(path, samples, 8000, format="WAV", subtype="FLOAT")
    elif kind == "text":
        path.write_text("not audio at all")
    elif kind == "empty file":
        path.touch()
    elif kind != "missing":
        container = kind.split()[1]
        soundfile.write(path, samples, 8000, format=container)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("zero length", "no samples"),
        ("silent", "every sample is zero"),
        ("nan", "NaN or infinite"),
        ("inf", "NaN or infinite"),
        ("text", "not readable as audio"),
        ("empty file", "not readable as audio"),
        ("missing", "cannot be opened"),
        ("truncated WAV", "truncated"),
        ("truncated FLAC", "truncated|not readable"),
        ("truncated OGG", "truncated"),
    ],
)
def test_bad_audio_is_one_line_that_names_the_file(tmp_path: Path, kind: str, message: str) -> None:
    path = tmp_path / "bad.wav"
    write_bad(kind, path)
    with pytest.raises(BlshError, match=message) as error:
        read_audio(path)
    assert error.value.message.startswith(f"{path}: ")
    assert "\n" not in error.value.message
    assert error.value.exit_code == 2


@pytest.mark.parametrize("cut", [1, 2, 7, 8, 9])
def test_a_wav_cut_by_a_few_bytes_is_truncated(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "cut.wav"
    write_wav(path, tone(8000), 8000)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(BlshError, match="truncated"):
        read_audio(path)


def test_nothing_left_after_resampling(tmp_path: Path) -> None:
    path = tmp_path / "short.wav"
    write_wav(path, np.array([0.5]), 96000)
    assert read_mono(path, 96000).size == 1
    with pytest.raises(BlshError, match=r"short\.wav: .*too short"):
        read_mono(path, 8000)


@pytest.mark.parametrize("level", [1e38, 1e30, 1e8, 1e-11, 1e-38])
def test_impossible_levels(tmp_path: Path, level: float) -> None:
    path = tmp_path / "level.wav"
    soundfile.write(path, -level * np.abs(tone(8000)), 8000, subtype="FLOAT")
    with pytest.raises(BlshError, match=r"level\.wav: its peak is .* times full scale"):
        read_audio(path)


def test_integers_kept_as_floats_are_accepted_and_near_silence_where_silence_is(
    tmp_path: Path,
) -> None:
    path = tmp_path / "level.wav"
    soundfile.write(path, 2**23 * tone(8000), 8000, subtype="FLOAT")
    assert read_audio(path).samples.max() > 4e6
    soundfile.write(path, 1e-38 * tone(8000), 8000, subtype="FLOAT")
    assert read_audio(path, allow_silence=True).samples.shape[0] == 4000


def test_silence_may_be_allowed(tmp_path: Path) -> None:
    write_bad("silent", tmp_path / "silent.wav")
    assert not read_audio(tmp_path / "silent.wav", allow_silence=True).samples.any()


def test_wav_written_to_a_pipe_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "piped.wav"
    soundfile.write(path, tone(8000), 8000, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert read_audio(path).samples.shape[0] == 4000
