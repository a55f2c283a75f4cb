# SPDX-License-Identifier: Apache-2.0
"""The operator's and the sensor's forms on real Airflow processes: what a user sees of each."""

from __future__ import annotations

import pytest
from pendulum import DateTime

from airflow_provider_alchemy.waits.reingest import RESULT_KEYS
from tests.e2e.waits.conftest import COUNTED, RETRIED, Stage
from tests.e2e.waits.dags.alchemy_scenarios import MODES, address_of

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("mode", MODES)
def test_the_sensor_ends_with_the_refresh_in_every_mode(stage: Stage, mode: str) -> None:
    assert stage.task(f"sensor_{mode}").state == "success"


@pytest.mark.parametrize("mode", MODES)
def test_the_sensors_result_is_the_same_in_every_mode(stage: Stage, mode: str) -> None:
    dag_id = f"sensor_{mode}"

    result = stage.result(dag_id, "wait")

    assert tuple(result) == RESULT_KEYS
    assert result["state"] == "finished"
    assert result["already_finished"] is False
    assert result["polls"] == stage.emulator.count(contract_address=address_of(dag_id))
    assert result["compute_units"] == 480 * result["polls"]


def test_the_deferred_sensor_leaves_the_worker(stage: Stage) -> None:
    assert "Pausing task as DEFERRED" in stage.log("sensor_deferred", "wait")


def test_the_rescheduled_sensor_leaves_the_worker(stage: Stage) -> None:
    assert "UP_FOR_RESCHEDULE" in stage.log("sensor_reschedule", "wait")


def test_the_operator_that_only_submits_does_not_wait(stage: Stage) -> None:
    result = stage.result("operator_submit", "refresh")

    assert (result["state"], result["polls"], result["finished_at"]) == ("queued", 1, None)


@pytest.mark.parametrize("form", ["worker", "deferred"])
def test_the_operator_that_waits_ends_with_the_refresh(stage: Stage, form: str) -> None:
    assert stage.result(f"operator_{form}", "refresh")["state"] == "finished"


def test_the_operator_waits_in_the_triggerer_where_asked(stage: Stage) -> None:
    assert "Pausing task as DEFERRED" in stage.log("operator_deferred", "refresh")


def test_mapped_tasks_end_each_with_their_own_refresh(stage: Stage) -> None:
    assert stage.result("mapped", "states") == ["finished"] * 6


@pytest.mark.parametrize(("task_id", "name"), [("refresh", "mapped"), ("wait", "mapped_wait")])
def test_mapped_tasks_are_labelled_with_their_collection(stage: Stage, task_id: str, name: str) -> None:
    instances = stage.airflow.task_instances(stage.ended("mapped"))

    labels = [instance.rendered_map_index for instance in instances if instance.task_id == task_id]

    assert labels == [address_of(name, index) for index in range(3)]


@pytest.mark.parametrize("mode", MODES)
def test_a_contract_that_is_no_collection_fails_without_a_retry(stage: Stage, mode: str) -> None:
    task = stage.task(f"not_a_collection_{mode}")

    assert (task.state, task.try_number) == ("failed", 1)


@pytest.mark.parametrize("mode", MODES)
def test_soft_fail_skips_a_wait_whose_time_is_over(stage: Stage, mode: str) -> None:
    assert stage.task(f"soft_fail_{mode}").state == "skipped"


@pytest.mark.parametrize("mode", MODES)
def test_a_wait_whose_time_is_over_fails_without_a_retry(stage: Stage, mode: str) -> None:
    task = stage.task(f"timeout_{mode}")

    assert (task.state, task.try_number) == ("failed", 1)


@pytest.mark.parametrize("mode", MODES)
def test_a_wait_whose_time_is_over_says_what_to_do(stage: Stage, mode: str) -> None:
    assert "clear the task to join the running refresh again" in stage.log(f"timeout_{mode}", "wait")


def test_execution_timeout_ends_a_deferred_wait(stage: Stage) -> None:
    assert stage.task("execution_timeout_deferred").state == "failed"
    assert "execution_timeout was over" in stage.log("execution_timeout_deferred", "wait")


def test_a_deferred_wait_of_20_s_at_an_interval_of_5_s_makes_at_most_6_calls(stage: Stage) -> None:
    stage.ended(COUNTED)

    assert stage.emulator.count(contract_address=address_of(COUNTED)) <= 6


def test_no_call_follows_the_terminal_answer(stage: Stage) -> None:
    stage.ended(COUNTED)

    states = [call.state for call in stage.emulator.calls if call.contract_address == address_of(COUNTED)]

    assert states.index("finished") == len(states) - 1


def test_a_deferred_wait_sees_the_end_with_its_first_call_after_it(stage: Stage) -> None:
    stage.ended(COUNTED)
    address = address_of(COUNTED)
    job_end = stage.emulator.finished_at(address)

    assert job_end is not None
    after = [call.state for call in stage.emulator.calls if call.contract_address == address and call.at >= job_end]
    assert after == ["finished"]


def test_a_retry_joins_the_refresh_and_knows_when_it_was_submitted(stage: Stage) -> None:
    address = address_of(RETRIED)

    result = stage.result(RETRIED, "refresh")

    first, second, *_ = sorted(call.at for call in stage.emulator.calls if call.contract_address == address)
    assert stage.task(RETRIED).try_number > 1
    assert "An earlier try submitted the refresh" in stage.log(RETRIED, "refresh", try_number=2)
    assert result["polls"] == stage.emulator.count(contract_address=address)
    submitted_at = DateTime.fromisoformat(result["submitted_at"]).timestamp()
    assert first - 60 < submitted_at < second


@pytest.mark.parametrize("form", ["submit", "worker", "deferred"])
def test_a_task_links_to_its_contract(stage: Stage, form: str) -> None:
    dag_id = f"operator_{form}"

    link = stage.airflow.xcom(stage.ended(dag_id), "refresh", key="_link_ContractLink")

    assert link == f"https://etherscan.io/address/{address_of(dag_id)}"
