# SPDX-License-Identifier: Apache-2.0
"""Many triggers in one event loop, as in a triggerer: what they share, and that each ends right, whatever happens."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.plugin import CONNECTION_VARIABLE, connection_json
from airflow_provider_alchemy.triggers.reingest import ReingestTrigger
from tests.conftest import ConnectTo
from tests.tasks.lives import once

pytestmark = pytest.mark.integration


def address(number: int) -> str:
    return f"0x{number:040x}"


def triggers_of(count: int, **arguments: Any) -> list[ReingestTrigger]:
    usual = {"poll_interval": 0.3, "adaptive": False}
    return [ReingestTrigger(contract_address=address(number), **{**usual, **arguments}) for number in range(count)]


def run_all(triggers: list[ReingestTrigger]) -> list[dict[str, Any]]:
    """Run triggers as a triggerer does, each as a task of its own."""

    async def event_of(trigger: ReingestTrigger) -> Any:
        async for event in trigger.run():
            return event.payload
        return None

    async def together() -> list[Any]:
        return await asyncio.gather(*(event_of(trigger) for trigger in triggers))

    return asyncio.run(together())


def ended_early(emulator: AlchemyEmulator, event: dict[str, Any]) -> bool:
    finished_at = emulator.finished_at(event["state"]["contract_address"])
    assert finished_at is not None
    return datetime.fromisoformat(event["state"]["finished_at"]).timestamp() < finished_at


class TestAThousandWaits:
    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls) -> tuple[AlchemyEmulator, list[dict[str, Any]]]:
        with AlchemyEmulator(units_per_second=None) as emulator, pytest.MonkeyPatch.context() as patch:
            patch.setenv(CONNECTION_VARIABLE, connection_json(emulator, compute_units_per_second=10**8))
            emulator.set_default_job(running_seconds=1.5)
            events = run_all(triggers_of(1000, poll_interval=0.5))
        return emulator, events

    def test_all_end(self, outcome: tuple[AlchemyEmulator, list[dict[str, Any]]]) -> None:
        assert Counter(event["status"] for event in outcome[1]) == {"finished": 1000}

    def test_none_ends_early(self, outcome: tuple[AlchemyEmulator, list[dict[str, Any]]]) -> None:
        emulator, events = outcome
        assert not [event for event in events if ended_early(emulator, event)]

    def test_they_use_sixteen_connections_at_most(self, outcome: tuple[AlchemyEmulator, list[dict[str, Any]]]) -> None:
        assert outcome[0].connections <= 16

    def test_none_is_asked_for_after_its_end(self, outcome: tuple[AlchemyEmulator, list[dict[str, Any]]]) -> None:
        states: dict[str | None, list[str | None]] = {}
        for call in outcome[0].calls:
            states.setdefault(call.contract_address, []).append(call.state)

        assert all(seen.count("finished") == 1 and seen[-1] == "finished" for seen in states.values())

    def test_what_they_say_they_spent_is_what_was_billed(
        self, outcome: tuple[AlchemyEmulator, list[dict[str, Any]]]
    ) -> None:
        emulator, events = outcome
        assert sum(event["state"]["compute_units"] for event in events) == emulator.compute_units

    def test_what_they_say_they_polled_is_what_was_asked(
        self, outcome: tuple[AlchemyEmulator, list[dict[str, Any]]]
    ) -> None:
        emulator, events = outcome
        assert sum(event["state"]["polls"] for event in events) == emulator.count()


class TestFaultyAnswers:
    @pytest.mark.slow  # each refusal that the dice send halves the rate, as it must
    @pytest.mark.usefixtures("quick_backoff")
    def test_one_in_five_of_all_kinds_spoils_none_of_five_hundred_waits(
        self, emulator: AlchemyEmulator, connect: ConnectTo
    ) -> None:
        connect(timeout=3, compute_units_per_second=10**8)
        emulator.set_default_job(running_seconds=1)
        kinds: list[dict[str, Any]] = [
            {"kind": "http", "status": 429, "message": "compute units per second"},
            {"kind": "http", "status": 500},
            {"kind": "html"},
            {"kind": "cut"},
            {"kind": "reset"},
            {"kind": "hang", "times": 20},
        ]
        for fault in kinds:
            emulator.add_fault(**fault, probability=0.2 / len(kinds))

        events = run_all(triggers_of(500))

        assert Counter(event["status"] for event in events) == {"finished": 500}
        assert not [event for event in events if ended_early(emulator, event)]

    @pytest.mark.usefixtures("quick_backoff")
    def test_a_service_that_refuses_everything_for_a_while_fails_no_wait(
        self, emulator: AlchemyEmulator, connect: ConnectTo
    ) -> None:
        connect(compute_units_per_second=10**8)
        emulator.set_default_job(running_seconds=0.1)
        emulator.add_fault("http", status=429, message="compute units per second", times=15)

        events = run_all(triggers_of(5))

        # Fifteen refusals in a row are more than max_consecutive_failures, but of the account, not of a contract.
        assert Counter(event["status"] for event in events) == {"finished": 5}


class TestSharedContracts:
    def test_waits_on_one_contract_pay_for_one(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(queued_seconds=600)

        with once(lambda: emulator.count() >= 6, lambda: emulator.set_job(address(2), running_seconds=0)):
            events = run_all([ReingestTrigger(address(2), poll_interval=0.25, adaptive=False) for _ in range(20)])

        assert [event["status"] for event in events] == ["finished"] * 20
        # Twenty waits that each begin at another moment learn from each other, so none asks by itself.
        assert all(later.at - earlier.at >= 0.24 for earlier, later in pairwise(emulator.calls))


class TestTheBudget:
    def test_it_is_kept_and_no_wait_is_refused(self, alchemy_emulator: AlchemyEmulator, connect: ConnectTo) -> None:
        # Twenty contracts want 40 calls a second; the account allows 20 in its window, and these are few.
        alchemy_emulator.configure(units_per_second=960)
        connect(compute_units_per_second=960)
        alchemy_emulator.set_default_job(running_seconds=0)

        events = run_all(triggers_of(20))

        assert Counter(event["status"] for event in events) == {"finished": 20}
        assert alchemy_emulator.throttled == 0
