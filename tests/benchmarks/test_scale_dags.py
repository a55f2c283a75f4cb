# SPDX-License-Identifier: Apache-2.0
"""The DAG files of the scale benchmark: they wait for what the plan says, and where it says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from airflow.models.dagbag import DagBag

from dev.benchmarks.scale.plan import WORKER_DAG, Place, Side, contract_of, places_of
from dev.benchmarks.scale.run import DAGS
from dev.benchmarks.scale.settings import Scenario, airflow_environment

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("airflow_database")]

SCENARIO = Scenario(waits=5, dag_size=2, worker_waits=3)


def dags_of(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    for name, value in airflow_environment(scenario, {}).items():
        if name.startswith("SCALE_"):
            monkeypatch.setenv(name, value)
    bag: Any = DagBag(dag_folder=str(DAGS))
    assert bag.import_errors == {}
    found: dict[str, Any] = bag.dags
    return found


def test_the_waits_of_the_triggerers_begin_and_end_there(monkeypatch: pytest.MonkeyPatch) -> None:
    dags = dags_of(replace(SCENARIO, worker_waits=0), monkeypatch)
    tasks = {Place(dag_id, task.task_id): task for dag_id, dag in dags.items() for task in dag.tasks}

    assert {place: task.contract_address for place, task in tasks.items()} == places_of(
        SCENARIO.waits, SCENARIO.dag_size, worker_waits=0
    )
    assert all(task.start_from_trigger and task.end_from_trigger for task in tasks.values())


@pytest.mark.parametrize("xcoms", [True, False])
def test_the_waits_of_the_triggerers_push_their_results_if_asked(xcoms: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    dags = dags_of(replace(SCENARIO, worker_waits=0, xcoms=xcoms), monkeypatch)

    assert {task.do_xcom_push for dag in dags.values() for task in dag.tasks} == {xcoms}


def test_the_waits_of_the_workers_are_one_mapped_task(monkeypatch: pytest.MonkeyPatch) -> None:
    (task,) = dags_of(SCENARIO, monkeypatch)[WORKER_DAG].tasks

    assert task.expand_input.value == {
        "contract_address": [contract_of(Side.WORKERS, number) for number in range(SCENARIO.worker_waits)]
    }
    assert task.partial_kwargs["deferrable"]
