# SPDX-License-Identifier: Apache-2.0
"""The trigger of a task that starts in the triggerer: it submits, and counts its deadlines from the task's start."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pendulum
import pytest

from airflow_provider_alchemy.defaults import BACK_STOP
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.triggers.reingest import ReingestTrigger
from airflow_provider_alchemy.triggers.wait import WaitEnd
from tests.conftest import ConnectTo
from tests.tasks.lives import ADDRESS, LOWER, fire

pytestmark = pytest.mark.integration

LONG_SECONDS = 3600.0


def trigger_of(**arguments: Any) -> ReingestTrigger:
    defaults: dict[str, Any] = {"contract_address": ADDRESS, "poll_interval": 0.05, "starts_here": True}
    return ReingestTrigger(**(defaults | arguments))


def until(trigger: ReingestTrigger, ends_at: datetime) -> ReingestTrigger:
    """Tell a trigger when Airflow ends the wait, as the triggerer does."""
    trigger.timeout_after = ends_at  # type: ignore[attr-defined]  # set by the triggerer, declared nowhere
    return trigger


class TestSubmitting:
    def test_it_asks_at_once(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, running_seconds=0)

        # It would stand still for an interval.
        assert fire(trigger_of(poll_interval=LONG_SECONDS))["status"] == WaitEnd.FINISHED

    @pytest.mark.usefixtures("clock")
    def test_its_first_call_is_the_submission(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, running_seconds=0)

        record = fire(trigger_of())["state"]

        asked_at = datetime.fromisoformat(record["submitted_at"]).timestamp()
        assert asked_at == emulator.calls[0].at

    def test_the_record_counts_every_call(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, running_seconds=0.2)

        record = fire(trigger_of())["state"]

        assert (record["polls"], record["compute_units"]) == (emulator.count(), emulator.compute_units)

    @pytest.mark.usefixtures("quick_backoff")
    def test_a_refresh_that_could_not_be_queued_is_submitted_again(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, queue_failures=2, running_seconds=0.1)

        event = fire(trigger_of(max_resubmits=2))

        assert (event["status"], event["state"]["queue_failures"]) == (WaitEnd.FINISHED, 2)

    @pytest.mark.usefixtures("quick_backoff")
    def test_it_is_submitted_no_oftener_than_asked(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, outcome="queue_failed")

        event = fire(trigger_of(max_resubmits=1))

        assert (event["status"], event["error"]["type"]) == (WaitEnd.FAILED, "AlchemyQueueFailedError")
        assert emulator.count() == 2


class TestOnlySubmitting:
    def test_the_first_answer_is_the_end(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, queued_seconds=600)

        event = fire(trigger_of(wait_for_completion=False))

        assert (event["status"], event["state"]["status"], emulator.count()) == (WaitEnd.FINISHED, "queued", 1)

    @pytest.mark.usefixtures("quick_backoff")
    def test_an_answer_that_it_was_not_queued_is_not(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, queue_failures=1, queued_seconds=600)

        event = fire(trigger_of(wait_for_completion=False, max_resubmits=3))

        assert (event["status"], event["state"]["status"]) == (WaitEnd.FINISHED, "queued")

    @pytest.mark.usefixtures("quick_backoff")
    def test_it_makes_as_many_attempts_as_the_connection_allows(
        self, emulator: AlchemyEmulator, connect: ConnectTo
    ) -> None:
        connect(max_attempts=3)
        emulator.add_fault("http", status=500)

        event = fire(trigger_of(wait_for_completion=False))

        assert (event["status"], emulator.count()) == (WaitEnd.FAILED, 3)


@pytest.mark.usefixtures("emulator")
class TestArguments:
    """A trigger may be built by hand: what cannot be right is an error before anything is sent."""

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"contract_address": "0x123"}, "AlchemyAddressError"),
            ({"contract_address": ""}, "AlchemyAddressError"),
            ({"network": "Ethereum"}, "AlchemyArgumentError"),
            ({"alchemy_conn_id": ""}, "AlchemyArgumentError"),
        ],
    )
    def test_one_that_cannot_be_right_fails_with_its_type(
        self, arguments: dict[str, Any], error: str, emulator: AlchemyEmulator
    ) -> None:
        event = fire(trigger_of(**arguments))

        assert (event["status"], event["error"]["type"], emulator.count()) == (WaitEnd.FAILED, error, 0)

    def test_an_address_in_another_case_is_the_same_collection(self) -> None:
        assert fire(trigger_of(contract_address=f" {ADDRESS} "))["state"]["contract_address"] == LOWER


@dataclass
class TaskInstance:
    """What Airflow 2 tells a trigger of its task."""

    trigger_timeout: datetime
    task_id: str = "wait"


class TestDeadlines:
    def began(self, event: dict[str, Any]) -> datetime:
        return datetime.fromisoformat(event["state"]["started_at"])

    @pytest.fixture(autouse=True)
    def short_job(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, running_seconds=0)

    def test_the_timeout_counts_from_the_tasks_start(self) -> None:
        started = pendulum.now("UTC").subtract(seconds=40)
        ends_at = started.add(seconds=LONG_SECONDS) + BACK_STOP

        assert self.began(fire(until(trigger_of(timeout=LONG_SECONDS), ends_at))) == started

    def test_the_execution_timeout_counts_from_the_tasks_start(self) -> None:
        started = pendulum.now("UTC").subtract(seconds=40)
        # Airflow ends such a task at its execution_timeout where that comes first.
        trigger = until(trigger_of(timeout=LONG_SECONDS, execution_timeout=60.0), started.add(seconds=60))

        assert self.began(fire(trigger)) == started

    def test_an_execution_timeout_after_the_timeout_changes_nothing(self) -> None:
        started = pendulum.now("UTC").subtract(seconds=40)
        ends_at = started.add(seconds=60) + BACK_STOP

        event = fire(until(trigger_of(timeout=60.0, execution_timeout=LONG_SECONDS), ends_at))

        assert self.began(event) == started

    def test_airflow_2_leaves_the_moment_at_the_task_instance(self) -> None:
        started = pendulum.now("UTC").subtract(seconds=40)
        trigger = trigger_of(timeout=LONG_SECONDS)
        trigger.task_instance = TaskInstance(started.add(seconds=LONG_SECONDS) + BACK_STOP)  # type: ignore[assignment]

        assert self.began(fire(trigger)) == started

    def test_without_that_moment_they_count_from_now(self) -> None:
        began = pendulum.now("UTC")

        assert self.began(fire(trigger_of(timeout=LONG_SECONDS))) >= began

    def test_a_task_never_began_in_the_future(self) -> None:
        ends_at = pendulum.now("UTC").add(seconds=2 * LONG_SECONDS) + BACK_STOP

        assert self.began(fire(until(trigger_of(timeout=LONG_SECONDS), ends_at))) <= pendulum.now("UTC")

    def test_a_restart_moves_none(self) -> None:
        ends_at = pendulum.now("UTC").add(seconds=60) + BACK_STOP

        first, second = (fire(until(trigger_of(timeout=90.0), ends_at)) for _ in range(2))

        assert first["state"]["deadline"] == second["state"]["deadline"]

    def test_a_wait_whose_time_is_over_looks_once_more_and_ends(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, queued_seconds=600)
        ends_at = pendulum.now("UTC").subtract(seconds=1) + BACK_STOP

        event = fire(until(trigger_of(timeout=60.0), ends_at))

        assert (event["status"], emulator.count()) == (WaitEnd.TIMED_OUT, 1)

    def test_a_task_whose_execution_timeout_is_over_says_so(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, queued_seconds=600)
        ends_at = pendulum.now("UTC").subtract(seconds=1)

        event = fire(until(trigger_of(timeout=LONG_SECONDS, execution_timeout=60.0), ends_at))

        assert event["error"]["type"] == "AlchemyExecutionDeadlineError"
