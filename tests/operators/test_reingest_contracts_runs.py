# SPDX-License-Identifier: Apache-2.0
"""The operator for many contracts in whole DAG runs: templates, XComs also of a failed task, mapping, retries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import task
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS, AIRFLOW_V_3_1_PLUS

from airflow_provider_alchemy.operators.reingest import ReingestContractsOperator
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.batches import RESULT_KEYS, address, contracts
from tests.tasks.dag_runs import new_dag, run

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("airflow_database")]


def refresh(addresses: Any, **arguments: Any) -> Any:
    defaults: dict[str, Any] = {"task_id": "refresh", "poll_interval": 0.1, "timeout": 3600}
    return ReingestContractsOperator(contract_addresses=addresses, **{**defaults, **arguments})


def test_it_leaves_the_documented_xcoms(emulator: AlchemyEmulator) -> None:
    emulator.set_default_job(queued_seconds=0.1, running_seconds=0.2)
    with new_dag() as dag:
        refresh(contracts(20))

    done = run(dag)

    assert (done.state, set(done["refresh"].xcoms)) == ("success", {"return_value"})
    assert done["refresh"].result["finished"] == contracts(20)
    assert done["refresh"].result["polls"] == emulator.count()


def test_its_list_may_be_another_tasks(emulator: AlchemyEmulator) -> None:
    emulator.set_default_job(running_seconds=0)
    with new_dag() as dag:

        @task
        def collections() -> list[str]:
            return contracts(5)

        refresh(collections())

    assert run(dag)["refresh"].result["finished"] == contracts(5)


@pytest.mark.parametrize("native", [False, True])
def test_its_list_may_be_a_template(native: bool, emulator: AlchemyEmulator) -> None:
    emulator.set_default_job(running_seconds=0)
    with new_dag(params={"addresses": contracts(3)}, render_template_as_native_obj=native) as dag:
        refresh("{{ params.addresses }}")

    assert run(dag)["refresh"].result["finished"] == contracts(3)


@pytest.mark.parametrize("native", [False, True])
def test_a_literal_list_stays_what_it_is(native: bool, emulator: AlchemyEmulator) -> None:
    emulator.set_default_job(running_seconds=0)
    with new_dag(render_template_as_native_obj=native) as dag:
        refresh(contracts(3))

    assert run(dag)["refresh"].result["finished"] == contracts(3)


def test_templates_may_stand_in_its_list(emulator: AlchemyEmulator) -> None:
    emulator.set_default_job(running_seconds=0)
    with new_dag(params={"address": address(1)}) as dag:
        refresh([address(0), "{{ params.address }}"])

    assert run(dag)["refresh"].result["finished"] == contracts(2)


def test_the_finished_of_one_task_are_the_list_of_the_next(emulator: AlchemyEmulator) -> None:
    emulator.set_default_job(running_seconds=0)
    emulator.set_job(address(1), outcome="does_not_exist")
    with new_dag() as dag:
        first = refresh(contracts(4), task_id="first", max_failed=1, multiple_outputs=True)
        refresh(first.output["finished"], task_id="second")

    assert run(dag)["second"].result["finished"] == [address(0), address(2), address(3)]


def test_a_task_that_fails_leaves_its_result_for_the_next(emulator: AlchemyEmulator) -> None:
    emulator.set_default_job(running_seconds=0)
    emulator.set_job(address(1), outcome="does_not_exist")
    with new_dag() as dag:

        @task(trigger_rule="all_done")
        def report(failed: dict[str, list[str]], result: dict[str, Any]) -> Any:
            return [failed, result["counts"]["finished"]]

        batch = refresh(contracts(4), retries=2, retry_delay=timedelta(0), multiple_outputs=True)
        report(batch.output["failed"], batch.output)

    done = run(dag)

    assert (done["refresh"].state, done["refresh"].try_number) == ("failed", 1)
    assert set(done["refresh"].xcoms) == RESULT_KEYS | {"return_value"}
    assert done["report"].result == [{"does_not_exist": [address(1)]}, 3]


@pytest.mark.usefixtures("quick_backoff")
def test_a_retry_mends_what_it_can(emulator: AlchemyEmulator) -> None:
    emulator.set_default_job(running_seconds=0.1)
    emulator.set_job(address(1), queue_failures=1)
    with new_dag() as dag:
        refresh(contracts(4), max_resubmits=0, retries=1, retry_delay=timedelta(0))

    done = run(dag)["refresh"]

    assert (done.state, done.try_number, done.result["finished"]) == ("success", 2, contracts(4))


def test_time_outs_use_up_no_retry(emulator: AlchemyEmulator) -> None:
    emulator.set_default_job(queued_seconds=600)
    with new_dag() as dag:
        refresh(contracts(3), timeout=0.3, retries=2, retry_delay=timedelta(0))

    done = run(dag)["refresh"]

    assert (done.state, done.try_number, done.result["failed"]) == ("failed", 1, {"timeout": contracts(3)})


@pytest.mark.skipif(
    AIRFLOW_V_3_0_PLUS and not AIRFLOW_V_3_1_PLUS,
    reason="dag.test() of Airflow 3.0 cannot count the XComs of a mapped task",
)
def test_it_expands_over_lists(emulator: AlchemyEmulator) -> None:
    emulator.set_default_job(running_seconds=0)
    with new_dag() as dag:
        ReingestContractsOperator.partial(task_id="refresh", poll_interval=0.1).expand(
            contract_addresses=[contracts(2), contracts(3)]
        )

    assert [one.result["finished"] for one in run(dag).mapped("refresh")] == [contracts(2), contracts(3)]
