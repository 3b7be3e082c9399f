"""Condensed models of set budgets."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from blsh_trainer.condensed_options import CondensedOptions
from blsh_trainer.errors import BlshError
from blsh_trainer.model_file import check_rate


@dataclass(frozen=True)
class Budget:
    """What a denoiser may cost.

    Attributes:
        flash: Bytes of code and constant tables.
        ram: Bytes of state and stack.
        mips: Million instructions a second of audio.
    """

    flash: int
    ram: int
    mips: float


@dataclass(frozen=True)
class Preset:
    """A budget and a shape that fits it on a Cortex-M4.

    Attributes:
        budget: What the model may cost.
        options: What it is trained with.
    """

    budget: Budget
    options: CondensedOptions


PRESETS = {
    "tiny": Preset(
        Budget(64 << 10, 16 << 10, 8.5),
        CondensedOptions(
            words=4,
            compared=2,
            reach=0.35,
            layers=4,
            entries=32,
            neighbours=4,
            mask_bits=2,
            trackers=((0, 0), (4, 4), (1, 7)),
            steps=10_000,
        ),
    ),
    "base": Preset(
        Budget(256 << 10, 32 << 10, 17.0),
        CondensedOptions(words=8, compared=4, reach=0.5, layers=6, entries=64, neighbours=8),
    ),
    "max": Preset(
        Budget(1 << 20, 64 << 10, 60.0),
        CondensedOptions(
            words=12,
            compared=8,
            reach=1.0,
            layers=8,
            entries=64,
            neighbours=8,
            minutes=500,
        ),
    ),
}


def at_rate(options: CondensedOptions, rate: int) -> CondensedOptions:
    """Options at another sampling rate, with a frame of about the same length in time.

    Raises:
        BlshError: The rate is impossible.
    """
    check_rate(rate)
    seconds = options.frame / options.rate
    frame = 1 << round(math.log2(rate * seconds))
    return replace(
        options, rate=rate, frame=frame, hop=max(1, frame * options.hop // options.frame)
    )


def parse_bytes(option: str, text: str) -> int:
    """Read ``"256K"``, ``"1M"`` or ``"65536"``.

    Raises:
        BlshError: The text is none of them.
    """
    units = {"K": 1 << 10, "M": 1 << 20}
    number, unit = (text[:-1], units[text[-1].upper()]) if text[-1:].upper() in units else (text, 1)
    try:
        value = round(float(number) * unit)
    except (ValueError, OverflowError):
        value = 0
    if value < 1:
        raise BlshError(f"--{option} {text}: give a number of bytes such as 65536, 256K or 1M")
    return value
