# SPDX-License-Identifier: Apache-2.0
"""What Airflow's statistics are told of a hook's calls and of the waits of a poller."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from airflow_provider_alchemy.api.errors import AlchemyAddressError, AlchemyError
from airflow_provider_alchemy.api.usage import Usage
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.hooks.shared import shared_poller
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.conftest import ConnectTo
from tests.tasks.lives import ADDRESS

pytestmark = pytest.mark.integration


class Statistics:
    """Airflow's statistics, kept."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.gauges: list[tuple[str, float]] = []

    def incr(self, name: str, count: int = 1) -> None:
        self.counters[name] += count

    def gauge(self, name: str, value: float) -> None:
        self.gauges.append((name, value))


@pytest.fixture
def statistics(monkeypatch: pytest.MonkeyPatch) -> Statistics:
    statistics = Statistics()
    monkeypatch.setattr("airflow_provider_alchemy.hooks.alchemy.Stats", statistics)
    return statistics


def ask(form: str, **arguments: Any) -> None:
    async def ask_in_a_loop() -> None:
        async with AlchemyHook() as hook:
            await hook.areingest_contract(**arguments)

    if form == "async":
        asyncio.run(ask_in_a_loop())
    else:
        with AlchemyHook() as hook:
            hook.reingest_contract(**arguments)


@pytest.mark.parametrize("form", ["sync", "async"])
class TestACall:
    @pytest.mark.usefixtures("emulator")
    def test_it_is_a_poll_with_its_price(self, form: str, statistics: Statistics) -> None:
        ask(form, contract_address=ADDRESS)

        assert statistics.counters == {"alchemy.polls": 1, "alchemy.compute_units": 480}

    @pytest.mark.usefixtures("emulator", "statistics")
    def test_the_callers_meter_counts_it_too(self, form: str) -> None:
        usage = Usage(calls=2, compute_units=960)

        ask(form, contract_address=ADDRESS, usage=usage)

        assert (usage.calls, usage.compute_units) == (3, 1440)

    @pytest.mark.usefixtures("emulator")
    def test_what_the_callers_meter_had_counted_is_not_told_again(self, form: str, statistics: Statistics) -> None:
        ask(form, contract_address=ADDRESS, usage=Usage(calls=2, compute_units=960))

        assert statistics.counters["alchemy.polls"] == 1

    @pytest.mark.usefixtures("quick_backoff")
    def test_each_attempt_is_one(
        self, form: str, statistics: Statistics, emulator: AlchemyEmulator, connect: ConnectTo
    ) -> None:
        connect(max_attempts=3)
        emulator.add_fault("http", status=500, times=2)

        ask(form, contract_address=ADDRESS)

        assert statistics.counters == {"alchemy.polls": 3, "alchemy.compute_units": emulator.compute_units}

    def test_one_that_fails_is_told_of(self, form: str, statistics: Statistics, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=429)
        usage = Usage()

        with pytest.raises(AlchemyError):
            ask(form, contract_address=ADDRESS, usage=usage)

        assert (statistics.counters["alchemy.polls"], statistics.counters["alchemy.throttled"]) == (1, 1)
        assert (usage.calls, usage.throttled) == (1, 1)

    @pytest.mark.usefixtures("emulator")
    def test_one_that_is_never_made_is_not(self, form: str, statistics: Statistics) -> None:
        with pytest.raises(AlchemyAddressError):
            ask(form, contract_address="0x123")

        assert not statistics.counters


@pytest.mark.usefixtures("emulator")
class TestAPoller:
    async def test_each_poll_is_told_of_once(self, statistics: Statistics, emulator: AlchemyEmulator) -> None:
        async with shared_poller("alchemy_default", None) as poller:
            await poller.next_status(ADDRESS.lower(), delay_seconds=0, usage=Usage())

        assert statistics.counters["alchemy.polls"] == emulator.count() == 1

    async def test_the_number_of_waits_rises_and_falls(self, statistics: Statistics) -> None:
        async with shared_poller("alchemy_default", None), shared_poller("alchemy_default", None):
            pass

        assert statistics.gauges == [("alchemy.waits", waits) for waits in (1, 2, 1, 0)]
