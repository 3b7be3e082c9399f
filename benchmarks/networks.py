"""The networks that the paper compares with: FC and BLSTM, trained on the mixtures of BLSH.

Both predict the ideal binary mask from the same L2-normalised STFT magnitudes, of the same training
mixtures; their sigmoid outputs are the mask. A tenth of these mixtures, whole ones, decides when to
stop. Interrupted with Ctrl-C, the same command goes on from the last whole epoch.

    python benchmarks/networks.py train fc --corpus ../shared/corpus --cache cache -o fc.pt
    python benchmarks/networks.py denoise fc.pt IN_DIR OUT_DIR

PyTorch is an optional extra: pip install 'blsh[networks]'.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from blsh_evaluation.artefacts import Learning
from blsh_evaluation.cache import Cache
from blsh_evaluation.frame_store import FrameStore
from blsh_evaluation.profiles import PROFILES
from blsh_evaluation.protocol import Folders, split_corpus
from blsh_trainer.audio import read_mono, write_wav
from blsh_trainer.errors import INTERRUPTED, BlshError
from blsh_trainer.features import frame_features
from blsh_trainer.stft import istft, stft
from blsh_trainer.training import TrainingOptions

if TYPE_CHECKING:
    from network_data import Recipe
    from network_models import MaskNetwork
    from torch import Tensor

TALKERS, SPLIT_SEED = PROFILES["full"].mixtures, 0
"""Of the closed test, as in `blsh-evaluate`; what it keeps from BLSH is kept from networks too."""
_DENOISING_BATCH = 16


@dataclass(frozen=True)
class Epoch:
    """What an epoch gave: cross-entropies a bin in nats, and wall time."""

    training: float
    validation: float
    seconds: float


class Trainer:
    """Trains a network epoch by epoch, and goes on from its checkpoint where there is one.

    Args:
        recipe: How.
        store: On what.
        fingerprint: Of the recordings, so that a checkpoint is not continued on others.
        output: The best network so far; the checkpoint lies beside it.
    """

    def __init__(self, recipe: Recipe, store: FrameStore, fingerprint: str, output: Path) -> None:
        import torch
        from network_data import Data
        from network_models import MaskNetwork

        self.recipe, self.data = recipe, Data(store, recipe)
        self._identity = {"recipe": asdict(recipe), "recordings": fingerprint}
        self._output = output
        self._checkpoint = output.with_name(output.name + ".checkpoint")
        torch.manual_seed(recipe.seed)
        self.network = MaskNetwork(recipe.kind, store.n_bins, recipe.hidden, recipe.dropout)
        self.network.standardise(self.data.statistics_sample())
        self._optimiser = torch.optim.Adam(self.network.parameters(), fused=True)
        self.history: list[Epoch] = []
        if self._checkpoint.exists():
            self._resume()

    def run(self) -> None:
        """Train until validation no longer gains."""
        while not self._is_done():
            self._train_epoch()
            _say(self._line())
            if self._without_gain() == 0:
                self._save_best()
            self._save_checkpoint()

    def record(self) -> dict[str, Any]:
        """Recipe, size and course of the training, as plain data."""
        best = min(self.history, key=lambda epoch: epoch.validation)
        return {
            **self._identity,
            "parameters": self.network.n_parameters(),
            "macs_per_frame": self.network.macs_per_frame(),
            "training_frames": self.data.training.n_frames,
            "validation_frames": self.data.validation.n_frames,
            "best_epoch": self.history.index(best) + 1,
            "validation": best.validation,
            "epochs": [asdict(epoch) for epoch in self.history],
            "seconds": round(sum(epoch.seconds for epoch in self.history), 1),
        }

    def _train_epoch(self) -> None:
        import torch

        began, number = time.monotonic(), len(self.history)
        torch.manual_seed(self.recipe.seed * 1000 + number)  # of dropout
        rate = self.recipe.rate * 0.5 ** self._setbacks()
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        training = _mean(self._step(*batch) for batch in self.data.training_batches(number))
        self.network.eval()
        with torch.inference_mode():
            validation = _mean(
                (float(self._loss(*batch)), batch[0].shape[0])
                for batch in self.data.validation_batches()
            )
        self.history.append(Epoch(training, validation, round(time.monotonic() - began, 1)))

    def _step(self, magnitudes: Tensor, masks: Tensor) -> tuple[float, int]:
        """One step of Adam: the loss before it and the number of pieces."""
        from torch import nn

        loss = self._loss(magnitudes, masks)
        self._optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self._optimiser.step()
        return float(loss.detach()), magnitudes.shape[0]

    def _loss(self, magnitudes: Tensor, masks: Tensor) -> Tensor:
        """Cross-entropy of a batch; products in bfloat16, weights and sums in float32."""
        import torch
        from torch.nn import functional

        with torch.autocast("cpu", torch.bfloat16):
            logits = self.network(magnitudes)
        return functional.binary_cross_entropy_with_logits(logits.float(), masks)

    def _setbacks(self) -> int:
        """Epochs so far that brought no new best."""
        losses = [epoch.validation for epoch in self.history]
        return sum(loss >= min(losses[:i]) for i, loss in enumerate(losses) if i)

    def _without_gain(self) -> int:
        """Epochs since the best."""
        losses = [epoch.validation for epoch in self.history]
        return len(losses) - 1 - losses.index(min(losses)) if losses else 0

    def _is_done(self) -> bool:
        recipe = self.recipe
        return len(self.history) >= recipe.epochs or self._without_gain() >= recipe.patience

    def _line(self) -> str:
        last = self.history[-1]
        return (
            f"{self.recipe.kind} epoch {len(self.history)}: training {last.training:.4f}, "
            f"validation {last.validation:.4f}, {last.seconds:.1f} s"
        )

    def _save_best(self) -> None:
        from network_models import save_network

        save_network(self._output, self.network, self.record())

    def _save_checkpoint(self) -> None:
        from network_models import save_torch

        content = {
            "identity": self._identity,
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "history": [asdict(epoch) for epoch in self.history],
        }
        save_torch(self._checkpoint, content)

    def _resume(self) -> None:
        from network_models import load_torch

        content = load_torch(self._checkpoint)
        if _decisive(content.get("identity", {})) != _decisive(self._identity):
            raise BlshError(
                f"{self._checkpoint}: of another recipe or other recordings; remove it to train "
                "anew, or give the same options"
            )
        self.network.load_state_dict(content["network"])
        self._optimiser.load_state_dict(content["optimiser"])
        self.history = [Epoch(**fields) for fields in content["history"]]
        _say(f"goes on after epoch {len(self.history)}")


def _decisive(identity: dict[str, Any]) -> dict[str, Any]:
    """What of a training's identity decides its epochs, not only how many there are."""
    recipe = dict(identity.get("recipe", {}), epochs=None, patience=None)
    return {**identity, "recipe": recipe}


def _mean(losses: Iterator[tuple[float, int]]) -> float:
    """Mean of losses, weighted."""
    values, weights = zip(*losses, strict=True)
    return float(np.average(values, weights=weights))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def train(args: argparse.Namespace) -> None:
    folders = Folders.of_corpus(args.corpus)
    protocols = split_corpus(folders, talkers=TALKERS, seed=SPLIT_SEED)
    learning = Learning(Cache(args.cache), protocols, TrainingOptions())
    store = FrameStore.open(learning.frames())
    trainer = Trainer(_recipe(args), store, protocols.fingerprint, args.output)
    trainer.run()
    if args.json:
        print(json.dumps(trainer.record(), indent=2))


def denoise(args: argparse.Namespace) -> None:
    from network_models import load_network

    network, geometry = load_network(args.network), TrainingOptions().geometry
    recordings = {
        path: read_mono(path, geometry.rate) for path in sorted(args.source.glob("*.wav"))
    }
    if not recordings:
        raise BlshError(f"{args.source}: no *.wav in it; give a folder with recordings")
    args.destination.mkdir(parents=True, exist_ok=True)
    for paths in _alike(recordings):
        estimates = masked(network, np.stack([recordings[path] for path in paths]))
        for path, estimate in zip(paths, estimates, strict=True):
            write_wav(args.destination / path.name, estimate, geometry.rate)


def _alike(recordings: dict[Path, npt.NDArray[np.float32]]) -> Iterator[list[Path]]:
    """Groups of recordings of one length, for a recurrent network is far faster on several."""
    by_size = sorted(recordings, key=lambda path: (recordings[path].size, path))
    for _, group in groupby(by_size, key=lambda path: recordings[path].size):
        paths = list(group)
        for first in range(0, len(paths), _DENOISING_BATCH):
            yield paths[first : first + _DENOISING_BATCH]


def masked(network: MaskNetwork, signals: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Denoise ``(n_signals, n_samples)`` at the rate of the training."""
    import torch

    geometry = TrainingOptions().geometry
    frame, hop = geometry.frame, geometry.hop
    spectra = np.stack([stft(signal, frame, hop) for signal in signals])
    features = np.stack([frame_features(np.abs(spectrum), None) for spectrum in spectra])
    with torch.inference_mode():
        masks = network(torch.from_numpy(features.astype(np.float32))).sigmoid().numpy()
    return np.stack([istft(s, signals.shape[1], frame, hop) for s in spectra * masks])


def _recipe(args: argparse.Namespace) -> Recipe:
    from network_data import Recipe

    recurrent = args.kind == "blstm"
    return Recipe(
        kind=args.kind,
        hidden=args.hidden,
        frames=48 if recurrent else 1,
        batch=args.batch or (48 if recurrent else 512),
        rate=args.rate,
        dropout=args.dropout,
        clip=1.0,
        patience=args.patience,
        epochs=args.epochs,
        minutes=args.minutes,
        seed=args.seed,
    )


def main(words: Sequence[str] | None = None) -> None:
    args = _arguments(words)
    try:
        _need_torch(getattr(args, "threads", None))
        args.run(args)
    except BlshError as error:
        sys.exit(f"networks: {error.message}")
    except KeyboardInterrupt:
        _say("interrupted; the same command goes on after the last whole epoch")
        sys.exit(INTERRUPTED)


def _need_torch(threads: int | None) -> None:
    # Threads that spin while they wait take the processor from each other where others use it too.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import torch
    except ImportError as error:
        raise BlshError("PyTorch is not installed; pip install 'blsh[networks]'") from error
    if threads is not None:
        torch.set_num_threads(threads)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    training = commands.add_parser("train", help="train a network, or go on training it")
    training.set_defaults(run=train)
    training.add_argument("kind", choices=["fc", "blstm"])
    training.add_argument("--corpus", type=Path, default=Path("../shared/corpus"))
    training.add_argument("--cache", type=Path, required=True, help="of blsh-evaluate")
    training.add_argument("-o", "--output", type=Path, required=True, help="the best so far")
    training.add_argument("--hidden", type=int, default=1024, help="units a layer and direction")
    training.add_argument("--minutes", type=float, help="of the training mixtures; default all")
    training.add_argument("--batch", type=int)
    training.add_argument("--rate", type=float, default=1e-3)
    training.add_argument("--dropout", type=float, default=0.2)
    training.add_argument("--patience", type=int, default=4, help="epochs without a new best")
    training.add_argument("--epochs", type=int, default=100, help="at most")
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--threads", type=int, help="of the processor")
    training.add_argument("--json", action="store_true", help="print how it went")
    denoising = commands.add_parser("denoise", help="denoise every *.wav of a folder")
    denoising.set_defaults(run=denoise)
    denoising.add_argument("network", type=Path)
    denoising.add_argument("source", type=Path, metavar="IN_DIR")
    denoising.add_argument("destination", type=Path, metavar="OUT_DIR")
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
