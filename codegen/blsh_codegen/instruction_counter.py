"""Count executed instructions exactly, by function, from the blocks that unicorn executes.

A hook for every instruction would slow emulation down a thousandfold. A hook for every block,
compiled from ``block_counter.c``, hardly does: the block's first halfword gets +1, the one after
its last gets -1, and the running sum is the execution count of every instruction. An instruction
that a Thumb IT instruction skips counts as executed: it takes a cycle all the same.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from blsh_trainer.errors import BlshError

from blsh_codegen.elf_image import ElfImage, Symbol
from blsh_codegen.toolchain import compile_shared

ELSEWHERE = "(elsewhere)"
"""Name for executed code that no function symbol covers."""

_Counts = npt.NDArray[np.int64]


class _CounterState(ctypes.Structure):
    """The mirror of ``blsh_block_counter_t``."""

    _fields_ = (
        ("code_start", ctypes.c_uint64),
        ("code_bytes", ctypes.c_uint64),
        ("edges", ctypes.c_void_p),
        ("halfwords", ctypes.c_uint64),
        ("limit_halfwords", ctypes.c_uint64),
        ("stop", ctypes.c_void_p),
    )


class InstructionCounter:
    """Counts the instructions that an emulator executes.

    Args:
        engine: A ``unicorn.Uc``.
        image: The loaded image; the counted range spans its executable segments.
        native: Use the compiled hook; ``None`` means when a host compiler is there.

    Attributes:
        is_native: Whether the compiled hook is in use.
    """

    def __init__(self, engine: Any, image: ElfImage, *, native: bool | None = None) -> None:
        code = [segment for segment in image.segments if segment.executable]
        if not code:
            raise BlshError(f"{image.path}: holds no code to run")
        start = min(part.address for part in code) & ~1
        end = max(part.address + part.size for part in code)
        self._image = image
        self._start = start
        self._bytes = np.zeros((end - start + 3) & ~1, dtype=np.uint8)
        for part in code:
            offset = part.address - start
            self._bytes[offset : offset + len(part.data)] = np.frombuffer(part.data, np.uint8)
        self._edges: _Counts = np.zeros(len(self._bytes) // 2 + 1, dtype=np.int64)
        self._parts: dict[str, _Counts] = {}
        self._state = _CounterState(
            code_start=start,
            code_bytes=len(self._bytes),
            edges=self._edges.ctypes.data,
            limit_halfwords=2**64 - 1,
        )
        hook = _native_hook() if native is not False else None
        if native and hook is None:
            raise BlshError("the compiled instruction counter needs a C compiler for this machine")
        self.is_native = hook is not None
        if hook is not None:
            self._attach_native(engine, hook)
        else:
            self._attach_python(engine)

    def begin_call(self, max_instructions: int) -> None:
        """Start the budget of a call: it is stopped after at least this many instructions."""
        self._state.halfwords = 0
        self._state.limit_halfwords = 2 * max_instructions

    @property
    def budget_spent(self) -> bool:
        """Whether the current call was stopped for its number of instructions."""
        return bool(self._state.halfwords > self._state.limit_halfwords)

    def reset(self) -> None:
        """Forget all counts."""
        for edges in self._all_edges():
            edges[:] = 0

    def split(self, engine: Any, parts: Mapping[Symbol, str]) -> None:
        """From each time that a function is entered, book everything under a part.

        Whatever the compiler made of the functions below it, their instructions are booked with
        it, those of shared helpers included. The caller's own instructions after it returns are
        booked there too, under the caller's name.

        Args:
            engine: The ``unicorn.Uc``.
            parts: Part of each function.
        """
        unicorn: Any = importlib.import_module("unicorn")
        for function, part in parts.items():
            edges = self._parts.setdefault(part, np.zeros_like(self._edges))
            address = function.address

            def enter(_: Any, start: int, size: int, edges: _Counts) -> None:
                # The block itself has just been counted where the previous part is.
                self._count_block(start, size, -1)
                self._state.edges = edges.ctypes.data
                self._count_block(start, size, 1)

            engine.hook_add(unicorn.UC_HOOK_BLOCK, enter, edges, address, address)

    def counts(self) -> dict[int, int]:
        """How often each executed instruction was executed, by its address."""
        starts, counts = self._instruction_counts()
        addresses = self._start + 2 * starts
        return dict(zip(addresses.tolist(), counts.tolist(), strict=True))

    def counts_by_part(self) -> dict[str, dict[int, int]]:
        """:meth:`counts` of each part of :meth:`split`; what precedes the first is left out."""
        starts, _ = self._instruction_counts()
        addresses = (self._start + 2 * starts).tolist()
        return {
            part: dict(zip(addresses, np.cumsum(edges[:-1])[starts].tolist(), strict=True))
            for part, edges in self._parts.items()
        }

    def profile(self) -> dict[str, int]:
        """Executed instructions by function, most first."""
        return self._by_function(*self._instruction_counts())

    def profile_parts(self) -> dict[str, dict[str, int]]:
        """The same for each part of :meth:`split`; what precedes the first is left out."""
        starts, _ = self._instruction_counts()
        return {
            part: self._by_function(starts, np.cumsum(edges[:-1])[starts])
            for part, edges in self._parts.items()
        }

    def total(self) -> int:
        """Executed instructions."""
        return int(self._instruction_counts()[1].sum())

    def _all_edges(self) -> list[_Counts]:
        return [self._edges, *self._parts.values()]

    def _count_block(self, address: int, size: int, times: int) -> None:
        """Count a block where the compiled hook does at present."""
        edges = next(one for one in self._all_edges() if one.ctypes.data == self._state.edges)
        offset = address - self._start
        edges[offset // 2] += times
        edges[(offset + size) // 2] -= times

    def _by_function(self, starts: _Counts, counts: _Counts) -> dict[str, int]:
        addresses = self._start + 2 * starts
        totals: dict[str, int] = {}
        functions = self._image.functions
        bounds = np.array([one.address for one in functions], dtype=np.int64)
        owner = np.searchsorted(bounds, addresses, side="right") - 1
        for index in np.unique(owner):
            mine = owner == index
            name = ELSEWHERE
            if index >= 0:
                function = functions[index]
                # A function written in assembly may carry no size: it reaches to the next one.
                end = function.address + function.size if function.size else 2**32
                outside = int(counts[mine & (addresses >= end)].sum())
                if outside:
                    totals[ELSEWHERE] = totals.get(ELSEWHERE, 0) + outside
                mine &= addresses < end
                name = function.name
            count = int(counts[mine].sum())
            if count:
                totals[name] = totals.get(name, 0) + count
        return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))

    def _instruction_counts(self) -> tuple[_Counts, _Counts]:
        """Halfword indices of the executed instructions, and how often each was executed.

        The first of a run of executed halfwords starts a block, hence an instruction; from there
        the length of each instruction leads to the next. Literal pools are never executed, so
        they are never mistaken for code.
        """
        halfword_counts = np.cumsum(np.sum(self._all_edges(), axis=0)[:-1])
        executed = np.flatnonzero(halfword_counts)
        is_long = self._is_long().tolist()
        starts: list[int] = []
        following = -1
        for index in executed.tolist():
            if index >= following:
                starts.append(index)
                following = index + (2 if is_long[index] else 1)
        chosen = np.array(starts, dtype=np.int64)
        return chosen, halfword_counts[chosen]

    def _is_long(self) -> npt.NDArray[np.bool_]:
        """For each halfword, whether an instruction that starts there has 32 bits."""
        halfwords: npt.NDArray[np.uint16] = self._bytes.view("<u2")
        if self._image.is_thumb:
            return np.asarray(halfwords >= 0xE800)
        return np.asarray((halfwords & 3) == 3)

    def _attach_native(self, engine: Any, hook: Any) -> None:
        unicorn: Any = importlib.import_module("unicorn")
        binding: Any = importlib.import_module(unicorn.Uc.__module__)
        # A second handle of the loaded library, so that the binding's prototypes stay its own.
        library = ctypes.CDLL(binding.uclib._name)
        add = library.uc_hook_add
        add.restype = ctypes.c_int
        add.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
        add.argtypes += [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64]
        self._state.stop = ctypes.cast(library.uc_emu_stop, ctypes.c_void_p).value
        handle = ctypes.c_size_t()
        address = ctypes.cast(hook, ctypes.c_void_p)
        state = ctypes.addressof(self._state)
        status = add(engine._uch, ctypes.byref(handle), unicorn.UC_HOOK_BLOCK, address, state, 1, 0)
        if status != 0:
            raise unicorn.UcError(status)

    def _attach_python(self, engine: Any) -> None:
        unicorn: Any = importlib.import_module("unicorn")
        state, start, span = self._state, self._start, len(self._bytes)

        def count_block(engine: Any, address: int, size: int, _: object) -> None:
            offset = address - start
            if 0 <= offset <= span - size:
                self._count_block(address, size, 1)
            state.halfwords += size // 2
            if state.halfwords > state.limit_halfwords:
                engine.emu_stop()

        engine.hook_add(unicorn.UC_HOOK_BLOCK, count_block)


@functools.cache
def _native_hook() -> Any:
    """The compiled block hook, built once a process; ``None`` without a host compiler."""
    source = Path(str(resources.files("blsh_codegen"))) / "block_counter.c"
    with tempfile.TemporaryDirectory(prefix="blsh-") as folder:
        try:
            built = compile_shared([source], [], Path(folder) / "block_counter.so")
            # Once loaded, the library no longer needs its file.
            library = ctypes.CDLL(str(built.path))
        except (BlshError, OSError):
            return None
    return library.blsh_count_block
