# SPDX-License-Identifier: Apache-2.0
"""Which blocks are asked for: all that are needed, by the fewest calls that can cover them."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.chain_events import EventKind
from airflow_provider_alchemy.api.chain_windows import Need, Window, next_window

from .chain import contract

METADATA, MINT = frozenset({EventKind.METADATA}), frozenset({EventKind.MINT})


def need(first: int, last: int, *numbers: int, kinds: frozenset[EventKind] = METADATA) -> Need:
    return Need(first, last, frozenset(map(contract, numbers or (1,))), kinds)


def windows_for(needs: list[Need], most: int) -> list[Window]:
    """Ask as the stream does: what was read moves each need's beginning on."""
    windows: list[Window] = []
    while (window := next_window(needs, most)) is not None:
        windows.append(window)
        assert len(windows) < 1_000
        needs = [
            Need(window.last_block + 1, one.last_block, one.contracts, one.kinds)
            if one.first_block <= window.last_block
            else one
            for one in needs
        ]
    return windows


def fewest(blocks: frozenset[int], most: int) -> int:
    """Try all choices of windows."""

    @cache
    def best(left: frozenset[int]) -> int:
        if not left:
            return 0
        first = min(left)
        # Some window holds the first block: any that does, wherever it begins.
        return 1 + min(
            best(left - frozenset(range(start, start + most))) for start in range(first - most + 1, first + 1)
        )

    return best(blocks)


_NEEDS = st.lists(
    st.builds(
        lambda first, length, number, kinds: Need(first, first + length, frozenset({contract(number)}), kinds),
        st.integers(0, 30),
        st.integers(-3, 12),
        st.integers(1, 4),
        st.sampled_from([METADATA, MINT, METADATA | MINT]),
    ),
    max_size=6,
)


class TestTheWindows:
    @given(needs=_NEEDS, most=st.integers(1, 9))
    def test_they_cover_what_is_needed_in_the_fewest_calls(self, needs: list[Need], most: int) -> None:
        windows = windows_for(needs, most)

        wanted = {block for one in needs for block in range(one.first_block, one.last_block + 1)}
        read = [block for window in windows for block in range(window.first_block, window.last_block + 1)]
        assert wanted <= set(read)
        assert len(read) == len(set(read))
        assert len(windows) == fewest(frozenset(wanted), most)

    @given(needs=_NEEDS, most=st.integers(1, 9))
    def test_each_block_is_asked_for_all_who_need_it(self, needs: list[Need], most: int) -> None:
        windows = windows_for(needs, most)

        for one in needs:
            for block in range(one.first_block, one.last_block + 1):
                window = next(w for w in windows if w.first_block <= block <= w.last_block)
                assert one.contracts <= set(window.contracts)
                assert one.kinds <= window.kinds

    @given(needs=_NEEDS, most=st.integers(1, 9))
    def test_each_begins_and_ends_with_a_needed_block_and_is_no_longer_than_allowed(
        self, needs: list[Need], most: int
    ) -> None:
        wanted = {block for one in needs for block in range(one.first_block, one.last_block + 1)}
        for window in windows_for(needs, most):
            assert window.first_block in wanted
            assert window.last_block <= max(wanted)
            assert window.last_block - window.first_block < most


class TestWhoIsServed:
    def test_one_call_serves_all(self) -> None:
        window = next_window([need(5, 9, 3), need(7, 8, 1, kinds=MINT), need(9, 12, 2)], 100)
        assert window == Window(5, 12, (contract(1), contract(2), contract(3)), METADATA | MINT)

    def test_who_needs_later_blocks_only_is_not_in_it(self) -> None:
        window = next_window([need(5, 9, 1), need(20, 30, 2, kinds=MINT)], 10)
        assert window == Window(5, 9, (contract(1),), METADATA)

    @pytest.mark.parametrize("needs", [[], [need(5, 4)], [need(5, -8), need(9, 3)]])
    def test_nothing_is_asked_for_where_nothing_is_needed(self, needs: list[Need]) -> None:
        assert next_window(needs, 10) is None

    def test_a_thousand_blocks_take_a_hundred_calls_of_ten(self) -> None:
        assert len(windows_for([need(1, 1_000), need(991, 1_000, 2)], 10)) == 100
