# SPDX-License-Identifier: Apache-2.0
"""Tasks that start in the triggerer and fail there: retries, skips, callbacks and deadlines are as for any other."""

from __future__ import annotations

import pytest

from airflow_provider_alchemy.testing.calls import Call
from tests.e2e.without_worker.conftest import Stage
from tests.e2e.without_worker.dags.without_worker import LIMIT_SECONDS, MOVED, address_of

pytestmark = pytest.mark.e2e


class TestRetries:
    def test_the_second_try_succeeds(self, stage: Stage) -> None:
        task = stage.task("queue_failed")

        assert (task.state, task.try_number) == ("success", 2)

    def test_the_failure_of_the_first_is_raised_in_a_worker(self, stage: Stage) -> None:
        assert stage.worker_starts("queue_failed", try_number=1) == 1

    def test_the_second_starts_and_ends_in_the_triggerer_again(self, stage: Stage) -> None:
        assert stage.worker_starts("queue_failed", try_number=2) == 0

    def test_the_retry_callback_sees_the_exception(self, stage: Stage) -> None:
        (told,) = stage.callbacks("queue_failed")

        assert (told["kind"], told["exception"][0]) == ("retry", "AlchemyQueueFailedError")


class TestAContractThatIsNoCollection:
    def test_it_fails_without_a_retry(self, stage: Stage) -> None:
        task = stage.task("no_collection")

        assert (task.state, task.try_number) == ("failed", 1)

    def test_it_is_asked_for_once(self, stage: Stage) -> None:
        stage.ended("no_collection")

        assert stage.emulator.count(contract_address=address_of("no_collection")) == 1

    def test_the_failure_callback_sees_the_exception(self, stage: Stage) -> None:
        (told,) = stage.callbacks("no_collection")

        assert told["kind"] == "failure"
        assert {"AlchemyNoSuchCollectionError", "AirflowFailException"} <= set(told["exception"])

    def test_soft_fail_skips_it(self, stage: Stage) -> None:
        assert stage.task("no_collection_soft").state == "skipped"

    def test_the_skip_callback_is_called(self, stage: Stage) -> None:
        (told,) = stage.callbacks("no_collection_soft")

        assert told["kind"] == "skipped"


class TestTimeouts:
    def test_a_timeout_fails_without_a_retry(self, stage: Stage) -> None:
        task = stage.task("timed_out")

        assert (task.state, task.try_number) == ("failed", 1)

    def test_it_is_a_sensors_timeout(self, stage: Stage) -> None:
        (told,) = stage.callbacks("timed_out")

        assert {"AlchemyDeadlineError", "AirflowSensorTimeout"} <= set(told["exception"])

    def test_soft_fail_skips_it(self, stage: Stage) -> None:
        assert stage.task("timed_out_soft").state == "skipped"

    def test_an_execution_timeout_is_a_tasks_timeout(self, stage: Stage) -> None:
        (told,) = stage.callbacks("execution_timed_out")

        assert told["exception"][0] == "AirflowTaskTimeout"


class TestATriggererThatIsKilled:
    def test_the_waits_were_in_their_middle(self, stage: Stage) -> None:
        assert all(calls(stage, dag_id)[0].at < stage.killed_at for dag_id in MOVED)
        assert stage.states_at_kill == dict.fromkeys(MOVED, "running")

    def test_the_next_one_ends_the_task_without_a_worker(self, stage: Stage) -> None:
        assert (stage.result("moved")["state"], stage.worker_starts("moved")) == ("finished", 0)

    @pytest.mark.parametrize("dag_id", ["moved_timeout", "moved_execution_timeout"])
    def test_no_deadline_is_moved(self, stage: Stage, dag_id: str) -> None:
        first, *others = (call.at for call in calls(stage, dag_id))
        late = [at for at in others if at > first + LIMIT_SECONDS]

        # The deadline counts from before the first poll. After it there is a last poll, and perhaps one that was on its
        # way. A deadline that counts from the second triggerer's start would leave time for many.
        assert len(late) <= 2

    @pytest.mark.parametrize("dag_id", ["moved_timeout", "moved_execution_timeout"])
    def test_no_wait_is_cut_short(self, stage: Stage, dag_id: str) -> None:
        run = stage.ended(dag_id)

        assert run.duration_seconds() >= LIMIT_SECONDS

    def test_the_timeout_is_a_sensors_timeout_all_the_same(self, stage: Stage) -> None:
        (told,) = stage.callbacks("moved_timeout")

        assert "AirflowSensorTimeout" in told["exception"]

    def test_the_execution_timeout_is_a_tasks_timeout_all_the_same(self, stage: Stage) -> None:
        (told,) = stage.callbacks("moved_execution_timeout")

        assert told["exception"][0] == "AirflowTaskTimeout"


@pytest.mark.parametrize("dag_id", ["start_only", "configured_callback"])
def test_the_success_callback_is_called(stage: Stage, dag_id: str) -> None:
    (told,) = stage.callbacks(dag_id)

    assert told["kind"] == "success"


def calls(stage: Stage, dag_id: str) -> list[Call]:
    stage.ended(dag_id)
    return [call for call in stage.emulator.calls if call.contract_address == address_of(dag_id)]
