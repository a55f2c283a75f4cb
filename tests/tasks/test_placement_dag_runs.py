# SPDX-License-Identifier: Apache-2.0
"""Tasks that start and end in the triggerer, in DAG runs of one process (``airflow dags test``): no triggerer there."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import task

from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.conftest import TaskLog
from tests.tasks.dag_runs import new_dag, run
from tests.tasks.lives import ADDRESS, LOWER, OTHER_ADDRESS
from tests.tasks.placing import BOTH

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("airflow_database")]

PLACEMENTS = [BOTH, {"start_from_trigger": True}, {"end_from_trigger": True}]


@pytest.fixture(autouse=True)
def older_airflows_warn() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, message="Task ")
        yield


def interval(kind: Any) -> dict[str, Any]:
    if kind is ReingestSensor:
        return {"poke_interval": 0.1}
    return {"poll_interval": 0.1, "wait_for_completion": True}


@pytest.mark.parametrize("kind", [ReingestContractOperator, ReingestSensor])
@pytest.mark.parametrize("placement", PLACEMENTS, ids="_".join)
class TestOneTask:
    def test_it_succeeds(self, kind: Any, placement: dict[str, bool], emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, running_seconds=0.2)
        with new_dag() as dag:
            kind(task_id="wait", contract_address=ADDRESS, **interval(kind), **placement)

        done = run(dag)["wait"]

        assert (done.state, done.result["state"]) == ("success", "finished")

    def test_it_leaves_the_documented_xcoms(
        self, kind: Any, placement: dict[str, bool], emulator: AlchemyEmulator
    ) -> None:
        emulator.set_job(ADDRESS, running_seconds=0.2)
        with new_dag() as dag:
            kind(task_id="wait", contract_address=ADDRESS, **interval(kind), **placement)

        assert set(run(dag)["wait"].xcoms) == {"contract_address", "return_value"}


def test_the_next_task_gets_a_plain_dict(emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=0.2)
    with new_dag() as dag:
        wait: Any = ReingestSensor(task_id="wait", contract_address=ADDRESS, poke_interval=0.1, **BOTH)

        @task
        def read(result: Any, address: Any) -> list[str]:
            return [type(result).__name__, address]

        read(wait.output, wait.output["contract_address"])

    assert run(dag)["read"].result == ["dict", LOWER]


def test_a_mapped_task_says_that_a_worker_starts_it(emulator: AlchemyEmulator, task_log: TaskLog) -> None:
    emulator.set_default_job(running_seconds=0.2)
    with new_dag() as dag:
        ReingestSensor.partial(task_id="wait", poke_interval=0.1, start_from_trigger=True).expand(
            contract_address=[ADDRESS, OTHER_ADDRESS]
        )

    run(dag)

    assert "Airflow starts no mapped task in the triggerer: start_from_trigger is not used" in task_log()


@pytest.mark.usefixtures("emulator")
def test_a_mapped_task_that_cannot_work_fails_without_a_retry() -> None:
    with new_dag() as dag:
        ReingestSensor.partial(task_id="wait", retries=2, start_from_trigger=True, deferrable=True).expand(
            contract_address=["0x123"]
        )

    (done,) = run(dag).mapped("wait")

    assert (done.state, done.try_number) == ("failed", 1)
