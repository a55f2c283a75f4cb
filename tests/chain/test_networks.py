# SPDX-License-Identifier: Apache-2.0
"""What is known of networks beforehand: how long a block waits before it counts, and how many a call may span."""

from __future__ import annotations

import pytest

from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.chain.networks import (
    BLOCK_SECONDS,
    block_seconds,
    default_confirmations,
    describe_confirmations,
    documented_blocks,
    max_blocks_of,
)

KEY = "Zk3yOf-tests_0123456789abcdefghij"


@pytest.mark.parametrize(
    ("network", "confirmations"),
    [
        ("eth-mainnet", 12),
        ("eth-sepolia", 12),
        ("base-mainnet", 30),
        ("polygon-amoy", 30),
        ("arb-mainnet", 240),
        ("arbnova-mainnet", 240),
        ("bnb-mainnet", 134),
        ("rootstock-mainnet", 12),
        ("some-new-network", 60),
        ("localhost", 60),
    ],
)
def test_a_block_counts_by_default_after_a_minute_of_blocks_and_twelve_at_least(
    network: str, confirmations: int
) -> None:
    assert default_confirmations(network) == confirmations


@pytest.mark.parametrize("network", [*BLOCK_SECONDS, "unknown"])
def test_no_network_s_default_is_shorter_than_a_minute(network: str) -> None:
    slug = f"{network}-mainnet"

    assert default_confirmations(slug) * block_seconds(slug) >= 60


@pytest.mark.parametrize(
    ("confirmations", "network", "text"),
    [
        (12, "eth-mainnet", "12 blocks, some 144 s of eth-mainnet"),
        (1, "arb-mainnet", "1 block, some 0 s of arb-mainnet"),
        (
            60,
            "new-mainnet",
            "60 blocks, some 60 s of new-mainnet, whose block time is not known: one a second is assumed",
        ),
    ],
)
def test_the_log_names_the_confirmations_in_blocks_and_seconds(confirmations: int, network: str, text: str) -> None:
    assert describe_confirmations(confirmations, network) == text


@pytest.mark.parametrize(
    ("network", "free", "paid"),
    [
        ("eth-mainnet", 10, 100_000),
        ("worldchain-mainnet", 10, 100_000),
        ("some-new-network", 10, 10_000),
        ("berachain-mainnet", 10, 1_000),
        ("monad-testnet", 10, 1_000),
        ("monad-mainnet", 10, 10_000),
    ],
)
def test_a_call_spans_the_blocks_that_are_documented_for_plan_and_network(network: str, free: int, paid: int) -> None:
    def blocks(units_per_second: float) -> int:
        return documented_blocks(
            ClientSettings(api_key=KEY, network=network, compute_units_per_second=units_per_second)
        )

    assert [blocks(300), blocks(1_000), blocks(10_000)] == [free, free, paid]
    assert max_blocks_of(network) == paid
