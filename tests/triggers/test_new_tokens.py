# SPDX-License-Identifier: Apache-2.0
"""The trigger of new tokens by itself: what the database keeps of it, restarts, what it shares with others."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_alchemy.hooks import shared as polling
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.triggers.wait import NewTokensTrigger, WaitEnd
from tests.conftest import ConnectTo, TaskLog
from tests.sensors.minting import CONFIRMATIONS, FIRST, NEWEST, has_looked, mint, sensor_in, windows_of
from tests.tasks.lives import LOWER, OTHER_ADDRESS, Life, fire, once, rebuilt
from tests.waiting import until

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def blocks_on_command(emulator: AlchemyEmulator) -> None:
    emulator.configure(block_seconds=None)


def trigger_of(**arguments: Any) -> NewTokensTrigger:
    """Build a trigger as a worker hands it over; fields of its record may be given too."""
    record: dict[str, Any] = {
        "contract_address": LOWER,
        "network": "eth-mainnet",
        "since_block": FIRST,
        "next_block": FIRST,
        "confirmations": CONFIRMATIONS,
    }
    for name in ("contract_address", "since_block", "next_block", "ids", "deadline", "min_tokens"):
        if name in arguments:
            record[name] = arguments.pop(name)
    return NewTokensTrigger(**{"state": record, "poll_interval": 0.05, **arguments})


async def events_of(trigger: Any) -> list[Any]:
    return [event.payload async for event in trigger.run()]


class TestWhatTheDatabaseKeeps:
    def test_its_arguments_are_json_without_the_key_and_build_it_again(self, emulator: AlchemyEmulator) -> None:
        life = Life()
        growing: dict[str, Any] = {"exponential_backoff": True, "max_wait": timedelta(seconds=0.2)}
        sensor = sensor_in("deferred", max_consecutive_failures=7, max_compute_units=10**6, min_tokens=2, **growing)
        with once(has_looked(emulator, 2), lambda: mint(emulator, [1, 2])):
            life.lead(sensor)
        trigger = life.deferrals[0].trigger

        path, arguments = trigger.serialize()

        assert path == "airflow_provider_alchemy.triggers.wait.NewTokensTrigger"
        assert json.loads(json.dumps(arguments)) == arguments
        assert emulator.api_key not in json.dumps(arguments)
        assert rebuilt(trigger).serialize() == (path, arguments)
        kept = (
            trigger.state["min_tokens"],
            trigger.state["confirmations"],
            trigger.max_consecutive_failures,
            trigger.max_compute_units,
        )
        assert kept == (2, CONFIRMATIONS, 7, 10**6)
        assert (trigger.poll_interval, trigger.exponential_backoff, trigger.max_poll_interval) == (0.05, True, 0.2)

    @pytest.mark.parametrize("record", [{}, {"contract_address": LOWER, "ids": "x"}])
    def test_a_record_that_is_none_breaks_it_loudly(self, record: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="no state of a wait"):
            fire(NewTokensTrigger(record))


class TestItsEvent:
    def test_new_tokens_finish_it(self, emulator: AlchemyEmulator) -> None:
        mint(emulator, [1, 2, 9])

        event = fire(trigger_of())

        assert (event["status"], event["state"]["status"], event["error"]) == (WaitEnd.FINISHED, "finished", None)
        assert (event["state"]["ids"], event["state"]["next_block"]) == ("1-2,9", FIRST + 2)

    def test_a_refused_key_is_a_failure_with_its_type(self, emulator: AlchemyEmulator) -> None:
        emulator.rotate_key()

        event = fire(trigger_of())

        assert (event["status"], event["error"]["type"]) == (WaitEnd.FAILED, "AlchemyAuthenticationError")

    def test_a_deadline_is_a_time_out_after_one_more_look(self, emulator: AlchemyEmulator) -> None:
        event = fire(trigger_of(deadline="2026-01-01T00:00:00+00:00"))

        assert (event["status"], emulator.count(NEWEST)) == (WaitEnd.TIMED_OUT, 1)

    def test_tokens_that_are_there_at_the_deadline_are_no_time_out(self, emulator: AlchemyEmulator) -> None:
        mint(emulator, [1])

        assert fire(trigger_of(deadline="2026-01-01T00:00:00+00:00"))["status"] == WaitEnd.FINISHED

    @pytest.mark.usefixtures("emulator", "airflow_database")
    def test_an_unknown_connection_is_a_failure_and_no_crash(self) -> None:
        assert fire(trigger_of(alchemy_conn_id="nowhere"))["error"]["type"] == "AlchemyConfigurationError"

    def test_the_key_is_in_no_event(self, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=418, message=f"who is {emulator.api_key}")

        assert emulator.api_key not in json.dumps(fire(trigger_of()))


class TestItsPolls:
    def test_a_restart_reads_only_what_the_worker_had_not_read(self, emulator: AlchemyEmulator) -> None:
        mint(emulator, [1])
        second = mint(emulator, [2])

        event = fire(rebuilt(trigger_of(next_block=second, ids="1", min_tokens=2)))

        assert (event["state"]["ids"], windows_of(emulator)) == ("1-2", [(second, second)])

    def test_the_first_comes_after_a_part_of_the_interval(
        self, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[float, float]] = []

        def half(low: float, high: float) -> float:
            asked.append((low, high))
            return (low + high) / 2

        monkeypatch.setattr("airflow_provider_alchemy.waits.wait._random.uniform", half)
        mint(emulator, [1])

        fire(trigger_of(poll_interval=0.2))

        assert asked == [(0, 0.2)]

    def test_all_triggers_of_a_connection_share_its_session(self, emulator: AlchemyEmulator) -> None:
        async def all_of_them() -> int:
            waiting = [trigger_of(contract_address=one) for one in (LOWER, OTHER_ADDRESS.lower())] * 10
            tasks = [asyncio.create_task(events_of(trigger)) for trigger in waiting]
            await until(has_looked(emulator, 60))
            pollers = len(polling._pollers[asyncio.get_running_loop()])
            for one in tasks:
                one.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return pollers

        assert asyncio.run(all_of_them()) == 1
        assert emulator.connections <= 16

    def test_a_rotated_key_is_read_again(self, emulator: AlchemyEmulator, connect: ConnectTo) -> None:
        def rotate() -> None:
            emulator.rotate_key()
            connect(max_attempts=1)
            mint(emulator, [1])

        with once(has_looked(emulator, 2), rotate):
            event = fire(trigger_of())

        assert event["status"] == WaitEnd.FINISHED

    def test_a_cancelled_one_leaves_nothing_behind(self, emulator: AlchemyEmulator) -> None:
        async def cancel_in_the_middle() -> int:
            running = asyncio.create_task(events_of(trigger_of()))
            await until(has_looked(emulator, 2))
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            return sum(map(len, polling._pollers.values()))

        assert asyncio.run(cancel_in_the_middle()) == 0

    def test_a_poll_without_news_says_nothing(self, emulator: AlchemyEmulator, task_log: TaskLog) -> None:
        with once(has_looked(emulator, 5), lambda: mint(emulator, [1])):
            fire(trigger_of())

        log = task_log()  # which has each line twice before Airflow 3.1
        assert log.count("(waiting for 1)") == log.count("1 new token in blocks") > 0
