# SPDX-License-Identifier: Apache-2.0
"""How cheap and how fast the refresh of a collection can be at best."""

from __future__ import annotations

import pytest

from airflow_provider_alchemy.api.endpoints import (
    GET_CONTRACT_METADATA,
    GET_NFT_METADATA_BATCH,
    GET_NFTS_FOR_CONTRACT,
    MAX_TOKENS_PER_CALL,
)
from dev.benchmarks.token_bounds import (
    BATCH_PRICE,
    BATCH_UNITS,
    CONTRACT_UNITS,
    MOST_TOKENS,
    PAGE_PRICE,
    PAGE_UNITS,
    least_price,
    steady_bound_seconds,
    throughput_units,
    window_bound_seconds,
)


def test_a_collection_costs_a_page_and_a_call_for_each_hundred_tokens() -> None:
    assert least_price(10_000) == 108_000
    assert least_price(101) == 2 * 1_080
    assert least_price(0) == 0


def test_its_throughput_counts_the_question_for_the_number_of_tokens_too() -> None:
    assert throughput_units(10_000) == 15_010
    assert throughput_units(100) == 160


def test_in_an_even_flow_the_first_window_is_there_at_once() -> None:
    assert steady_bound_seconds(15_010, 300) == pytest.approx(40.03, abs=0.01)
    assert steady_bound_seconds(3_000, 300) == 0
    assert steady_bound_seconds(10, 300) == 0


@pytest.mark.parametrize(
    ("units", "seconds"), [(0, 0), (10, 0), (3_000, 0), (3_001, 10), (15_000, 40), (15_010, 50), (18_000, 50)]
)
def test_in_the_services_window_a_bit_of_a_window_takes_a_whole_one(units: int, seconds: float) -> None:
    assert window_bound_seconds(units, 300) == seconds


def test_the_prices_are_those_that_the_package_goes_by() -> None:
    assert (GET_NFTS_FOR_CONTRACT.compute_units, GET_NFT_METADATA_BATCH.compute_units) == (PAGE_PRICE, BATCH_PRICE)
    assert GET_NFTS_FOR_CONTRACT.throughput_units == PAGE_UNITS
    assert GET_NFT_METADATA_BATCH.throughput_units == BATCH_UNITS
    assert GET_CONTRACT_METADATA.throughput_units == CONTRACT_UNITS
    assert MAX_TOKENS_PER_CALL == MOST_TOKENS
