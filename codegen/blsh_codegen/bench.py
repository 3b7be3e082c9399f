"""Benchmark an export on its emulated core, beside the denoisers one would use instead."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from blsh_trainer.errors import BlshError
from blsh_trainer.model_file import Geometry, Model

from blsh_codegen.emulator import emulation_unavailable_reason
from blsh_codegen.export import export_model
from blsh_codegen.layout import lay_out
from blsh_codegen.qemu import qemu_unavailable_reason
from blsh_codegen.signals import conformance_signals
from blsh_codegen.tables import quantise
from blsh_codegen.targets import Target
from blsh_codegen.toolchain import FirmwareCompiler
from blsh_codegen.usage import Usage, measure_usage

_SIGNAL = "noisy speech"


@dataclass(frozen=True)
class Peer:
    """What another denoiser costs.

    Attributes:
        name: Name and version.
        instructions_per_second: Executed instructions per second of audio.
        flash_bytes: Code and tables.
        ram_bytes: State of one stream.
        latency_ms: Delay.
        source: How the figures were found.
    """

    name: str
    instructions_per_second: int
    flash_bytes: int
    ram_bytes: int
    latency_ms: int
    source: str


_MEASURED = "measured on the same emulated Cortex-M4 over noisy speech"

PEERS = (
    Peer(
        "SpeexDSP 1.2.1, fixed point, 16 kHz",
        17_100_000,
        22 << 10,
        20 << 10,
        20,
        f"{_MEASURED}; gitlab.xiph.org/xiph/speexdsp",
    ),
    Peer(
        "WebRTC NSx, fixed point, 16 kHz",
        23_700_000,
        28 << 10,
        23 << 10,
        16,
        f"{_MEASURED}; webrtc.googlesource.com",
    ),
    Peer(
        "RNNoise 0.1, 48 kHz, hardware floating point",
        158_000_000,
        110 << 10,
        79 << 10,
        20,
        f"{_MEASURED}, with its floating-point unit; gitlab.xiph.org/xiph/rnnoise",
    ),
)
"""Constants: ``blsh-bench`` does not run these programs."""


@dataclass(frozen=True)
class Benchmark:
    """Outcome of a benchmark.

    Attributes:
        target: Name of the target.
        model_sha256: The model's identity.
        seconds: Audio processed.
        latency_samples: Delay of the output, apart from the hop that the caller collects.
        usage: What it cost.
    """

    target: str
    model_sha256: str
    seconds: float
    latency_samples: int
    usage: Usage

    @property
    def clock_hz(self) -> int:
        """Least clock for real time: estimated cycles, or instructions where there is no estimate.

        An instruction takes a cycle or more on these cores, so that the latter is a lower bound.
        """
        cycles = self.usage.estimated_cycles_per_second
        return self.usage.instructions_per_second if cycles is None else cycles


def run_benchmark(
    model: Model,
    target: Target,
    *,
    seconds: float = 2.0,
    compiler: FirmwareCompiler = "zig",
    optimise: str = "-O2",
) -> Benchmark:
    """Export a model to a temporary folder, compile it and count while it denoises.

    The audio is synthetic noisy speech, the same every time, so that counts repeat exactly.

    Args:
        model: The model.
        target: A target that can be emulated.
        seconds: Length of the audio.
        compiler: Cross compiler.
        optimise: Its optimisation flag.

    Raises:
        BlshError: The target cannot be emulated here, or there is no compiler for it.
    """
    reason = emulation_unavailable_reason(target)
    if target.unicorn is None and target.qemu_machine is not None:
        reason = qemu_unavailable_reason(target, compiler=compiler)
    if reason is not None:
        raise BlshError(f"cannot benchmark {target.name}: {reason}")
    samples = noisy_speech(model.geometry, seconds)
    tables = quantise(model)
    with tempfile.TemporaryDirectory(prefix="blsh-bench-") as work:
        folder = Path(work) / "export"
        export_model(model, target, folder)
        usage = measure_usage(
            folder,
            tables,
            lay_out(tables),
            target,
            samples,
            Path(work),
            compiler=compiler,
            optimise=optimise,
        )
    geometry = model.geometry
    return Benchmark(
        target=target.name,
        model_sha256=model.sha256,
        seconds=samples.size / geometry.rate,
        latency_samples=geometry.frame - geometry.hop,
        usage=usage,
    )


def noisy_speech(geometry: Geometry, seconds: float) -> npt.NDArray[np.int16]:
    """The benchmark's audio: int16, a whole number of hops."""
    hops = max(1, round(seconds * geometry.rate / geometry.hop))
    signals = conformance_signals(geometry, hops)
    return next(signal.samples for signal in signals if signal.name == _SIGNAL)
