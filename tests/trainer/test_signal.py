"""STFT, features, masks, mixing, and what is synthesised."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from blsh_trainer.audio import write_wav
from blsh_trainer.errors import BlshError
from blsh_trainer.features import frame_features, ideal_binary_mask, mel_filterbank
from blsh_trainer.mixing import draw_mixtures, excerpt, extended, mix_at
from blsh_trainer.stft import frame_count, istft, stft
from blsh_trainer.synthetic import NOISES, synthetic_noise, synthetic_speech, write_corpus
from hypothesis import given
from hypothesis import strategies as st


@given(
    n_samples=st.integers(1, 700),
    framing=st.sampled_from([(64, 32), (64, 16), (128, 32), (256, 128)]),
)
def test_istft_undoes_stft(n_samples: int, framing: tuple[int, int]) -> None:
    samples = np.random.default_rng(n_samples).standard_normal(n_samples).astype(np.float32)
    spectra = stft(samples, *framing)
    assert spectra.shape == (frame_count(n_samples, *framing), framing[0] // 2 + 1)
    np.testing.assert_allclose(istft(spectra, n_samples, *framing), samples, atol=1e-5)


def test_first_frame_ends_with_the_first_hop() -> None:
    samples = np.zeros(64, np.float32)
    samples[16] = 1
    energy = (np.abs(stft(samples, 64, 16)) ** 2).sum(axis=1)
    assert energy[0] == 0  # it holds samples 0 to 15
    assert (energy[1:4] > 0).all()  # the window is zero at its first sample


@given(
    rate=st.sampled_from([8000, 16000, 48000]),
    frame=st.sampled_from([128, 512, 1024]),
    n_mels=st.integers(1, 65),
)
def test_filterbank_rows_are_weighted_means(rate: int, frame: int, n_mels: int) -> None:
    bank = mel_filterbank(rate, frame, n_mels)
    assert bank.shape == (n_mels, frame // 2 + 1)
    assert bank.min() >= 0
    np.testing.assert_allclose(bank.sum(axis=1), 1, atol=1e-6)
    peaks = bank.argmax(axis=1)
    assert (np.diff(peaks) >= 0).all()


def test_too_many_filters() -> None:
    with pytest.raises(BlshError, match="--mels 66"):
        mel_filterbank(16000, 128, 66)


def test_features_have_unit_norm_and_do_not_depend_on_level() -> None:
    magnitude = np.random.default_rng(0).random((5, 65)).astype(np.float32)
    magnitude[2] = 0
    for bank in (None, mel_filterbank(8000, 128, 20)):
        features = frame_features(magnitude, bank)
        norms = np.linalg.norm(features, axis=1)
        np.testing.assert_allclose(norms, [1, 1, 0, 1, 1], atol=1e-6)
        np.testing.assert_allclose(frame_features(100 * magnitude, bank), features, atol=1e-6)


def test_mask_is_set_where_speech_is_louder() -> None:
    speech, noise = np.array([[2, 1, 1]], np.float32), np.array([[1, 2, 1]], np.float32)
    assert ideal_binary_mask(speech, noise).tolist() == [[True, False, False]]


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 12.5])
def test_mixture_has_the_wanted_ratio(snr_db: float) -> None:
    rng = np.random.default_rng(0)
    speech, noise = (rng.standard_normal(4000).astype(np.float32) * level for level in (0.1, 3))
    mixture = mix_at(speech, noise, snr_db)
    ratio = np.mean(mixture.speech**2) / np.mean(mixture.noise**2)
    assert 10 * np.log10(ratio) == pytest.approx(snr_db, abs=0.001)


def test_short_noise_is_looped_without_a_step() -> None:
    noise = np.sin(2 * np.pi * 50.3 * np.arange(4000) / 8000).astype(np.float32)
    looped = extended(noise, 20000, 400)
    assert looped.size == 20000
    assert np.array_equal(looped[:3600], noise[:3600])
    assert np.abs(np.diff(looped)).max() < 1.5 * np.abs(np.diff(noise)).max()
    assert np.sqrt(np.mean(looped**2)) == pytest.approx(np.sqrt(0.5), rel=0.1)


@given(size=st.integers(1, 60), n_samples=st.integers(1, 200), seed=st.integers(0, 50))
def test_excerpt_has_the_length_asked_for(size: int, n_samples: int, seed: int) -> None:
    noise = np.arange(1, size + 1, dtype=np.float32)
    part = excerpt(noise, n_samples, 10, np.random.default_rng(seed))
    assert part.size == n_samples
    assert part.any()


def test_mixtures_are_seeded_limited_and_draw_types_equally(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    speech = [tmp_path / "s" / f"{i}.wav" for i in range(3)]
    noise = [tmp_path / "many" / f"{i}.wav" for i in range(9)] + [tmp_path / "few" / "0.wav"]
    for path in [*speech, *noise]:
        path.parent.mkdir(exist_ok=True)
        level = 0.5 if path.parent.name == "few" else 0.01
        write_wav(path, level * np.sign(rng.standard_normal(800)), 8000)

    def draw(seed: int) -> list[float]:
        mixtures = draw_mixtures(
            speech,
            noise,
            rate=8000,
            snrs_db=[-5, 5],
            minutes=0.5,
            rng=np.random.default_rng(seed),
        )
        return [m.snr_db for m in mixtures]

    assert len(draw(1)) == 300  # 30 s of clips of 0.1 s
    assert draw(1) == draw(1) != draw(2)
    assert set(draw(1)) == {-5.0, 5.0}


def test_noise_types_are_drawn_equally_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def read_clip(path: Path, rate: int) -> np.ndarray:  # type: ignore[type-arg]
        read.append(path.parent.name)
        return np.ones(rate // 10, np.float32)

    monkeypatch.setattr("blsh_trainer.mixing.lru_cache", lambda maxsize: lambda f: f)
    noise = [tmp_path / "many" / str(i) for i in range(9)] + [tmp_path / "few" / "0"]
    drawn = draw_mixtures(
        [tmp_path / "s" / "0"],
        noise,
        rate=8000,
        snrs_db=[0],
        minutes=1,
        rng=np.random.default_rng(0),
        read=read_clip,
    )
    assert len(list(drawn)) == 600
    # Binomial with p = 1/2: 600 draws stay within 5 standard deviations of 300.
    assert abs(read.count("few") - 300) < 62


def test_synthetic_speech_has_pitch_pauses_and_level() -> None:
    speech = synthetic_speech(3, 16000, np.random.default_rng(2))
    assert speech.size == 48000
    assert np.abs(speech).max() < 1
    levels = np.sqrt(np.mean(speech.reshape(-1, 400) ** 2, axis=1))
    assert np.quantile(levels, 0.05) < 0.1 * np.quantile(levels, 0.95)
    loud = speech[np.argmax(levels) * 400 :][:1600].astype(np.float64)
    correlation = np.correlate(loud, loud, "full")[loud.size - 1 :]
    pitch = correlation[16000 // 400 : 16000 // 60].max() / correlation[0]
    assert pitch > 0.5


@pytest.mark.parametrize("kind", NOISES)
def test_synthetic_noise(kind: str) -> None:
    noise = synthetic_noise(kind, 1, 8000, np.random.default_rng(0))
    assert noise.size == 8000
    assert np.isfinite(noise).all()
    assert noise.any()
    assert np.abs(noise).max() <= 0.951


def test_pink_noise_falls_by_3_db_an_octave() -> None:
    power = np.abs(np.fft.rfft(synthetic_noise("pink", 60, 16000, np.random.default_rng(0)))) ** 2
    octaves = [power[60 * low : 120 * low].mean() for low in (250, 500, 1000, 2000)]
    # 15,000 bins or more an octave: their mean is good to 0.1 dB
    np.testing.assert_allclose(np.diff(10 * np.log10(octaves)), -3.01, atol=0.2)


def test_a_corpus_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    digests = []
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        write_corpus(tmp_path / name, speakers=2, clips=1, seconds=0.5, rate=8000, seed=seed)
        files = sorted((tmp_path / name).rglob("*.wav"))
        digests.append(hashlib.sha256(b"".join(p.read_bytes() for p in files)).hexdigest())
    assert digests[0] == digests[1] != digests[2]
    folders = {p.parent.relative_to(tmp_path / "one").as_posix() for p in files_in(tmp_path, "one")}
    assert {"speech/train/speaker1", "speech/test/speaker0", "noise/test/babble"} <= folders


def files_in(directory: Path, name: str) -> list[Path]:
    return sorted((directory / name).rglob("*.wav"))
