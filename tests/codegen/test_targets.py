"""The table of targets and its lookup."""

from __future__ import annotations

import pytest
from blsh_codegen.targets import TARGETS, find_target
from blsh_trainer.errors import BlshError


def test_the_four_targets_are_known() -> None:
    assert list(TARGETS) == ["cortex-m4", "cortex-m0plus", "riscv32imc", "generic"]


def test_only_the_m4_has_a_port_of_its_own() -> None:
    ports = {name: target.port for name, target in TARGETS.items()}
    assert ports.pop("cortex-m4") == "cortex_m4"
    assert set(ports.values()) == {"generic"}


@pytest.mark.parametrize("spelling", ["cortex-m4", "Cortex-M4", " cortex_m4 "])
def test_spelling_is_forgiving(spelling: str) -> None:
    assert find_target(spelling).name == "cortex-m4"


def test_the_plus_may_be_written_as_a_sign() -> None:
    assert find_target("cortex-m0+").name == "cortex-m0plus"


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("cortex-m5", "cortex-m4"), ("cortexm0+", "cortex-m0plus"), ("riscv32", "riscv32imc")],
)
def test_an_unknown_target_gets_a_suggestion_and_the_list(wrong: str, meant: str) -> None:
    with pytest.raises(BlshError) as caught:
        find_target(wrong)
    message = caught.value.message
    assert repr(wrong) in message
    assert f"did you mean {meant!r}?" in message
    assert "cortex-m4, cortex-m0plus, riscv32imc, generic" in message


def test_no_suggestion_when_nothing_is_near() -> None:
    with pytest.raises(BlshError) as caught:
        find_target("z80")
    assert "did you mean" not in caught.value.message
    assert "generic" in caught.value.message
