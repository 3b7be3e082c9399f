"""How hard the property tests try: the same few examples every time, or many new ones."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings

_MANY = 8


@dataclass(frozen=True)
class Tier:
    """Settings of a property test; ``tier(count)`` decorates it."""

    is_long: bool

    def __call__(self, count: int) -> settings:
        """So many examples in the short tier, and eight times as many in the long one."""
        return settings(
            max_examples=count * _MANY if self.is_long else count,
            deadline=None,
            derandomize=not self.is_long,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )


in_tiers = pytest.mark.parametrize(
    "tier",
    [
        pytest.param(Tier(is_long=False), id="short"),
        pytest.param(Tier(is_long=True), id="long", marks=pytest.mark.slow),
    ],
)
