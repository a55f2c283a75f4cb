# SPDX-License-Identifier: Apache-2.0
"""The trigger for many contracts by itself: what the database keeps, restarts, two at once, cancellation."""

from __future__ import annotations

import asyncio
import gc
import json
import re
from collections import Counter
from typing import Any

import aiohttp
import pytest

from airflow_provider_alchemy.api.packing import unpack_ids
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.triggers.batch import ReingestContractsTrigger
from airflow_provider_alchemy.triggers.wait import WaitEnd
from airflow_provider_alchemy.waits.batch import BatchState
from airflow_provider_alchemy.waits.poller import CONNECTIONS
from airflow_provider_alchemy.waits.wait import from_json
from tests.conftest import ConnectTo, TaskLog
from tests.tasks.batches import (
    BatchLife,
    address,
    contracts,
    ends,
    in_triggerer,
    kill_at,
    refresh,
)
from tests.tasks.lives import fire, rebuilt

pytestmark = pytest.mark.integration


def deferred(count: int, **arguments: Any) -> ReingestContractsTrigger:
    """Give the trigger that the operator hands over."""
    trigger = BatchLife(refresh(contracts(count), **arguments)).deferral().trigger
    assert isinstance(trigger, ReingestContractsTrigger)
    return trigger


async def event_of(trigger: ReingestContractsTrigger) -> dict[str, Any]:
    events = [event.payload async for event in trigger.run()]
    assert len(events) == 1
    return dict(json.loads(json.dumps(events[0])))


def ended(trigger: ReingestContractsTrigger) -> BatchState:
    """Run a batch to its end, each time with what its last event reported."""
    while True:
        event = fire(in_triggerer(trigger))
        if event["status"] != WaitEnd.PROGRESS:
            assert event["status"] == WaitEnd.FINISHED
            state = from_json(BatchState, event["state"])
            assert isinstance(state, BatchState)
            return state
        trigger.state = event["state"]


def finished(state: BatchState) -> int:
    return len(unpack_ids(state.finished))


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

        assert path == "airflow_provider_alchemy.triggers.batch.ReingestContractsTrigger"

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

        with pytest.raises(ValueError, match="no state of a batch"):
            fire(trigger)


class TestItsEvent:
    def test_it_says_that_all_have_ended(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.1)
        emulator.set_job(address(2), outcome="does_not_exist")

        event = fire(deferred(5))

        assert (event["status"], event["error"]) == (WaitEnd.FINISHED, None)
        assert event["state"]["failed"] == {"does_not_exist": "2"}

    def test_it_says_what_stopped_the_batch(self, emulator: AlchemyEmulator) -> None:
        trigger = deferred(5)
        emulator.rotate_key()

        event = fire(trigger)

        assert (event["status"], event["error"]["type"]) == (WaitEnd.FAILED, "AlchemyAuthenticationError")

    @pytest.mark.usefixtures("airflow_database")
    def test_a_connection_that_is_gone_is_no_crash(
        self, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trigger = deferred(5)
        monkeypatch.delenv("AIRFLOW_CONN_ALCHEMY_DEFAULT")

        event = fire(trigger)

        assert (event["status"], event["error"]["type"]) == (WaitEnd.FAILED, "AlchemyConfigurationError")
        assert emulator.count() == 0

    def test_the_key_is_not_in_it(self, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=403, message=f"who is {emulator.api_key}")

        assert emulator.api_key not in json.dumps(fire(deferred(5)))

    def test_it_is_small(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(outcome="does_not_exist")

        assert len(json.dumps(fire(deferred(1000)))) < 2_000


class TestProgress:
    def test_it_is_an_event_after_a_tenth_of_the_contracts(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(queued_seconds=600)
        for number in range(15):
            emulator.set_job(address(number), running_seconds=0)

        event = fire(deferred(150))

        assert event["status"] == WaitEnd.PROGRESS
        assert unpack_ids(event["state"]["finished"]) == tuple(range(15))
        assert unpack_ids(event["state"]["running"])

    def test_what_it_reports_is_not_asked_for_again(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.1)

        state = ended(deferred(50))

        ends_of = Counter(call.contract_address for call in emulator.calls if call.state == "finished")
        assert (finished(state), set(ends_of.values())) == (50, {1})
        assert (state.polls, state.compute_units) == (emulator.count(), emulator.compute_units)

    def test_a_refresh_that_ended_meanwhile_was_not_finished_before(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(queued_seconds=600)
        emulator.set_job(address(0), queued_seconds=0.2, running_seconds=0)
        for number in range(10):
            emulator.set_job(address(number), queued_seconds=0.2, running_seconds=0)
        trigger = deferred(20)
        trigger.state = fire(in_triggerer(trigger))["state"]
        emulator.set_default_job(running_seconds=0)

        state = ended(trigger)

        assert (finished(state), state.already_finished) == (20, 0)

    async def test_two_at_once_both_end_right(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.3)
        trigger = deferred(5)

        states = await asyncio.gather(*(asyncio.to_thread(ended, rebuilt(trigger)) for _ in range(2)))

        assert list(map(finished, states)) == [5, 5]


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

    state = ended(deferred(500, poll_interval=0.3))

    assert (finished(state), state.failed) == (500, {})
    assert [call.state for call in emulator.calls].count("finished") >= 500


async def test_killed_by_the_user_it_says_that_the_refreshes_go_on(task_log: TaskLog) -> None:
    await ReingestContractsTrigger(contracts(3), {}).on_kill()

    assert "go on at Alchemy, which cannot cancel them" in task_log()


class TestCancellation:
    async def test_it_leaves_no_task_and_no_open_session(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.2)

        await kill_at(in_triggerer(deferred(500)), emulator, 20)

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

        ended(deferred(1000))

        # A set, because some Airflows log to more than one place.
        lines = set(re.findall(r"Batch of .* compute units|0x\w+ failed \(\w+\)", task_log()))
        assert len(lines) <= 10 + 10 * 20


def test_a_thousand_contracts_take_one_session_and_at_most_sixteen_connections(emulator: AlchemyEmulator) -> None:
    emulator.set_default_job(running_seconds=0.5)

    fire(deferred(1000))

    assert ends(emulator) >= 100
    assert emulator.connections <= CONNECTIONS
