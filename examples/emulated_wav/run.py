"""Denoise a WAV on an emulated Cortex-M4: ``python examples/emulated_wav/run.py in.wav out.wav``.

The input is mono, 16 bits, at the bundled model's 16 kHz, with a plain header. The output equals
what ``blsh-denoise in.wav out.wav`` writes, byte for byte. Needs qemu-system-arm, and
arm-none-eabi-gcc or the ziglang package.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from blsh_codegen.engines import runtime_sources
from blsh_codegen.export import default_model, export_model
from blsh_codegen.qemu import build_board_image, qemu_unavailable_reason, run_board_image
from blsh_codegen.targets import find_target
from blsh_codegen.toolchain import FirmwareCompiler
from blsh_trainer.errors import BlshError
from blsh_trainer.model_file import load_model

TARGET = find_target("cortex-m4")


def denoise_on_board(source: Path, destination: Path, compiler: FirmwareCompiler) -> None:
    """Export, build, and run the program on the emulated board.

    Raises:
        BlshError: A tool is missing, or the program reports a failure.
    """
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "blsh"
        export_model(load_model(default_model()), TARGET, folder)
        image = build_board_image(
            TARGET,
            [*runtime_sources(folder), Path(__file__).with_name("main.c")],
            [folder],
            Path(work) / "denoise.elf",
            defines={
                "INPUT_WAV": f'"{source.absolute()}"',
                "OUTPUT_WAV": f'"{destination.absolute()}"',
            },
            compiler=compiler,
        )
        done = run_board_image(image, TARGET, timeout_s=600)
    if done.exit_code != 0:
        raise BlshError(f"{source}: {done.stdout.strip() or f'exit code {done.exit_code}'}")


def main() -> None:
    """Run on the two files of the command line."""
    if len(sys.argv) != 3:
        sys.exit("usage: python examples/emulated_wav/run.py in.wav out.wav")
    compiler: FirmwareCompiler = "gcc" if qemu_unavailable_reason(TARGET) is None else "zig"
    try:
        denoise_on_board(Path(sys.argv[1]), Path(sys.argv[2]), compiler)
    except BlshError as error:
        sys.exit(f"Error: {error}")
    print(f"{sys.argv[2]}: denoised on an emulated {TARGET.name}")


if __name__ == "__main__":
    main()
