"""Each example compiles, against stubs where its SDK is not here; what can be run is run."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blsh_codegen.cli_denoise import denoise
from blsh_codegen.engines import runtime_sources
from blsh_codegen.export import default_model, export_model
from blsh_codegen.qemu import qemu_unavailable_reason
from blsh_codegen.targets import find_target
from blsh_codegen.toolchain import WARNING_FLAGS, find_gcc, find_host_compiler, template_folder
from blsh_trainer.audio import write_wav
from blsh_trainer.model_file import load_model
from blsh_trainer.synthetic import synthetic_noise, synthetic_speech
from click.testing import CliRunner

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
STUBS = Path(__file__).with_name("stubs")
M4 = find_target("cortex-m4")
CXX = next((name for name in ("c++", "g++", "clang++") if shutil.which(name)), None)

needs_cxx = pytest.mark.skipif(CXX is None, reason="no C++ compiler on PATH")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of the bundled model."""
    out = tmp_path_factory.mktemp("export") / "blsh"
    export_model(load_model(default_model()), M4, out)
    return out


def compiled(command: Sequence[object], work: Path) -> None:
    """Run a compiler that must not complain."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, check=False, cwd=work, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def c_compilers() -> dict[str, list[str]]:
    """The host's compiler, and the one that firmware is built with."""
    found = {"host": [*find_host_compiler().command, "-std=c99"]}
    gcc = find_gcc(M4)
    if gcc is not None:
        headers = template_folder() / "freestanding"
        found["arm"] = [gcc, *M4.gcc_flags, "-std=c99", "-ffreestanding", "-isystem", str(headers)]
    return found


@pytest.mark.parametrize("compiler", c_compilers())
@pytest.mark.parametrize(
    ("sources", "stubs"),
    [
        (["stm32f4_dma/main.c", "stm32f4_dma/pdm.c"], ["stm32f4"]),
        (["freertos_task/denoise_task.c"], ["freertos"]),
    ],
    ids=["stm32f4_dma", "freertos_task"],
)
def test_compiles_against_stubs(
    sources: list[str], stubs: list[str], compiler: str, folder: Path, tmp_path: Path
) -> None:
    flags = [*WARNING_FLAGS, "-Werror", "-O2", "-c"]
    includes = [f"-I{folder}", *(f"-I{STUBS / name}" for name in stubs)]
    compiled(
        [*c_compilers()[compiler], *flags, *includes, *(EXAMPLES / name for name in sources)],
        tmp_path,
    )


def test_zephyr_sample_compiles_against_stubs(folder: Path, tmp_path: Path) -> None:
    command = [*find_host_compiler().command, "-std=c11", *WARNING_FLAGS, "-Werror", "-c"]
    source = EXAMPLES / "zephyr_sample" / "src" / "main.c"
    compiled([*command, f"-I{folder}", f"-I{STUBS / 'zephyr'}", source], tmp_path)


def test_zephyr_sample_sets_only_known_options_of_the_module(folder: Path) -> None:
    configured = (EXAMPLES / "zephyr_sample" / "prj.conf").read_text()
    assert "CONFIG_BLSH=y" in configured
    assert "config BLSH\n" in (folder / "zephyr" / "Kconfig").read_text()


@needs_cxx
@pytest.mark.parametrize("where", ["arduino/DenoisePdm/DenoisePdm.ino", "exported"])
def test_sketches_compile_as_the_arduino_builder_compiles_them(
    where: str, folder: Path, tmp_path: Path
) -> None:
    """It puts an include of Arduino.h before the first line and compiles the result as C++."""
    exported = folder / "examples" / "Denoise" / "Denoise.ino"
    sketch = exported if where == "exported" else EXAMPLES / where
    source = tmp_path / "sketch.cpp"
    source.write_text(f"#include <Arduino.h>\n#line 1\n{sketch.read_text()}")
    flags = ["-std=gnu++11", "-Wall", "-Wextra", "-Werror", "-c"]
    compiled([CXX, *flags, f"-I{folder}", f"-I{STUBS / 'arduino'}", source], tmp_path)


def test_freertos_task_denoises_what_it_is_sent(folder: Path, tmp_path: Path) -> None:
    program = tmp_path / "task"
    includes = [f"-I{folder}", f"-I{STUBS / 'freertos'}", f"-I{EXAMPLES / 'freertos_task'}"]
    sources = [*runtime_sources(folder), EXAMPLES / "freertos_task" / "denoise_task.c"]
    sources.append(Path(__file__).with_name("freertos_run.c"))
    command = find_host_compiler().command
    compiled([*command, "-std=c99", "-O1", *includes, *sources, "-o", program], tmp_path)
    done = subprocess.run([program], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stdout) == (0, "ok\n")


def test_pdm_decimator_gives_a_modulated_tone_back(tmp_path: Path) -> None:
    """A second-order sigma-delta modulator makes the bits; the tone comes back over 40 dB clean."""
    rate, decimation, count, hertz = 16000, 64, 2048, 500.0
    seconds = np.arange(decimation * count) / (rate * decimation)
    tone = 0.5 * np.sin(2 * np.pi * hertz * seconds)
    bits = np.zeros(tone.size, np.uint8)
    first = second = 0.0
    for n, value in enumerate(tone.tolist()):
        out = 1.0 if second >= 0 else -1.0
        first += value - out
        second += first - out
        bits[n] = out > 0
    words = np.packbits(bits).view(">u2").astype("<u2")
    driver = (
        '#include "pdm.h"\n#include <stdio.h>\n'
        f"static uint16_t bits[{words.size}]; static int16_t pcm[{count}]; static pdm_t pdm;\n"
        "int main(void) { size_t n = fread(bits, 2, sizeof bits / 2, stdin);\n"
        "pdm_to_pcm(&pdm, bits, pcm, n / PDM_WORDS_A_SAMPLE);\n"
        "return fwrite(pcm, 2, sizeof pcm / 2, stdout) != sizeof pcm / 2; }\n"
    )
    (tmp_path / "driver.c").write_text(driver)
    source = EXAMPLES / "stm32f4_dma"
    command = [*find_host_compiler().command, "-std=c99", f"-I{source}", source / "pdm.c"]
    compiled([*command, "driver.c", "-o", tmp_path / "pdm"], tmp_path)
    done = subprocess.run(
        [tmp_path / "pdm"], input=words.tobytes(), capture_output=True, check=True
    )
    pcm = np.frombuffer(done.stdout, "<i2").astype(float)[16:]
    basis = np.exp(-2j * np.pi * hertz / rate * np.arange(pcm.size))
    fit = np.stack([basis.real, basis.imag, np.ones(pcm.size)], axis=1)
    model = fit @ np.linalg.lstsq(fit, pcm, rcond=None)[0]
    assert 10 * np.log10(np.var(model) / np.var(pcm - model)) > 40
    assert np.abs(model).max() == pytest.approx(0.5 * 32768, rel=0.03)  # the CIC's droop


@pytest.mark.parametrize("compiler", ["gcc", pytest.param("zig", marks=pytest.mark.slow)])
def test_emulated_board_denoises_a_wav_as_the_host_does(compiler: Any, tmp_path: Path) -> None:
    reason = qemu_unavailable_reason(M4, compiler=compiler)
    if reason is not None:
        pytest.skip(reason)
    path = EXAMPLES / "emulated_wav" / "run.py"
    spec = importlib.util.spec_from_file_location("emulated_wav", path)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    rng = np.random.default_rng(1)
    # Not a whole number of hops.
    noisy = synthetic_speech(1.234, 16000, rng) + synthetic_noise("pink", 1.234, 16000, rng)
    write_wav(tmp_path / "in.wav", 0.5 * noisy / np.abs(noisy).max(), 16000)
    example.denoise_on_board(tmp_path / "in.wav", tmp_path / "board.wav", compiler)
    result = CliRunner().invoke(denoise, [str(tmp_path / "in.wav"), str(tmp_path / "host.wav")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "board.wav").read_bytes() == (tmp_path / "host.wav").read_bytes()


def test_every_example_is_listed() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    for path in EXAMPLES.iterdir():
        if path.name not in ("README.md", "__pycache__"):
            assert f"]({path.name}" in listed, path.name
