# SPDX-License-Identifier: Apache-2.0
"""What calls cost in money: small sums are not rounded to nothing, and prices can be switched off."""

from __future__ import annotations

import pytest

from airflow_provider_alchemy.api.usage import describe_cost, usd_of


@pytest.mark.parametrize(
    ("units", "price", "shown", "usd"),
    [
        (480, 0.45, "480 compute units ($0.000216)", 0.000216),
        (10, 0.45, "10 compute units ($0.00000450)", 0.0000045),
        (10, 0.0001, "10 compute units ($0.00000000100)", 1e-9),
        (108_000, 0.45, "108,000 compute units ($0.0486)", 0.0486),
        (1_000_000, 0.45, "1,000,000 compute units ($0.450)", 0.45),
        (57_600_000, 0.45, "57,600,000 compute units ($25.92)", 25.92),
        (10**10, 0.4, "10,000,000,000 compute units ($4,000.00)", 4000.0),
        (0, 0.45, "0 compute units ($0.00)", 0.0),
        (480, 0, "480 compute units", None),
    ],
)
def test_a_cost_is_named_in_units_and_money(units: int, price: float, shown: str, usd: float | None) -> None:
    assert describe_cost(units, price) == shown
    assert usd_of(units, price) == usd
