"""Denoise recordings with the exported C itself."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from blsh_trainer import __version__
from blsh_trainer.audio import INT16_FULL_SCALE, AudioFile, resampled, to_int16
from blsh_trainer.model_file import Model

from blsh_codegen.export import export_model
from blsh_codegen.layout import lay_out
from blsh_codegen.library_cache import cached_library
from blsh_codegen.runtime import Runtime, RuntimeLibrary
from blsh_codegen.tables import quantise
from blsh_codegen.targets import find_target
from blsh_codegen.toolchain import find_host_compiler, template_folder

_STREAM_SECONDS = 0.25


def compiled_runtime(model: Model) -> RuntimeLibrary:
    """Export a model for this machine and compile it, or find it compiled in the cache."""
    hop, state_bytes = model.geometry.hop, lay_out(quantise(model)).long_state_bytes

    def load(path: Path) -> RuntimeLibrary:
        return RuntimeLibrary(path, hop, state_bytes)

    def build(path: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="blsh-denoise-") as work:
            folder = Path(work) / "export"
            export_model(model, find_target("generic"), folder)
            RuntimeLibrary.compile(folder, hop, state_bytes, path)

    return cached_library(build_key(model), load, build)


def denoise_recording(library: RuntimeLibrary, recording: AudioFile, rate: int) -> AudioFile:
    """Denoise each channel of a recording; the result has its length, rate and timing.

    Args:
        library: The compiled runtime.
        recording: Any rate and number of channels.
        rate: The model's sampling rate in Hz.
    """
    channels = []
    for channel in recording.samples.T:
        at_rate = to_int16(resampled(channel, recording.rate, rate))
        clean = denoise_samples(library, at_rate).astype(np.float32) / np.float32(INT16_FULL_SCALE)
        back = resampled(clean, rate, recording.rate)
        length = recording.samples.shape[0]
        channels.append(np.pad(back[:length], (0, max(length - back.size, 0))))
    return AudioFile(np.stack(channels, axis=1), recording.rate)


def denoise_samples(
    library: RuntimeLibrary, samples: npt.NDArray[np.int16]
) -> npt.NDArray[np.int16]:
    """Denoise int16 samples at the model's rate, without the latency."""
    stream = Runtime(library)
    latency, hop = stream.latency_samples, library.hop
    padding = latency + -(samples.size + latency) % hop
    output = stream.process(np.pad(samples, (0, padding)))
    return output[latency : latency + samples.size]


def denoise_stream(library: RuntimeLibrary, source: BinaryIO, sink: BinaryIO, rate: int) -> int:
    """Denoise raw little-endian int16 mono at the model's rate as it arrives.

    Returns:
        The number of samples written, the same as was read.
    """
    stream = Runtime(library)
    hop = library.hop
    block = max(1, int(_STREAM_SECONDS * rate) // hop) * hop
    read, late = 0, stream.latency_samples
    pending = b""
    while chunk := source.read(2 * block - len(pending)):
        pending += chunk
        whole = len(pending) // (2 * hop) * 2 * hop
        output = stream.process(np.frombuffer(pending[:whole], "<i2").astype(np.int16))
        sink.write(output[min(late, output.size) :].astype("<i2").tobytes())
        sink.flush()
        late -= min(late, output.size)
        read += whole // 2
        pending = pending[whole:]
    rest = np.frombuffer(pending[: len(pending) // 2 * 2], "<i2").astype(np.int16)
    total = read + rest.size
    written = max(read - stream.latency_samples, 0)
    padding = -rest.size % hop + -(-stream.latency_samples // hop) * hop
    output = stream.process(np.pad(rest, (0, padding)))[late:]
    sink.write(output[: total - written].astype("<i2").tobytes())
    sink.flush()
    return total


def build_key(model: Model) -> str:
    """Everything that the library depends on: model, code generator, runtime and compiler."""
    digest = hashlib.sha256(f"{model.sha256} {__version__} {find_host_compiler()}".encode())
    generator = sorted(Path(__file__).parent.glob("*.py"))
    templates = sorted(p for p in template_folder().rglob("*") if p.suffix in (".c", ".h", ".j2"))
    for path in (*generator, *templates):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]
