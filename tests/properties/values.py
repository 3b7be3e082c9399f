"""Values that files and command lines might hold."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

HUGE = 10**400

numbers = st.one_of(
    st.integers(-3, 70),
    st.integers(),
    st.sampled_from([255, 256, 1024, 65535, 65536, 2**31, 2**63, 2**64, HUGE, -HUGE]),
    st.floats(),
    st.sampled_from([0.5, 1.0, 1e-300, 1e300, float("nan"), float("inf")]),
)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


_UNDECODABLE = st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=["Cs"])

words = st.text(
    st.one_of(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), _UNDECODABLE),
    max_size=12,
)
"""What a shell can pass on: any text but NUL, undecodable bytes included."""

file_names = st.text(
    st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), max_size=12
)
