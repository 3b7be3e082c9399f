"""Speech and noise made from nothing: the demo's clip and the corpus for tests.

Speech is a source-filter model: glottal pulses along a pitch contour through formant resonators
for vowels, shaped noise for fricatives, and pauses. No recording of anybody is involved.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import signal

from blsh_trainer.audio import write_wav
from blsh_trainer.errors import BlshError

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

# Formant frequencies in Hz of an adult male voice (Peterson and Barney 1952, rounded).
VOWELS = {
    "a": (730, 1090, 2440, 3400),
    "e": (530, 1840, 2480, 3500),
    "i": (270, 2290, 3010, 3700),
    "o": (570, 840, 2410, 3300),
    "u": (300, 870, 2240, 3200),
    "@": (500, 1500, 2500, 3500),
}
BANDWIDTHS_HZ = (70, 100, 140, 200)
# Centre frequency and bandwidth in Hz, and level relative to vowels, of unvoiced fricatives.
FRICATIVES = {"s": (5500, 2200, 0.25), "sh": (3200, 1800, 0.3), "f": (4000, 5000, 0.08)}
SPEECH_RMS = 0.05
NOISE_RMS = 0.05


def synthetic_speech(seconds: float, rate: int, rng: np.random.Generator) -> FloatArray:
    """Babbling of one invented talker.

    Args:
        seconds: Length.
        rate: Sampling rate in Hz, at least 8000.
        rng: Source of the talker's voice and of what is said.

    Returns:
        ``(round(seconds * rate),)`` float32 with an RMS of `SPEECH_RMS`.
    """
    n_samples = round(seconds * rate)
    pitch_hz = float(rng.uniform(90, 230))
    tract = 0.95 + 0.25 * (pitch_hz - 90) / 140  # high voices come with short vocal tracts
    out = np.zeros(n_samples)
    fade = rate // 50
    position = int(rng.uniform(0, 0.1) * rate)
    while position < n_samples:
        kind = rng.choice(["vowel", "fricative", "pause"], p=[0.62, 0.2, 0.18])
        length = int(rng.uniform(0.08, 0.25) * rate)
        if kind != "pause":
            if kind == "vowel":
                sound = _vowel(length, rate, pitch_hz * 2 ** rng.normal(0, 0.15), tract, rng)
            else:
                sound = _fricative(length, rate, rng)
            ramp = np.minimum(1, np.arange(length) / fade)
            sound *= ramp * ramp[::-1]
            part = out[position : position + length]
            part += sound[: part.size]
        position += length - (fade if kind != "pause" else 0)
    return _at_level(out, SPEECH_RMS)


def _vowel(
    length: int, rate: int, pitch_hz: float, tract: float, rng: np.random.Generator
) -> DoubleArray:
    """A vowel that glides to another on a pitch that rises or falls."""
    names = list(VOWELS)
    start, stop = (np.array(VOWELS[names[rng.integers(len(names))]]) * tract for _ in range(2))
    contour = pitch_hz * 2 ** (np.linspace(0, rng.normal(0, 0.25), length))
    phase = np.cumsum(contour / rate)
    # Rosenberg's pulse: opens over 40 % of the period, closes over 16 %; its slope excites.
    t = phase % 1
    pulse = np.where(t < 0.4, 0.5 - 0.5 * np.cos(np.pi * t / 0.4), 0.0)
    closing = (t >= 0.4) & (t < 0.56)
    pulse[closing] = np.cos(np.pi / 2 * (t[closing] - 0.4) / 0.16)
    source = np.diff(pulse, prepend=0.0) + 0.002 * rng.standard_normal(length)
    glide = np.linspace(0, 1, length)
    return (1 - glide) * _formants(source, start, rate) + glide * _formants(source, stop, rate)


def _formants(source: DoubleArray, formants_hz: DoubleArray, rate: int) -> DoubleArray:
    """Cascade of two-pole resonators with unit gain at DC."""
    out = source
    for centre, bandwidth in zip(formants_hz, BANDWIDTHS_HZ, strict=True):
        if centre < 0.45 * rate:
            radius = np.exp(-np.pi * bandwidth / rate)
            poles = np.array([1, -2 * radius * np.cos(2 * np.pi * centre / rate), radius**2])
            out = signal.lfilter([poles.sum()], poles, out)
    unit: DoubleArray = out / max(float(np.sqrt(np.mean(out**2))), 1e-12)
    return unit


def _fricative(length: int, rate: int, rng: np.random.Generator) -> DoubleArray:
    names = list(FRICATIVES)
    centre, bandwidth, level = FRICATIVES[names[rng.integers(len(names))]]
    low = max(centre - bandwidth / 2, 100) / (rate / 2)
    high = (centre + bandwidth / 2) / (rate / 2)
    band = signal.butter(2, [min(low, 0.7), min(high, 0.95)], "bandpass", output="sos")
    sound: DoubleArray = signal.sosfilt(band, rng.standard_normal(length))
    return level * sound / max(float(np.sqrt(np.mean(sound**2))), 1e-12)


def pink_noise(n_samples: int, rate: int, rng: np.random.Generator) -> FloatArray:
    """Noise whose power falls by 3 dB an octave above 20 Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    hertz = np.fft.rfftfreq(n_samples, 1 / rate)
    return _at_level(np.fft.irfft(spectrum / np.sqrt(np.maximum(hertz, 20)), n_samples), NOISE_RMS)


def babble_noise(n_samples: int, rate: int, rng: np.random.Generator) -> FloatArray:
    """Eight talkers at once."""
    talkers = [synthetic_speech(n_samples / rate, rate, rng) for _ in range(8)]
    return _at_level(np.sum(talkers, axis=0), NOISE_RMS)


def hum_noise(n_samples: int, rate: int, rng: np.random.Generator) -> FloatArray:
    """Mains hum: harmonics of 50 or 60 Hz over a faint hiss."""
    mains = rng.choice([50.0, 60.0])
    order = np.arange(1, 21)[:, None]
    phase = rng.uniform(0, 2 * np.pi, order.shape)
    level = rng.uniform(0.2, 1, order.shape) / order
    time = np.arange(n_samples) / rate
    tones = (level * np.sin(2 * np.pi * mains * order * time + phase)).sum(axis=0)
    return _at_level(tones + 0.02 * rng.standard_normal(n_samples), NOISE_RMS)


def click_noise(n_samples: int, rate: int, rng: np.random.Generator) -> FloatArray:
    """Some ten clicks a second, each the ringing of a small resonator."""
    impulses = (rng.random(n_samples) < 10 / rate) * rng.normal(0, 1, n_samples)
    out = np.zeros(n_samples)
    for centre in rng.uniform(0.05, 0.4, 3) * rate:
        poles = [1, -2 * 0.98 * np.cos(2 * np.pi * centre / rate), 0.98**2]
        out += signal.lfilter([1], poles, impulses)
    return _at_level(out + 1e-3 * rng.standard_normal(n_samples), NOISE_RMS)


def wind_noise(n_samples: int, rate: int, rng: np.random.Generator) -> FloatArray:
    """Low rumble in gusts of about a second."""
    low = signal.butter(1, min(200 / (rate / 2), 0.9), output="sos")
    gusts = signal.butter(1, min(1 / (rate / 2), 0.9), output="sos")
    envelope = np.abs(signal.sosfilt(gusts, rng.standard_normal(n_samples)))
    rumble = signal.sosfilt(low, rng.standard_normal(n_samples))
    return _at_level(rumble * (0.2 * envelope.max() + envelope), NOISE_RMS)


NOISES: dict[str, Callable[[int, int, np.random.Generator], FloatArray]] = {
    "babble": babble_noise,
    "clicks": click_noise,
    "hum": hum_noise,
    "pink": pink_noise,
    "wind": wind_noise,
}
TEST_NOISES = ("babble", "wind")


def synthetic_noise(kind: str, seconds: float, rate: int, rng: np.random.Generator) -> FloatArray:
    """Noise of one of the kinds in `NOISES`: ``(round(seconds * rate),)`` float32."""
    return NOISES[kind](round(seconds * rate), rate, rng)


def write_corpus(
    directory: Path,
    *,
    speakers: int = 4,
    clips: int = 3,
    seconds: float = 3.0,
    rate: int = 16000,
    seed: int = 0,
) -> None:
    """Write a corpus with the layout of a real one.

    ``speech/{train,test}/<speaker>/*.wav`` and ``noise/{train,test}/<type>/*.wav``; a quarter of
    the speakers, at least one, and the noise types `TEST_NOISES` are for testing.

    Args:
        directory: Where to; created where missing.
        speakers: Number of talkers, at least 2.
        clips: Recordings a talker and a noise type.
        seconds: Length of each recording.
        rate: Sampling rate in Hz.
        seed: Same seed, same corpus.

    Raises:
        BlshError: A file cannot be written.
    """
    n_test = max(1, speakers // 4)
    folders: list[tuple[str, str]] = []
    for speaker in range(speakers):
        split = "test" if speaker < n_test else "train"
        folders.append((f"speech/{split}/speaker{speaker}", "speech"))
    for kind in NOISES:
        folders.append((f"noise/{'test' if kind in TEST_NOISES else 'train'}/{kind}", kind))
    for index, (name, kind) in enumerate(folders):
        folder = directory / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BlshError(f"{folder}: cannot be made ({error.strerror})") from error
        for clip in range(clips):
            rng = np.random.default_rng([seed, index, clip])
            if kind == "speech":
                samples = synthetic_speech(seconds, rate, rng)
            else:
                samples = synthetic_noise(kind, seconds, rate, rng)
            write_wav(folder / f"{clip}.wav", samples, rate)


def _at_level(samples: npt.NDArray[np.floating], rms: float) -> FloatArray:
    """Scale to an RMS, lower where the peak would exceed 0.95 of full scale."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if samples.size else 0.0
    gain = rms / max(np.sqrt(power), 1e-12)
    peak = float(np.abs(samples).max(initial=0.0)) * gain
    return np.asarray(samples * (gain * min(1.0, 0.95 / max(peak, 1e-12))), np.float32)
