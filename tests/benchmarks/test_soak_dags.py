# SPDX-License-Identifier: Apache-2.0
"""The DAGs of a soak: one for each kind of wait, with the parameters that its plan gives."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.models.dagbag import DagBag

from dev.benchmarks.soak.kinds import TASK, WATCHED, Kind
from dev.benchmarks.soak.plans import plan_of
from dev.benchmarks.soak.soaking import DAGS
from tests.benchmarks.soak_runs import ScriptedService

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("airflow_database")]


@pytest.fixture(scope="module")
def bag(airflow_database: None) -> Any:
    del airflow_database
    return DagBag(dag_folder=str(DAGS))


def test_all_files_can_be_imported(bag: Any) -> None:
    assert bag.import_errors == {}
    assert {*bag.dags} == {*map(str, Kind), WATCHED}


@pytest.mark.parametrize("kind", Kind)
def test_a_kind_is_a_dag_of_one_task_that_takes_what_is_planned(bag: Any, kind: Kind) -> None:
    dag = bag.dags[kind.value]

    assert [task.task_id for task in dag.tasks] == [TASK]
    assert {*dag.params} == {*plan_of(kind, 1, ScriptedService(), 10).parameters}
    # Else a failure that is meant would be waited for twice.
    assert dag.tasks[0].retries == 0
