"""Prove an exported folder equal to the reference, on every engine that can be had here."""

from __future__ import annotations

import functools
import multiprocessing
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from blsh_trainer.errors import BlshError
from blsh_trainer.model_file import Model

from blsh_codegen.blob import model_blob
from blsh_codegen.conformance import Comparison, Difference, Engine, compare_all
from blsh_codegen.emulator import emulation_unavailable_reason
from blsh_codegen.engines import EmulatedEngine, HostEngine, runtime_sources
from blsh_codegen.layout import lay_out
from blsh_codegen.manifest import BLOB, Export, load_export
from blsh_codegen.packaging import with_table_checks
from blsh_codegen.prefix import Prefix
from blsh_codegen.qemu import build_board_image, qemu_unavailable_reason, run_board_image
from blsh_codegen.render import data_headers
from blsh_codegen.signals import Signal, conformance_signals
from blsh_codegen.tables import Tables, quantise
from blsh_codegen.targets import Target, find_target
from blsh_codegen.toolchain import FirmwareCompiler, find_host_compiler, firmware_unavailable_reason
from blsh_codegen.usage import Usage, measure_usage
from blsh_codegen.wasm import WasmEngine, wasm_unavailable_reason

TABLES = "tables"
COMPILERS: tuple[FirmwareCompiler, ...] = ("zig", "gcc")


@dataclass(frozen=True)
class EngineResult:
    """What one engine found.

    Attributes:
        engine: Its name.
        comparisons: One entry a signal; empty for an engine that runs the self-test only.
        failure: What went wrong where there is no single difference to name, or ``None``.
        usage: The measured cost, for emulated targets.
    """

    engine: str
    comparisons: tuple[Comparison, ...] = ()
    failure: str | None = None
    usage: Usage | None = None

    @property
    def bit_exact(self) -> bool:
        """Whether everything was equal."""
        return self.failure is None and self.first_difference is None

    @property
    def first_difference(self) -> Difference | None:
        """The first difference of the first signal that has one."""
        return next((c.difference for c in self.comparisons if c.difference is not None), None)


Job = Callable[[Path, int, Path], EngineResult]
"""Takes the exported folder, the length of signals in hops, and a folder to work in."""


@dataclass(frozen=True)
class Plan:
    """Engines to run and engines that cannot be.

    Attributes:
        jobs: Name and function of each engine.
        skipped: Name of each engine that cannot run here, and why.
    """

    jobs: dict[str, Job]
    skipped: dict[str, str]


def plan_engines(target: Target) -> Plan:
    """Find out which engines can run here.

    Raises:
        BlshError: There is no C compiler for this machine.
    """
    find_host_compiler()
    jobs: dict[str, Job] = {HostEngine.name: _run_host}
    skipped: dict[str, str] = {}
    for name, reason, job in _target_engines(target):
        if reason is None:
            jobs[name] = job
        else:
            skipped[name] = reason
    return Plan(jobs, skipped)


def _target_engines(target: Target) -> Iterator[tuple[str, str | None, Job]]:
    """Name, why it cannot run here or ``None``, and function of each engine of a target."""
    if target.unicorn is not None:
        for compiler in COMPILERS:
            reason = emulation_unavailable_reason(target)
            reason = reason or firmware_unavailable_reason(target, compiler)
            job = functools.partial(_run_emulated, compiler=compiler)
            yield EmulatedEngine.engine_name(target, compiler), reason, job
    if target.qemu_machine is not None:
        yield f"qemu-{target.qemu_machine}", qemu_unavailable_reason(target), _run_qemu
    if target.is_wasm:
        yield f"wasmtime-{target.name}", wasm_unavailable_reason(target), _run_wasm


def run_engines(plan: Plan, folder: Path, frames: int) -> Iterator[EngineResult]:
    """Run the engines side by side and give each result as it comes.

    Each runs in a process of its own, so that C which crashes takes only its engine with it.

    Args:
        plan: From `plan_engines`.
        folder: The exported folder.
        frames: Length of each test signal in hops.

    Raises:
        BlshError: The folder's C does not compile.
    """
    with tempfile.TemporaryDirectory(prefix="blsh-verify-") as work:
        for batch in _batches(list(plan.jobs), 2):
            yield from _run_batch({name: plan.jobs[name] for name in batch}, folder, frames, work)


def _run_batch(
    jobs: dict[str, Job], folder: Path, frames: int, work: str
) -> Iterator[EngineResult]:
    spawn = multiprocessing.get_context("spawn")
    pools = {name: ProcessPoolExecutor(1, mp_context=spawn) for name in jobs}
    try:
        futures = {}
        with _interrupts_ignored():  # which the workers inherit
            for name, job in jobs.items():
                place = Path(work) / name
                place.mkdir()
                futures[pools[name].submit(job, folder, frames, place)] = name
        for future in as_completed(futures):
            try:
                yield future.result()
            except BrokenProcessPool:
                name = futures[future]
                yield EngineResult(name, failure=f"{name}: the exported C crashed")
    except KeyboardInterrupt:
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        for pool in pools.values():
            pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Leave Ctrl-C to this process alone: it ends the workers that are started meanwhile."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may change what a signal does
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _batches(names: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]


def _run_host(folder: Path, frames: int, work: Path) -> EngineResult:
    _, model = load_export(folder)
    tables = quantise(model)
    signals = conformance_signals(model.geometry, frames)
    return _compared(HostEngine(folder, tables, work), tables, signals)


def _run_wasm(folder: Path, frames: int, work: Path) -> EngineResult:
    export, model = load_export(folder)
    tables = quantise(model)
    engine = WasmEngine(folder, tables, find_target(export.target), work)
    return _compared(engine, tables, conformance_signals(model.geometry, frames))


def _run_emulated(
    folder: Path, frames: int, work: Path, *, compiler: FirmwareCompiler
) -> EngineResult:
    export, model = load_export(folder)
    target = find_target(export.target)
    tables = quantise(model)
    engine = EmulatedEngine(folder, tables, target, work, compiler)
    signals = conformance_signals(model.geometry, frames)
    compared = _compared(engine, tables, signals)
    noisy = next(signal for signal in signals if signal.name == "noisy speech")
    usage = measure_usage(
        folder, tables, lay_out(tables), target, noisy.samples, work, compiler=compiler
    )
    return replace(compared, usage=usage)


def _compared(engine: Engine, tables: Tables, signals: Sequence[Signal]) -> EngineResult:
    return EngineResult(engine.name, tuple(compare_all(engine, tables, signals)))


def _run_qemu(folder: Path, frames: int, work: Path) -> EngineResult:
    """Build the folder's self-test and run it on the emulated board."""
    del frames  # the golden vectors have their own length
    export, _ = load_export(folder)
    target = find_target(export.target)
    selftest = folder / "selftest"
    prefix = Prefix(export.prefix)
    programs = (prefix.path(name) for name in ("blsh_selftest.c", "blsh_selftest_main.c"))
    name = f"qemu-{target.qemu_machine}"
    image = build_board_image(
        target,
        [*runtime_sources(folder), *(selftest / name for name in programs)],
        [folder, selftest],
        work / "selftest.elf",
        defines={prefix.code("BLSH_ENABLE_TAP"): None},
        prefix=prefix,
    )
    done = run_board_image(image, target)
    passed = done.exit_code == 0 and done.stdout.startswith("PASS")
    said = done.stdout.strip() or f"exit code {done.exit_code}"
    return EngineResult(name, failure=None if passed else f"{name}: self-test: {said}")


def check_tables(folder: Path, export: Export, model: Model) -> EngineResult:
    """Compare the folder's generated headers and blob with what its model gives.

    Test signals reach some of a dictionary's entries only; this finds a bit that is wrong in any.
    """
    tables = quantise(model)
    layout = lay_out(tables)
    prefix = Prefix(export.prefix)
    headers = data_headers(tables, layout, find_target(export.target))
    for written, text in with_table_checks(headers, layout).items():
        name, expected = prefix.path(written), prefix.code(text)
        try:
            actual = (folder / name).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return EngineResult(TABLES, failure=f"{TABLES}: {name} is missing or not text")
        lines = zip_longest(_data_lines(actual), _data_lines(expected))
        for number, (have, want) in enumerate(lines, start=1):
            if have != want:
                return EngineResult(
                    TABLES, failure=f"{TABLES}: {name}, line {number}, is not what the model gives"
                )
    try:
        blob = (folder / BLOB).read_bytes()
    except OSError:
        return EngineResult(TABLES, failure=f"{TABLES}: {BLOB} is missing")
    if blob != model_blob(tables, layout):
        return EngineResult(TABLES, failure=f"{TABLES}: {BLOB} is not what the model gives")
    return EngineResult(TABLES)


def _data_lines(text: str) -> list[str]:
    """Lines of a header, but for the one that names the version of the tool."""
    return ["" if line.startswith(" * Generated by") else line for line in text.splitlines()]


def verify_folder(folder: Path, frames: int) -> tuple[list[EngineResult], dict[str, str]]:
    """Run every engine and check the tables; see `plan_engines`, `run_engines`, `check_tables`.

    Returns:
        Results, and the engines skipped with the reason.
    """
    export, model = load_export(folder)
    if not runtime_sources(folder):
        raise BlshError(f"{folder}: has no {export.prefix}*.c; export it again with blsh-export")
    plan = plan_engines(find_target(export.target))
    order = list(plan.jobs)
    results = sorted(run_engines(plan, folder, frames), key=lambda one: order.index(one.engine))
    return [*results, check_tables(folder, export, model)], plan.skipped
