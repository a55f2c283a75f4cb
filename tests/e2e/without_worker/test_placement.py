# SPDX-License-Identifier: Apache-2.0
"""Where tasks start and end on a real Airflow: in a worker's process, or in the triggerer without any."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.e2e.without_worker.conftest import Stage
from tests.e2e.without_worker.dags.without_worker import address_of

pytestmark = pytest.mark.e2e

NO_WORKER = ("both", "both_operator", "only_submits", "throttled", "no_xcom", "configured")
FALLBACK = "Airflow starts no mapped task in the triggerer: start_from_trigger is not used"


@pytest.mark.parametrize("dag_id", NO_WORKER)
def test_a_task_that_starts_and_ends_in_the_triggerer_has_no_process(stage: Stage, dag_id: str) -> None:
    assert stage.worker_starts(dag_id) == 0


@pytest.mark.parametrize("dag_id", NO_WORKER)
def test_a_task_without_a_process_succeeds(stage: Stage, dag_id: str) -> None:
    assert stage.task(dag_id).state == "success"


@pytest.mark.parametrize("dag_id", ["both", "both_operator", "only_submits", "throttled", "configured"])
def test_all_its_calls_are_made_in_the_triggerer(stage: Stage, dag_id: str) -> None:
    result = stage.result(dag_id)

    assert result["polls"] == stage.emulator.count(contract_address=address_of(dag_id))


def test_the_operator_that_only_submits_ends_with_the_first_answer(stage: Stage) -> None:
    result = stage.result("only_submits")

    assert (result["state"], result["polls"], result["finished_at"]) == ("queued", 1, None)


def test_a_task_that_only_starts_in_the_triggerer_has_one_process(stage: Stage) -> None:
    assert stage.worker_starts("start_only") == 1


def test_its_process_starts_after_the_refresh_has_finished(stage: Stage) -> None:
    finished_at = datetime.fromisoformat(stage.result("start_only")["finished_at"])

    # A line begins with its time.
    (line,) = (line for line in stage.log("start_only").splitlines() if "Worker startup parse complete" in line)

    assert datetime.fromisoformat(line.split()[0]) > finished_at


def test_a_task_that_only_ends_in_the_triggerer_has_one_process(stage: Stage) -> None:
    assert stage.worker_starts("end_only") == 1


def test_its_process_ends_with_the_deferral(stage: Stage) -> None:
    assert "Pausing task as DEFERRED" in stage.log("end_only")


class TestMappedTasks:
    @pytest.mark.parametrize("map_index", [0, 1])
    def test_each_starts_in_a_worker_and_ends_in_the_triggerer(self, stage: Stage, map_index: int) -> None:
        assert stage.worker_starts("mapped", map_index=map_index) == 1

    @pytest.mark.parametrize("map_index", [0, 1])
    def test_each_says_so_once(self, stage: Stage, map_index: int) -> None:
        assert stage.log("mapped", map_index=map_index).count(FALLBACK) == 1

    @pytest.mark.parametrize("map_index", [0, 1])
    def test_each_has_the_result_of_its_own_collection(self, stage: Stage, map_index: int) -> None:
        result = stage.result("mapped", map_index=map_index)

        assert (result["contract_address"], result["state"]) == (address_of(f"mapped_{map_index}"), "finished")

    def test_each_is_labelled_with_its_collection(self, stage: Stage) -> None:
        instances = stage.airflow.task_instances(stage.ended("mapped"))

        labels = [one.rendered_map_index for one in instances if one.task_id == "wait"]

        assert labels == [address_of("mapped_0"), address_of("mapped_1")]

    def test_a_task_after_them_gets_all_results(self, stage: Stage) -> None:
        assert stage.result("mapped", "addresses") == [address_of("mapped_0"), address_of("mapped_1")]


class TestConfiguration:
    """The Airflow of these tests has both set in its section ``[alchemy]``."""

    def test_a_task_whose_argument_is_an_xcom_starts_in_a_worker(self, stage: Stage) -> None:
        assert stage.worker_starts("configured_xcom") == 1

    def test_it_ends_in_the_triggerer_all_the_same(self, stage: Stage) -> None:
        assert "Pausing task as DEFERRED" in stage.log("configured_xcom")

    def test_a_task_with_outlets_ends_in_a_worker(self, stage: Stage) -> None:
        assert stage.worker_starts("configured_outlets") == 1

    def test_a_task_with_outlets_emits_its_asset_event(self, stage: Stage) -> None:
        run = stage.ended("configured_outlets")

        events = run.api.get("assets/events", source_dag_id="configured_outlets")["asset_events"]

        assert len(events) == 1

    def test_a_task_with_a_success_callback_ends_in_a_worker(self, stage: Stage) -> None:
        assert stage.worker_starts("configured_callback") == 1

    def test_a_task_that_is_not_deferrable_runs_in_a_worker(self, stage: Stage) -> None:
        assert stage.worker_starts("in_worker") == 1


def test_a_dag_that_cannot_work_is_an_import_error_with_advice(stage: Stage) -> None:
    (error,) = stage.airflow.import_errors()

    assert error["filename"] == "refused.py"
    assert "task 'wait' cannot have start_from_trigger=True: argument 'contract_address'" in error["stack_trace"]
    assert "leave out start_from_trigger" in error["stack_trace"]
