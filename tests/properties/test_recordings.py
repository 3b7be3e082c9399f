"""Whatever a recording's header claims: samples, or one line that says why not."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from blsh_codegen.cli_denoise import denoise
from blsh_trainer.audio import MAX_PEAK, MAX_RATE, MIN_RATE, read_audio, read_mono
from blsh_trainer.errors import BlshError
from blsh_trainer.model_file import save_model
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from tests.models import SMALL, random_model
from tests.properties.test_model_files import EDITS, edited
from tests.properties.tiers import Tier, in_tiers

PCM, FLOAT, ALAW, EXTENSIBLE = 1, 3, 6, 0xFFFE
GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def wav(
    *,
    tag: int = PCM,
    channels: int = 1,
    rate: int = 8000,
    bits: int = 16,
    block: int | None = None,
    byte_rate: int | None = None,
    sub_format: int = PCM,
    data: bytes = bytes(range(200)) * 4,
    data_size: int | None = None,
    riff_size: int | None = None,
    fmt_size: int | None = None,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A WAV file whose header says what it is told to."""
    block = channels * bits // 8 if block is None else block
    byte_rate = rate * block if byte_rate is None else byte_rate
    words = (tag, channels, rate, byte_rate, block, bits)
    limits = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFF, 0xFFFF)
    fmt = struct.pack("<HHIIHH", *(v & limit for v, limit in zip(words, limits, strict=True)))
    if tag == EXTENSIBLE:
        fmt += struct.pack("<HHI", 22, bits & 0xFFFF, 0) + struct.pack("<H", sub_format) + GUID_TAIL
    chunks = b"WAVE" + before + b"fmt "
    chunks += struct.pack("<I", len(fmt) if fmt_size is None else fmt_size) + fmt
    chunks += b"data" + struct.pack("<I", len(data) if data_size is None else data_size) + data
    chunks += after
    return b"RIFF" + struct.pack("<I", len(chunks) if riff_size is None else riff_size) + chunks


SIZES = st.one_of(
    st.none(), st.integers(0, 2000), st.sampled_from([2**31 - 1, 2**31, 2**32 - 8, 2**32 - 1])
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "tag": st.one_of(
            st.sampled_from([PCM, FLOAT, ALAW, EXTENSIBLE, 2, 7, 17, 85]), st.integers(0, 0xFFFF)
        ),
        "channels": st.one_of(st.integers(0, 9), st.sampled_from([255, 1024, 1025, 0xFFFF])),
        "rate": st.one_of(
            st.sampled_from([0, 1, 999, 1000, 8000, 44100, 999_999, 2**31 - 1, 2**31, 2**32 - 1]),
            st.integers(0, 2**32 - 1),
        ),
        "bits": st.sampled_from([0, 1, 4, 7, 8, 12, 16, 20, 24, 32, 64, 65, 0xFFFF]),
        "block": st.one_of(st.none(), st.integers(0, 64), st.just(0xFFFF)),
        "byte_rate": st.one_of(st.none(), st.integers(0, 2**32 - 1)),
        "sub_format": st.one_of(st.sampled_from([PCM, FLOAT, ALAW]), st.integers(0, 0xFFFF)),
        "data": st.one_of(
            st.binary(max_size=400),
            st.builds(lambda n: bytes(range(256)) * n, st.integers(1, 16)),
            st.builds(
                lambda values: np.array(values, "<f4").tobytes(),
                st.lists(st.floats(width=32), max_size=40),
            ),
        ),
        "data_size": SIZES,
        "riff_size": SIZES,
        "fmt_size": SIZES,
        "before": st.sampled_from(
            [b"", b"JUNK\4\0\0\0abcd", b"LIST\xff\xff\xff\x7f", b"LIST\xf8\xff\xff\xff", b"odd"]
        ),
        "after": st.sampled_from([b"", b"\0", b"LIST\4\0\0\0INFO", b"data\4\0\0\0abcd"]),
    },
)  # fmt: skip


def check_read(path: Path) -> None:
    """Samples that keep the promises of `AudioFile`, or one line that names the file."""
    for allow_silence in (True, False):
        try:
            read = read_audio(path, allow_silence=allow_silence)
        except BlshError as error:
            assert error.message.startswith(f"{path}: ")
            assert error.message.isprintable()
            continue
        assert read.samples.ndim == 2 and read.samples.size > 0
        assert read.samples.dtype == np.float32
        assert np.isfinite(read.samples).all() and np.abs(read.samples).max() <= MAX_PEAK
        assert MIN_RATE <= read.rate <= MAX_RATE
    try:
        mono = read_mono(path, 8000)
    except BlshError:
        return
    assert mono.ndim == 1 and mono.size > 0 and np.isfinite(mono).all()


@in_tiers
def test_wav_headers_of_any_content(tier: Tier, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"

    @tier(300)
    @given(HEADERS)
    @example({"rate": 1})
    @example({"fmt_size": 2**32 - 8, "tag": 2265, "before": b"LIST\xff\xff\xff\x7f"})
    @example({"fmt_size": 2**32 - 8})
    @example({"after": b"LIST\xf8\xff\xff\xff"})
    @example({"rate": 0})
    @example({"rate": 2**32 - 1})
    @example({"channels": 0})
    @example({"tag": FLOAT, "bits": 32, "data": np.array([np.nan, 3e38, 0], "<f4").tobytes()})
    @example({"tag": FLOAT, "bits": 64, "data": np.array([1e300, 0], "<f8").tobytes()})
    def check(header: dict[str, Any]) -> None:
        path.write_bytes(wav(**header))
        check_read(path)

    check()


def sound(container: str, subtype: str) -> bytes:
    buffer = io.BytesIO()
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (300, 2))
    soundfile.write(buffer, samples, 8000, format=container, subtype=subtype)
    return buffer.getvalue()


SOUNDS = {
    name: sound(*name.split())
    for name in ("WAV PCM_16", "WAV PCM_24", "WAV FLOAT", "WAV IMA_ADPCM", "WAVEX PCM_32",
                 "FLAC PCM_16", "FLAC PCM_24", "OGG VORBIS", "AIFF PCM_16", "AU ULAW")
}  # fmt: skip


@in_tiers
def test_edited_bytes(tier: Tier, tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    ends = dict.fromkeys(("bands", "mel", "condensed"), SOUNDS["FLAC PCM_16"])

    @tier(200)
    @given(st.sampled_from(list(SOUNDS)), EDITS, st.booleans())
    def check(kind: str, edits: Sequence[tuple[str, float, Any]], in_header: bool) -> None:
        content = SOUNDS[kind]
        if in_header:  # where there is most to break
            content = edited(content[:64], edits, ends) + content[64:]
        else:
            content = edited(content, edits, ends)
        path.write_bytes(content)
        check_read(path)

    check()


def test_a_flac_header_that_claims_more_than_memory_holds(tmp_path: Path) -> None:
    """36 bits of STREAMINFO count samples: 2 TB of floats."""
    content = bytearray(SOUNDS["FLAC PCM_16"])
    start = content.index(b"fLaC") + 8 + 13
    content[start] |= 0x0F
    content[start + 1 : start + 5] = b"\xff\xff\xff\xff"
    path = tmp_path / "a.flac"
    path.write_bytes(bytes(content))
    tracemalloc.start()
    try:
        with pytest.raises(BlshError, match=r"claims 137438953470 samples.*split it"):
            read_audio(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_name_that_means_raw_samples_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(wav())
    with pytest.raises(BlshError, match="raw samples have no rate"):
        read_audio(tmp_path / "a.raw")


@in_tiers
def test_denoising_writes_all_or_nothing(
    tier: Tier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A WAV of the input's length, rate and channels; or a line, and what was there before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    save_model(random_model(SMALL), tmp_path / "model.npz")
    work = tmp_path / "work"
    work.mkdir()
    source, out = work / "in.wav", work / "out.wav"

    @tier(40)
    @given(HEADERS, st.booleans())
    @example({}, True)
    @example({"rate": 999_999}, False)
    @example({"channels": 255, "data": bytes(51000)}, False)
    @example({"tag": FLOAT, "bits": 32, "data": np.full(9, 9e6, "<f4").tobytes()}, False)
    def check(header: dict[str, Any], exists: bool) -> None:
        source.write_bytes(wav(**header))
        out.unlink(missing_ok=True)
        if exists:
            out.write_bytes(b"before")
        arguments = [str(source), str(out), "--model", str(tmp_path / "model.npz"), "--json"]
        done = CliRunner().invoke(denoise, arguments)
        if done.exit_code == 0:
            read = read_audio(source, allow_silence=True)
            samples, rate = soundfile.read(out, always_2d=True)
            assert (samples.shape, rate) == (read.samples.shape, read.rate)
            assert json.loads(done.stdout)["output"] == str(out)
        else:
            assert (done.exit_code, done.stdout) == (2, "")
            assert str(source) in done.stderr
            assert len(done.stderr.strip().splitlines()) == 1
            assert out.exists() == exists and (not exists or out.read_bytes() == b"before")
        assert {path.name for path in work.iterdir()} <= {"in.wav", "out.wav"}

    check()
