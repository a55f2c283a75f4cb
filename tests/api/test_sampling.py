# SPDX-License-Identifier: Apache-2.0
"""Samples of a collection."""

from __future__ import annotations

import pendulum
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.models import MetadataError

CONTRACT = "0xe9fca552b9eb110c2d170962af740725f71f5644"
SINCE = pendulum.datetime(2026, 11, 22, 10)
IDS = st.lists(st.integers(0, 2**256 - 1), unique=True, max_size=300)
SIZES = st.integers(1, 120)
SEEDS = st.integers()
ANSWERS = st.sampled_from([None, *MetadataError])


def sample_of(ids: list[int], size: int, seed: int, page: int = 100) -> tuple[int, ...]:
    reservoir = Reservoir(size, seed)
    for start in range(0, len(ids), page):
        reservoir.add(ids[start : start + page])
    return reservoir.sample()


class TestSamples:
    @given(IDS, SIZES, SEEDS)
    def test_a_sample_is_a_part_of_the_collection_of_the_right_size(self, ids: list[int], size: int, seed: int) -> None:
        sample = sample_of(ids, size, seed)

        assert set(sample) <= set(ids)
        assert len(set(sample)) == len(sample) == min(size, len(ids))
        assert list(sample) == sorted(sample)

    @given(IDS, SIZES, SEEDS, st.integers(1, 100))
    def test_a_sample_is_repeatable_whatever_the_pages(self, ids: list[int], size: int, seed: int, page: int) -> None:
        assert sample_of(ids, size, seed) == sample_of(ids, size, seed, page)

    def test_each_token_has_the_same_chance(self) -> None:
        hits = [0] * 50
        for seed in range(2_000):
            for token_id in sample_of(list(range(50)), 10, seed):
                hits[token_id] += 1

        # 400 expected, with a standard deviation of 18.
        assert 310 < min(hits) < max(hits) < 490

    def test_a_page_that_repeats_tokens_adds_none_twice(self) -> None:
        reservoir = Reservoir(10, 1)
        for _ in range(3):
            reservoir.add(range(5))

        assert (reservoir.sample(), reservoir.seen) == ((0, 1, 2, 3, 4), 5)

    def test_it_keeps_no_more_than_the_sample(self) -> None:
        reservoir = Reservoir(10, 1)
        reservoir.add(range(100_000))

        assert (len(reservoir._kept), len(reservoir._known)) == (10, 10)

    def test_a_seed_is_the_same_for_the_same_task_and_another_for_each_run(self) -> None:
        assert seed_of("dag", "run", "task", -1) == seed_of("dag", "run", "task", -1) == 16_161_093_628_107
        assert len({seed_of("dag", f"run {number}", "task", -1) for number in range(1_000)}) == 1_000
        assert all(0 <= seed_of(number) < 2**53 for number in range(1_000))
