"""The table of targets and its lookup."""

from __future__ import annotations

import pytest
from blsh_codegen.targets import TARGETS, find_target
from blsh_trainer.errors import BlshError


def test_the_targets_are_known() -> None:
    arm = ["cortex-m4", "cortex-m0plus", "cortex-m3", "cortex-m7", "cortex-m33", "cortex-m55"]
    others = ["riscv32imc", "riscv32imc-zbb", "esp32", "esp32s3", "wasm32", "generic"]
    assert list(TARGETS) == arm + others


def test_cores_with_the_dsp_extension_share_a_port() -> None:
    ports = {name: target.port for name, target in TARGETS.items()}
    dsp = {name for name, port in ports.items() if port == "cortex_m4"}
    assert dsp >= {"cortex-m4", "cortex-m7", "cortex-m33"}
    assert all(ports[name] == "generic" for name in ("cortex-m0plus", "cortex-m3", "esp32"))
    assert ports["riscv32imc-zbb"] == "riscv_zbb"
    assert ports["cortex-m55"] == "cortex_m55"
    headers = {"blsh_port_generic.h", "blsh_port_cortex_m4.h", "blsh_port_cortex_m55.h"}
    assert TARGETS["cortex-m55"].port_headers == headers


def test_who_emulates_what() -> None:
    by_qemu_alone = {"cortex-m55", "riscv32imc-zbb"}
    not_at_all = {"esp32", "esp32s3", "wasm32", "generic"}
    assert {name for name, one in TARGETS.items() if not one.emulated} == not_at_all
    under_unicorn = {name for name, one in TARGETS.items() if one.unicorn is not None}
    assert under_unicorn == set(TARGETS) - by_qemu_alone - not_at_all
    assert all(TARGETS[name].qemu_machine is not None for name in by_qemu_alone)


@pytest.mark.parametrize("spelling", ["cortex-m4", "Cortex-M4", " cortex_m4 "])
def test_spelling_is_forgiving(spelling: str) -> None:
    assert find_target(spelling).name == "cortex-m4"


def test_the_plus_may_be_written_as_a_sign() -> None:
    assert find_target("cortex-m0+").name == "cortex-m0plus"


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("cortex-m44", "cortex-m4"), ("cortexm0+", "cortex-m0plus"), ("riscv32", "riscv32imc")],
)
def test_an_unknown_target_gets_a_suggestion_and_the_list(wrong: str, meant: str) -> None:
    with pytest.raises(BlshError) as caught:
        find_target(wrong)
    message = caught.value.message
    assert repr(wrong) in message
    assert f"did you mean {meant!r}?" in message
    assert "cortex-m4, cortex-m0plus, " in message
    assert ", wasm32, generic" in message


def test_no_suggestion_when_nothing_is_near() -> None:
    with pytest.raises(BlshError) as caught:
        find_target("z80")
    assert "did you mean" not in caught.value.message
    assert "generic" in caught.value.message
