"""The two networks of the paper's Table 1, which predict a mask from magnitudes. Needs PyTorch."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from blsh_trainer.errors import BlshError
from blsh_trainer.files import write_atomically
from torch import Tensor, nn

FLOOR = 1e-4
"""Added to magnitudes before their logarithm; the median magnitude is 7e-3."""
FC_LAYERS, BLSTM_LAYERS = 3, 2
KINDS = ("fc", "blstm")


class MaskNetwork(nn.Module):
    """L2-normalised magnitudes in, logits of the mask out, each ``(batch, frames, bins)``.

    Args:
        kind: ``"fc"`` or ``"blstm"``.
        n_bins: Bins a frame.
        hidden: Units of a hidden layer; of each direction of the BLSTM.
        dropout: Share of hidden units that training leaves out.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, kind: str, n_bins: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.kind, self.n_bins, self.hidden = kind, n_bins, hidden
        self.register_buffer("mean", torch.zeros(n_bins))
        self.register_buffer("scale", torch.ones(n_bins))
        body = _FullyConnected if kind == "fc" else _Blstm
        self.body = body(n_bins, hidden, dropout)

    def standardise(self, magnitudes: Tensor) -> None:
        """Take each bin's mean and deviation from ``(frames, bins)`` of the training."""
        logs = torch.log(magnitudes + FLOOR)
        self.mean.copy_(logs.mean(dim=0))
        self.scale.copy_(1 / (logs.std(dim=0) + 1e-3))

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Logits of the mask."""
        logs = torch.log(magnitudes + FLOOR)
        logits: Tensor = self.body((logs - self.mean) * self.scale)
        return logits

    def n_parameters(self) -> int:
        """Number of trained parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    def macs_per_frame(self) -> int:
        """Multiplications by a weight that a frame costs: each weight matrix is used once."""
        return sum(p.numel() for p in self.parameters() if p.dim() == 2)


class _FullyConnected(nn.Sequential):
    """Hidden layers of rectifiers; sees one frame at a time."""

    def __init__(self, n_bins: int, hidden: int, dropout: float) -> None:
        layers: list[nn.Module] = []
        for i in range(FC_LAYERS):
            layers += [nn.Linear(hidden if i else n_bins, hidden), nn.ReLU(), nn.Dropout(dropout)]
        super().__init__(*layers, nn.Linear(hidden, n_bins))


class _Blstm(nn.Module):
    """Bidirectional LSTM layers, and a linear one on both directions."""

    def __init__(self, n_bins: int, hidden: int, dropout: float) -> None:
        super().__init__()
        widths = [n_bins] + [2 * hidden] * (BLSTM_LAYERS - 1)
        self.forwards = nn.ModuleList(LstmDirection(width, hidden) for width in widths)
        self.backwards = nn.ModuleList(LstmDirection(width, hidden) for width in widths)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(2 * hidden, n_bins)

    def forward(self, inputs: Tensor) -> Tensor:
        states = inputs.transpose(0, 1)
        for ahead, back in zip(self.forwards, self.backwards, strict=True):
            states = torch.cat([ahead(states), back(states.flip(0)).flip(0)], dim=-1)
            states = self.dropout(states)
        logits: Tensor = self.output(states).transpose(0, 1)
        return logits


class LstmDirection(nn.Module):
    """An LSTM layer in one direction, ``(frames, batch, width)`` to ``(frames, batch, hidden)``.

    What nn.LSTM computes, in half the processor time: with bfloat16 products, and with the gradient
    of the recurrent weights as one large product at the end.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.input = nn.Linear(width, 4 * hidden)
        self.recurrent = nn.Parameter(torch.empty(hidden, 4 * hidden))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5)
        with torch.no_grad():
            self.input.bias[hidden : 2 * hidden] += 1  # remember at first

    def forward(self, inputs: Tensor) -> Tensor:
        """Hidden states of all frames."""
        gates = self.input(inputs)
        states: Tensor = _Recurrence.apply(gates, self.recurrent.to(gates.dtype))
        return states


class _Recurrence(torch.autograd.Function):
    """The steps of an LSTM in time, the inputs' share of the gates given.

    Gates come as input, forget, output and candidate, ``(frames, batch, 4 * hidden)``; the
    recurrent weights are ``(hidden, 4 * hidden)``. Cells are float32 whatever the gates are.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor) -> Tensor:
        n_frames, n_batch, width = inputs.shape
        hidden = width // 4
        states = inputs.new_zeros(n_frames + 1, n_batch, hidden)
        cells = torch.zeros(n_frames + 1, n_batch, hidden)
        gates = torch.empty_like(inputs)
        for t in range(n_frames):
            total = torch.addmm(inputs[t], states[t], weight)
            gates[t, :, : 3 * hidden] = total[:, : 3 * hidden].sigmoid()
            gates[t, :, 3 * hidden :] = total[:, 3 * hidden :].tanh()
            enter, keep, leave, candidate = gates[t].float().chunk(4, dim=-1)
            cells[t + 1] = keep * cells[t] + enter * candidate
            states[t + 1] = leave * cells[t + 1].tanh()
        ctx.save_for_backward(gates, states, cells, weight)
        return states[1:]

    @staticmethod
    def backward(ctx: Any, d_states: Tensor) -> tuple[Tensor, Tensor]:
        gates, states, cells, weight = ctx.saved_tensors
        d_gates = torch.empty_like(gates)
        transposed = weight.t().contiguous()
        d_state, d_cell = d_states[-1].float(), torch.zeros_like(cells[0])
        for t in range(gates.shape[0] - 1, -1, -1):
            enter, keep, leave, candidate = gates[t].float().chunk(4, dim=-1)
            shown = cells[t + 1].tanh()
            d_cell = d_cell + d_state * leave * (1 - shown * shown)
            parts = [
                d_cell * candidate * enter * (1 - enter),
                d_cell * cells[t] * keep * (1 - keep),
                d_state * shown * leave * (1 - leave),
                d_cell * enter * (1 - candidate * candidate),
            ]
            d_gates[t] = torch.cat(parts, dim=-1)
            d_cell = d_cell * keep
            if t:
                d_state = torch.addmm(d_states[t - 1], d_gates[t], transposed).float()
        d_weight = states[:-1].flatten(0, 1).t() @ d_gates.flatten(0, 1)
        return d_gates, d_weight


def save_torch(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain data to a file that appears complete or not at all.

    Raises:
        BlshError: It cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    try:
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise BlshError(
            f"{path}: cannot be written ({error.strerror}); choose another path"
        ) from error


def load_torch(path: Path) -> dict[str, Any]:
    """Read what `save_torch` wrote; runs no code that the file may hold.

    Raises:
        BlshError: The file cannot be read or is none of its.
    """
    try:
        content: dict[str, Any] = torch.load(path, weights_only=True)
    except OSError as error:
        raise BlshError(f"{path}: cannot be read ({error.strerror}); check its name") from error
    except Exception as error:  # damage shows in zipfile, pickle or torch
        raise BlshError(f"{path}: not a network, or damaged; train it again") from error
    return content


def save_network(path: Path, network: MaskNetwork, record: dict[str, Any]) -> None:
    """Write a network with a record of its training."""
    shape = {"kind": network.kind, "n_bins": network.n_bins, "hidden": network.hidden}
    save_torch(path, {"shape": shape, "state": network.state_dict(), "record": record})


def load_network(path: Path) -> MaskNetwork:
    """Read what `save_network` wrote, ready to denoise.

    Raises:
        BlshError: The file cannot be read or holds no network.
    """
    content = load_torch(path)
    try:
        network = MaskNetwork(**content["shape"])
        network.load_state_dict(content["state"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise BlshError(f"{path}: holds no network of this version; train it again") from error
    return network.eval()
