# SPDX-License-Identifier: Apache-2.0
"""What Airflow's statistics count of the waits of a poller."""

from __future__ import annotations

import pytest

from airflow_provider_alchemy.api.usage import SpendingLimit, Usage
from airflow_provider_alchemy.hooks.shared import shared_poller
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.lives import ADDRESS

from .test_methods import Statistics, statistics

__all__ = ["statistics"]

pytestmark = pytest.mark.integration


@pytest.mark.usefixtures("emulator")
class TestAPoller:
    async def test_each_poll_is_told_of_once(self, statistics: Statistics, emulator: AlchemyEmulator) -> None:
        async with shared_poller("alchemy_default", None) as poller:
            await poller.contract(ADDRESS.lower()).poll(Usage(), SpendingLimit(), max_attempts=1, deadline=None)

        assert statistics.counters["alchemy.polls"] == emulator.count() == 1

    async def test_the_number_of_waits_rises_and_falls(self, statistics: Statistics) -> None:
        async with shared_poller("alchemy_default", None), shared_poller("alchemy_default", None):
            pass

        assert statistics.gauges == [("alchemy.waits", waits) for waits in (1, 2, 1, 0)]
