"""Executed instructions of the runtime's kernels, one by one, on an emulated core.

    python benchmarks/kernels.py [--compiler gcc|zig] [--target cortex-m4] [--model model.npz]

The figures are deterministic: models and inputs come from fixed seeds. Codes are independent
random bits or clustered (each a noisy copy of one of 256 centres, as the frames of a few sounds
are), masks have runs of random lengths; ``--model`` adds the codes of a trained dictionary, with
noisy copies of them as queries, and its masks. docs/performance.md keeps the results.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from blsh_codegen.emulator import Emulator
from blsh_codegen.engines import runtime_sources
from blsh_codegen.export import default_model, export_model
from blsh_codegen.layout import lay_out
from blsh_codegen.tables import quantise
from blsh_codegen.targets import Target, find_target
from blsh_codegen.toolchain import FirmwareCompiler, build_firmware
from blsh_trainer.model_file import Geometry, Model, load_model

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.models import PAPER, BandSpec, random_model

BAND_KERNELS = (
    "blsh_init",  # keeps the tables
    "blsh_fft_forward",
    "blsh_fft_inverse",
    "blsh_hash",
    "blsh_search",
    "blsh_mask_gains",
)
CONDENSED_KERNELS = ("blsh_init", "blsh_project")
N_QUERIES = 32
Codes = npt.NDArray[np.uint32]


class Kernels:
    """The kernels of one exported model, callable one by one.

    Args:
        model: What is exported.
        target: The emulated core.
        compiler: Cross compiler.
        optimise: Its optimisation flag.
    """

    def __init__(
        self, model: Model, target: Target, compiler: FirmwareCompiler, optimise: str = "-O2"
    ) -> None:
        self.tables = quantise(model)
        self.layout = lay_out(self.tables)
        with tempfile.TemporaryDirectory() as work:
            folder = Path(work) / "export"
            export_model(model, target, folder)
            image = build_firmware(
                target,
                runtime_sources(folder),
                [folder],
                Path(work) / "kernels.elf",
                compiler=compiler,
                optimise=optimise,
                roots=BAND_KERNELS if model.condensed is None else CONDENSED_KERNELS,
            )
            self._emulator = Emulator(image, target)
        self._model = self._emulator.symbol("builtin_model").address
        # More than any argument of a kernel needs.
        self._memory = [self._emulator.allocate(1 << 16) for _ in range(4)]

    def count(self, kernel: str, *arguments: int) -> int:
        """Instructions of one call."""
        self._emulator.reset_profile()
        self._emulator.call(kernel, *arguments)
        return self._emulator.total_instructions()

    def fft(self) -> int:
        """Forward and inverse transform of one frame."""
        frame = self._memory[0]
        samples = np.random.default_rng(0).integers(-(2**28), 2**28, self.tables.geometry.frame)
        self._emulator.write(frame, samples.astype("<i4").tobytes())
        return self.count("blsh_fft_forward", frame) + self.count("blsh_fft_inverse", frame)

    def projection_per_mac(self) -> float:
        """Hash code of one frame, for each product of a weight and a feature."""
        features, code = self._memory[:2]
        macs = self.tables.bands[0].projection_q15.size
        return self.count("blsh_hash", self._model, 0, features, 1000, code) / macs

    def condensed_projection_per_mac(self) -> float:
        """The same for the 8-bit weights of a condensed model."""
        features, code = self._memory[:2]
        assert self.tables.condensed is not None
        macs = sum(group.projection.size for group in self.tables.condensed.hashes)
        return self.count("blsh_project", self._model, features, code) / macs

    def search_per_code(self, queries: Codes) -> float:
        """Search of the dictionary, for each of its codes, mean over some queries."""
        code, scratch, index, distance = self._memory
        total = 0
        for query in queries:
            self._emulator.write(code, query.astype("<u4").tobytes())
            total += self.count("blsh_search", self._model, 0, code, scratch, index, distance)
        return total / len(queries) / self.tables.bands[0].n_entries

    def masks_per_bin(self) -> float:
        """Decoding and averaging of K masks, for each bin, mean over some choices of entries."""
        index, scratch, gain = self._memory[:3]
        band = self.tables.bands[0]
        rng = np.random.default_rng(0)
        total = 0
        for _ in range(N_QUERIES):
            chosen = rng.integers(0, band.n_entries, band.neighbours)
            self._emulator.write(index, chosen.astype("<u4").tobytes())
            total += self.count("blsh_mask_gains", self._model, 0, index, scratch, 0, gain)
        return total / N_QUERIES / band.masks.shape[1]


def packed(bits: npt.NDArray[np.bool_]) -> Codes:
    """``(n, L)`` bits as ``(n, W)`` words."""
    padded = np.pad(bits, ((0, 0), (0, -bits.shape[1] % 32)))
    return np.packbits(padded, axis=1, bitorder="little").view("<u4").astype(np.uint32)


def noisy_copies(
    bits: npt.NDArray[np.bool_], n: int, flipped: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """``n`` of the given codes, drawn with replacement, with a share of their bits flipped."""
    chosen = bits[rng.integers(0, bits.shape[0], n)]
    copies: npt.NDArray[np.bool_] = chosen ^ (rng.random(chosen.shape) < flipped)
    return copies


def code_model(bits: npt.NDArray[np.bool_]) -> Model:
    """A model of the paper's geometry with a given dictionary of codes."""
    n_entries, n_bits = bits.shape
    model = random_model(PAPER, (BandSpec(513, n_bits=n_bits, n_entries=8, neighbours=8),))
    band = dataclasses.replace(
        model.bands[0],
        neighbours=10,
        codes=packed(bits),
        masks=np.zeros((n_entries, 513), np.uint8),
    )
    return dataclasses.replace(model, bands=(band,))


def run_masks(n_entries: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Binary masks whose runs are ten bins long on average."""
    changes = rng.random((n_entries, 513)) < 0.1
    masks: npt.NDArray[np.uint8] = (np.cumsum(changes, axis=1) % 2).astype(np.uint8)
    return masks


def figures(target: Target, compiler: FirmwareCompiler, path: Path | None) -> Iterator[str]:
    """Lines of the report."""
    for frame in (1024, 512):
        model = random_model(Geometry(16000, frame, frame // 4))
        fft = Kernels(model, target, compiler).fft()
        yield f"FFT of {frame} real points, forward and inverse: {fft}"
    rng = np.random.default_rng(0)
    model = random_model(PAPER, (BandSpec(513, n_bits=150, n_entries=1024, neighbours=10),))
    model.bands[0].masks[:] = run_masks(1024, rng)
    kernels = Kernels(model, target, compiler)
    yield f"projection, instructions a multiplication: {kernels.projection_per_mac():.3f}"
    yield f"masks, K = 10, instructions a bin: {kernels.masks_per_bin():.1f}"
    for n_bits, n_entries in ((32, 4096), (48, 4096), (64, 4096), (150, 4096), (150, 22500)):
        bits = rng.random((n_entries, n_bits)) < 0.5
        queries = packed(rng.random((N_QUERIES, n_bits)) < 0.5)
        search = Kernels(code_model(bits), target, compiler).search_per_code(queries)
        yield (
            f"search of {n_entries} random codes of {n_bits} bits, instructions a code: "
            f"{search:.2f}, a 32-bit word: {search * 32 / n_bits:.2f}"
        )
    centres = rng.random((256, 150)) < rng.random(150)
    bits = noisy_copies(centres, 22500, 0.1, rng)
    queries = packed(noisy_copies(centres, N_QUERIES, 0.1, rng))
    search = Kernels(code_model(bits), target, compiler).search_per_code(queries)
    yield f"search of 22500 clustered codes of 150 bits, instructions a code: {search:.2f}"
    bundled = Kernels(load_model(default_model()), target, compiler)
    macs = bundled.condensed_projection_per_mac()
    yield f"projection of the bundled model, instructions a multiplication: {macs:.3f}"
    if path is not None:
        trained = load_model(path)
        masks = Kernels(trained, target, compiler).masks_per_bin()
        yield f"masks of a trained model, instructions a bin: {masks:.1f}"
        band = trained.bands[0]
        words = np.ascontiguousarray(band.codes, "<u4").view(np.uint8)
        bits = np.unpackbits(words, axis=1, bitorder="little")[:, : band.n_bits].astype(bool)
        queries = packed(noisy_copies(bits, N_QUERIES, 0.1, rng))
        search = Kernels(code_model(bits), target, compiler).search_per_code(queries)
        yield (
            f"search of {bits.shape[0]} trained codes of {bits.shape[1]} bits, "
            f"instructions a code: {search:.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compiler", choices=("zig", "gcc"), default="zig")
    parser.add_argument("--target", default="cortex-m4")
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    for line in figures(find_target(options.target), options.compiler, options.model):
        print(line, flush=True)


if __name__ == "__main__":
    main()
