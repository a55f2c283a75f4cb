# SPDX-License-Identifier: Apache-2.0
"""How cheap, and how fast, the refresh of a collection can be at best. Pure arithmetic."""

from __future__ import annotations

import math

WINDOW_SECONDS = 10.0
"""The service's window."""
MOST_TOKENS = 100
"""Tokens of a page, and of a call."""
PAGE_PRICE, BATCH_PRICE = 600, 480
"""Compute units of ``getNFTsForContract`` and of ``getNFTMetadataBatch``."""
CONTRACT_UNITS, PAGE_UNITS, BATCH_UNITS = 10, 50, 100
"""Throughput units of ``getContractMetadata``, which tells how many tokens there are, and of those two."""


def least_price(tokens: int) -> int:
    """
    Tell what listing a collection and refreshing each token once costs.

    :param tokens: How many tokens it has.
    :return: Compute units.
    """
    return math.ceil(tokens / MOST_TOKENS) * (PAGE_PRICE + BATCH_PRICE)


def throughput_units(tokens: int) -> int:
    """
    Tell what the same takes of the account's throughput, the question for the number of tokens included.

    :param tokens: How many tokens it has.
    :return: Throughput units.
    """
    return CONTRACT_UNITS + math.ceil(tokens / MOST_TOKENS) * (PAGE_UNITS + BATCH_UNITS)


def steady_bound_seconds(units: int, units_per_second: float) -> float:
    """
    Tell how long units take that flow in evenly after the first window's, which may be used at once.

    :param units: Throughput units.
    :param units_per_second: The account's throughput.
    :return: Seconds.
    """
    return max(units - units_per_second * WINDOW_SECONDS, 0.0) / units_per_second


def window_bound_seconds(units: int, units_per_second: float) -> float:
    """
    Tell how long units take where no ten seconds may see more than ten seconds' worth of them.

    That is the service's rule. Each window that was used up at once is there again ten seconds later, all of it: a
    refresh that needs a bit of a sixth window ends after 50 seconds, however small the bit.

    :param units: Throughput units.
    :param units_per_second: The account's throughput.
    :return: Seconds.
    """
    windows = math.ceil(units / (units_per_second * WINDOW_SECONDS))
    return max(windows - 1, 0) * WINDOW_SECONDS
