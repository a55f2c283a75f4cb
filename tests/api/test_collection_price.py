# SPDX-License-Identifier: Apache-2.0
"""What a refresh costs, and that one that costs too much does not begin."""

from __future__ import annotations

from typing import Any

import pytest
from airflow_provider_alchemy.api.collection_price import check_price, price_of, price_of_rest
from airflow_provider_alchemy.api.collection_record import CollectionRecord, Method, Stage

from airflow_provider_alchemy.api.errors import AlchemySpendingLimitError


@pytest.mark.parametrize(
    ("tokens", "method", "is_listed", "price"),
    [
        (0, "batch", False, 0),
        (0, "batch", True, 600),
        (1, "batch", False, 480),
        (100, "batch", False, 480),
        (101, "batch", False, 960),
        (10_000, "batch", True, 100 * (480 + 600)),
        (10_000, "auto", True, 100 * (480 + 600)),
        (1, "queue", False, 40 + 480),
        (150, "queue", False, 150 * 40 + 2 * 480),
        (10_000, "queue", True, 10_000 * 40 + 100 * (480 + 600)),
    ],
)
def test_the_price_is_tokens_times_the_methods_units(tokens: int, method: str, is_listed: bool, price: int) -> None:
    assert price_of(tokens, Method(method), is_listed=is_listed) == price


def rest_of(method: Method = Method.BATCH, *, digest: str = "", **known: Any) -> int | None:
    record = CollectionRecord.begin("0xabc", "eth-mainnet", method, digest)
    tokens = known.pop("open", 0)
    for name, value in known.items():
        setattr(record, name, value)
    record.take_on(range(tokens))
    return price_of_rest(record)


class TestWhatIsLeft:
    def test_of_a_collection_it_is_listing_and_refreshing(self) -> None:
        assert rest_of(supply=250) == 3 * (480 + 600)

    def test_given_tokens_need_no_listing(self) -> None:
        assert rest_of(supply=250, digest="d") == 3 * 480

    def test_of_a_collection_that_was_read_it_is_what_is_open(self) -> None:
        assert rest_of(supply=1000, is_taken=True, open=150) == 2 * 480

    def test_more_tokens_than_the_supply_are_no_negative_price(self) -> None:
        assert rest_of(supply=100, open=300) == 3 * (480 + 600)

    def test_of_an_unknown_number_it_is_unknown(self) -> None:
        assert rest_of(supply=None) is None

    @pytest.mark.parametrize("known", [{"stage": Stage.DONE}, {"is_taken": True}], ids=str)
    def test_nothing_left_costs_nothing(self, known: dict[str, Any]) -> None:
        assert rest_of(supply=100, **known) == 0


class TestTheLimit:
    @pytest.mark.parametrize(
        ("price", "spent", "limit"), [(480, 0, 480), (480, 160, 640), (480, 0, None), (None, 5, 1)]
    )
    def test_what_it_pays_for_begins(self, price: int | None, spent: int, limit: int | None) -> None:
        check_price(price, spent, limit, "Collection 0xabc")

    def test_what_costs_more_is_refused_with_the_number_to_raise_it_to(self) -> None:
        with pytest.raises(AlchemySpendingLimitError) as refused:
            check_price(108_000, 160, 108_159, "Collection 0xabc")

        assert str(refused.value) == (
            "Collection 0xabc: the refresh costs 108,000 compute units, 160 are spent, and max_compute_units is "
            "108,159. Raise max_compute_units to 108,160 at least, or refresh fewer tokens with token_ids; nothing was "
            "refreshed for it."
        )
