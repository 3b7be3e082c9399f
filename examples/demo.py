"""The main job, end to end: export, prove, denoise, look.

Exports the bundled model for a Cortex-M4, compares the C with the reference on this machine and on
an emulated core, denoises a clip with it, and says where everything is. Run by ``make demo``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from blsh_codegen.console import print_table
from blsh_codegen.denoise import compiled_runtime, denoise_recording
from blsh_codegen.export import default_model, export_model
from blsh_codegen.manifest import Export
from blsh_codegen.targets import find_target
from blsh_codegen.verify import EngineResult, verify_folder
from blsh_trainer.audio import AudioFile, write_wav
from blsh_trainer.metrics import bss_eval, si_sdr
from blsh_trainer.mixing import mix_at
from blsh_trainer.model_file import load_model
from blsh_trainer.synthetic import synthetic_noise, synthetic_speech
from rich.console import Console
from scipy.signal import spectrogram

TARGET = "cortex-m4"
FOLDER = Path("build/demo")
SECONDS, SNR_DB, SEED = 4.0, 0.0, 7
FRAMES = 48

Signal = npt.NDArray[np.float32]


def main() -> None:
    """Run the demonstration; exits with 1 when the C is not bit-exact."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    status = Console(stderr=True).status
    with status("exporting"):
        model = load_model(default_model())
        export = export_model(model, find_target(TARGET), FOLDER / f"blsh-{TARGET}")
    with status("compiling for this machine and the Cortex-M4, comparing bit for bit"):
        results, skipped = verify_folder(Path(export.directory), FRAMES)
    with status("denoising a clip"):
        speech, noise = synthetic_clip(model.geometry.rate)
        noisy = AudioFile((speech + noise)[:, None], model.geometry.rate)
        clean = denoise_recording(compiled_runtime(model), noisy, noisy.rate)
        write_wav(FOLDER / "before.wav", noisy.samples, noisy.rate)
        write_wav(FOLDER / "after.wav", clean.samples, clean.rate)
        picture = plot_spectrograms(speech, noisy.samples[:, 0], clean.samples[:, 0], noisy.rate)
    print_costs(export, results)
    quality = [quality_row("before", speech, noise, noisy.samples[:, 0], noisy.rate)]
    quality.append(quality_row("after", speech, noise, clean.samples[:, 0], clean.rate))
    print_table(
        f"Synthetic clip at {SNR_DB:g} dB", ("", "SDR dB", "SI-SDR dB", "STOI", "PESQ"), quality
    )
    exact = all(result.bit_exact for result in results)
    for result in results:
        problem = result.failure or result.first_difference
        print(f"{'bit-exact' if problem is None else problem}: {result.engine}")
    for name, reason in skipped.items():
        print(f"skipped: {name} ({reason})")
    print(f"C folder     {export.directory}")
    print(f"before       {(FOLDER / 'before.wav').absolute()}")
    print(f"after        {(FOLDER / 'after.wav').absolute()}")
    print(f"spectrogram  {picture}")
    sys.exit(0 if exact else 1)


def synthetic_clip(rate: int) -> tuple[Signal, Signal]:
    """Speech and noise of the demonstration's clip, each ``(n,)`` float32."""
    rng = np.random.default_rng(SEED)
    speech = synthetic_speech(SECONDS, rate, rng)
    mixture = mix_at(speech, synthetic_noise("wind", SECONDS, rate, rng), SNR_DB)
    gain = 0.5 / float(np.abs(mixture.noisy).max())
    return gain * mixture.speech, gain * mixture.noise


def print_costs(export: Export, results: list[EngineResult]) -> None:
    """Print what the export costs on the target."""
    rows = [
        ("flash, bytes", f"{export.flash_bytes:,}"),
        ("RAM a stream, bytes", f"{export.ram_bytes:,}"),
        ("latency, samples", f"{export.latency_samples}"),
    ]
    for result in results:
        if result.usage is not None:
            usage = result.usage
            rows.append((f"stack, bytes ({usage.compiler})", f"{usage.stack_bytes:,}"))
            for stage, count in usage.stages.items():
                rows.append((f"  {stage}", f"{count / 1e6:.2f} M/s"))
            total = f"{usage.instructions_per_second / 1e6:.2f} M/s"
            rows.append((f"instructions ({usage.compiler})", total))
    print_table(f"Cost on {export.target}", ("", ""), rows)


def quality_row(
    name: str, speech: Signal, noise: Signal, estimate: Signal, rate: int
) -> tuple[str, ...]:
    """SDR, SI-SDR and, where their packages are installed, STOI and PESQ."""
    figures = [f"{bss_eval(speech, noise, estimate).sdr:.2f}", f"{si_sdr(speech, estimate):.2f}"]
    try:
        from pystoi import stoi

        figures.append(f"{stoi(speech, estimate, rate):.3f}")
    except ImportError:
        figures.append("not installed")
    try:
        from pesq import pesq

        figures.append(f"{pesq(rate, speech, estimate, 'wb'):.2f}")
    except ImportError:
        figures.append("not installed")
    return name, *figures


def plot_spectrograms(speech: Signal, noisy: Signal, clean: Signal, rate: int) -> Path:
    """Write the spectrograms of the clip one above the other; returns the picture's path."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(3, 1, figsize=(9, 8), sharex=True, layout="constrained")
    signals = {"before": noisy, "after": clean, "speech alone": speech}
    for axis, (title, samples) in zip(axes, signals.items(), strict=True):
        hertz, seconds, power = spectrogram(samples, rate, nperseg=512, noverlap=384)
        image = axis.pcolormesh(
            seconds, hertz, 10 * np.log10(power + 1e-14), vmin=-110, vmax=-40, cmap="magma"
        )
        axis.set(title=title, ylabel="Hz")
    axes[-1].set(xlabel="s")
    figure.colorbar(image, ax=axes, label="dB re full scale a Hz")
    path = (FOLDER / "spectrogram.png").absolute()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path


if __name__ == "__main__":
    main()
