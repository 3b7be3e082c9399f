"""The benchmark: its counts, how it books them, and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from blsh_codegen.bench import PEERS, Benchmark, noisy_speech, run_benchmark
from blsh_codegen.board_count import count_on_board
from blsh_codegen.cli_bench import bench
from blsh_codegen.emulator import Emulator, emulation_unavailable_reason
from blsh_codegen.engines import runtime_sources
from blsh_codegen.layout import lay_out
from blsh_codegen.qemu import qemu_unavailable_reason
from blsh_codegen.tables import quantise
from blsh_codegen.targets import find_target
from blsh_codegen.toolchain import build_firmware, firmware_unavailable_reason
from blsh_codegen.usage import STAGES, stage_entries
from blsh_trainer.errors import BlshError
from blsh_trainer.model_file import Model, save_model
from click.testing import CliRunner

from tests.codegen.folders import exported
from tests.models import general_model, random_condensed_model

M4 = find_target("cortex-m4")
MODEL = general_model()
SECONDS = 0.5


def needed(target_name: str, compiler: Any) -> None:
    target = find_target(target_name)
    reason = emulation_unavailable_reason(target) or firmware_unavailable_reason(target, compiler)
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="module", params=["zig", "gcc"])
def done(request: pytest.FixtureRequest) -> Benchmark:
    needed("cortex-m4", request.param)
    return run_benchmark(MODEL, M4, seconds=SECONDS, compiler=request.param)


def test_stages_cover_everything(done: Benchmark) -> None:
    usage = done.usage
    assert tuple(usage.stages) == STAGES
    assert sum(usage.stages.values()) == usage.instructions_per_second
    assert abs(sum(usage.functions.values()) - usage.instructions_per_second) < 100
    # The order of the stages is all that blsh_process itself does.
    assert 0 < usage.stages["other"] < usage.instructions_per_second / 100
    assert all(usage.stages[stage] > 5_000 for stage in STAGES if stage != "other")


def test_both_directions_of_the_fft_cost_about_the_same(done: Benchmark) -> None:
    forward, inverse = done.usage.stages["window and FFT"], done.usage.stages["synthesis"]
    assert 0.6 < forward / inverse < 1.6


def test_the_search_is_booked_by_dictionary_code(done: Benchmark) -> None:
    geometry, usage = MODEL.geometry, done.usage
    codes = sum(band.codes.shape[0] for band in MODEL.bands) * geometry.rate / geometry.hop
    assert usage.instructions_per_code == pytest.approx(usage.stages["search"] / codes, rel=0.01)


def test_memory_adds_up(done: Benchmark) -> None:
    usage, layout = done.usage, lay_out(quantise(MODEL))
    assert usage.flash_bytes == sum(usage.flash.values())
    assert usage.flash_bytes == layout.table_bytes + usage.runtime_code_bytes
    assert usage.ram_bytes == layout.state_bytes
    assert usage.static_stack_bytes is not None
    assert 64 < usage.stack_bytes <= usage.static_stack_bytes < 1024
    assert usage.stack_chain[0] == "blsh_process"


def test_the_cycle_estimate_is_between_one_and_two_an_instruction(done: Benchmark) -> None:
    cycles = done.usage.estimated_cycles_per_second
    assert cycles is not None
    assert 1.0 < cycles / done.usage.instructions_per_second < 2.0
    assert done.clock_hz == cycles


def test_two_runs_print_the_same(tmp_path: Path) -> None:
    needed("cortex-m4", "zig")
    save_model(MODEL, tmp_path / "model.npz")
    arguments = ["--model", str(tmp_path / "model.npz"), "--seconds", str(SECONDS), "--json"]
    first, second = (CliRunner().invoke(bench, arguments) for _ in range(2))
    assert first.exit_code == 0, first.output
    assert first.stdout == second.stdout
    report = json.loads(first.stdout)
    assert report["instructions_per_second"] > 0
    assert sum(report["stages"].values()) == pytest.approx(1, abs=0.001)
    wanted = "instructions_per_code flash_bytes runtime_code_bytes ram_bytes stack_bytes"
    assert all(report[name] > 0 for name in wanted.split())
    assert report["estimated_cycles_per_second"] > report["instructions_per_second"]
    assert report["compiler"] == "zig -O2"
    assert report["seconds"] == SECONDS


def test_the_table_names_stages_functions_estimate_and_peers(tmp_path: Path) -> None:
    needed("cortex-m0plus", "zig")
    save_model(MODEL, tmp_path / "model.npz")
    arguments = ["--target", "cortex-m0plus", "--model", str(tmp_path / "model.npz")]
    result = CliRunner().invoke(bench, [*arguments, "--seconds", "0.2", "--optimise", "-Os"])
    assert result.exit_code == 0, result.output
    told = (*STAGES, "blsh_search", "blsh_masks.h", "estimate without flash", "zig -Os", "MHz")
    for text in (*told, *(peer.name.split(",")[0] for peer in PEERS)):
        assert text in result.stdout


def test_a_core_without_public_timings_has_no_estimate() -> None:
    needed("riscv32imc", "zig")
    done = run_benchmark(MODEL, find_target("riscv32imc"), seconds=0.2)
    assert done.usage.estimated_cycles_per_second is None
    assert done.clock_hz == done.usage.instructions_per_second
    assert done.usage.static_stack_bytes is not None


def test_a_target_without_emulator_is_refused() -> None:
    with pytest.raises(BlshError, match="cannot benchmark esp32: target esp32 has no emulator"):
        run_benchmark(MODEL, find_target("esp32"))


def test_peers_state_their_source() -> None:
    for peer in PEERS:
        assert "measured on the same emulated Cortex-M4" in peer.source
        assert peer.instructions_per_second > 10_000_000


@pytest.mark.parametrize("native", [True, False])
def test_parts_of_a_profile_sum_to_the_whole(native: bool, tmp_path: Path) -> None:
    needed("cortex-m4", "zig")
    folder = exported(MODEL, tmp_path / "export", "cortex-m4")
    image = build_firmware(M4, runtime_sources(folder), [folder], tmp_path / "runtime.elf")
    emulator = Emulator(image, M4, native_counter=native)
    emulator.split_profile({"blsh_hash": "hash", "blsh_search": "search", "memset": "clear"})
    state = emulator.allocate(lay_out(quantise(MODEL)).state_bytes)
    samples = emulator.allocate(2 * MODEL.geometry.hop)
    for _ in range(2):
        emulator.reset_profile()
        emulator.call("blsh_init", state)
        emulator.call("blsh_process", state, samples, samples)
        parts = emulator.profile_parts()
        assert set(parts) == {"hash", "search", "clear"}
        assert parts["search"]["blsh_search"] == emulator.profile()["blsh_search"]
        assert "blsh_search" not in parts["hash"]
        assert parts["clear"]["memset"] > 0
        counted = sum(sum(part.values()) for part in parts.values())
        assert counted + 30 >= emulator.total_instructions() >= counted
        # What precedes the first part of the first round is in none.


def test_an_unknown_function_cannot_begin_a_part(tmp_path: Path) -> None:
    needed("cortex-m4", "zig")
    folder = exported(MODEL, tmp_path / "export", "cortex-m4")
    image = build_firmware(M4, runtime_sources(folder), [folder], tmp_path / "runtime.elf")
    with pytest.raises(BlshError, match="has no symbol 'blsh_nothing'"):
        Emulator(image, M4).split_profile({"blsh_nothing": "nothing"})


@pytest.mark.parametrize("name", ["cortex-m55", "riscv32imc-zbb"])
def test_a_core_that_unicorn_lacks_is_counted_on_a_board(name: str) -> None:
    target = find_target(name)
    reason = qemu_unavailable_reason(target) or firmware_unavailable_reason(target, "gcc")
    if reason is not None:
        pytest.skip(reason)
    first, second = (
        run_benchmark(MODEL, target, seconds=0.2, compiler="gcc").usage for _ in range(2)
    )
    assert first == second
    assert all(first.stages[stage] > 5_000 for stage in STAGES if stage != "other")
    assert first.stages["other"] < first.instructions_per_second / 50
    assert first.static_stack_bytes is not None
    assert 64 < first.stack_bytes <= first.static_stack_bytes


@pytest.mark.parametrize("model", [MODEL, random_condensed_model()], ids=["bands", "condensed"])
def test_boards_and_unicorn_agree(model: Model, tmp_path: Path) -> None:
    """The Cortex-M4 can be had both ways; its board's timer ticks every 40 instructions."""
    needed("cortex-m4", "gcc")
    reason = qemu_unavailable_reason(M4)
    if reason is not None:
        pytest.skip(reason)
    folder = exported(model, tmp_path / "export", "cortex-m4")
    entries = stage_entries(lay_out(quantise(model)))
    counted = count_on_board(
        runtime_sources(folder),
        folder,
        M4,
        noisy_speech(model.geometry, SECONDS),
        model.geometry.hop,
        list(entries),
        tmp_path,
        compiler="gcc",
        optimise="-O2",
    )
    usage = run_benchmark(model, M4, seconds=SECONDS, compiler="gcc").usage
    assert counted.total / SECONDS == pytest.approx(usage.instructions_per_second, rel=0.01)
    for function, count in counted.functions.items():
        stage = usage.stages[entries[function]]
        assert count / SECONDS < 1.05 * stage + 20_000, function
