# SPDX-License-Identifier: Apache-2.0
"""The trigger of fresh metadata by itself: what the database keeps of it, restarts, what it shares with others."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from airflow_provider_alchemy.hooks import shared as polling
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.triggers.reingest import ReingestTrigger
from airflow_provider_alchemy.triggers.wait import FreshnessTrigger, WaitEnd
from tests.conftest import ConnectTo, TaskLog
from tests.sensors.freshness import looks_of, minutes_ago, refresh, sensor_in, set_fresh
from tests.tasks.lives import ADDRESS, LOWER, OTHER_ADDRESS, Life, fire, once, rebuilt
from tests.waiting import until

pytestmark = pytest.mark.integration


def trigger_of(**arguments: Any) -> FreshnessTrigger:
    """Build a trigger as a worker hands it over; fields of its record may be given too."""
    record: dict[str, Any] = {
        "contract_address": LOWER,
        "network": "eth-mainnet",
        "fresh_since": minutes_ago(1).isoformat(),
        "ids": "0-9",
    }
    for name in ("contract_address", "ids", "deadline", "execution_deadline", "fresh_since", "sample_size", "fresh"):
        if name in arguments:
            record[name] = arguments.pop(name)
    return FreshnessTrigger(**{"state": record, "poll_interval": 0.05, **arguments})


async def events_of(trigger: Any) -> list[Any]:
    return [event.payload async for event in trigger.run()]


class TestWhatTheDatabaseKeeps:
    def test_its_arguments_are_json_without_the_key_and_build_it_again(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=300)
        life = Life()
        with once(lambda: len(looks_of(emulator)) > 1, lambda: refresh(emulator, range(300))):
            life.lead(sensor_in("deferred", max_consecutive_failures=7, max_compute_units=10**6, min_fresh=0.5))
        trigger = life.deferrals[0].trigger

        path, arguments = trigger.serialize()

        assert path == "airflow_provider_alchemy.triggers.wait.FreshnessTrigger"
        assert json.loads(json.dumps(arguments)) == arguments
        assert emulator.api_key not in json.dumps(arguments)
        assert rebuilt(trigger).serialize() == (path, arguments)
        kept = (trigger.state["min_fresh"], trigger.max_consecutive_failures, trigger.max_compute_units)
        assert kept == ("0.5", 7, 10**6)

    def test_a_record_that_is_none_breaks_it_loudly(self) -> None:
        with pytest.raises(ValueError, match="no state of a wait"):
            fire(FreshnessTrigger({"contract_address": LOWER}))


class TestItsEvent:
    def test_tokens_that_are_fresh_finish_it(self, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator)

        event = fire(trigger_of())

        assert (event["status"], event["state"]["status"], event["error"]) == (WaitEnd.FINISHED, "finished", None)
        assert event["state"]["fresh"] == "0-9"

    def test_a_refused_key_is_a_failure_with_its_type(self, emulator: AlchemyEmulator) -> None:
        emulator.rotate_key()

        event = fire(trigger_of())

        assert (event["status"], event["error"]["type"]) == (WaitEnd.FAILED, "AlchemyAuthenticationError")

    def test_errors_that_stay_are_a_failure_with_its_type(self, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator)
        emulator.set_tokens(ADDRESS, [3], error="Malformed token uri")

        event = fire(trigger_of())

        assert (event["status"], event["error"]["type"]) == (WaitEnd.FAILED, "AlchemyTokensFailedError")

    def test_a_deadline_is_a_time_out_after_one_more_look(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=10)

        event = fire(trigger_of(deadline="2026-01-01T00:00:00+00:00"))

        assert (event["status"], emulator.count()) == (WaitEnd.TIMED_OUT, 1)

    def test_tokens_that_are_fresh_at_the_deadline_are_no_time_out(self, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator)

        assert fire(trigger_of(deadline="2026-01-01T00:00:00+00:00"))["status"] == WaitEnd.FINISHED

    @pytest.mark.parametrize(("sample_size", "ids"), [(10, "0-9"), (None, None)])
    def test_it_names_the_tokens_only_where_the_task_does_not_know_them(
        self, sample_size: int | None, ids: str | None, emulator: AlchemyEmulator
    ) -> None:
        set_fresh(emulator)

        assert fire(trigger_of(sample_size=sample_size))["state"]["ids"] == ids

    @pytest.mark.usefixtures("emulator", "airflow_database")
    def test_an_unknown_connection_is_a_failure_and_no_crash(self) -> None:
        event = fire(trigger_of(alchemy_conn_id="nowhere"))

        assert event["error"]["type"] == "AlchemyConfigurationError"

    def test_the_key_is_in_no_event(self, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=418, message=f"who is {emulator.api_key}")

        assert emulator.api_key not in json.dumps(fire(trigger_of()))


class TestItsPolls:
    def test_a_restart_asks_only_for_what_the_worker_had_not_proven(self, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator)

        fire(rebuilt(trigger_of(fresh="0-6,9")))

        assert looks_of(emulator) == [(7, 8)]

    def test_the_first_comes_after_a_part_of_the_interval(
        self, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[float, float]] = []

        def half(low: float, high: float) -> float:
            asked.append((low, high))
            return (low + high) / 2

        monkeypatch.setattr("airflow_provider_alchemy.waits.wait._random.uniform", half)
        set_fresh(emulator)

        fire(trigger_of(poll_interval=0.2))

        assert asked == [(0, 0.2)]

    def test_all_triggers_of_a_connection_share_its_session(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=10)
        emulator.set_collection(OTHER_ADDRESS, tokens=10)
        emulator.set_job(ADDRESS, running_seconds=0.3)

        async def all_of_them() -> None:
            waiting = [trigger_of(contract_address=one) for one in (LOWER, OTHER_ADDRESS.lower())] * 10
            others = [ReingestTrigger(contract_address=ADDRESS, poll_interval=0.05)]
            tasks = [asyncio.create_task(events_of(trigger)) for trigger in (*waiting, *others)]
            await until(lambda: emulator.count() > 40)
            assert len(polling._pollers[asyncio.get_running_loop()]) == 1
            for one in tasks:
                one.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run(all_of_them())

        assert emulator.connections <= 16

    def test_a_rotated_key_is_read_again(self, emulator: AlchemyEmulator, connect: ConnectTo) -> None:
        emulator.set_collection(ADDRESS, tokens=10)

        def rotate() -> None:
            emulator.rotate_key()
            connect(max_attempts=1)
            set_fresh(emulator)

        with once(lambda: len(looks_of(emulator)) > 1, rotate):
            event = fire(trigger_of())

        assert event["status"] == WaitEnd.FINISHED

    def test_a_cancelled_one_leaves_nothing_behind(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=10)

        async def cancel_in_the_middle() -> int:
            running = asyncio.create_task(events_of(trigger_of()))
            await until(lambda: emulator.count() > 1)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            return sum(map(len, polling._pollers.values()))

        assert asyncio.run(cancel_in_the_middle()) == 0

    def test_a_poll_without_news_says_nothing(self, emulator: AlchemyEmulator, task_log: TaskLog) -> None:
        emulator.set_collection(ADDRESS, tokens=10)

        with once(lambda: len(looks_of(emulator)) > 5, lambda: set_fresh(emulator)):
            fire(trigger_of())

        log = task_log()  # which has each line twice before Airflow 3.1
        assert log.count("tokens proven fresh") == log.count("10 of 10 tokens proven fresh") > 0
