# SPDX-License-Identifier: Apache-2.0
"""The trigger for many contracts by itself: what the database keeps, restarts, two at once, cancellation."""

from __future__ import annotations

import asyncio
import gc
import json
import re
from typing import Any

import aiohttp
import pytest
from airflow_provider_alchemy.api.batches import BatchEnd, BatchRecord
from airflow_provider_alchemy.api.polling import CONNECTIONS

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.triggers.reingest import ReingestContractsTrigger
from tests.conftest import ConnectTo, TaskLog
from tests.tasks.batches import (
    BatchLife,
    Variables,
    address,
    contracts,
    counted_calls,
    ends,
    in_triggerer,
    kill_at,
    kill_when,
    refresh,
)
from tests.tasks.batches import variables as variables  # noqa: PLC0414 - a fixture
from tests.tasks.lives import fire, rebuilt

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("variables")]


def deferred(count: int, **arguments: Any) -> ReingestContractsTrigger:
    """Give the trigger that the operator hands over."""
    trigger = BatchLife(refresh(contracts(count), **arguments)).deferral().trigger
    assert isinstance(trigger, ReingestContractsTrigger)
    return trigger


async def event_of(trigger: ReingestContractsTrigger) -> dict[str, Any]:
    events = [event.payload async for event in trigger.run()]
    assert len(events) == 1
    return dict(json.loads(json.dumps(events[0])))


def known_to_run(variables: Variables) -> int:
    """How many refreshes are kept as running."""
    record = BatchRecord.read((variables.kept or {}).get("record"))
    return len(record.running) if record else 0


@pytest.mark.usefixtures("emulator")
class TestWhatTheDatabaseKeeps:
    def test_its_arguments_are_json(self) -> None:
        _, arguments = deferred(3).serialize()

        assert json.loads(json.dumps(arguments)) == arguments

    def test_the_key_is_not_among_them(self, emulator: AlchemyEmulator) -> None:
        assert emulator.api_key not in json.dumps(deferred(3).serialize())

    def test_the_trigger_that_is_built_from_them_is_the_same(self) -> None:
        trigger = deferred(3)

        assert rebuilt(trigger).serialize() == trigger.serialize()

    def test_its_class_path_is_where_it_is_imported_from(self) -> None:
        path, _ = deferred(1).serialize()

        assert path == "airflow_provider_alchemy.triggers.reingest.ReingestContractsTrigger"

    def test_its_contracts_may_be_a_list(self) -> None:
        trigger = deferred(3)
        _, arguments = trigger.serialize()

        listed = ReingestContractsTrigger(**{**arguments, "contract_addresses": contracts(3)})

        assert listed.serialize() == trigger.serialize()

    def test_ten_thousand_contracts_take_less_than_300_kilobytes(self) -> None:
        assert len(json.dumps(deferred(10_000).serialize())) < 300_000

    def test_running_changes_nothing_of_them(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)
        trigger = deferred(5)
        before = json.dumps(trigger.serialize())

        fire(trigger)

        assert json.dumps(trigger.serialize()) == before

    def test_a_record_that_is_none_fails_loudly(self) -> None:
        trigger = ReingestContractsTrigger(contracts(3), {"contracts": "?"})

        with pytest.raises(ValueError, match="no record of a batch"):
            fire(trigger)


class TestItsEvent:
    def test_it_says_that_all_have_ended(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.1)
        emulator.set_job(address(2), outcome="does_not_exist")

        event = fire(deferred(5))

        assert (event["status"], event["error"], event["is_kept"]) == (BatchEnd.ENDED, None, False)
        assert BatchRecord.read(event["record"]).failed == {"does_not_exist": {2}}  # type: ignore[union-attr]

    def test_it_says_what_stopped_the_batch(self, emulator: AlchemyEmulator) -> None:
        trigger = deferred(5)
        emulator.rotate_key()

        event = fire(trigger)

        assert (event["status"], event["error"]["type"]) == (BatchEnd.STOPPED, "AlchemyAuthenticationError")

    @pytest.mark.usefixtures("airflow_database")
    def test_a_connection_that_is_gone_is_no_crash(
        self, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trigger = deferred(5)
        monkeypatch.delenv("AIRFLOW_CONN_ALCHEMY_DEFAULT")

        event = fire(trigger)

        assert (event["status"], event["error"]["type"]) == (BatchEnd.STOPPED, "AlchemyConfigurationError")
        assert emulator.count() == 0

    def test_the_key_is_not_in_it(self, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=403, message=f"who is {emulator.api_key}")

        assert emulator.api_key not in json.dumps(fire(deferred(5)))

    def test_it_is_small(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(outcome="does_not_exist")

        assert len(json.dumps(fire(deferred(1000)))) < 2_000


class TestRestarts:
    async def test_one_that_is_killed_in_the_middle_asks_for_next_to_nothing_again(
        self, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_default_job(running_seconds=0.1)
        trigger = deferred(600)
        await kill_at(in_triggerer(trigger), emulator, 500)
        finished = {call.contract_address for call in emulator.calls if call.state == "finished"}

        with counted_calls(emulator) as asked:
            event = await event_of(in_triggerer(trigger))

        # Nobody has heard of the ends that were on their way.
        assert len(finished & set(asked)) <= 0.05 * len(finished) + CONNECTIONS
        assert len(BatchRecord.read(event["record"]).finished) == 600  # type: ignore[union-attr]

    async def test_it_counts_on(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.2)
        trigger = deferred(100)
        await kill_at(in_triggerer(trigger), emulator, 50)

        record = BatchRecord.read((await event_of(in_triggerer(trigger)))["record"])

        assert record is not None
        assert abs(record.polls - emulator.count()) <= 40  # those under way, and the last that were not saved

    async def test_a_refresh_that_ended_meanwhile_was_not_finished_before(
        self, emulator: AlchemyEmulator, variables: Variables
    ) -> None:
        emulator.set_default_job(queued_seconds=600)
        trigger = deferred(20)
        await kill_when(lambda: known_to_run(variables) == 20, in_triggerer(trigger))
        emulator.set_default_job(running_seconds=0)

        record = BatchRecord.read((await event_of(in_triggerer(trigger)))["record"])

        assert record is not None
        assert (len(record.finished), record.already_finished) == (20, 0)

    async def test_its_deadlines_stay(self, emulator: AlchemyEmulator, variables: Variables) -> None:
        emulator.set_default_job(queued_seconds=600)
        emulator.set_job(address(0), running_seconds=0)
        trigger = deferred(3, timeout=3600)
        await kill_when(variables.has_ends, in_triggerer(trigger))
        again = in_triggerer(trigger)
        again.record["deadline"] = "2026-01-01T00:00:00+00:00"

        running = asyncio.create_task(event_of(again))
        done, _ = await asyncio.wait([running], timeout=0.5)
        running.cancel()

        assert done == set()

    async def test_it_says_that_it_goes_on(
        self, emulator: AlchemyEmulator, variables: Variables, task_log: TaskLog
    ) -> None:
        emulator.set_default_job(running_seconds=0.1)
        trigger = deferred(100)
        await kill_when(variables.has_ends, in_triggerer(trigger))

        await event_of(in_triggerer(trigger))

        assert "Going on where an earlier trigger of this try was: " in task_log()

    async def test_two_at_once_both_end_right(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.3)
        trigger = deferred(50)

        events = await asyncio.gather(*(event_of(in_triggerer(trigger)) for _ in range(2)))

        assert [len(BatchRecord.read(event["record"]).finished) for event in events] == [50, 50]  # type: ignore[union-attr]

    async def test_without_a_task_instance_nothing_is_kept(
        self, emulator: AlchemyEmulator, variables: Variables
    ) -> None:
        emulator.set_default_job(running_seconds=0)

        event = await event_of(rebuilt(deferred(5)))

        assert (event["is_kept"], variables.writes) == (False, 0)

    async def test_a_store_out_of_reach_fails_no_batch(
        self, emulator: AlchemyEmulator, variables: Variables, task_log: TaskLog
    ) -> None:
        emulator.set_default_job(running_seconds=0.1)
        trigger = deferred(5)
        variables.is_out_of_reach = True

        event = await event_of(in_triggerer(trigger))

        assert event["status"] == BatchEnd.ENDED
        assert "Could not save how far the batch is" in task_log()


@pytest.mark.usefixtures("quick_backoff")
def test_one_faulty_answer_in_five_spoils_none_of_five_hundred_contracts(
    emulator: AlchemyEmulator, connect: ConnectTo
) -> None:
    connect(timeout=3)
    emulator.set_default_job(running_seconds=1)
    # Not 429: that is the account's trouble, which slows all of its polls down.
    kinds: list[dict[str, Any]] = [
        {"kind": "http", "status": 500},
        {"kind": "html"},
        {"kind": "cut"},
        {"kind": "reset"},
        {"kind": "hang", "times": 20},
    ]
    for fault in kinds:
        emulator.add_fault(**fault, probability=0.2 / len(kinds))

    event = fire(deferred(500, poll_interval=0.3))

    record = BatchRecord.read(event["record"])
    assert record is not None
    assert (len(record.finished), record.failed) == (500, {})
    assert [call.state for call in emulator.calls].count("finished") >= 500


class TestKilledByTheUser:
    async def kill(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.2)
        trigger = in_triggerer(deferred(200))
        await kill_at(trigger, emulator, 50)
        await trigger.on_kill()

    async def test_it_deletes_what_it_kept(self, emulator: AlchemyEmulator, variables: Variables) -> None:
        await self.kill(emulator)

        assert variables.writes
        assert variables.texts == {}

    async def test_it_says_that_the_refreshes_go_on(self, emulator: AlchemyEmulator, task_log: TaskLog) -> None:
        await self.kill(emulator)

        assert "go on at Alchemy, which cannot cancel them" in task_log()

    async def test_one_that_never_ran_can_be_killed(self, variables: Variables) -> None:
        await ReingestContractsTrigger(contracts(3), {}).on_kill()

        assert variables.writes == 0


class TestCancellation:
    async def test_it_leaves_no_task_and_no_open_session(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.2)

        await kill_at(in_triggerer(deferred(500)), emulator, 100)

        assert asyncio.all_tasks() == {asyncio.current_task()}
        sessions = [found for found in gc.get_objects() if type(found) is aiohttp.ClientSession]
        assert all(session.closed for session in sessions)


class TestItsLog:
    def test_a_thousand_contracts_of_which_half_fail_are_few_lines(
        self, emulator: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        emulator.set_default_job(running_seconds=0)
        for number in range(0, 1000, 2):
            emulator.set_job(address(number), outcome="does_not_exist")

        fire(deferred(1000))

        # A set, because some Airflows log to more than one place.
        lines = set(re.findall(r"Batch of .* compute units|0x\w+ failed \(\w+\)", task_log()))
        assert len(lines) == 10 + 20

    def test_its_end_is_one_line_with_duration_polls_and_units(
        self, emulator: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        emulator.set_default_job(running_seconds=0)

        fire(deferred(5))

        assert "5 of 5 ended (5 finished, 0 failed), 5 polls, 2,400 compute units, after " in task_log()


def test_a_thousand_contracts_take_one_session_and_at_most_sixteen_connections(emulator: AlchemyEmulator) -> None:
    emulator.set_default_job(running_seconds=0.5)

    fire(deferred(1000))

    assert (ends(emulator), emulator.connections <= CONNECTIONS) == (1000, True)
