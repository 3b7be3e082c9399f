"""The exported runtime on this machine, as ``blsh-denoise`` uses it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from blsh_trainer.errors import BlshError

from blsh_codegen.engines import runtime_sources
from blsh_codegen.library_cache import open_library
from blsh_codegen.toolchain import compile_shared

_RUNTIME_API = """
    int blsh_init(void *state);
    int blsh_process(void *state, const int16_t *input, int16_t *output);
    uint32_t blsh_latency_samples(void);
"""


class RuntimeLibrary:
    """An exported folder compiled for this machine.

    Args:
        path: The shared library.
        hop: Samples that it processes at a time.
        state_bytes: Memory of a stream.
    """

    def __init__(self, path: Path, hop: int, state_bytes: int) -> None:
        self.hop = hop
        self.state_bytes = state_bytes
        self.ffi, self.functions = open_library(_RUNTIME_API, path)

    @classmethod
    def compile(cls, folder: Path, hop: int, state_bytes: int, path: Path) -> RuntimeLibrary:
        """Compile an exported folder into a shared library at ``path`` and load it."""
        compile_shared(runtime_sources(folder), [folder], path)
        return cls(path, hop, state_bytes)


class Runtime:
    """One stream.

    Attributes:
        latency_samples: How late the output is.
    """

    def __init__(self, library: RuntimeLibrary) -> None:
        self._library = library
        self._state = library.ffi.new("int64_t[]", (library.state_bytes + 7) // 8)
        self.latency_samples = int(library.functions.blsh_latency_samples())
        self.reset()

    def reset(self) -> None:
        """Start the stream over."""
        self._library.functions.blsh_init(self._state)

    def process(self, samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """Denoise int16 samples, a whole number of hops."""
        hop, ffi = self._library.hop, self._library.ffi
        if samples.size % hop:
            raise ValueError(f"{samples.size} samples are not a whole number of hops of {hop}")
        output = np.array(samples, np.int16)
        start = ffi.cast("int16_t *", output.ctypes.data)
        for place in range(0, output.size, hop):
            status = self._library.functions.blsh_process(self._state, start + place, start + place)
            if status != 0:
                raise BlshError(f"blsh_process() returned {status}")
        return output
