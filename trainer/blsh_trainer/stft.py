"""Short-time Fourier transform, framed as the streaming runtime frames its input.

Frame f ends with hop f of the signal: before the signal come ``frame - hop`` zeros. Float training
and the integer reference so see the same frames. Precision follows the signal's: float64 in,
complex128 out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import fft

from blsh_trainer.model_file import WindowKind

FloatArray = npt.NDArray[np.float32]
RealArray = npt.NDArray[np.floating]
ComplexArray = npt.NDArray[np.complexfloating]


def hann_window(frame: int) -> FloatArray:
    """Periodic Hann window of ``frame`` samples."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame) / frame)
    return np.asarray(window, np.float32)


def sine_window(frame: int) -> FloatArray:
    """Square root of `hann_window`: ``sin(pi n / frame)``."""
    return np.asarray(np.sin(np.pi * np.arange(frame) / frame), np.float32)


_WINDOWS = {"hann": hann_window, "sine": sine_window}


def analysis_window(frame: int, kind: WindowKind = "hann") -> FloatArray:
    """Analysis window of a geometry's kind."""
    return _WINDOWS[kind](frame)


def synthesis_window(frame: int, hop: int, kind: WindowKind = "hann") -> FloatArray:
    """Least-squares synthesis window ``w / sum_m w[n - m hop]^2`` (Griffin and Lim 1984)."""
    window = analysis_window(frame, kind).astype(np.float64)
    power = (window**2).reshape(-1, hop).sum(axis=0)
    return np.asarray(window / np.tile(power, frame // hop), np.float32)


def frame_count(n_samples: int, frame: int, hop: int) -> int:
    """Number of frames that hold any of ``n_samples`` samples."""
    return -(-(n_samples + frame - hop) // hop)


def stft(
    samples: npt.NDArray[np.floating], frame: int, hop: int, window: WindowKind = "hann"
) -> ComplexArray:
    """Spectra of windowed frames.

    Args:
        samples: ``(n,)`` mono signal.
        frame: Frame length in samples.
        hop: Hop in samples, a divisor of ``frame``.
        window: Kind of the analysis window.

    Returns:
        ``(frame_count(n), frame // 2 + 1)`` complex64, complex128 for a signal in float64.
    """
    n_frames = frame_count(samples.size, frame, hop)
    precision = np.float64 if samples.dtype == np.float64 else np.float32
    padded = np.zeros((n_frames - 1) * hop + frame, precision)
    padded[frame - hop : frame - hop + samples.size] = samples
    frames = np.lib.stride_tricks.sliding_window_view(padded, frame)[::hop]
    spectra: ComplexArray = fft.rfft(frames * analysis_window(frame, window), axis=1)
    return spectra


def istft(
    spectra: ComplexArray, n_samples: int, frame: int, hop: int, window: WindowKind = "hann"
) -> RealArray:
    """Inverse of `stft`: ``(n_samples,)`` of its precision, aligned with the analysed signal."""
    synthesis = synthesis_window(frame, hop, window)
    frames: RealArray = fft.irfft(spectra, frame, axis=1) * synthesis
    n_frames, blocks = frames.shape[0], frame // hop
    total = np.zeros((n_frames + blocks - 1, hop), frames.dtype)
    for block in range(blocks):
        total[block : block + n_frames] += frames[:, block * hop : (block + 1) * hop]
    return total.reshape(-1)[frame - hop : frame - hop + n_samples].copy()
