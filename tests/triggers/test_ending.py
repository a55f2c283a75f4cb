# SPDX-License-Identifier: Apache-2.0
"""The trigger of a task that ends in the triggerer: what it pushes, and when it leaves that to a worker."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.triggers.reingest import ReingestTrigger
from airflow_provider_alchemy.triggers.wait import WaitEnd
from airflow_provider_alchemy.waits.reingest import RESULT_KEYS
from tests.conftest import TaskLog
from tests.tasks.lives import ADDRESS, LOWER

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="Airflow before 3.3 ends no task in the triggerer"),
]

LINKS = {
    "_link_ContractLink": f"https://etherscan.io/address/{LOWER}",
    "_link_DashboardLink": "https://dashboard.alchemy.com/",
}


@dataclass
class TaskInstance:
    """What a triggerer tells a trigger of its task."""

    dag_id: str = "dag"
    task_id: str = "wait"
    run_id: str = "run"
    map_index: int = -1


@dataclass
class Channel:
    """The channel from a trigger to its supervisor: the XComs that went over it; ``error`` is its answer to them."""

    messages: list[Any] = field(default_factory=list)
    error: Exception | None = None

    async def asend(self, message: Any) -> None:
        # Secrets to mask go over it as well.
        if message.type != "SetXCom":
            return
        if self.error is not None:
            raise self.error
        self.messages.append(message)

    @property
    def keys(self) -> list[str]:
        return [message.key for message in self.messages]


@pytest.fixture
def channel(emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch) -> Channel:
    emulator.set_job(ADDRESS, running_seconds=0)
    channel = Channel()
    task_runner = import_module("airflow.sdk.execution_time.task_runner")
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", channel, raising=False)
    return channel


def trigger_of(**arguments: Any) -> ReingestTrigger:
    defaults: dict[str, Any] = {"contract_address": ADDRESS, "poll_interval": 0.05, "starts_here": True}
    trigger = ReingestTrigger(**(defaults | {"ends_here": True} | arguments))
    trigger.task_instance = TaskInstance()  # type: ignore[assignment]  # as much of it as is needed
    return trigger


def event_of(trigger: ReingestTrigger) -> Any:
    async def only_event() -> Any:
        (event,) = [event async for event in trigger.run()]
        return event

    return asyncio.run(only_event())


class TestWhatItPushes:
    def test_the_address_and_the_result_last(self, channel: Channel) -> None:
        event_of(trigger_of())

        assert [(one.key, one.value) for one in channel.messages[:-1]] == [("contract_address", LOWER)]
        assert channel.keys[-1] == "return_value"

    def test_each_key_where_the_task_says_so(self, channel: Channel) -> None:
        event_of(trigger_of(multiple_outputs=True))

        assert channel.keys == [*RESULT_KEYS, "return_value"]

    def test_the_result_is_a_plain_dict(self, channel: Channel) -> None:
        event_of(trigger_of())

        result = channel.messages[-1].value
        assert type(result) is dict
        assert (tuple(result), result["contract_address"], result["state"]) == (RESULT_KEYS, LOWER, "finished")

    def test_each_key_has_its_value(self, channel: Channel) -> None:
        event_of(trigger_of(multiple_outputs=True))

        single = {message.key: message.value for message in channel.messages if message.key in RESULT_KEYS}
        assert single == channel.messages[-1].value

    def test_it_is_the_tasks_own(self, channel: Channel) -> None:
        event_of(trigger_of())

        whose = {(one.dag_id, one.task_id, one.run_id, one.map_index) for one in channel.messages}
        assert whose == {("dag", "wait", "run", -1)}

    def test_the_length_is_told_for_a_task_that_maps_over_it(self, channel: Channel) -> None:
        event_of(trigger_of())

        assert channel.messages[-1].mapped_length == len(RESULT_KEYS)

    def test_no_length_is_told_of_a_mapped_tasks_result(self, channel: Channel) -> None:
        trigger = trigger_of()
        trigger.task_instance = TaskInstance(map_index=2)  # type: ignore[assignment]

        event_of(trigger)

        assert (channel.messages[-1].map_index, channel.messages[-1].mapped_length) == (2, None)

    def test_a_task_that_pushes_nothing_sends_nothing(self, channel: Channel) -> None:
        event_of(trigger_of(do_xcom_push=False))

        assert channel.keys == []


@pytest.mark.usefixtures("channel")
class TestHowItEnds:
    def test_a_wait_that_ends_well_ends_the_task(self) -> None:
        assert isinstance(event_of(trigger_of()), TaskSuccessEvent)

    def test_its_event_carries_the_links_and_no_value(self) -> None:
        assert event_of(trigger_of()).xcoms == LINKS

    def test_a_task_that_pushes_nothing_has_its_links_all_the_same(self) -> None:
        assert event_of(trigger_of(do_xcom_push=False)).xcoms == LINKS

    def test_one_that_fails_ends_in_a_worker(self, emulator: AlchemyEmulator, channel: Channel) -> None:
        emulator.set_job(ADDRESS, outcome="does_not_exist")

        event = event_of(trigger_of())

        assert (event.payload["status"], channel.messages) == (WaitEnd.FAILED, [])

    def test_one_that_does_not_end_here_ends_in_a_worker(self, channel: Channel) -> None:
        event = event_of(trigger_of(ends_here=False))

        assert (event.payload["status"], channel.messages) == (WaitEnd.FINISHED, [])

    def test_one_that_cannot_push_its_result_ends_in_a_worker(self, channel: Channel, task_log: TaskLog) -> None:
        channel.error = RuntimeError("the database is away")

        event = event_of(trigger_of())

        assert (event.payload["status"], event.payload["state"]["status"]) == (WaitEnd.FINISHED, "finished")
        assert "a worker ends the task: the database is away" in task_log()


@pytest.mark.usefixtures("channel")
class TestWithoutATriggerer:
    """``airflow dags test`` runs triggers beside their tasks, and tells them of none."""

    @pytest.fixture
    def untold(self) -> ReingestTrigger:
        trigger = trigger_of()
        trigger.task_instance = None
        return trigger

    def test_the_task_goes_on_where_it_was(self, untold: ReingestTrigger) -> None:
        assert event_of(untold).payload["status"] == WaitEnd.FINISHED

    def test_nobody_is_warned(self, untold: ReingestTrigger, task_log: TaskLog) -> None:
        event_of(untold)

        assert "Could not push" not in task_log()
