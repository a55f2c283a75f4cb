# SPDX-License-Identifier: Apache-2.0
"""Operator and sensor in whole DAG runs: XComs, templates, mapping, labels, retries, skips."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import task
from airflow.providers.common.compat.version_compat import (
    AIRFLOW_V_3_0_PLUS,
    AIRFLOW_V_3_1_PLUS,
    AIRFLOW_V_3_3_PLUS,
)

from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.dag_runs import new_dag, run
from tests.tasks.lives import ADDRESS, LOWER, MODES, OTHER_ADDRESS, RESULT_KEYS

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("airflow_database")]

BOTH = [ADDRESS, OTHER_ADDRESS]


def sensor_arguments(mode: str) -> dict[str, Any]:
    return {
        "mode": "reschedule" if mode == "reschedule" else "poke",
        "deferrable": mode == "deferred",
        "poke_interval": 0.1,
        "timeout": 3600,
    }


@pytest.mark.parametrize("mode", MODES)
def test_submit_then_wait_succeeds_and_leaves_the_documented_xcoms(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=0.1, running_seconds=0.2)
    with new_dag() as dag:
        submit: Any = ReingestContractOperator(task_id="submit", contract_address=ADDRESS)
        ReingestSensor(task_id="wait", contract_address=submit.output["contract_address"], **sensor_arguments(mode))

    done = run(dag)

    assert done.state == "success"
    assert set(done["wait"].xcoms) == {"contract_address", "return_value"}
    assert set(done["wait"].result) == RESULT_KEYS


@pytest.mark.parametrize("native", [False, True])
def test_a_literal_address_stays_what_it_is(native: bool, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=0)
    with new_dag(render_template_as_native_obj=native) as dag:
        submit = ReingestContractOperator(task_id="submit", contract_address=ADDRESS)
        submit >> ReingestSensor(task_id="wait", contract_address=LOWER, poke_interval=0.1)

    done = run(dag)

    assert [done[name].result["contract_address"] for name in ("submit", "wait")] == [LOWER, LOWER]


@pytest.mark.parametrize("mode", MODES)
def test_the_tasks_of_a_run_account_for_every_call_that_the_service_counted(
    mode: str, emulator: AlchemyEmulator
) -> None:
    emulator.set_job(ADDRESS, queued_seconds=0.1, running_seconds=0.2)
    with new_dag() as dag:
        submit: Any = ReingestContractOperator(task_id="submit", contract_address=ADDRESS)
        ReingestSensor(task_id="wait", contract_address=submit.output["contract_address"], **sensor_arguments(mode))

    done = run(dag)

    polls = [done[name].result["polls"] for name in ("submit", "wait")]
    units = [done[name].result["compute_units"] for name in ("submit", "wait")]
    if mode == "reschedule" and not AIRFLOW_V_3_3_PLUS:
        assert (polls, units) == ([1, 1], [480, 480]), "nothing is kept between two pokes"
        return
    assert (sum(polls), sum(units)) == (emulator.count(), emulator.compute_units)


def test_a_downstream_task_reads_single_values(emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=600)
    with new_dag() as dag:
        submit: Any = ReingestContractOperator(task_id="submit", contract_address=ADDRESS, multiple_outputs=True)

        @task
        def read(address: str, state: str) -> list[str]:
            return [address, state]

        read(submit.output["contract_address"], submit.output["state"])

    assert run(dag)["read"].result == [LOWER, "queued"]


@pytest.mark.parametrize("mode", MODES)
def test_a_contract_that_is_no_collection_fails_the_run(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, outcome="does_not_exist")
    with new_dag() as dag:
        ReingestSensor(
            task_id="wait", contract_address=ADDRESS, retries=2, retry_delay=timedelta(0), **sensor_arguments(mode)
        )

    done = run(dag)

    assert (done.state, done["wait"].state, emulator.count()) == ("failed", "failed", 1)


@pytest.mark.parametrize("mode", MODES)
def test_soft_fail_skips_a_timeout(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=600)
    with new_dag() as dag:
        ReingestSensor(
            task_id="wait", contract_address=ADDRESS, soft_fail=True, **{**sensor_arguments(mode), "timeout": 0.3}
        )

    assert run(dag)["wait"].state == "skipped"


@pytest.mark.parametrize("mode", MODES)
def test_a_timeout_fails_without_a_retry(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=600)
    with new_dag() as dag:
        ReingestSensor(
            task_id="wait",
            contract_address=ADDRESS,
            retries=2,
            retry_delay=timedelta(0),
            **{**sensor_arguments(mode), "timeout": 0.3},
        )

    done = run(dag)["wait"]

    assert (done.state, done.try_number) == ("failed", 1)


def test_arguments_are_templates(emulator: AlchemyEmulator) -> None:
    emulator.configure(reingest_on_every_network=True)
    emulator.set_default_job(running_seconds=0)
    with new_dag(params={"address": ADDRESS, "network": "base-mainnet", "account": "default"}) as dag:
        for kind in (ReingestContractOperator, ReingestSensor):
            kind(
                task_id=kind.__name__,
                contract_address="{{ params.address }}",
                network="{{ params.network }}",
                alchemy_conn_id="alchemy_{{ params.account }}",
            )

    done = run(dag)

    seen = {(done[name].result["contract_address"], done[name].result["network"]) for name, _ in done.tasks}
    assert seen == {(LOWER, "base-mainnet")}


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "deferred"])
def test_the_operator_submits_and_waits(deferrable: bool, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=0.2)
    with new_dag() as dag:
        ReingestContractOperator(
            task_id="refresh",
            contract_address=ADDRESS,
            wait_for_completion=True,
            deferrable=deferrable,
            poll_interval=0.1,
        )

    done = run(dag)["refresh"]

    assert (done.state, done.result["state"], done.result["polls"]) == ("success", "finished", emulator.count())


class TestMapping:
    def test_the_operator_expands(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(queued_seconds=600)
        with new_dag() as dag:
            ReingestContractOperator.partial(task_id="submit").expand(contract_address=BOTH)

        mapped = run(dag).mapped("submit")

        assert [one.result["contract_address"] for one in mapped] == [address.lower() for address in BOTH]

    @pytest.mark.parametrize("mode", MODES)
    def test_the_sensor_expands(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.2)
        with new_dag() as dag:
            ReingestSensor.partial(task_id="wait", **sensor_arguments(mode)).expand(contract_address=BOTH)

        mapped = run(dag).mapped("wait")

        assert [one.result["state"] for one in mapped] == ["finished", "finished"]

    @pytest.mark.skipif(
        AIRFLOW_V_3_0_PLUS and not AIRFLOW_V_3_1_PLUS,
        reason="dag.test() of Airflow 3.0 cannot count the XComs of a mapped task",
    )
    def test_the_sensor_expands_over_what_the_operator_returned(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.2)
        with new_dag() as dag:
            submit = ReingestContractOperator.partial(task_id="submit").expand(contract_address=BOTH)
            ReingestSensor.partial(task_id="wait", **sensor_arguments("deferred")).expand(
                contract_address=submit.output.map(lambda status: status["contract_address"])
            )

        mapped = run(dag).mapped("wait")

        assert {one.result["contract_address"] for one in mapped} == {address.lower() for address in BOTH}

    @pytest.mark.parametrize("kind", [ReingestContractOperator, ReingestSensor])
    def test_mapped_tasks_are_labelled_with_their_collection(self, kind: Any, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)
        with new_dag() as dag:
            kind.partial(task_id="refresh").expand(contract_address=BOTH)

        assert [one.label for one in run(dag).mapped("refresh")] == BOTH

    def test_mapped_tasks_that_were_deferred_are_labelled_too(self, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0.2)
        with new_dag() as dag:
            ReingestSensor.partial(task_id="wait", **sensor_arguments("deferred")).expand(contract_address=BOTH)

        assert [one.label for one in run(dag).mapped("wait")] == BOTH

    def test_one_bad_collection_fails_alone(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(OTHER_ADDRESS, outcome="does_not_exist")
        emulator.set_job(ADDRESS, running_seconds=0)
        with new_dag() as dag:
            ReingestContractOperator.partial(task_id="refresh", retries=1, retry_delay=timedelta(0)).expand(
                contract_address=BOTH
            )

        mapped = run(dag).mapped("refresh")

        assert [(one.state, one.try_number) for one in mapped] == [("success", 1), ("failed", 1)]

    @pytest.mark.usefixtures("emulator")
    def test_an_address_that_is_none_fails_its_own_task_only(self) -> None:
        with new_dag() as dag:
            ReingestContractOperator.partial(task_id="refresh").expand(contract_address=["0x123", ADDRESS])

        mapped = run(dag).mapped("refresh")

        assert [one.state for one in mapped] == ["failed", "success"]


@pytest.mark.parametrize("kind", [ReingestContractOperator, ReingestSensor])
def test_the_label_of_a_mapped_task_is_its_collection_by_default(kind: Any) -> None:
    assert kind(task_id="t", contract_address=ADDRESS).map_index_template == "{{ task.contract_address }}"


@pytest.mark.usefixtures("quick_backoff")
def test_a_retry_joins_the_refresh_that_runs(emulator: AlchemyEmulator) -> None:
    emulator.configure(after_finished="restart")
    emulator.set_job(ADDRESS, running_seconds=1.0)
    emulator.add_fault("http", status=500, times=1, after_processing=True)
    with new_dag() as dag:
        ReingestContractOperator(
            task_id="refresh",
            contract_address=ADDRESS,
            wait_for_completion=True,
            deferrable=False,
            poll_interval=0.1,
            max_consecutive_failures=0,
            retries=1,
            retry_delay=timedelta(0),
        )

    done = run(dag)["refresh"]

    states = [call.state for call in emulator.calls]
    assert (done.state, done.try_number, states.count("finished")) == ("success", 2, 1)
