# SPDX-License-Identifier: Apache-2.0
"""Tasks that start in the triggerer in DAG files: what Airflow stores of them, and how it reports those it refuses."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS, AIRFLOW_V_3_3_PLUS

from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from airflow_provider_alchemy.triggers.reingest import ReingestTrigger
from tests.tasks.dag_runs import new_dag
from tests.tasks.lives import LOWER
from tests.tasks.placing import KINDS, build

DAG_FILE = """
import pendulum
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.sensors.reingest import ReingestSensor

with DAG("dag", schedule=None, start_date=pendulum.datetime(2026, 1, 1)):
    {kind}(task_id="task", contract_address="{address}", start_from_trigger=True)
"""


def serialized(dag: Any) -> Any:
    """Store a DAG and read it again, as it goes through the database."""
    module = import_module("airflow.serialization.serialized_objects")
    # Its name depends on Airflow's version.
    store = getattr(module, "DagSerialization", None) or module.SerializedDAG
    return store.from_dict(json.loads(json.dumps(store.to_dict(dag))))


@pytest.mark.parametrize("kind", KINDS)
class TestWhatTheSchedulerReads:
    def stored(self, kind: Any, **arguments: Any) -> Any:
        with new_dag() as dag:
            build(kind, start_from_trigger=True, **arguments)
        return serialized(dag).get_task("task")

    def trigger(self, task: Any) -> ReingestTrigger:
        from airflow.models.trigger import Trigger  # noqa: PLC0415 - needs Airflow's models

        arguments = task.start_trigger_args
        # As the scheduler stores them for the triggerer, and the triggerer reads them.
        kept: Any = Trigger(classpath=arguments.trigger_cls, kwargs=arguments.trigger_kwargs).kwargs
        if AIRFLOW_V_3_3_PLUS:
            decode = import_module("airflow.serialization.decoders").smart_decode_trigger_kwargs
            kept = {name: decode(value) for name, value in kept.items()}
        return ReingestTrigger(**kept)

    def test_it_starts_in_the_triggerer(self, kind: Any) -> None:
        assert self.stored(kind).start_from_trigger is True

    def test_it_goes_on_where_a_deferred_task_does(self, kind: Any) -> None:
        assert self.stored(kind).start_trigger_args.next_method == "execute_complete"

    def test_its_timeout_is_kept(self, kind: Any) -> None:
        assert self.stored(kind, timeout=60).start_trigger_args.timeout.total_seconds() == 660

    def test_the_trigger_is_that_of_the_task(self, kind: Any) -> None:
        task = build(kind, start_from_trigger=True, timeout=60, max_compute_units=960)

        stored = self.stored(kind, timeout=60, max_compute_units=960)

        assert self.trigger(stored).serialize() == task.first_trigger().serialize()

    def test_one_task_does_not_change_another(self, kind: Any) -> None:
        with new_dag() as dag:
            build(kind, start_from_trigger=True)
            build(kind, task_id="other", contract_address=LOWER)

        other = serialized(dag).get_task("other")

        assert (other.start_from_trigger, other.start_trigger_args) == (False, None)


@pytest.mark.usefixtures("airflow_database")
@pytest.mark.parametrize("kind", [ReingestContractOperator, ReingestSensor])
def test_a_task_that_cannot_work_is_an_import_error_of_its_dag_file(kind: Any, tmp_path: Path) -> None:
    file = tmp_path / "refused.py"
    file.write_text(DAG_FILE.format(kind=kind.__name__, address="{{ ti.xcom_pull('other') }}"), encoding="utf-8")

    (error,) = dag_bag(tmp_path).import_errors.values()

    assert "task 'task' cannot have start_from_trigger=True: argument 'contract_address' is a template" in error


@pytest.mark.usefixtures("airflow_database")
@pytest.mark.parametrize("kind", [ReingestContractOperator, ReingestSensor])
def test_a_task_that_works_is_none(kind: Any, tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(DAG_FILE.format(kind=kind.__name__, address=LOWER), encoding="utf-8")

    bag = dag_bag(tmp_path)

    assert (bag.import_errors, list(bag.dags)) == ({}, ["dag"])


def dag_bag(folder: Path) -> Any:
    # Where it is depends on Airflow's version.
    name = "airflow.dag_processing.dagbag" if AIRFLOW_V_3_1_PLUS else "airflow.models.dagbag"
    return import_module(name).DagBag(folder)
