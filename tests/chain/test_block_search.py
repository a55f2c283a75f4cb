# SPDX-License-Identifier: Apache-2.0
"""The search for the first block that is not before a moment: right, with few questions, from process to process."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from airflow_provider_alchemy.chain.block_search import BlockSearch

TIMES = st.lists(st.integers(0, 50), min_size=1, max_size=300).map(
    lambda steps: [sum(steps[: at + 1]) for at in range(len(steps))]
)
MOMENTS = st.one_of(st.integers(-10, 16_000), st.floats(-10, 16_000))


def ask(search: BlockSearch, newest: int, time_of: Callable[[int], float]) -> tuple[int | None, int]:
    """Ask until the search has no more questions; give the block and the number of questions."""
    questions = 0
    while (block := search.next_block(newest)) is not None:
        assert 0 <= block <= newest
        search.add(block, time_of(block))
        questions += 1
    return search.found, questions


def first_not_before(times: list[int], moment: float) -> int | None:
    return next((block for block, seconds in enumerate(times) if seconds >= moment), None)


@given(TIMES, MOMENTS)
def test_it_finds_the_block_whatever_the_pace(times: list[int], moment: float) -> None:
    found, _ = ask(BlockSearch(moment), len(times) - 1, lambda block: times[block])

    assert found == first_not_before(times, moment)


@given(TIMES, MOMENTS)
def test_it_asks_at_most_three_times_as_often_as_halving_would(times: list[int], moment: float) -> None:
    _, questions = ask(BlockSearch(moment), len(times) - 1, lambda block: times[block])

    assert questions <= 3 * math.ceil(math.log2(len(times) + 1)) + 3


@given(TIMES, MOMENTS, st.integers(0, 300))
def test_it_waits_for_a_block_that_does_not_exist_yet(times: list[int], moment: float, seen: int) -> None:
    search = BlockSearch(moment)
    ask(search, min(seen, len(times) - 1), lambda block: times[block])

    found, _ = ask(search, len(times) - 1, lambda block: times[block])

    assert found == first_not_before(times, moment)


@given(TIMES, MOMENTS)
def test_it_goes_on_in_another_process_after_each_question(times: list[int], moment: float) -> None:
    records, search = TypeAdapter(BlockSearch), BlockSearch(moment)
    while (block := search.next_block(len(times) - 1)) is not None:
        search.add(block, times[block])
        again = records.validate_json(records.dump_json(search))
        assert again == search
        search = again

    assert search.found == first_not_before(times, moment)


@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=60), MOMENTS)
def test_times_that_make_no_sense_end_it_all_the_same(times: list[int], moment: float) -> None:
    _, questions = ask(BlockSearch(moment), len(times) - 1, lambda block: times[block])

    assert questions <= 4 * len(times)


@pytest.mark.parametrize("seconds_ago", [0, 60, 3_600, 86_400, 30 * 86_400, 3 * 365 * 86_400])
def test_a_chain_like_ethereum_takes_some_ten_questions(seconds_ago: int) -> None:
    # Thirteen seconds a block before the proof of stake, twelve since; the first block says 1970.
    def time_of(block: int) -> float:
        return 0 if block == 0 else 1_438_269_973 + 13.2 * min(block, 15_500_000) + 12 * max(block - 15_500_000, 0)

    moment = time_of(24_000_000) - seconds_ago

    found, questions = ask(BlockSearch(moment), 24_000_000, time_of)

    assert found is not None
    assert time_of(found - 1) < moment <= time_of(found)
    assert questions <= 12
