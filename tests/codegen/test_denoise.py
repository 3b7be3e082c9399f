"""``blsh-denoise`` keeps a recording's length, rate, channels and timing, and streams."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from blsh_codegen.cli_denoise import denoise
from blsh_codegen.denoise import compiled_runtime, denoise_samples, denoise_stream
from blsh_codegen.reference import process
from blsh_codegen.runtime import RuntimeLibrary
from blsh_codegen.tables import quantise
from blsh_trainer.model_file import Model, save_model
from click.testing import CliRunner

from tests.models import SMALL, BandSpec, general_model, random_model


@pytest.fixture(scope="module")
def all_pass() -> Model:
    """A model whose masks let everything through, so that the input comes back."""
    model = random_model(SMALL, (BandSpec(65),))
    model.bands[0].masks[:] = 1
    return model


@pytest.fixture(scope="module")
def library(all_pass: Model, tmp_path_factory: pytest.TempPathFactory) -> RuntimeLibrary:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return compiled_runtime(all_pass)


def tone(n: int, rate: int, hertz: float = 440.0) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(n) / rate)


@pytest.mark.parametrize("n", [1, 31, 32, 33, 1000])
def test_any_length_comes_back_in_time(n: int, library: RuntimeLibrary) -> None:
    samples = np.random.default_rng(n).integers(-3000, 3000, n).astype(np.int16)
    assert np.abs(denoise_samples(library, samples).astype(int) - samples).max() <= 1


@pytest.mark.parametrize("chunk", [1, 2, 63, 64, 4096])
@pytest.mark.parametrize("n", [0, 1, 95, 96, 97, 4000, 20001])
def test_stream_equals_the_whole(n: int, chunk: int, library: RuntimeLibrary) -> None:
    """However the bytes arrive, the output has the input's length and the same samples."""

    class Trickle(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(chunk, size) if size and size > 0 else chunk)

    samples = np.random.default_rng(n).integers(-3000, 3000, n).astype("<i2")
    sink = io.BytesIO()
    assert denoise_stream(library, Trickle(samples.tobytes()), sink, 8000) == n
    assert np.array_equal(np.frombuffer(sink.getvalue(), "<i2"), denoise_samples(library, samples))


def test_c_output_is_the_references(library: RuntimeLibrary, all_pass: Model) -> None:
    samples = np.random.default_rng(0).integers(-3000, 3000, 320).astype(np.int16)
    expected = process(quantise(all_pass), np.pad(samples, (0, 96))).output.ravel()[96:]
    assert np.array_equal(denoise_samples(library, samples), expected)


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 2), (44100, 3), (11025, 1)])
def test_files_of_any_rate_and_channel_count(
    rate: int, channels: int, all_pass: Model, tmp_path: Path
) -> None:
    model, source, out = tmp_path / "m.npz", tmp_path / "in.flac", tmp_path / "out.wav"
    save_model(all_pass, model)
    samples = np.stack([tone(rate, rate, 300.0 * (c + 1)) for c in range(channels)], axis=1)
    soundfile.write(source, samples, rate)
    result = CliRunner().invoke(denoise, [str(source), str(out), "--model", str(model), "--json"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["audio_seconds"] == 1.0
    back, back_rate = soundfile.read(out, always_2d=True)
    assert (back.shape, back_rate) == (samples.shape, rate)
    middle = slice(rate // 4, -rate // 4)
    # Two resamplings and 16 bits; a delay of one sample alone would be an error of 5 to 20 %.
    assert np.abs(back - samples)[middle].max() < 0.002


def test_pipes_carry_raw_samples(tmp_path: Path) -> None:
    model = tmp_path / "m.npz"
    save_model(general_model(), model)
    samples = np.random.default_rng(0).integers(-3000, 3000, 5000).astype("<i2")
    command = [Path(sys.executable).with_name("blsh-denoise"), "-", "-", "--model", model]
    done = subprocess.run(command, input=samples.tobytes(), capture_output=True, check=True)
    assert len(done.stdout) == 2 * samples.size
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-", "out.wav"], "give - for both"),
        (["-", "-", "--json"], "--json"),
        (["missing.wav", "out.wav"], "missing.wav"),
        (["text.wav", "out.wav"], "text.wav: not readable as audio"),
        (["nan.wav", "out.wav"], "nan.wav: holds NaN"),
        (["empty.wav", "out.wav"], "empty.wav: the recording has no samples"),
        (["good.wav", "no/such/out.wav"], "no/such/out.wav: cannot be written"),
        (["good.wav", "out.wav", "--model", "text.wav"], "text.wav: not a BLSH model"),
    ],
)
def test_mistakes_are_one_line_with_the_next_step(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.wav").write_text("not audio")
    soundfile.write("nan.wav", np.full(100, np.nan), 8000, subtype="FLOAT")
    soundfile.write("empty.wav", np.zeros(0), 8000)
    soundfile.write("good.wav", tone(100, 8000), 8000)
    save_model(general_model(), "m.npz")
    Path("out.wav").write_text("precious")
    if "--model" not in arguments:
        arguments = [*arguments, "--model", "m.npz"]
    result = CliRunner().invoke(denoise, arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert Path("out.wav").read_text() == "precious"
