"""The networks of benchmarks/networks.py, end to end on a small synthetic corpus."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from blsh_trainer.audio import read_mono, write_wav
from blsh_trainer.synthetic import write_corpus

torch = pytest.importorskip("torch")

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def networks() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCHMARKS))
    import networks

    yield networks
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("corpus")
    write_corpus(directory, speakers=4, clips=2, seconds=2.5, rate=16000, seed=1)
    return directory


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def words(kind: str, corpus: Path, cache: Path, output: Path, *more: str) -> list[str]:
    fixed = ["train", kind, "--corpus", str(corpus), "--cache", str(cache), "-o", str(output)]
    return [*fixed, "--hidden", "8", *more]


@pytest.mark.parametrize("kind", ["fc", "blstm"])
def test_a_network_is_trained_resumed_and_denoises(
    networks: ModuleType,
    kind: str,
    corpus: Path,
    cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "network.pt"
    # The second epoch after a stop is that of a training in one go.
    networks.main(words(kind, corpus, cache, output, "--epochs", "2", "--json"))
    straight = json.loads(capsys.readouterr().out)
    assert len(straight["epochs"]) == 2
    assert straight["epochs"][1]["training"] < straight["epochs"][0]["training"]

    # Nothing is left to do, which the same command finds out by itself.
    networks.main(words(kind, corpus, cache, output, "--epochs", "2", "--json"))
    again = capsys.readouterr()
    assert json.loads(again.out) == straight
    assert "goes on after epoch 2" in again.err

    noisy = tmp_path / "noisy"
    noisy.mkdir()
    rng = np.random.default_rng(0)
    for name, size in (("a", 4000), ("b", 4000), ("c", 700)):
        write_wav(noisy / f"{name}.wav", 0.1 * rng.standard_normal(size), 16000)
    networks.main(["denoise", str(output), str(noisy), str(tmp_path / "clean")])
    for name, size in (("a", 4000), ("b", 4000), ("c", 700)):
        clean = read_mono(tmp_path / "clean" / f"{name}.wav", 16000)
        assert clean.shape == (size,)
        assert 0 < np.std(clean) < 0.1


def test_an_interrupted_training_ends_as_one_in_one_go(
    networks: ModuleType,
    corpus: Path,
    cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    networks.main(words("fc", corpus, cache, tmp_path / "a.pt", "--epochs", "2", "--json"))
    straight = json.loads(capsys.readouterr().out)

    whole_epoch = networks.Trainer._train_epoch

    def interrupted_in_the_second(trainer: object) -> None:
        if trainer.history:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        whole_epoch(trainer)

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr(networks.Trainer, "_train_epoch", interrupted_in_the_second)
        networks.main(words("fc", corpus, cache, tmp_path / "b.pt", "--epochs", "2"))
    assert stop.value.code == 130
    networks.main(words("fc", corpus, cache, tmp_path / "b.pt", "--epochs", "2", "--json"))
    resumed = json.loads(capsys.readouterr().out)
    losses = [[epoch["validation"] for epoch in run["epochs"]] for run in (straight, resumed)]
    assert losses[0] == losses[1]


def test_a_finished_training_goes_on_where_more_epochs_are_wanted(
    networks: ModuleType,
    corpus: Path,
    cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = []
    for counts, name in ((["2"], "a.pt"), (["1", "2"], "b.pt")):
        for count in counts:
            options = ("--epochs", count, "--json")
            networks.main(words("blstm", corpus, cache, tmp_path / name, *options))
            runs.append(json.loads(capsys.readouterr().out))
    assert [len(run["epochs"]) for run in runs] == [2, 1, 2]
    assert runs[2]["validation"] == pytest.approx(runs[0]["validation"], abs=1e-6)


def test_a_checkpoint_of_another_recipe_is_refused(
    networks: ModuleType, corpus: Path, cache: Path, tmp_path: Path
) -> None:
    output = tmp_path / "network.pt"
    networks.main(words("fc", corpus, cache, output, "--epochs", "1"))
    with pytest.raises(SystemExit, match="another recipe or other recordings"):
        networks.main(words("fc", corpus, cache, output, "--epochs", "1", "--rate", "0.01"))


def test_minutes_take_whole_mixtures_and_leave_validation_as_it_is(
    networks: ModuleType,
    corpus: Path,
    cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    records = []
    for name, more in (("all", ()), ("some", ("--minutes", "0.04"))):
        output = tmp_path / f"{name}.pt"
        networks.main(words("fc", corpus, cache, output, "--epochs", "1", "--json", *more))
        records.append(json.loads(capsys.readouterr().out))
    assert records[1]["validation_frames"] == records[0]["validation_frames"]
    assert [record["training_frames"] for record in records] == [320, 160]


def test_a_file_that_is_no_network_is_refused(networks: ModuleType, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pt"
    bad.write_bytes(b"PK, but not really")
    write_wav(tmp_path / "a.wav", np.full(4000, 0.1), 16000)
    with pytest.raises(SystemExit, match="not a network, or damaged"):
        networks.main(["denoise", str(bad), str(tmp_path), str(tmp_path / "out")])


def test_an_lstm_layer_is_that_of_pytorch(networks: ModuleType) -> None:
    from network_models import LstmDirection

    hidden = 7
    ours, theirs = LstmDirection(5, hidden), torch.nn.LSTM(5, hidden)
    # PyTorch has the candidate before the output gate.
    order = torch.arange(4 * hidden).reshape(4, hidden)[[0, 1, 3, 2]].flatten()
    with torch.no_grad():
        ours.input.weight.copy_(theirs.weight_ih_l0[order])
        ours.input.bias.copy_((theirs.bias_ih_l0 + theirs.bias_hh_l0)[order])
        ours.recurrent.copy_(theirs.weight_hh_l0[order].t())
    inputs, weights = torch.randn(9, 3, 5), torch.randn(9, 3, hidden)
    results = [ours(inputs), theirs(inputs)[0]]
    torch.testing.assert_close(*results)
    for result in results:
        (result * weights).sum().backward()
    torch.testing.assert_close(ours.recurrent.grad, theirs.weight_hh_l0.grad[order].t())
    torch.testing.assert_close(ours.input.weight.grad, theirs.weight_ih_l0.grad[order])
