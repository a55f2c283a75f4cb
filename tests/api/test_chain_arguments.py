# SPDX-License-Identifier: Apache-2.0
"""The arguments of a watch: one form for what means the same, and a sentence for what cannot be right."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_alchemy.api.chain_arguments import (
    read_block,
    read_confirmations,
    read_contracts,
    read_events,
    read_interval,
)
from airflow_provider_alchemy.api.errors import AlchemyArgumentError

from .chain import contract

ADDRESS = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"


def start_block(value: Any) -> int | None:
    return read_block(value, "start_block")


class TestWhatIsAccepted:
    def test_contracts_are_lower_case_each_once_and_sorted(self) -> None:
        assert read_contracts([ADDRESS, contract(5), ADDRESS.lower()]) == [contract(5), ADDRESS.lower()]

    def test_a_single_contract(self) -> None:
        assert read_contracts(ADDRESS) == [ADDRESS.lower()]

    def test_any_iterable_of_contracts(self) -> None:
        assert read_contracts(contract(number) for number in (2, 1)) == [contract(1), contract(2)]

    @pytest.mark.parametrize("value", [("mint", "metadata"), ["metadata", "mint", "mint"]])
    def test_events_are_each_once_and_sorted(self, value: Any) -> None:
        assert read_events(value) == ["metadata", "mint"]

    def test_a_single_event(self) -> None:
        assert read_events("mint") == ["mint"]

    def test_no_confirmations_are_a_number_too(self) -> None:
        assert read_confirmations(0) == 0

    @pytest.mark.parametrize("value", [15, 15.0, timedelta(seconds=15)])
    def test_an_interval_is_seconds(self, value: Any) -> None:
        assert read_interval(value) == 15.0

    def test_a_block_may_be_left_out(self) -> None:
        assert (start_block(None), start_block(0)) == (None, 0)


@pytest.mark.parametrize(
    ("read", "value", "named"),
    [
        (read_contracts, [], "contract_addresses"),
        (read_contracts, None, "contract_addresses"),
        (read_contracts, 5, "contract_addresses"),
        (read_contracts, [ADDRESS, "0x12"], r"contract_addresses\[1\]"),
        (read_contracts, [ADDRESS.replace("E9", "e9")], r"contract_addresses\[0\]"),
        (read_events, [], "events"),
        (read_events, None, "events"),
        (read_events, ["burn"], "events"),
        (read_events, [["mint"]], "events"),
        (read_confirmations, -1, "confirmations"),
        (read_confirmations, 1.5, "confirmations"),
        (read_confirmations, True, "confirmations"),
        (read_confirmations, "12", "confirmations"),
        (start_block, -1, "start_block"),
        (start_block, "latest", "start_block"),
        (start_block, 2**60, "start_block"),
        (read_interval, 0, "poll_interval"),
        (read_interval, float("nan"), "poll_interval"),
        (read_interval, float("inf"), "poll_interval"),
        (read_interval, True, "poll_interval"),
        (read_interval, "15", "poll_interval"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_cannot_be_right_is_named(read: Callable[[Any], object], value: Any, named: str) -> None:
    with pytest.raises(AlchemyArgumentError, match=named):
        read(value)
