# SPDX-License-Identifier: Apache-2.0
"""Moments that metadata has to be newer than, and samples of a collection. No I/O."""

from __future__ import annotations

from datetime import datetime

import pendulum
import pytest
from airflow_provider_alchemy.api.sampling import Reservoir, seed_of
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.endpoints import pages_of, price_of_listing, price_of_look
from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.api.inputs import FARTHEST_AHEAD, check_not_ahead, read_fresh_since
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


class TestMoments:
    @pytest.mark.parametrize(
        "text",
        [
            "2026-11-22T10:00:00.100000+00:00",
            "2026-11-22 10:00:00.1+00:00",
            "2026-11-22 10:00:00.1Z",
            " 2026-11-22T12:00:00.1+02:00 ",
            "20261122T100000.1Z",
        ],
    )
    def test_a_text_in_any_of_its_forms_is_read(self, text: str) -> None:
        assert read_fresh_since(text) == SINCE.add(microseconds=100_000)

    def test_an_aware_datetime_is_taken_in_utc(self) -> None:
        moment = read_fresh_since(datetime(2026, 11, 22, 5, tzinfo=pendulum.timezone("America/New_York")))

        assert (moment, moment.isoformat()) == (SINCE, "2026-11-22T10:00:00+00:00")

    @given(st.datetimes(timezones=st.timezones()))
    def test_any_aware_datetime_is_read_or_refused_with_advice(self, moment: datetime) -> None:
        try:
            read = read_fresh_since(moment)
        except AlchemyArgumentError as error:
            assert "Write a moment with its time zone" in str(error)  # noqa: PT017 - most are read
        else:
            # Not the moments: in an hour that a clock shows twice, Python takes no two of them for equal.
            assert read.timestamp() == moment.timestamp()

    @given(st.text())
    def test_any_text_is_read_or_refused_with_advice(self, text: str) -> None:
        try:
            assert read_fresh_since(text).tzinfo is not None
        except AlchemyArgumentError as error:
            assert "Write a moment with its time zone" in str(error)  # noqa: PT017 - nearly none is read

    def test_five_minutes_ahead_is_the_farthest(self) -> None:
        check_not_ahead(SINCE, SINCE - FARTHEST_AHEAD)

        with pytest.raises(AlchemyArgumentError, match="in the future"):
            check_not_ahead(SINCE.add(seconds=1), SINCE - FARTHEST_AHEAD)


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

    @pytest.mark.parametrize(
        ("tokens", "pages", "units", "look"), [(0, 1, 600, 0), (100, 1, 600, 480), (101, 2, 1200, 960)]
    )
    def test_prices_are_those_of_the_calls(self, tokens: int, pages: int, units: int, look: int) -> None:
        assert (pages_of(tokens), price_of_listing(tokens), price_of_look(tokens)) == (pages, units, look)
