# SPDX-License-Identifier: Apache-2.0
"""Arguments of a wait for new tokens, in the forms in which people and other tasks write them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from airflow_provider_alchemy.api.mint_arguments import read_min_tokens, read_since, read_since_block
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.errors import AlchemyArgumentError


@given(st.integers(0, 2**53))
def test_a_block_is_the_same_in_all_its_forms(block: int) -> None:
    forms: list[Any] = [block, str(block), f" {block} ", hex(block), hex(block).upper().replace("X", "x")]

    assert {read_since_block(form) for form in forms} == {block}


@given(st.one_of(st.text(max_size=40), st.integers(), st.floats(), st.none(), st.lists(st.integers())))
def test_whatever_comes_is_a_block_or_an_argument_error(value: Any) -> None:
    with suppress(AlchemyArgumentError):
        assert 0 <= read_since_block(value) <= 2**53


@given(
    st.one_of(st.text(max_size=40), st.integers(), st.none(), st.datetimes(), st.datetimes(timezones=st.timezones()))
)
def test_whatever_comes_is_a_moment_or_an_argument_error(value: Any) -> None:
    with suppress(AlchemyArgumentError):
        assert read_since(value).utcoffset() is not None


@pytest.mark.parametrize("value", [0, -1, 1.0, True, None, "1"])
def test_a_number_of_tokens_is_a_whole_one_from_one(value: Any) -> None:
    with pytest.raises(AlchemyArgumentError, match="argument 'min_tokens'"):
        read_min_tokens(value)
