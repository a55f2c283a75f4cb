# SPDX-License-Identifier: Apache-2.0
"""The trigger by itself: what the database keeps of it, restarts, cancellation, what it leaves behind."""

from __future__ import annotations

import asyncio
import gc
import json
import warnings
from typing import Any

import aiohttp
import pytest

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.triggers.reingest import ReingestTrigger
from airflow_provider_alchemy.triggers.wait import WaitEnd
from tests.conftest import TaskLog
from tests.tasks.lives import ADDRESS, LOWER, MODES, Life, fire, once, rebuilt, sensor_in
from tests.waiting import until

pytestmark = pytest.mark.integration


def trigger_of(**arguments: Any) -> ReingestTrigger:
    return ReingestTrigger(**{"contract_address": ADDRESS, "poll_interval": 0.05, **arguments})


async def events_of(trigger: ReingestTrigger) -> list[Any]:
    return [event.payload async for event in trigger.run()]


def deferred_trigger(emulator: AlchemyEmulator, **arguments: Any) -> ReingestTrigger:
    """Give the trigger that a deferred sensor hands over."""
    life = Life()
    emulator.set_job(ADDRESS, running_seconds=0.1)
    life.lead(sensor_in("deferred", **arguments))
    trigger = life.deferrals[0].trigger
    assert isinstance(trigger, ReingestTrigger)
    return trigger


class TestWhatTheDatabaseKeeps:
    def test_its_arguments_are_json(self, emulator: AlchemyEmulator) -> None:
        _, arguments = deferred_trigger(emulator, execution_timeout=None).serialize()

        assert json.loads(json.dumps(arguments)) == arguments

    def test_the_key_is_not_among_them(self, emulator: AlchemyEmulator) -> None:
        assert emulator.api_key not in json.dumps(deferred_trigger(emulator).serialize())

    def test_the_trigger_that_is_built_from_them_is_the_same(self, emulator: AlchemyEmulator) -> None:
        trigger = deferred_trigger(emulator)

        assert rebuilt(trigger).serialize() == trigger.serialize()

    def test_its_class_path_is_where_it_is_imported_from(self) -> None:
        path, _ = trigger_of().serialize()

        assert path == "airflow_provider_alchemy.triggers.reingest.ReingestTrigger"

    def test_the_sensors_arguments_are_in_it(self, emulator: AlchemyEmulator) -> None:
        trigger = deferred_trigger(emulator, poke_interval=0.25, max_consecutive_failures=7)

        assert (trigger.poll_interval, trigger.max_consecutive_failures) == (0.25, 7)

    def test_the_network_that_the_connection_named_is_in_it(self, emulator: AlchemyEmulator) -> None:
        assert deferred_trigger(emulator).network == "eth-mainnet"

    def test_the_workers_poll_is_in_it(self, emulator: AlchemyEmulator) -> None:
        record = deferred_trigger(emulator).state

        assert record is not None
        assert (record["contract_address"], record["polls"], record["compute_units"]) == (LOWER, 1, 480)


class TestItsEvent:
    def test_it_is_one_and_json(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, running_seconds=0.1)

        events = asyncio.run(events_of(trigger_of()))

        assert len(events) == 1
        assert json.loads(json.dumps(events[0])) == events[0]

    def test_a_finished_refresh_is_finished(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, running_seconds=0.1)

        event = fire(trigger_of())

        assert (event["status"], event["state"]["status"], event["error"]) == (WaitEnd.FINISHED, "finished", None)

    def test_a_refused_key_is_a_failure_with_its_type(self, emulator: AlchemyEmulator) -> None:
        emulator.rotate_key()

        event = fire(trigger_of())

        assert (event["status"], event["error"]["type"]) == (WaitEnd.FAILED, "AlchemyAuthenticationError")

    def test_a_deadline_is_a_time_out(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, queued_seconds=600)

        event = fire(trigger_of(state={"deadline": "2026-01-01T00:00:00+00:00"}))

        assert (event["status"], emulator.count()) == (WaitEnd.TIMED_OUT, 1)

    @pytest.mark.usefixtures("emulator", "airflow_database")
    def test_an_unknown_connection_is_a_failure_and_no_crash(self) -> None:
        event = fire(trigger_of(alchemy_conn_id="nowhere"))

        assert event["error"]["type"] == "AlchemyConfigurationError"
        assert "'nowhere' does not exist" in event["error"]["what"]

    def test_the_key_is_in_no_event(self, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=418, message=f"who is {emulator.api_key}")

        assert emulator.api_key not in json.dumps(fire(trigger_of()))


class TestItsPolls:
    def test_they_share_one_connection(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, queued_seconds=600)

        with once(lambda: emulator.count() > 2, lambda: emulator.set_job(ADDRESS, running_seconds=0)):
            asyncio.run(events_of(trigger_of(poll_interval=0.1)))

        assert (emulator.connections, emulator.count() > 2) == (1, True)

    def test_none_comes_after_the_terminal_answer(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, running_seconds=0.1)

        fire(trigger_of())

        assert [call.state for call in emulator.calls].count("finished") == 1

    def test_the_first_comes_after_a_part_of_the_interval(
        self, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[float, float]] = []

        def half(low: float, high: float) -> float:
            asked.append((low, high))
            return (low + high) / 2

        monkeypatch.setattr("airflow_provider_alchemy.waits.wait._random.uniform", half)
        emulator.set_job(ADDRESS, running_seconds=0)

        fire(trigger_of(poll_interval=0.2, state={"status": "queued"}))

        assert asked == [(0, 0.2)]

    @pytest.mark.usefixtures("quick_backoff")
    def test_each_is_one_attempt(self, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=500)

        event = fire(trigger_of(max_consecutive_failures=2, state={"status": "queued"}))

        assert (emulator.count(), event["state"]["polls"]) == (3, 3)


class TestRestarts:
    def test_two_from_the_same_serialized_form_end_alike(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, running_seconds=0.3)
        trigger = trigger_of()

        async def both() -> tuple[list[Any], list[Any]]:
            return await asyncio.gather(events_of(rebuilt(trigger)), events_of(rebuilt(trigger)))

        first, second = asyncio.run(both())

        assert [event["status"] for event in first + second] == [WaitEnd.FINISHED] * 2

    def test_one_after_the_other_ends_alike(self, emulator: AlchemyEmulator) -> None:
        trigger = deferred_trigger(emulator)

        events = [fire(rebuilt(trigger)) for _ in range(2)]

        assert [event["status"] for event in events] == [WaitEnd.FINISHED] * 2

    def test_a_restart_does_not_count_on_from_an_unseen_run(self, emulator: AlchemyEmulator) -> None:
        trigger = deferred_trigger(emulator)

        events = [fire(rebuilt(trigger)) for _ in range(2)]

        assert [event["state"]["polls"] for event in events] == [2, 2]

    def test_running_changes_nothing_of_what_is_serialized(self, emulator: AlchemyEmulator) -> None:
        trigger = deferred_trigger(emulator)
        before = json.dumps(trigger.serialize())

        fire(trigger)

        assert json.dumps(trigger.serialize()) == before


class TestCancellation:
    async def cancel_in_the_middle(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, queued_seconds=600)
        task = asyncio.create_task(events_of(trigger_of(poll_interval=0.02)))
        await until(lambda: emulator.count() >= 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_it_leaves_no_task(self, emulator: AlchemyEmulator) -> None:
        await self.cancel_in_the_middle(emulator)

        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_it_leaves_no_open_session(self, emulator: AlchemyEmulator) -> None:
        await self.cancel_in_the_middle(emulator)

        gc.collect()
        sessions = [found for found in gc.get_objects() if type(found) is aiohttp.ClientSession]
        assert all(session.closed for session in sessions)

    async def test_it_leaves_nothing_that_python_warns_of(self, emulator: AlchemyEmulator) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            await self.cancel_in_the_middle(emulator)
            gc.collect()

        assert [str(warning.message) for warning in caught if issubclass(warning.category, ResourceWarning)] == []


async def test_killed_it_says_that_the_refresh_goes_on(task_log: TaskLog) -> None:
    await trigger_of().on_kill()

    assert f"The refresh of {ADDRESS} goes on at Alchemy" in task_log()


@pytest.mark.parametrize("mode", MODES)
def test_only_the_deferred_mode_defers(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=0.1)
    life = Life()

    life.lead(sensor_in(mode))

    assert len(life.deferrals) == (1 if mode == "deferred" else 0)
