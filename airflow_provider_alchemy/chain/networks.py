# SPDX-License-Identifier: Apache-2.0
"""What is known of networks beforehand: how often blocks come, and how many of them one call may span."""

from __future__ import annotations

import math

from airflow_provider_alchemy.api.logs import plural
from airflow_provider_alchemy.api.settings import ClientSettings

BLOCK_SECONDS: dict[str, float] = {
    "abstract": 0.2,
    "apechain": 0.25,
    "arb": 0.25,
    "arbnova": 0.25,
    "avax": 1,
    "base": 2,
    "berachain": 2,
    "blast": 2,
    "bnb": 0.45,
    "celo": 1,
    "eth": 12,
    "gnosis": 5,
    "ink": 1,
    "lens": 1,
    "linea": 2,
    "mantle": 2,
    "monad": 0.4,
    "opbnb": 0.25,
    "opt": 2,
    "polygon": 2,
    "ronin": 3,
    "rootstock": 25,
    "scroll": 1,
    "sei": 0.4,
    "shape": 2,
    "soneium": 2,
    "sonic": 0.3,
    "unichain": 1,
    "worldchain": 2,
    "zksync": 0.2,
    "zora": 2,
}
"""
Seconds between two blocks, by the network's name: what stands before the first ``-`` of its slug.

Where blocks come when there are transactions, it is the shortest time: more confirmations only wait a little longer.
"""

UNKNOWN_BLOCK_SECONDS = 1.0
"""For a network that is not in the table: new ones have blocks of a quarter of a second to two seconds."""

MIN_CONFIRMATIONS, MIN_CONFIRMATION_SECONDS = 12, 60.0
"""
How long a block waits before it counts, at least: that many blocks, and that many seconds.

Twelve blocks of Ethereum are two and a half minutes: no longer reorganisation was seen there since it is proof of
stake. Twelve of Arbitrum are three seconds, by which a node may well be behind another one; what it does not have yet
it answers as if nothing was there.
"""

FREE_PLAN_BLOCKS = 10
FREE_PLAN_UNITS_PER_SECOND = 1_000
"""A connection with no more than this is taken for one of a free plan: documents of it say 300, 500 or 1,000."""

MAX_BLOCKS = 10_000
"""Blocks that a call spans at most on a paid plan, on networks without a rule of their own."""

UNLIMITED_NETWORKS, UNLIMITED_NETWORK_BLOCKS = ("arb", "base", "bnb", "eth", "opt", "polygon", "worldchain"), 100_000
"""Where Alchemy sets no limit: two weeks of Ethereum, and what a node reads in time of most contracts."""

NARROW_NETWORKS, NARROW_NETWORK_BLOCKS = ("berachain-", "monad-testnet"), 1_000
"""Where a call may span fewer blocks."""


def block_seconds(network: str) -> float:
    return BLOCK_SECONDS.get(_name_of(network), UNKNOWN_BLOCK_SECONDS)


def default_confirmations(network: str) -> int:
    """Give how many blocks must follow a block of a network before it counts: a minute of them at least."""
    return max(MIN_CONFIRMATIONS, math.ceil(MIN_CONFIRMATION_SECONDS / block_seconds(network)))


def describe_confirmations(confirmations: int, network: str) -> str:
    """Describe how long a block waits: ``12 blocks, some 144 s of eth-mainnet``."""
    assumed = "" if _name_of(network) in BLOCK_SECONDS else ", whose block time is not known: one a second is assumed"
    return (
        f"{plural(confirmations, 'block')}, some {confirmations * block_seconds(network):,.0f} s of {network}{assumed}"
    )


def max_blocks_of(network: str) -> int:
    if network.startswith(NARROW_NETWORKS):
        return NARROW_NETWORK_BLOCKS
    return UNLIMITED_NETWORK_BLOCKS if _name_of(network) in UNLIMITED_NETWORKS else MAX_BLOCKS


def documented_blocks(settings: ClientSettings) -> int:
    """Give how many blocks a call may span by Alchemy's documents: 10 on a free plan, else by network."""
    is_free_plan = settings.compute_units_per_second <= FREE_PLAN_UNITS_PER_SECOND
    return FREE_PLAN_BLOCKS if is_free_plan else max_blocks_of(settings.network)


def _name_of(network: str) -> str:
    return network.partition("-")[0]
